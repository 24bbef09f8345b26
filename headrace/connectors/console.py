"""Console: prints rows, in the line format that SeaTunnel's users search their logs for."""

import time

import pyarrow as pa
from pydantic import Field

from headrace.connector import (
    Batch,
    Committable,
    Options,
    Sink,
    SinkKind,
    SinkWriter,
    State,
    TableSchema,
    TaskContext,
    Written,
    sink,
)
from headrace.javatext import java_texts, java_type
from headrace.rows import RowKind


class ConsoleSinkOptions(Options):
    """Options of Console."""

    print_data: bool = Field(default=True, validation_alias="log.print.data", description="Print the rows.")
    delay_ms: int = Field(
        default=0, ge=0, validation_alias="log.print.delay.ms", description="Milliseconds to wait after each row."
    )
    replica: int = Field(
        default=1, validation_alias="multi_table_sink_replica", description="Accepted: a task has one writer per table."
    )


@sink("Console")
class ConsoleSink(Sink):
    """Prints rows to the terminal and the job's log. Plain: rows may be printed again after a restart."""

    Options = ConsoleSinkOptions
    options: ConsoleSinkOptions
    example = """
sink {
  Console {}
}
"""
    kind = SinkKind.PLAIN

    def is_repeatable(self) -> bool:
        """Lines printed twice harm nobody."""
        return True

    def cure_for_changes(self, table: TableSchema) -> str:
        """Each line tells the kind of its row."""
        return ""

    def writer(self, table: TableSchema, task: TaskContext, state: State | None) -> SinkWriter:  # noqa: D102
        return _ConsoleWriter(self.options, table, task)


class _ConsoleWriter(SinkWriter):
    def __init__(self, options: ConsoleSinkOptions, table: TableSchema, task: TaskContext) -> None:
        self._options, self._task = options, task
        self._rows = 0
        columns = ", ".join(f"{c.name}<{java_type(c.type)}>" for c in table.columns)
        task.print(f"output rowType: {columns}")

    def write(self, batch: Batch) -> None:
        if not self._options.print_data:
            self._rows += batch.num_rows
            return
        columns = [_cells(column) for column in batch.rows.columns]
        values = [", ".join(row) for row in zip(*columns, strict=True)] if columns else [""] * batch.num_rows
        kinds = [RowKind(k).name for k in batch.kinds.to_pylist()] if batch.kinds is not None else None
        lines = []
        for i, text in enumerate(values):
            self._rows += 1
            kind = kinds[i] if kinds else "INSERT"
            lines.append(
                f"subtaskIndex={self._task.index}  rowIndex={self._rows}:  SeaTunnelRow#tableId={batch.table} "
                f"SeaTunnelRow#kind={kind} : {text}"
            )
            if self._options.delay_ms:
                self._task.print(lines.pop())
                time.sleep(self._options.delay_ms / 1000)
        if lines:
            self._task.print("\n".join(lines))

    def prepare_commit(self, checkpoint_id: int) -> Committable | None:
        return None

    def written(self) -> Written:
        return Written(self._rows)


def _cells(column: pa.Array) -> list[str]:
    """The values of a column; null is nothing at all, only within a value it is a word."""
    texts = java_texts(column)
    if not column.null_count:
        return texts
    return [text if valid else "" for text, valid in zip(texts, column.is_valid().to_pylist(), strict=True)]
