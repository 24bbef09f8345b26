"""A plan as text for people: a tree of steps, with what is known of their tables."""

from collections.abc import Mapping

from headrace.connector import Sink, Source
from headrace.plan.plan import Pipeline, Plan, Step
from headrace.rows import TableSchema, type_name


def render(plan: Plan, tables: Mapping[int, list[TableSchema]]) -> str:
    """The tree of every pipeline. tables: of the steps whose schemas are known; the others say so."""
    env = plan.job.env
    lines = [f"{env.job_name} ({env.job_mode})"]
    for pipeline in plan.pipelines:
        lines.append(f"└─ pipeline {pipeline.id}, {pipeline.parallelism} task{'s' * (pipeline.parallelism > 1)}")
        lines += _step(pipeline.source, tables, "   ", last=not pipeline.bad_rows)
        lines += _bad_rows(pipeline)
    return "\n".join(lines)


def _bad_rows(pipeline: Pipeline) -> list[str]:
    """Where bad rows go: a line for each place, with the stages whose rows it takes."""
    places: dict[str, list[str]] = {}
    for stage, target in pipeline.bad_rows.items():
        place = f"{target.step.plugin.name}, table {target.table}" if target.step is not None else "the job's log"
        places.setdefault(place, []).append(stage.value.lower())
    rows = [f"bad rows of {', '.join(stages)} → {place}" for place, stages in places.items()]
    return [f"   {'└─' if row is rows[-1] else '├─'} {row}" for row in rows]


def _step(step: Step, tables: Mapping[int, list[TableSchema]], indent: str, *, last: bool) -> list[str]:
    kind = "source" if isinstance(step.instance, Source) else "sink" if isinstance(step.instance, Sink) else "transform"
    promise = f", {step.sink.kind}" if isinstance(step.instance, Sink) else ""
    lines = [f"{indent}{'└─' if last else '├─'} {kind} {step.plugin.name}{promise}"]
    below = indent + ("   " if last else "│  ")
    if step.id in tables:
        lines += [f"{below}   {_table(table)}" for table in tables[step.id][:8]]
        if len(tables[step.id]) > 8:
            lines.append(f"{below}   … and {len(tables[step.id]) - 8} more tables")
    else:
        lines.append(f"{below}   columns unknown until the source is opened (use --connect)")
    for i, output in enumerate(step.outputs):
        lines += _step(output, tables, below, last=i == len(step.outputs) - 1)
    return lines


def _table(table: TableSchema) -> str:
    columns = ", ".join(f"{c.name} {type_name(c.type)}" for c in table.columns[:12])
    more = f", … {len(table.columns) - 12} more" if len(table.columns) > 12 else ""
    return f"{table.path}: {columns}{more}"
