"""What will run: JobConfig in, Plan out. Opens nothing, starts nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from headrace.config.env import JobMode
from headrace.config.error_handlers import ErrorHandlerOptions, Stage
from headrace.config.job import JobConfig, Plugin, placed
from headrace.connector import Registry, Sink, SinkKind, Source, Transform, sinks, sources, transforms, where_raised
from headrace.errors import ConfigError, HeadraceError, Problem, told
from headrace.options import is_slip, read_options
from headrace.plan.graph import Graph, connect
from headrace.plan.spooled import SpooledSink
from headrace.plan.unset import unset_variables

_REGISTRIES: dict[str, Registry[Any]] = {"source": sources, "transform": transforms, "sink": sinks}


@dataclass(frozen=True, eq=False)
class Step:
    """One plugin at one place of a pipeline.

    id: unique in the plan, from 1: sources first, then transforms, then sinks, each in the order of the job file; a
    sink or transform that two pipelines share has an id in each. outputs: who gets its rows; empty for sinks.
    """

    id: int
    plugin: Plugin
    instance: Source | Transform | Sink
    outputs: tuple["Step", ...] = ()

    @property
    def name(self) -> str:
        """SeaTunnel's name of the action, under which state is saved and counts are shown."""
        return self.plugin.step_name

    @property
    def source(self) -> Source:
        """The instance of a source step."""
        assert isinstance(self.instance, Source)
        return self.instance

    @property
    def transform(self) -> Transform:
        """The instance of a transform step."""
        assert isinstance(self.instance, Transform)
        return self.instance

    @property
    def sink(self) -> Sink:
        """The instance of a sink step."""
        assert isinstance(self.instance, Sink)
        return self.instance


@dataclass(frozen=True, eq=False)
class BadRowTarget:
    """What becomes of the bad rows of one stage of a pipeline. step: the sink that takes them; None: the job's log."""

    options: ErrorHandlerOptions
    step: Step | None = None
    table: str = ""


@dataclass(frozen=True, eq=False)
class Pipeline:
    """One source path with its transforms and sinks. id: from 1. parallelism: how many tasks run copies of it.

    bad_rows: stage → what becomes of its bad rows; a stage that is missing fails with the first one.
    """

    id: int
    source: Step
    parallelism: int
    bad_rows: Mapping[Stage, BadRowTarget] = field(default_factory=dict)

    def steps(self) -> list[Step]:
        """All steps in the order rows reach them, each once."""
        found: dict[int, Step] = {}

        def walk(step: Step) -> Iterator[Step]:
            yield step
            for output in step.outputs:
                yield from walk(output)

        for step in walk(self.source):
            found.pop(step.id, None)
            found[step.id] = step
        return list(found.values())

    def sinks(self) -> list[Step]:
        """The sink steps."""
        return [step for step in self.steps() if isinstance(step.instance, Sink)]

    def error_sinks(self) -> list[Step]:
        """The sinks for bad rows, each once; they are none of `steps`, since no output leads to them."""
        return list(dict.fromkeys(target.step for target in self.bad_rows.values() if target.step is not None))

    def all_sinks(self) -> list[Step]:
        """Whoever writes: the sinks, and those for bad rows."""
        return [*self.sinks(), *self.error_sinks()]

    def all_steps(self) -> list[Step]:
        """The steps, and the sinks for bad rows."""
        return [*self.steps(), *self.error_sinks()]


@dataclass(frozen=True, eq=False)
class Plan:
    """A job that can run."""

    job: JobConfig
    pipelines: tuple[Pipeline, ...]
    warnings: tuple[Problem, ...] = ()


def make_plan(job: JobConfig, *, strict: bool = False) -> Plan:
    """Find the plugins, read their options, connect them. Raises ConfigError with the problems of env and all plugins.

    strict: an unknown option is a problem, not a warning. One that is likely a misspelling is named with the problems
    of a job that is refused anyway: what was mended must not bring up more of the kind.
    """
    problems = list(job.problems)
    warnings = list(job.warnings)
    made: dict[str, Any] = {plugin.place: _make(plugin, job, strict, problems, warnings) for plugin in job.plugins}
    for stage, plugin in job.error_sinks().items():
        if plugin.place not in made:
            made[plugin.place] = _make_error_sink(plugin, stage, job, strict, problems, warnings)
    if strict:
        problems += [w for w in job.warnings if w.message == "unknown option"]
    graph = None
    try:
        graph = connect(job)
    except ConfigError as error:
        problems += error.problems
    problems += _unbounded(job, made)
    problems += unset_variables(job)
    if problems or graph is None:
        slips = [w for w in warnings if is_slip(w) and w not in problems]
        unused = [w for w in warnings if w.place.startswith("-i ")] if job.unset else []
        broken = [*Registry.broken.values()] if any(p.code == "unknown-plugin" for p in problems) else []
        raise ConfigError([*sorted([*problems, *slips], key=attrgetter("line")), *unused, *broken])
    pipelines = _pipelines(job, graph, made, warnings)
    return Plan(job, pipelines, (*warnings, *graph.warnings, *dict.fromkeys(_lacking(job, pipelines))))


def plugin_class(plugin: Plugin) -> type[Source] | type[Transform] | type[Sink] | None:
    """The class that is registered under a plugin's name; None when there is none."""
    cls: type[Source] | type[Transform] | type[Sink] | None = _REGISTRIES[plugin.kind].find(plugin.name)
    return cls


def _make(
    plugin: Plugin, job: JobConfig, strict: bool, problems: list[Problem], warnings: list[Problem]
) -> Source | Transform | Sink | None:
    registry = _REGISTRIES[plugin.kind]
    cls = registry.find(plugin.name)
    if cls is None:
        near = registry.near(plugin.name)
        cure = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(registry.names())}"
        text = f"unknown {plugin.kind} {plugin.name!r}"
        problems.append(Problem(plugin.place, text, cure, job.file, plugin.line(), "unknown-plugin"))
        return None
    read = read_options(cls.Options, plugin.options)
    problems += [placed(p, plugin, job.file) for p in read.problems]
    (problems if strict else warnings).extend(placed(p, plugin, job.file) for p in read.unknown)
    if read.options is None:
        return None
    try:
        made: Source | Transform | Sink = cls(read.options)
        if isinstance(made, Transform):
            made.check()
    except ConfigError as error:
        problems += [placed(p, plugin, job.file) for p in error.problems]
        return None
    except HeadraceError:
        raise
    except Exception as error:  # a mistake in a plugin; the problems of the others are told all the same
        problems.append(_mistake(error, plugin, cls, job.file))
        return None
    if isinstance(made, Source) and plugin.output:
        made.output = plugin.output
    return made


def _mistake(error: Exception, plugin: Plugin, cls: type, file: str) -> Problem:
    source, line = where_raised(error, cls.__module__)
    text = f"the plugin failed: {told(error)}"
    return placed(Problem("", text, f"mend the plugin: {source}:{line}"), plugin, file)


def _make_error_sink(
    plugin: Plugin, stage: Stage, job: JobConfig, strict: bool, problems: list[Problem], warnings: list[Problem]
) -> Sink | None:
    """A sink for bad rows; a transactional one gets them once a checkpoint has saved them."""
    cls = sinks.find(plugin.name)
    if cls is not None:
        table = job.error_handlers.stages[stage].error_table
        plugin = replace(plugin, options=cls.for_bad_rows(plugin.options, table))
    made = _make(plugin, job, strict, problems, warnings)
    if made is None:
        return None
    assert isinstance(made, Sink)
    return SpooledSink(made, plugin.error_block) if made.kind is SinkKind.TRANSACTIONAL else made


def _unbounded(job: JobConfig, made: dict[str, Any]) -> list[Problem]:
    if job.env.job_mode is not JobMode.BATCH or job.problems:
        return []
    return [
        Problem(
            plugin.place,
            f"'{plugin.name}' source don't support off-line job.",
            'it never ends by itself; set env job.mode = "STREAMING"',
            job.file,
            plugin.line(),
            "seatunnel",
        )
        for plugin in job.sources
        if made[plugin.place] is not None and not made[plugin.place].is_bounded("BATCH")
    ]


def _pipelines(job: JobConfig, graph: Graph, made: dict[str, Any], warnings: list[Problem]) -> tuple[Pipeline, ...]:
    """One pipeline for each source path; a source that feeds several transactional sinks is read once for each."""
    paths: list[tuple[Plugin, frozenset[str]]] = []
    for source in job.sources:
        reached = _reached(source, graph, job)
        exact = [p for p in job.sinks if p.place in reached and made[p.place].kind is SinkKind.TRANSACTIONAL]
        if len(exact) <= 1:
            paths.append((source, frozenset()))
            continue
        names = ", ".join(p.place for p in exact)
        text = f"its rows go to {len(exact)} transactional sinks: {names}"
        cure = "each gets a pipeline of its own, so the source is read once for each"
        warnings.append(Problem(source.place, text, cure, job.file, source.line()))
        paths += [(source, frozenset(p.place for p in exact if p is not sink)) for sink in exact]
    planner = _Planner(job, graph, made)
    return tuple(planner.pipeline(number, source, without) for number, (source, without) in enumerate(paths, 1))


def _lacking(job: JobConfig, pipelines: Sequence[Pipeline]) -> Iterator[Problem]:
    """What sources and targets cannot promise to the tasks of this job."""
    for pipeline in pipelines:
        for step in pipeline.all_steps():
            if isinstance(step.instance, Source | Sink):
                for sentence in step.instance.lacks(pipeline.parallelism):
                    yield Problem(step.plugin.place, sentence, "", job.file, step.plugin.line())


def _reached(plugin: Plugin, graph: Graph, job: JobConfig) -> set[str]:
    found: set[str] = set()
    for consumer in graph.consumers(plugin, job):
        found |= {consumer.place} | _reached(consumer, graph, job)
    return found


class _Planner:
    """Numbers the steps: first the sources of all pipelines, then their transforms, then their sinks."""

    def __init__(self, job: JobConfig, graph: Graph, made: dict[str, Any]) -> None:
        self._job, self._graph, self._made = job, graph, made
        self._taken: dict[tuple[int, str], int] = {}
        self._error_sinks = job.error_sinks()
        self._places = list(dict.fromkeys(p.place for p in (*job.plugins, *self._error_sinks.values())))
        self._copies = dict.fromkeys(self._places, 0)

    def pipeline(self, number: int, source: Plugin, without: frozenset[str]) -> Pipeline:
        parallelism = source.parallelism or self._job.env.parallelism
        return Pipeline(number, self._step(number, source, without, {}), parallelism, self._bad_rows())

    def _bad_rows(self) -> dict[Stage, BadRowTarget]:
        steps: dict[str, Step] = {}
        found = {}
        for stage, handler in self._job.error_handlers.stages.items():
            plugin = self._error_sinks.get(stage)
            if plugin is not None and plugin.place not in steps:
                steps[plugin.place] = Step(self._id(plugin), plugin, self._made[plugin.place])
            found[stage] = BadRowTarget(
                handler.options, steps[plugin.place] if plugin is not None else None, handler.error_table
            )
        return found

    def _step(self, pipeline: int, plugin: Plugin, without: frozenset[str], known: dict[str, Step]) -> Step:
        if plugin.place in known:
            return known[plugin.place]
        consumers = [c for c in self._graph.consumers(plugin, self._job) if c.place not in without]
        outputs = tuple(self._step(pipeline, consumer, without, known) for consumer in consumers)
        step = Step(self._id(plugin), plugin, self._made[plugin.place], outputs)
        known[plugin.place] = step
        return step

    def _id(self, plugin: Plugin) -> int:
        """Places of the job file first; further copies of a plugin are numbered after all of them."""
        copy = self._copies[plugin.place]
        self._copies[plugin.place] += 1
        return self._places.index(plugin.place) + 1 + copy * len(self._places)
