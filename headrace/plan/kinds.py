"""Where rows other than INSERT may reach a sink that would write them like inserts."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from headrace.config.job import placed
from headrace.connector import Sink
from headrace.errors import ConfigError, Problem
from headrace.plan.plan import Plan, Step
from headrace.rows import TableSchema


def kind_mismatches(plan: Plan, tables: Mapping[int, list[TableSchema]]) -> list[Problem]:
    """One problem for each sink and source. tables: of the sources' steps, as far as they are known."""
    found: list[Problem] = []
    for pipeline in plan.pipelines:
        source = pipeline.source
        changing = [table for table in tables.get(source.id, ()) if source.source.gives_changes(table)]
        if changing:
            found += _reached(plan, source, source, changing)
    return list(dict.fromkeys(found))


def _reached(plan: Plan, source: Step, step: Step, changing: list[TableSchema]) -> Iterator[Problem]:
    for output in step.outputs:
        if not isinstance(output.instance, Sink):
            given = [table for table in changing if output.transform.leaves_changes(table)]
            with suppress(ConfigError):  # what a transform refuses is told elsewhere
                if given:
                    yield from _reached(plan, source, output, output.transform.tables(given))
            continue
        cures = {table.path: cure for table in changing if (cure := output.sink.cure_for_changes(table))}
        if cures:
            path, cure = next(iter(cures.items()))
            text = f"would write updates and deletes of {path} from {source.plugin.place} as if they were inserts"
            yield placed(Problem("", text, cure), output.plugin, plan.job.file)
