"""What a job that comes over the network may touch: files, hosts, plugins."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from headrace.errors import ConfigError, Problem
from headrace.jdbcurl import parse_jdbc_url
from headrace.plan.plan import Plan, Step

SYSTEM_PATHS = ("/proc", "/sys", "/dev", "/etc", "/boot", "/var/run", "/run")
KEY_FOLDERS = (".ssh", ".gnupg", ".aws", ".kube", ".config/gcloud", ".azure", ".docker")


@dataclass(frozen=True)
class Permissions:
    """What jobs may use. None allows everything of a kind, but never a path below one that is denied.

    paths: directories. denied: directories, beside the system's own and folders of keys. hosts: names without ports.
    plugins: names of sources, transforms and sinks.
    """

    paths: tuple[Path, ...] | None = None
    denied: tuple[Path, ...] = ()
    hosts: tuple[str, ...] | None = None
    plugins: tuple[str, ...] | None = None
    check_paths: bool = True

    def check(self, plan: Plan) -> None:
        """Raises ConfigError with everything in the job that is not allowed."""
        steps = {step.plugin.place: step for pipeline in plan.pipelines for step in pipeline.all_steps()}
        problems = [problem for step in steps.values() for problem in self._of_step(step, plan.job.file)]
        if problems:
            raise ConfigError(problems)

    def _of_step(self, step: Step, file: str) -> Iterator[Problem]:
        plugin = step.plugin
        if self.plugins is not None and plugin.name.lower() not in (name.lower() for name in self.plugins):
            cure = f"allowed are {', '.join(self.plugins)} (setting allowed_plugins)"
            yield Problem(plugin.place, f"this server does not allow {plugin.name}", cure, file, plugin.line())
        for path, kind, value in _marked(step.instance.options):
            problem = self._of_path(value) if kind == "path" else self._of_host(value)
            if problem:
                yield Problem(f"{plugin.place}.{path}", problem[0], problem[1], file, plugin.line(path))

    def _of_path(self, value: str) -> tuple[str, str] | None:
        if not self.check_paths:
            return None
        real = Path(os.path.realpath(value.split("${", 1)[0] or "."))
        for folder in self._forbidden():
            if real == folder or folder in real.parents:
                return f"{value!r} lies in {folder}, which jobs may not touch", "name another path"
        if self.paths is None or any(real == p or p in real.parents for p in map(_real, self.paths)):
            return None
        allowed = ", ".join(map(str, self.paths))
        return f"{value!r} is not in a directory that jobs may use", f"those are {allowed} (setting allowed_paths)"

    def _forbidden(self) -> Iterator[Path]:
        yield from map(_real, (Path(p) for p in SYSTEM_PATHS))
        yield from map(_real, self.denied)
        for home in {Path.home(), Path("/root")}:
            yield from (_real(home / folder) for folder in KEY_FOLDERS)

    def _of_host(self, value: str) -> tuple[str, str] | None:
        host = urlsplit(value if "://" in value else f"//{value}").hostname or value
        if self.hosts is None or host in self.hosts:
            return None
        return f"this server does not let jobs connect to {host!r}", f"allowed are {', '.join(self.hosts)}"


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _marked(options: BaseModel, above: str = "") -> Iterator[tuple[str, str, str]]:
    """(option path, `path` or `host`, value) of every option declared with such a format, nested ones too."""
    model = type(options)
    formats = {
        name: str(info.json_schema_extra.get("format", ""))
        for name, info in model.model_fields.items()
        if isinstance(info.json_schema_extra, dict)
    }
    for name in options.model_fields_set:
        yield from _values(getattr(options, name), formats.get(name, ""), f"{above}{name}", formats)


def _values(value: Any, kind: str, path: str, formats: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, BaseModel):
        yield from _marked(value, f"{path}.")
    elif isinstance(value, Mapping):
        for key, item in value.items():  # options of single tables, not read yet
            yield from _values(item, formats.get(str(key).replace(".", "_"), ""), f"{path}.{key}", formats)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, item in enumerate(value):
            yield from _values(item, kind, f"{path}[{number}]", formats)
    elif kind == "jdbc-url" and isinstance(value, str):
        with suppress(ValueError):  # the connector's own options have said so
            url = parse_jdbc_url(value)
            sqlite = url.kind == "sqlite"
            yield path, "path" if sqlite else "host", url.place if sqlite else url.place.lstrip("/")
    elif kind in ("path", "host") and isinstance(value, str | Path) and str(value):
        yield path, kind, str(value)
