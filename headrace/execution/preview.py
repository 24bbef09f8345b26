"""The first rows that would reach the sinks: sources and transforms run, sinks do not."""

from contextlib import closing

import pyarrow as pa

from headrace.connector import JobContext, Sink, Source, TaskContext, Transform
from headrace.execution.calls import LoadedJob
from headrace.plan.plan import Pipeline, Plan, Step
from headrace.plan.schemas import describe
from headrace.rows import Batch


def preview(plan: Plan, rows: int) -> dict[str, pa.Table]:
    """Table path → at most `rows` rows as they would reach a sink. Raises what sources and transforms raise."""
    found: dict[str, list[pa.RecordBatch]] = {}
    job = LoadedJob(plan)
    for pipeline in plan.pipelines:
        task = TaskContext(JobContext(0, pipeline=pipeline.id, mode=str(plan.job.env.job_mode)), batch_rows=rows)
        try:
            _read(pipeline, job.source(pipeline.source.id), task, found)
        finally:
            for step in pipeline.steps():
                if isinstance(step.instance, Transform):
                    step.instance.close(task)
    tables = {table: pa.Table.from_batches(batches).slice(0, rows) for table, batches in found.items()}
    return {**{table: schema.empty_table() for table, schema in _at_sinks(plan).items()}, **tables}


def _at_sinks(plan: Plan) -> dict[str, pa.Schema]:
    """Table path → columns of all tables that reach a sink, those without rows among them."""
    given = {pipeline.source.id: pipeline.source.source.tables() for pipeline in plan.pipelines}
    tables = describe(plan, given)
    return {t.path: t.arrow for p in plan.pipelines for sink in p.sinks() for t in tables.get(sink.id, ())}


def _read(pipeline: Pipeline, source: Source, task: TaskContext, found: dict[str, list[pa.RecordBatch]]) -> None:
    """Read until each table has as many rows as one batch may have, and bring them as far as the sinks."""
    wanted = {table.path for table in source.tables()}
    for split in source.splits(1):
        if split.table and split.table not in wanted:
            continue
        with closing(source.read(split, None, task)) as reading:  # type: ignore[type-var]
            for read in reading:
                if read is None:
                    break
                _pass_on(pipeline.source, read.batch, task, found)
                if _count(found.get(read.batch.table, [])) >= task.batch_rows:
                    wanted.discard(read.batch.table)
                    break
        if not wanted:
            break


def _count(batches: list[pa.RecordBatch]) -> int:
    return sum(batch.num_rows for batch in batches)


def _pass_on(step: Step, batch: Batch, task: TaskContext, found: dict[str, list[pa.RecordBatch]]) -> None:
    for output in step.outputs:
        if isinstance(output.instance, Sink):
            found.setdefault(batch.table, []).append(batch.rows)
            continue
        result = output.transform.apply(batch, task)
        for out in [result] if isinstance(result, Batch) else result:
            if out.num_rows:
                _pass_on(output, out, task, found)
