"""Which tables, with which columns, are at each step: the sources' tables pass the transforms' schemas."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from headrace.config.job import placed
from headrace.connector import Sink, Transform
from headrace.errors import ConfigError, HeadraceError, Problem
from headrace.plan.error_table import error_table
from headrace.plan.kinds import kind_mismatches
from headrace.plan.plan import Pipeline, Plan, Step
from headrace.rows import TableSchema


def describe(plan: Plan, given: Mapping[int, list[TableSchema]]) -> dict[int, list[TableSchema]]:
    """Step id → the tables a source or transform gives, or that reach a sink.

    given: source's step id → its tables; sources that are not in it are left out with all that follows them.
    Raises ConfigError with the problems of all transforms, such as a column that no table has.
    """
    tables: dict[int, list[TableSchema]] = {}
    problems: list[Problem] = []
    for pipeline in plan.pipelines:
        if pipeline.source.id in given:
            tables[pipeline.source.id] = list(given[pipeline.source.id])
            _pass_on(pipeline.source, tables, problems, plan.job.file)
        for target in pipeline.bad_rows.values():
            if target.step is not None:
                known = {t.path: t for t in tables.get(target.step.id, [])}
                tables[target.step.id] = list({**known, target.table: error_table(target.table)}.values())
    problems += _unequal_unions(plan, tables)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return tables


def _pass_on(step: Step, tables: dict[int, list[TableSchema]], problems: list[Problem], file: str) -> None:
    for output in step.outputs:
        arriving = tables[step.id]
        if isinstance(output.instance, Sink):
            known = {t.path: t for t in tables.get(output.id, [])}
            tables[output.id] = [*tables.get(output.id, []), *(t for t in arriving if t.path not in known)]
            continue
        try:
            tables[output.id] = output.transform.tables(arriving)
        except ConfigError as error:
            problems += [placed(p, output.plugin, file) for p in error.problems]
            continue
        _pass_on(output, tables, problems, file)


def describe_offline(plan: Plan) -> tuple[dict[int, list[TableSchema]], list[Problem]]:
    """What can be told without opening anything, and the problems found so.

    Sources whose tables need the outside are left out.
    """
    given: dict[int, list[TableSchema]] = {}
    problems: list[Problem] = []
    for pipeline in plan.pipelines:
        step = pipeline.source
        try:
            tables = step.source.declared_tables()
            if tables is not None:
                given[step.id] = tables
        except ConfigError as error:
            problems += [placed(p, step.plugin, plan.job.file) for p in error.problems]
        except HeadraceError as error:
            problems.append(placed(Problem("", str(error)), step.plugin, plan.job.file))
    problems += kind_mismatches(plan, given)
    try:
        return describe(plan, given), problems
    except ConfigError as error:
        return {}, problems + error.problems


def names_of_tables(plan: Plan) -> dict[int, list[TableSchema]]:
    """Step id → its tables, as far as options alone tell their names; only their names are right, not their columns.

    For a process that must not be held up by what a job file says: no transform is called, since a pattern or an
    expression may take any time, nor a source of another package. What follows a transform that may drop, merge or
    add tables is left out.
    """
    found: dict[int, list[TableSchema]] = {}
    for pipeline in plan.pipelines:
        source = pipeline.source.source
        if not (source.describes_offline() and type(source).__module__.startswith("headrace.")):
            continue
        with suppress(HeadraceError):
            _name(pipeline.source, source.tables(), found)
    return found


def _name(step: Step, tables: list[TableSchema], found: dict[int, list[TableSchema]]) -> None:
    known = {table.path: table for table in found.get(step.id, [])}
    found[step.id] = list({**known, **{table.path: table for table in tables}}.values())
    for output in step.outputs:
        if not isinstance(output.instance, Transform) or type(output.instance).tables is Transform.tables:
            _name(output, tables, found)


def _unequal_unions(plan: Plan, tables: Mapping[int, list[TableSchema]]) -> list[Problem]:
    """Several inputs of one plugin must have equal columns, unless they are told apart by their tables' names."""
    problems = []
    arriving: dict[str, list[tuple[Pipeline, TableSchema]]] = {}
    for pipeline in plan.pipelines:
        for step in pipeline.steps():
            for output in step.outputs:
                if len(output.plugin.inputs) > 1 and step.id in tables:
                    arriving.setdefault(output.plugin.place, []).extend((pipeline, t) for t in tables[step.id])
    for plugin in plan.job.plugins:
        found = arriving.get(plugin.place, [])
        for _, table in found[1:]:
            first = found[0][1]
            if [(c.name, c.type) for c in table.columns] != [(c.name, c.type) for c in first.columns]:
                text = (
                    f"its inputs have two different structures: {first.path} ({', '.join(first.names)}) and "
                    f"{table.path} ({', '.join(table.names)})"
                )
                problem = placed(Problem("plugin_input", text, "make the columns equal first"), plugin, plan.job.file)
                problems.append(replace(problem, line=plugin.line()))
                break
    return problems
