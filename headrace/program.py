"""A job run from a Python program: a path, a text or a dict in, a result with counts and tables out."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headrace.config.job import JobConfig, job_from_dict, load_job, parse_job
from headrace.errors import ConfigError, HeadraceError, Problem, StuckTask
from headrace.execution.delivery import DeliveryReport
from headrace.execution.local import LocalJob, make_runner
from headrace.execution.master import JobSettings
from headrace.execution.progress import Counts, Progress
from headrace.memory import parse_size
from headrace.plan.plan import make_plan
from headrace.tables import Tables


@dataclass(frozen=True)
class JobResult:
    """How a job ended.

    status: FINISHED, CANCELED, SAVEPOINT_DONE or FAILED. counts: (action name, table path) → Counts.
    tables: what Arrow sinks collected. error: why it failed. report: what became of every row; None when the job ended
    before anything could move.
    """

    job_id: int
    status: str
    counts: Mapping[tuple[str, str], Counts]
    tables: Tables
    progress: Progress
    warnings: tuple[Problem, ...] = ()
    error: HeadraceError | None = field(default=None)
    report: DeliveryReport | None = None

    @property
    def rows_read(self) -> int:
        """Rows all sources gave."""
        return sum(c.rows for (step, _), c in self.counts.items() if step.startswith("Source["))

    @property
    def rows_written(self) -> int:
        """Rows that are visible in the targets of all sinks."""
        return sum(c.committed for (step, _), c in self.counts.items() if step.startswith("Sink["))


def run(
    job: str | Path | Mapping[str, Any],
    *,
    variables: Mapping[str, str] | None = None,
    tables: Mapping[str, Any] | None = None,
    home: str | Path | None = None,
    runner: str = "embedded",
    job_id: int | None = None,
    restore: bool = False,
    name: str | None = None,
    strict: bool = False,
    settings: JobSettings | None = None,
    memory: str | int | None = None,
    on_print: Callable[[str], None] = print,
) -> JobResult:
    """Run a job to its end.

    job: the path of a job file, a job's text, or a dict in the JSON shape. tables: name → any Arrow table, for Arrow
    sources with that `name`. home: where checkpoints are kept; a temporary directory when None. runner: `embedded`
    (threads), `processes` or `ray`, which starts a Ray of its own.
    memory: what this process and those it starts may hold, such as `2G`; half of what the
    machine allows when None. on_print: takes the lines of Console sinks.
    Raises ConfigError when the job is wrong, NotEnoughMemory when it needs more than `memory`, StuckTask when a
    plugin's thread cannot be ended; a job that fails on its way is told by the result.
    """
    collected = Tables()
    config = _with_tables(_read(job, variables), tables or {}, collected)
    plugins = [*config.plugins, *config.error_sinks().values()]
    if runner != "embedded" and any(p.name.lower() == "arrow" for p in plugins):
        raise ConfigError([Problem("", "Arrow tables live in this process", "run the job with runner='embedded'")])
    plan = make_plan(config, strict=strict)
    budget = None if memory is None else parse_size(str(memory))
    with tempfile.TemporaryDirectory(prefix="headrace-") as temporary:
        local = LocalJob(
            plan,
            Path(home) if home is not None else Path(temporary),
            runner=make_runner(runner, memory=budget, plan=plan),
            job_id=job_id,
            restore=restore,
            name=name,
            settings=settings,
            on_print=on_print,
        )
        result = local.run()
    if isinstance(result.error, StuckTask):
        raise result.error
    names = {step.id: step.name for pipeline in plan.pipelines for step in pipeline.steps()}
    counts = {(names[step], table): c for (step, table), c in result.progress.counts.items()}
    return JobResult(
        result.job_id, result.status, counts, collected, result.progress, plan.warnings, result.error, result.report
    )


def _read(job: str | Path | Mapping[str, Any], variables: Mapping[str, str] | None) -> JobConfig:
    if isinstance(job, Mapping):
        return job_from_dict(job, variables)
    if isinstance(job, Path) or ("\n" not in job and "{" not in job):
        return load_job(job, variables)
    return parse_job(job, format="json" if job.lstrip().startswith("{") else "hocon", variables=variables or {})


def _with_tables(config: JobConfig, tables: Mapping[str, Any], collected: Tables) -> JobConfig:
    """Arrow sources get their tables by name, Arrow sinks the place to collect into."""
    sources = tuple(
        replace(p, options={**p.options, "data": tables[p.options["name"]]})
        if p.name.lower() == "arrow" and p.options.get("name") in tables
        else p
        for p in config.sources
    )
    sinks = tuple(
        replace(p, options={"into": collected, **p.options}) if p.name.lower() == "arrow" else p for p in config.sinks
    )
    handlers = {
        stage: replace(h, sink={"into": collected, **h.sink})
        if h.plugin_name.lower() == "arrow" and h.sink is not None
        else h
        for stage, h in config.error_handlers.stages.items()
    }
    aside = replace(config.error_handlers, stages=handlers)
    return replace(config, sources=sources, sinks=sinks, error_handlers=aside)
