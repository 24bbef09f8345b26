"""Arrow: tables of the calling Python program as source and sink, handed over without copying."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import pyarrow as pa
from pydantic import Field, model_validator

from headrace.connector import (
    Batch,
    Committable,
    JobContext,
    Options,
    Position,
    Read,
    Sink,
    SinkKind,
    SinkWriter,
    Source,
    Split,
    State,
    TableSchema,
    TaskContext,
    Written,
    sink,
    source,
    staging_name,
)
from headrace.errors import Rejected
from headrace.tables import Tables


class ArrowSourceOptions(Options):
    """Options of the Arrow source."""

    data: Any = Field(
        default=None, description="A table of pyarrow, pandas or polars, or anything with __arrow_c_stream__."
    )
    name: str | None = Field(default=None, description="The table's name in headrace.run(tables={name: …}).")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.data is not None and not hasattr(self.data, "__arrow_c_stream__"):
            raise ValueError(f"data has no __arrow_c_stream__: {type(self.data).__name__} is not an Arrow table")
        if self.data is None and self.name is None:
            raise ValueError("data or name is needed: the table, or its name in headrace.run(tables={…})")
        return self


@source("Arrow")
class ArrowSource(Source):
    """Gives the rows of a table in memory. One split; bounded; exactly once: the position is a row number."""

    Options = ArrowSourceOptions
    options: ArrowSourceOptions
    example = """
source {
  Arrow { name = "people" }    # headrace.run(job, tables={"people": frame})
}
"""

    def __init__(self, options: ArrowSourceOptions) -> None:
        super().__init__(options)
        self._table: pa.Table | None = None

    def is_bounded(self, mode: str) -> bool:  # noqa: D102
        return True

    def describes_offline(self) -> bool:  # noqa: D102
        return self.options.data is not None

    def tables(self) -> list[TableSchema]:  # noqa: D102
        return [TableSchema.from_arrow(self._read_all().schema, self._path())]

    def splits(self, parallelism: int) -> list[Split]:  # noqa: D102
        return [Split("table", self._read_all().num_rows, self._path())]

    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:  # noqa: D102
        at = position or 0
        table = self._read_all()
        for rows in table.slice(at).to_batches(task.fitting_rows(table)):
            if rows.num_rows:
                at += rows.num_rows
                yield Read(Batch(rows, self._path()), at)

    def _path(self) -> str:
        return self.options.name or self.output

    def _read_all(self) -> pa.Table:
        """The table; a stream can be read only once, so its batches are kept."""
        if self._table is None:
            if self.options.data is None:
                raise Rejected(
                    f"there is no table {self.options.name!r}; give it to headrace.run(tables={{…}})", "Arrow"
                )
            self._table = pa.table(self.options.data)
        return self._table


class ArrowSinkOptions(Options):
    """Options of the Arrow sink."""

    into: Tables | None = Field(default=None, description="Where to collect; the result's tables when left out.")


@sink("Arrow")
class ArrowSink(Sink):
    """Collects rows in memory. Staged: they are visible once the job's commit ran; exactly once."""

    Options = ArrowSinkOptions
    options: ArrowSinkOptions
    example = """
sink {
  Arrow {}    # headrace.run(job).tables["people"]
}
"""
    kind = SinkKind.STAGED

    def writer(self, table: TableSchema, task: TaskContext, state: State | None) -> SinkWriter:  # noqa: D102
        if self.options.into is None:
            raise Rejected("an Arrow sink needs headrace.run(…) in the same program: it collects in memory", "Arrow")
        self.options.into.declare(table.path, table.arrow)
        return _ArrowWriter(self.options.into, table, task)

    def commit(self, committables: Sequence[Committable], job: JobContext) -> None:  # noqa: D102
        for name in committables:
            self._tables().commit(name)

    def abort(self, committables: Sequence[Committable], job: JobContext) -> None:  # noqa: D102
        for name in committables:
            self._tables().drop(name)

    def _tables(self) -> Tables:
        return self.options.into if self.options.into is not None else Tables()


class _ArrowWriter(SinkWriter):
    def __init__(self, into: Tables, table: TableSchema, task: TaskContext) -> None:
        self._into, self._table, self._task = into, table, task
        self._batches: list[pa.RecordBatch] = []
        self._prepared = 0

    def write(self, batch: Batch) -> None:
        self._batches.append(batch.rows)

    def prepare_commit(self, checkpoint_id: int) -> Committable | None:
        if not self._batches:
            return None
        name = f"{self._table.path}_{staging_name(self._task.job, self._task.index, checkpoint_id)}"
        self._into.prepare(name, self._table.path, self._batches)
        self._prepared += sum(rows.num_rows for rows in self._batches)
        self._batches = []
        return name

    def written(self) -> Written:
        return Written(self._prepared)
