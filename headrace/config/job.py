"""The job file as objects: text in, JobConfig out, all problems at once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from headrace.config.env import Env, is_meaningless, meaningless
from headrace.config.hocon import Block, Plugins, parse_hocon
from headrace.config.variables import Resolver, check_names
from headrace.errors import ConfigError, Problem
from headrace.options import read_options

KINDS = ("source", "transform", "sink")
INPUT_KEYS = ("plugin_input", "source_table_name")
OUTPUT_KEYS = ("plugin_output", "result_table_name")
_COMMON = {"plugin_name", "parallelism", *INPUT_KEYS, *OUTPUT_KEYS}


@dataclass(frozen=True)
class Plugin:
    """One source, transform or sink of a job file.

    index: its position among its kind, from 0. name: as the user spelt it. options: as written, without the keys that
    all plugins share. inputs, output: names of datasets. place: `source[0].FakeSource`.
    """

    kind: str
    index: int
    name: str
    options: Mapping[str, Any]
    inputs: tuple[str, ...] = ()
    output: str | None = None
    parallelism: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.kind}[{self.index}].{self.name}"

    @property
    def step_name(self) -> str:
        """SeaTunnel's name of the action, under which state is saved: `Source[0]-FakeSource`."""
        return f"{self.kind.capitalize()}[{self.index}]-{self.name}"

    def line(self, path: str = "") -> int:
        """The line of an option path such as `schema.fields.id`, or of the nearest one above it; 0 when unknown."""
        whole = f"{self.kind}[{self.index}]" + (f".{path}" if path else "")
        while whole:
            if found := self.lines.get(whole):
                return found
            whole = whole[: max(whole.rfind("."), whole.rfind("["), 0)]
        return 0


@dataclass(frozen=True)
class JobConfig:
    """A job file, read. env_raw: the env block as written.

    variables: the `-i` values it was read with; None when `${…}` was left alone.
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
    warnings: tuple[Problem, ...] = ()

    @cached_property
    def plugins(self) -> tuple[Plugin, ...]:
        """All plugins: sources, transforms, sinks."""
        return self.sources + self.transforms + self.sinks


def load_job(path: str | Path, variables: Mapping[str, str] | None = None) -> JobConfig:
    """Read a job file; `.json` says JSON, anything else is HOCON. Raises ConfigError."""
    path = Path(path)
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
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            [Problem("", f"byte 0x{content[error.start]:02x} is not UTF-8", "save the file as UTF-8", str(path), line)]
        ) from error
    kind = "json" if path.suffix.lower() == ".json" else "hocon"
    return parse_job(text, format=kind, file=str(path), variables=variables or {})


def parse_job(
    text: str,
    *,
    format: str = "hocon",  # noqa: A002  the word of the REST API
    file: str = "",
    variables: Mapping[str, str] | None = None,
) -> JobConfig:
    """Read a job's text, `hocon` or `json`. Raises ConfigError with all problems.

    variables: None leaves `${…}` in a JSON text alone, as SeaTunnel does with a job that comes over REST.
    """
    if not text.strip():
        raise ConfigError([Problem("", "the job file is empty", "", file)])
    check_names(variables or {})
    root = parse_hocon(text, file, json=format == "json")
    literal = format == "json" and variables is None
    job = _build(root, variables or {}, file, literal=literal)
    return replace(job, text=text, file=file, format=format, variables=None if literal else dict(variables or {}))


def job_from_dict(job: Mapping[str, Any], variables: Mapping[str, str] | None = None) -> JobConfig:
    """A job as Python values in the JSON shape; an option's value may be any object. Raises ConfigError."""
    config = _build(_as_block(job), variables or {}, "", literal=variables is None)
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


def _build(root: Block, variables: Mapping[str, str], file: str, *, literal: bool) -> JobConfig:
    resolver = Resolver(root, variables, file, literal=literal)
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for key in root:
        if key not in ("env", *KINDS):
            place = Problem(
                key, "unknown block", "a job has env, source, transform and sink", file, root.lines.get(key, 0)
            )
            warnings.append(place)
    env, env_raw = _env(root, resolver, file, problems, warnings)
    plugins = {kind: _plugins(kind, root, resolver, file, problems) for kind in KINDS}
    if problems:
        raise ConfigError(sorted(problems, key=attrgetter("line")))
    return JobConfig(
        env,
        env_raw,
        plugins["source"],
        plugins["transform"],
        plugins["sink"],
        file=file,
        warnings=tuple(warnings),
    )


def _env(
    root: Block, resolver: Resolver, file: str, problems: list[Problem], warnings: list[Problem]
) -> tuple[Env, Mapping[str, Any]]:
    block = root.get("env")
    if block is not None and not isinstance(block, Block):
        problems.append(Problem("env", f"must be a block, not {block!r}", "", file, root.lines.get("env", 0)))
        block = None
    raw = resolver.plain(block, "env") if block is not None else {}
    for key in list(raw):
        if raw[key] is None:
            raw.pop(key)
            warnings.append(Problem(f"env.{key}", "null means: not set", "", file, resolver.lines.get(f"env.{key}", 0)))

    def placed(problem: Problem) -> Problem:
        problem = problem if problem.place.startswith("env") else problem.under("env")
        return replace(problem, file=file, line=resolver.lines.get(problem.place, root.lines.get("env", 0)))

    warnings += [placed(p) for p in meaningless(raw)]
    read = read_options(Env, {k: v for k, v in raw.items() if not is_meaningless(k)})
    problems += [placed(p) for p in read.problems]
    warnings += [placed(p) for p in read.unknown]
    return read.options or Env(), raw


def _plugins(kind: str, root: Block, resolver: Resolver, file: str, problems: list[Problem]) -> tuple[Plugin, ...]:
    value = root.get(kind)
    line = root.lines.get(kind, 0)
    if value is None:
        return ()
    found: list[tuple[str | None, Any, int]] = []
    if isinstance(value, Plugins):
        found = [(item.name, item.block, item.line) for item in value.items]
    elif isinstance(value, Block):
        found = [(name, block, value.lines.get(name, 0)) for name, block in value.items()]
    elif isinstance(value, list):
        found = [(None, item, line) for item in value]
    else:
        problems.append(Problem(kind, f"must be a block or a list of plugins, not {value!r}", "", file, line))
    plugins = []
    for index, (name, block, at) in enumerate(found):
        place = f"{kind}[{index}]"
        resolver.lines[place] = at or line
        if not isinstance(block, Block):
            text = (
                "must be an object with plugin_name and its options" if name is None else "must be a block of options"
            )
            problems.append(Problem(place, f"{text}, not {block!r}", "", file, resolver.lines[place]))
            continue
        plugin = _plugin(kind, index, name, resolver.plain(block, place), resolver, file, problems)
        if plugin is not None:
            plugins.append(plugin)
    return tuple(plugins)


def _plugin(
    kind: str,
    index: int,
    name: str | None,
    values: dict[str, Any],
    resolver: Resolver,
    file: str,
    problems: list[Problem],
) -> Plugin | None:
    place = f"{kind}[{index}]"
    name = str(values.get("plugin_name") or name or "")
    if not name:
        line = resolver.lines[place] or next((n for p, n in resolver.lines.items() if p.startswith(f"{place}.")), 0)
        cure = f'add "plugin_name" with the name of a {kind}'
        problems.append(
            Problem(place, "The 'plugin_name' option is not configured, please configure it.", cure, file, line)
        )
        return None
    first = [values[key] for key in INPUT_KEYS if values.get(key) not in (None, "")]
    inputs = first[0] if first else []
    if isinstance(inputs, str):
        inputs = [part.strip() for part in inputs.split(",")]
    output = next((values[key] for key in OUTPUT_KEYS if values.get(key) not in (None, "")), None)
    for key, value, kinds in (("plugin_input", inputs, list), ("plugin_output", output, str)):
        if value is not None and not isinstance(value, kinds):
            problems.append(Problem(f"{place}.{name}.{key}", f"{value!r} is no name of a dataset", "", file, 0))
            return None
    parallelism = _parallelism(values.get("parallelism"), f"{place}.{name}", resolver, file, problems)
    options = {key: value for key, value in values.items() if key not in _COMMON}
    return Plugin(kind, index, name, options, tuple(map(str, inputs)), output, parallelism, resolver.lines)


def _parallelism(value: Any, place: str, resolver: Resolver, file: str, problems: list[Problem]) -> int | None:
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        problems.append(Problem(f"{place}.parallelism", f"{value!r} is not a whole number above 0", "", file, 0))
        return None
    return number


def placed(problem: Problem, plugin: Plugin, file: str) -> Problem:
    """A problem of a plugin's options, with the plugin's place, the file and the line."""
    code = problem.code or "options"
    return replace(problem.under(plugin.place), file=file, line=plugin.line(problem.place), code=code)


def names(plugins: Sequence[Plugin]) -> list[str]:
    """The plugins' places, for messages."""
    return [plugin.place for plugin in plugins]
