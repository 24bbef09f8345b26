"""What a job that comes over the network may touch: files, hosts, plugins, and whether it may bring code."""

import os
import re
import site
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from headrace.config.job import JobConfig, Plugin
from headrace.connector import Transform
from headrace.errors import ConfigError, Problem
from headrace.options import Options, local_path
from headrace.plan.plan import Plan, Step, plugin_class
from headrace.reach import is_blocked

SYSTEM_PATHS = ("/proc", "/sys", "/dev", "/etc", "/boot", "/var/run", "/run")
KEY_FOLDERS = (
    *((name,) for name in (".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", ".gcloud")),
    (".config", "gcloud"),
    (".local", "share", "keyrings"),
)
"""Folders of keys, wherever they lie."""


def _python_folders() -> list[Path]:
    """Where Python finds what it runs: a file there with the right suffix is run by the next process that starts."""
    places = [*site.getsitepackages(), site.getusersitepackages(), os.path.dirname(os.__file__)]
    return [Path(place) for place in (*places, *([sys.prefix] if sys.prefix != sys.base_prefix else []))]


EVERY_OTHER = "*"
"""In `plugins`: all that run no code of a job's own."""

CODE_PLUGIN = "Python"
"""Whoever may use it may run code, in options of other plugins, too."""


_DEFAULT = re.compile(r"\$\{[^{}:]*(?::([^{}]*))?\}")
"""`${name:default}`: the default stands where a table has no such name."""


@dataclass(frozen=True)
class Permissions:
    """What jobs may use. None allows everything of a kind, but never a path below one that is denied, nor code.

    paths: directories. denied: directories, beside the system's own and folders of keys. hosts: names without ports.
    plugins: names of sources, transforms and sinks; `*` for all that run no code. relative: whether a path may begin at
    the directory where the server was started.
    """

    paths: tuple[Path, ...] | None = None
    denied: tuple[Path, ...] = ()
    hosts: tuple[str, ...] | None = None
    plugins: tuple[str, ...] | None = None
    relative: bool = True

    def check_plugins(self, job: JobConfig) -> None:
        """Raises ConfigError with every plugin that is not allowed; none of their options was read by then."""
        plugins = (*job.plugins, *job.error_sinks().values())
        problems = [problem for plugin in plugins for problem in self._of_plugin(plugin, job.file)]
        if problems:
            raise ConfigError(problems)

    def check(self, plan: Plan) -> None:
        """Raises ConfigError with everything in the job that is not allowed."""
        steps = {step.plugin.place: step for pipeline in plan.pipelines for step in pipeline.all_steps()}
        problems = [problem for step in steps.values() for problem in self._of_step(step, plan.job.file)]
        if problems:
            raise ConfigError(list(dict.fromkeys(problems)))

    def _of_plugin(self, plugin: Plugin, file: str) -> Iterator[Problem]:
        cls = plugin_class(plugin)
        if cls is not None and not self._allows(plugin.name, runs_code=cls.runs_code):
            if self.plugins is None:
                cure = f"it runs code that jobs bring; the setting allowed_plugins must name it: *, {plugin.name}"
            else:
                cure = f"allowed are {', '.join(self.plugins)} (setting allowed_plugins)"
            yield Problem(plugin.place, f"this server does not allow {plugin.name}", cure, file, plugin.line())

    def _allows(self, name: str, *, runs_code: bool) -> bool:
        known = None if self.plugins is None else [plugin.lower() for plugin in self.plugins]
        if known is not None and name.lower() in known:
            return True
        return not runs_code and (known is None or EVERY_OTHER in known)

    def _of_step(self, step: Step, file: str) -> Iterator[Problem]:
        plugin = step.plugin
        checks = {"path": self._of_path, "host": self._of_host, "code": self._of_code}
        instance = step.instance
        sets = instance.option_sets() if isinstance(instance, Transform) else [("", instance.options)]
        marked = (found for place, options in sets for found in _marked(options, f"{place}." if place else ""))
        for path, kind, value in marked:
            problem = checks[kind](value)
            if problem:
                yield Problem(f"{plugin.place}.{path}", problem[0], problem[1], file, plugin.line(path))

    def _of_code(self, value: str) -> tuple[str, str] | None:
        if self._allows(CODE_PLUGIN, runs_code=True):
            return None
        text = "this server does not let jobs run code of their own"
        return text, f"the setting allowed_plugins must name {CODE_PLUGIN}, which stands for all code"

    # ---------------------------------------------------------------------------------------------------------- paths

    def _of_path(self, value: str) -> tuple[str, str] | None:
        """What forbids a path: as it is written, or as its links lead.

        A name that is filled in later may be any below the directory before it: that directory is looked at.
        """
        text = _as_path(value)
        begin, filled, rest = text.partition("${")
        if "\0" in text:
            return f"{value!r} is not a path", "leave out the character 0"
        if not self.relative and not text.startswith("/"):
            base = str(self.paths[0]) if self.paths else "/data"
            cure = f"write it from the root, such as {os.path.join(base, text)!r}"
            return f"{value!r} is a relative path, and a server takes jobs from everywhere", cure
        if ".." in re.split("[/:{}]", rest):
            return f"{value!r} may lead out of its directory", "leave out '..' behind what is filled in"
        place = Path(os.path.dirname(begin) if filled else begin)
        written, real = Path(os.path.abspath(place)), _real(place)
        last = Path(_DEFAULT.sub(lambda match: match[1] or "", text))
        if found := self._lies_in(written) or self._lies_in(real) or _key_folder(last):
            return f"{value!r} lies in {found}, which jobs may not touch", "name another path"
        if found := self._holds(written) or self._holds(real):
            return f"{value!r} holds {found}, which jobs may not touch", "name a directory beside it"
        if self.paths is None or any(p == real or p in real.parents for p in self._allowed):
            return None
        allowed = ", ".join(map(str, self.paths))
        return f"{value!r} is not in a directory that jobs may use", f"those are {allowed} (setting allowed_paths)"

    def _lies_in(self, path: Path) -> str:
        """The forbidden folder that a path is or lies in; empty without one."""
        found = _key_folder(path) or _hidden_at_home(path)
        return found or next((str(f) for f in self._forbidden if f == path or f in path.parents), "")

    def _holds(self, path: Path) -> str:
        """The forbidden folder that who reads or empties `path` would meet in it; empty without one."""
        inside = (f for f in self._forbidden if path in f.parents)
        return next((str(f) for f in inside if not f.relative_to(path).parts[0].startswith(".")), "")

    @cached_property
    def _allowed(self) -> list[Path]:
        return [_real(path) for path in self.paths or ()]

    @cached_property
    def _forbidden(self) -> list[Path]:
        """Directories that jobs may not touch, as they are written and as their links lead."""
        keys = [home.joinpath(*folder) for home in {Path.home(), Path("/root")} for folder in KEY_FOLDERS]
        named = [*(Path(p) for p in SYSTEM_PATHS), *_python_folders(), *self.denied, *keys]
        return list(dict.fromkeys(p for path in named for p in (Path(os.path.abspath(path)), _real(path))))

    # ---------------------------------------------------------------------------------------------------------- hosts

    def _of_host(self, value: str) -> tuple[str, str] | None:
        try:
            host = urlsplit(value if "://" in value else f"//{value}").hostname or value
        except ValueError as error:
            return f"{value!r} is not an address: {error}", "write http://HOST:PORT/…"
        if self.hosts is None and is_blocked(host):
            text = f"{host} is a link-local or metadata address, which jobs may not reach"
            return text, "the setting allowed_hosts must name it"
        if self.hosts is None or host.lower() in (name.lower() for name in self.hosts):
            return None
        return f"this server does not let jobs connect to {host!r}", f"allowed are {', '.join(self.hosts)}"


def _as_path(value: str) -> str:
    with suppress(ValueError):
        return local_path(value)
    return value


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _key_folder(path: Path) -> str:
    """The folder of keys that the path leads into, as it is written there; empty without one."""
    parts = path.parts
    for folder in KEY_FOLDERS:
        for at in range(len(parts) - len(folder) + 1):
            if parts[at : at + len(folder)] == folder:
                return str(Path(*parts[: at + len(folder)]))
    return ""


def _hidden_at_home(path: Path) -> str:
    """The hidden file or directory of somebody's home that the path is or lies in: settings, histories, what is run
    when he logs in."""
    for home in (Path.home(), Path("/root"), Path("/home", *path.parts[2:3])):
        if home in path.parents and (name := path.relative_to(home).parts[0]).startswith("."):
            return str(home / name)
    return ""


def _marked(options: BaseModel, above: str = "") -> Iterator[tuple[str, str, str]]:
    """(option path, `path`, `host` or `code`, value) of every option declared with such a format, nested ones too."""
    model = type(options)
    formats = {
        name: str(info.json_schema_extra.get("format", ""))
        for name, info in model.model_fields.items()
        if isinstance(info.json_schema_extra, dict)
    }
    if isinstance(options, Options):
        yield from ((f"{above}{name}", kind, value) for name, kind, value in options.touches())
    for name in options.model_fields_set:
        yield from _values(getattr(options, name), formats.get(name, ""), f"{above}{name}")


def _values(value: Any, kind: str, path: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, BaseModel):
        yield from _marked(value, f"{path}.")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, item in enumerate(value):
            yield from _values(item, kind, f"{path}[{number}]")
    elif kind in ("path", "host", "code") and isinstance(value, str | Path) and str(value):
        yield path, kind, str(value)
