"""Variables of a job file that have no value, other than the names that a plugin fills in itself."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from headrace.config.job import JobConfig, Plugin
from headrace.config.variables import RESERVED, Unset
from headrace.connector import Sink, sinks, sources, transforms
from headrace.errors import Problem

OF_A_TABLE = RESERVED | {"comment"}
"""What every sink fills in from the table that reaches it."""


def unset_variables(job: JobConfig) -> list[Problem]:
    """A problem for each name that would stay in the job as it is written."""
    takers = {plugin.path: plugin for plugin in job.error_sinks().values()}
    return list(_problems(job, [*job.plugins, *takers.values()]))


def _problems(job: JobConfig, plugins: list[Plugin]) -> Iterator[Problem]:
    for item in job.unset:
        plugin = next((p for p in plugins if item.path == p.path or item.path.startswith(f"{p.path}.")), None)
        below = item.path[len(plugin.path) + 1 :] if plugin is not None else item.path
        if plugin is not None and _fills(plugin, below, item.name):
            continue
        place = f"{plugin.place}.{below}" if plugin is not None and below else item.path
        yield Problem(place, f"the variable ${{{item.name}}} is not set", _cure(item, job), job.file, item.line)


def _fills(plugin: Plugin, path: str, name: str) -> bool:
    registry = {"source": sources, "transform": transforms, "sink": sinks}[plugin.kind]
    cls = registry.find(plugin.name)  # type: ignore[attr-defined]
    if cls is None:
        return plugin.kind == "sink" and name in OF_A_TABLE
    if issubclass(cls, Sink) and name in OF_A_TABLE:
        return True
    patterns = [cls.Options.filled_in.get(key) for key in re.split(r"[.\[\]]+", path)]
    return any(pattern is not None and re.fullmatch(pattern, name) for pattern in patterns)


def _cure(item: Unset, job: JobConfig) -> str:
    near = get_close_matches(item.name, list(job.variables or ()), 1)
    if near:
        return f"did you mean ${{{near[0]}}}? Otherwise give -i {item.name}=VALUE"
    return f"give -i {item.name}=VALUE, or a default: ${{{item.name}:default}}"
