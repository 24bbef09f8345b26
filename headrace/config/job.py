"""The job file as objects: text in, JobConfig out, all problems at once."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from headrace.config.blocks import INPUT_KEYS, KINDS, OUTPUT_KEYS, Block, plugins_of
from headrace.config.env import Env, is_meaningless, meaningless
from headrace.config.error_handlers import ErrorHandlers, Stage, is_error_handler, read_error_handlers
from headrace.config.hocon import parse_hocon
from headrace.config.shade import Shade, unknown_cipher
from headrace.config.sql_file import parse_sql
from headrace.config.variables import Resolver, Unset, check_names
from headrace.errors import ConfigError, Problem
from headrace.options import read_options
from headrace.secrets import shown

_COMMON = {"plugin_name", "parallelism", *INPUT_KEYS, *OUTPUT_KEYS}


@dataclass(frozen=True)
class Plugin:
    """One source, transform or sink of a job file.

    index: its position among its kind, from 0. name: as the user spelt it. options: as written, without the keys that
    all plugins share. inputs, output: names of datasets. place: `source[0].FakeSource`.
    error_block: of a sink for bad rows, the block of env that it stands in, such as `error_handler`; else empty.
    """

    kind: str
    index: int
    name: str
    options: Mapping[str, Any]
    inputs: tuple[str, ...] = ()
    output: str | None = None
    parallelism: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    error_block: str = ""

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.path}.{self.name}"

    @property
    def path(self) -> str:
        """Where its options stand in the job file, without its name."""
        return f"env.{self.error_block}.sink" if self.error_block else f"{self.kind}[{self.index}]"

    @property
    def step_name(self) -> str:
        """SeaTunnel's name of the action, under which state is saved: `Source[0]-FakeSource`."""
        if self.error_block:
            return f"ErrorSink[{self.error_block}]-{self.name}"
        return f"{self.kind.capitalize()}[{self.index}]-{self.name}"

    def line(self, path: str = "") -> int:
        """The line of an option path such as `schema.fields.id`, or of the nearest one above it; 0 when unknown."""
        return _nearest(self.lines, self.path + (f".{path}" if path else ""))


def _nearest(lines: Mapping[str, int], path: str) -> int:
    """The line of an option path, or of the nearest one above it; 0 when unknown."""
    while path:
        if found := lines.get(path):
            return found
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return 0


@dataclass(frozen=True)
class JobConfig:
    """A job file, read. env_raw: the env block as written.

    problems: wrong options of env, which has its defaults instead: `make_plan` raises them with those of the plugins.
    variables: the `-i` values it was read with; None when it is somebody else's text: see parse_job.
    unset: names of variables that have no value. error_handlers: what becomes of bad rows. lines: option path → line.
    """

    env: Env
    env_raw: Mapping[str, Any]
    sources: tuple[Plugin, ...]
    transforms: tuple[Plugin, ...]
    sinks: tuple[Plugin, ...]
    text: str = ""
    file: str = ""
    format: str = "hocon"
    variables: Mapping[str, str] | None = None
    unset: tuple[Unset, ...] = field(default=(), compare=False)
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    error_handlers: ErrorHandlers = field(default_factory=lambda: ErrorHandlers({}))
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def plugins(self) -> tuple[Plugin, ...]:
        """All plugins: sources, transforms, sinks."""
        return self.sources + self.transforms + self.sinks

    @cached_property
    def by_place(self) -> dict[str, Plugin]:
        """Place → the plugin that stands there."""
        return {plugin.place: plugin for plugin in self.plugins}

    def error_sinks(self) -> dict[Stage, Plugin]:
        """Stage → the sink that takes its bad rows, where there is one; stages share one or have their own."""
        made: dict[str, Plugin] = {}
        found = {}
        for stage, handler in self.error_handlers.stages.items():
            if handler.sink is not None:
                plugin = Plugin(
                    "sink",
                    len(made),
                    handler.plugin_name,
                    handler.sink,
                    lines=self.lines,
                    error_block=handler.sink_block,
                )
                found[stage] = made.setdefault(handler.sink_block, plugin)
        return found

    def resolved(self) -> "ResolvedJob":
        """For a process with another environment: its values, not the text that they come from."""
        plugins = tuple(replace(plugin, lines={}) for plugin in self.plugins)
        return ResolvedJob(self.file, self.env_raw, plugins, self.lines)


@dataclass(frozen=True)
class ResolvedJob:
    """A job as it is planned anew elsewhere: all includes, variables and secrets are filled in.

    env: the block as JobConfig.env_raw. plugins: without their lines. lines: option path → line in the file.
    """

    file: str
    env: Mapping[str, Any]
    plugins: tuple[Plugin, ...]
    lines: Mapping[str, int]

    def config(self) -> JobConfig:
        """The job, with nothing to be filled in and no problems: it was planned before."""
        found = {kind: tuple(replace(p, lines=self.lines) for p in self.plugins if p.kind == kind) for kind in KINDS}
        return JobConfig(
            read_options(Env, _own_keys(self.env)).options or Env(),
            self.env,
            found["source"],
            found["transform"],
            found["sink"],
            file=self.file,
            error_handlers=read_error_handlers(self.env, [], []),
            lines=self.lines,
        )


def _own_keys(env: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of the block that are options of a job."""
    return {k: v for k, v in env.items() if not is_meaningless(k) and not is_error_handler(k)}


def load_job(path: str | Path, variables: Mapping[str, str] | None = None, *, decrypt: bool = True) -> JobConfig:
    """Read a job file; `.json` says JSON, `.sql` SQL, anything else is HOCON. Raises ConfigError.

    decrypt: False leaves secrets as they stand in the file, for who passes the job on and needs no key.
    """
    path = Path(path)
    text = read_text(path)
    return parse_job(text, format=format_of(path), file=str(path), variables=variables or {}, decrypt=decrypt)


def read_text(path: Path) -> str:
    """The text of a job file. Raises ConfigError where there is none that can be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob(f"*{path.suffix or '.conf'}")) if path.parent.is_dir() else []
        cure = f"{path.parent} holds {', '.join(near[:8])}" if near else ""
        raise ConfigError([Problem("", f"there is no file {str(path)!r}", cure)]) from None
    except IsADirectoryError:
        raise ConfigError([Problem("", f"{str(path)!r} is a directory", "name a job file in it")]) from None
    except OSError as error:
        raise ConfigError(
            [Problem("", f"cannot read {str(path)!r}: {error.strerror}", "check its permissions")]
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in content:
            text = f"{str(path)!r} is not a job file, but something that is not text"
            raise ConfigError([Problem("", text, "name a file in HOCON, JSON or SQL")]) from error
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            [Problem("", f"byte 0x{content[error.start]:02x} is not UTF-8", "save the file as UTF-8", str(path), line)]
        ) from error


def format_of(path: Path) -> str:
    """The format that a file's suffix says."""
    return {".json": "json", ".sql": "sql"}.get(path.suffix.lower(), "hocon")


def read_blocks(text: str, format: str, file: str = "") -> tuple[Block, list[Problem]]:  # noqa: A002  as parse_job
    """A job's blocks as they were written, and warnings. Raises ConfigError."""
    if format == "sql":
        return parse_sql(text, file)
    return parse_hocon(text, file, json=format == "json"), []


def parse_job(
    text: str,
    *,
    format: str = "hocon",  # noqa: A002  the word of the REST API
    file: str = "",
    variables: Mapping[str, str] | None = None,
    decrypt: bool = True,
) -> JobConfig:
    """Read a job's text, `hocon`, `json` or `sql`. Raises ConfigError where there is no job to plan.

    variables: None is for a text of somebody else, such as one that comes over REST: nothing of this process's
    environment is read, and `${…}` in JSON is left alone, as SeaTunnel does.
    """
    if not text.strip():
        raise ConfigError([Problem("", "the job file is empty", "", file)])
    check_names(variables or {})
    root, warnings = read_blocks(text, format, file)
    literal = format == "json" and variables is None
    environment = {} if variables is None else os.environ
    resolver = Resolver(root, variables or {}, file, literal=literal, environment=environment)
    job = _Reader(root, resolver, file, decrypt, warnings=warnings).job()
    given = None if variables is None else dict(variables)
    warnings = [*job.warnings, *_unused(resolver, given or {})]
    unset = () if variables is None else tuple(resolver.unset)
    return replace(job, text=text, file=file, format=format, variables=given, warnings=tuple(warnings), unset=unset)


def _unused(resolver: Resolver, variables: Mapping[str, str]) -> list[Problem]:
    """Variables that were given and stand nowhere in the job file."""
    found = []
    for name in variables.keys() - resolver.used:
        near = get_close_matches(name, [item.name for item in resolver.unset], 1)
        found.append(
            Problem(f"-i {name}", "nothing in the job file uses it", f"did you mean {near[0]}?" if near else "")
        )
    return sorted(found, key=attrgetter("place"))


def job_from_dict(job: Mapping[str, Any], variables: Mapping[str, str] | None = None) -> JobConfig:
    """A job as Python values in the JSON shape; an option's value may be any object. Raises ConfigError."""
    root = _as_block(job)
    environment = {} if variables is None else os.environ
    resolver = Resolver(root, variables or {}, "", literal=variables is None, environment=environment)
    config = _Reader(root, resolver, "").job()
    try:
        text = json.dumps(job)
    except (TypeError, ValueError):  # it holds Python objects: it runs embedded only
        text = ""
    return replace(config, text=text, format="json", variables=None if variables is None else dict(variables))


def _as_block(value: Any) -> Any:
    if isinstance(value, Mapping):
        block = Block()
        block.update({str(k): _as_block(v) for k, v in value.items()})
        return block
    if isinstance(value, list | tuple):
        return [_as_block(item) for item in value]
    return value


@dataclass
class _Reader:
    """Makes a JobConfig of blocks, collecting what is wrong with all of them."""

    root: Block
    resolver: Resolver
    file: str
    decrypt: bool = True
    problems: list[Problem] = field(default_factory=list)
    env_problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    shade: Shade | None = None
    error_handlers: ErrorHandlers = field(default_factory=lambda: ErrorHandlers({}))

    def job(self) -> JobConfig:
        for key in self.root:
            if key not in ("env", *KINDS):
                cure = "a job has env, source, transform and sink"
                self.warnings.append(Problem(key, "unknown block", cure, self.file, self.root.lines.get(key, 0)))
        env, env_raw = self._env()
        found = {kind: self._plugins(kind) for kind in KINDS}
        if self.problems:
            raise ConfigError(sorted(self.problems + self.env_problems, key=attrgetter("line")))
        return JobConfig(
            env,
            env_raw,
            found["source"],
            found["transform"],
            found["sink"],
            file=self.file,
            warnings=tuple(self.warnings),
            problems=tuple(self.env_problems),
            error_handlers=self.error_handlers,
            lines=self.resolver.lines,
        )

    def _env(self) -> tuple[Env, Mapping[str, Any]]:
        block = self.root.get("env")
        line = self.root.lines.get("env", 0)
        if block is not None and not isinstance(block, Block):
            self.problems.append(Problem("env", f"must be a block, not {shown('env', block)}", "", self.file, line))
            block = None
        lines = self.resolver.lines
        raw = self.resolver.plain(block, "env") if block is not None else {}
        for key in list(raw):
            if raw[key] is None:
                raw.pop(key)
                self.warnings.append(
                    Problem(f"env.{key}", "null means: not set", "", self.file, lines.get(f"env.{key}", 0))
                )

        def placed(problem: Problem) -> Problem:
            problem = problem if problem.place.startswith("env") else problem.under("env")
            return replace(problem, file=self.file, line=_nearest(lines, problem.place) or line)

        self.warnings += [placed(p) for p in meaningless(raw)]
        wrong: list[Problem] = []
        idle: list[Problem] = []
        self.error_handlers = read_error_handlers(raw, wrong, idle)
        self.problems += [placed(p) for p in wrong]
        self.warnings += [placed(p) for p in idle]
        read = read_options(Env, _own_keys(raw))
        self.env_problems += [placed(p) for p in read.problems]
        self.warnings += [placed(p) for p in read.unknown]
        try:
            self.shade = Shade.of(raw) if self.decrypt else None
        except ConfigError as error:
            self.problems += [placed(p) for p in error.problems]
        self.warnings += [placed(p) for p in unknown_cipher(raw)]
        return read.options or Env(), raw

    def _plugins(self, kind: str) -> tuple[Plugin, ...]:
        found, problems = plugins_of(kind, self.root, self.file)
        self.problems += problems
        plugins = []
        for index, named in enumerate(found):
            place = f"{kind}[{index}]"
            self.resolver.lines[place] = named.line
            if isinstance(named.block, Block):
                plugin = self._plugin(kind, index, named.name, self.resolver.plain(named.block, place))
                if plugin is not None:
                    plugins.append(plugin)
        return tuple(plugins)

    def _plugin(self, kind: str, index: int, name: str, values: dict[str, Any]) -> Plugin | None:
        place, lines = f"{kind}[{index}]", self.resolver.lines
        name = str(values.get("plugin_name") or name)
        if not name:
            line = lines[place] or next((n for p, n in lines.items() if p.startswith(f"{place}.")), 0)
            message = "The 'plugin_name' option is not configured, please configure it."
            self.problems.append(
                Problem(place, message, f'add "plugin_name" with the name of a {kind}', self.file, line, "seatunnel")
            )
            return None
        if self.shade is not None and kind != "transform":
            wrong: list[Problem] = []
            values = self.shade.decrypt(values, wrong)
            self.problems += [self._at(p, place, name) for p in wrong]
        first = [values[key] for key in INPUT_KEYS if values.get(key) not in (None, "")]
        inputs = first[0] if first else []
        if isinstance(inputs, str):
            inputs = [part.strip() for part in inputs.split(",")]
        output = next((values[key] for key in OUTPUT_KEYS if values.get(key) not in (None, "")), None)
        for key, value, kinds in (("plugin_input", inputs, list), ("plugin_output", output, str)):
            if value is not None and not isinstance(value, kinds):
                self.problems.append(self._at(Problem(key, f"{value!r} is not a name of a dataset"), place, name))
                return None
        parallelism = self._parallelism(values.get("parallelism"), place, name)
        options = {key: value for key, value in values.items() if key not in _COMMON}
        return Plugin(kind, index, name, options, tuple(map(str, inputs)), output, parallelism, lines)

    def _parallelism(self, value: Any, place: str, name: str) -> int | None:
        if value is None:
            return None
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = 0
        if number < 1:
            problem = Problem("parallelism", f"{value!r} is not a whole number above 0")
            self.problems.append(self._at(problem, place, name))
            return None
        return number

    def _at(self, problem: Problem, place: str, name: str) -> Problem:
        """The problem of a plugin's key, with its whole place, the file and the line."""
        lines = self.resolver.lines
        line = lines.get(f"{place}.{problem.place}", 0) or lines.get(place, 0)
        return replace(problem.under(f"{place}.{name}"), file=self.file, line=line)


def placed(problem: Problem, plugin: Plugin, file: str) -> Problem:
    """A problem of a plugin's options, with the plugin's place, the file and the line."""
    code = problem.code or "options"
    return replace(problem.under(plugin.place), file=file, line=plugin.line(problem.place), code=code)


def names(plugins: Sequence[Plugin]) -> list[str]:
    """The plugins' places, for messages."""
    return [plugin.place for plugin in plugins]
