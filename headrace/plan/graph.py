"""Who feeds whom: plugins and the names of their datasets in, edges out. SeaTunnel: ConfigParserUtil."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise

from headrace.config.job import JobConfig, Plugin
from headrace.errors import ConfigError, Problem


@dataclass(frozen=True)
class Graph:
    """inputs: plugin's place → the plugins it takes rows from, in the order they are named."""

    inputs: Mapping[str, tuple[Plugin, ...]]
    warnings: tuple[Problem, ...] = ()

    def consumers(self, plugin: Plugin, job: JobConfig) -> list[Plugin]:
        """Who takes the rows of `plugin`, in the order of the job file."""
        return [job.by_place[place] for place in self._outputs.get(plugin.place, ())]

    @cached_property
    def _outputs(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for place, inputs in self.inputs.items():
            for plugin in dict.fromkeys(p.place for p in inputs):
                found.setdefault(plugin, []).append(place)
        return found


def connect(job: JobConfig) -> Graph:
    """Resolve all names. Raises ConfigError with all problems.

    A job with one source, one sink and at most one transform is wired as it stands, whatever its names say; a name that
    fits nothing is only warned of. In any other job every name must fit.
    """
    problems = _missing_kinds(job)
    if problems:
        raise ConfigError(problems)
    if len(job.sources) == 1 and len(job.transforms) <= 1 and len(job.sinks) == 1:
        return _simple(job)
    return _complex(job)


def _missing_kinds(job: JobConfig) -> list[Problem]:
    found = []
    for kind, plugins in (("source", job.sources), ("sink", job.sinks)):
        if plugins:
            continue
        text = f"Miss <{kind.capitalize()}> config! Please check the config file."
        meant = next((w for w in job.warnings if w.place.lower().startswith(kind)), None)
        cure = f"add a {kind}" if meant is None else f"write {kind} {{ Name {{ … }} }} in place of {meant.place!r}"
        found.append(Problem("", text, cure, job.file, meant.line if meant is not None else 0))
    return found


def _simple(job: JobConfig) -> Graph:
    chain = [*job.sources, *job.transforms, *job.sinks]
    warnings = []
    for before, plugin in pairwise(chain):
        if plugin.inputs and before.output and plugin.inputs != (before.output,):
            text = f"reads {', '.join(map(repr, plugin.inputs))}, but {before.place} gives {before.output!r}"
            cure = "the only possible wiring is taken; make the names equal to silence this"
            warnings.append(_at(plugin, "plugin_input", text, cure, job))
    wired = {plugin.place: (before,) for before, plugin in pairwise(chain)}
    return Graph({chain[0].place: (), **wired}, tuple(warnings))


def _complex(job: JobConfig) -> Graph:
    problems: list[Problem] = []
    givers: dict[str, Plugin] = {}
    for plugin in job.sources + job.transforms:
        if plugin.output is None:
            cure = "a job with several sources, transforms or sinks needs a name for each dataset"
            problems.append(_at(plugin, "plugin_output", "required option is missing", cure, job))
        elif plugin.output in givers:
            text = f"{plugin.output!r} is also the output of {givers[plugin.output].place}"
            problems.append(_at(plugin, "plugin_output", text, "give each dataset a name of its own", job))
        else:
            givers[plugin.output] = plugin
    inputs: dict[str, tuple[Plugin, ...]] = {plugin.place: () for plugin in job.sources}
    for plugin in job.transforms + job.sinks:
        inputs[plugin.place] = _inputs(plugin, givers, problems, job)
    problems += _cycles(job, inputs)
    used = {giver.place for found in inputs.values() for giver in found}
    for name, plugin in givers.items():
        if plugin.place not in used and not problems:
            text = f"nobody reads {name!r}"
            problems.append(_at(plugin, "plugin_output", text, "name it as plugin_input of a transform or sink", job))
    if problems:
        raise ConfigError(problems)
    return Graph(inputs)


def _inputs(
    plugin: Plugin, givers: Mapping[str, Plugin], problems: list[Problem], job: JobConfig
) -> tuple[Plugin, ...]:
    if not plugin.inputs:
        cure = f"name one of {', '.join(givers)}" if givers else ""
        problems.append(_at(plugin, "plugin_input", "required option is missing", cure, job))
    found = []
    for name in plugin.inputs:
        if name in givers:
            found.append(givers[name])
        else:
            near = get_close_matches(name, givers, 1)
            cure = f"did you mean {near[0]!r}?" if near else f"the datasets are {', '.join(map(repr, givers))}"
            problems.append(_at(plugin, "plugin_input", f"there is no dataset {name!r}", cure, job))
    return tuple(found)


def _cycles(job: JobConfig, inputs: Mapping[str, tuple[Plugin, ...]]) -> list[Problem]:
    """Transforms that wait for one another; one problem for each circle."""
    done = {plugin.place for plugin in job.sources}
    waiting = list(job.transforms)
    while ready := [t for t in waiting if all(i.place in done for i in inputs[t.place])]:
        done |= {t.place for t in ready}
        waiting = [t for t in waiting if t.place not in done]
    if not waiting:
        return []
    first = next((t for t in waiting if t in inputs[t.place]), waiting[0])
    circle = " -> ".join(t.place for t in waiting)
    return [_at(first, "plugin_input", f"the transforms go in a circle: {circle}", "break it at one of them", job)]


def _at(plugin: Plugin, option: str, message: str, cure: str, job: JobConfig) -> Problem:
    old = {"plugin_input": "source_table_name", "plugin_output": "result_table_name"}[option]
    line = plugin.lines.get(f"{plugin.kind}[{plugin.index}].{option}") or plugin.lines.get(
        f"{plugin.kind}[{plugin.index}].{old}"
    )
    problem = Problem(option, message, cure, job.file, line or plugin.line())
    return replace(problem, place=f"{plugin.place}.{option}")
