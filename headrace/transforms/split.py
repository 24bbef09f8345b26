"""Split: cuts a text column into several."""

import re
from typing import Self

import pyarrow as pa
from pydantic import Field, model_validator

from headrace.connector import Batch, TableSchema, TaskContext, transform
from headrace.rows import Column
from headrace.transforms._tables import TableOptions, TableTransform, need_columns


class SplitOptions(TableOptions):
    """Options of Split."""

    separator: str = Field(min_length=1, description="A regular expression between the parts.")
    split_field: str = Field(description="The column to cut.")
    output_fields: list[str] = Field(min_length=1, description="Names of the parts; the last one keeps the rest.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            re.compile(self.separator)
        except re.error as error:
            raise ValueError(f"separator {self.separator!r} is no regular expression: {error}") from error
        return self


@transform("Split")
class SplitTransform(TableTransform):
    """Appends the parts of a text as columns; parts that are missing are null, and all of them for a null."""

    Options = SplitOptions

    def describe(self, table: TableSchema, options: SplitOptions) -> TableSchema:  # noqa: D102
        need_columns("split_field", [options.split_field], table)
        return table.with_columns([*table.columns, *(Column(name, pa.string()) for name in options.output_fields)])

    def change(self, batch: Batch, options: SplitOptions, task: TaskContext) -> Batch:  # noqa: D102
        pattern, count = re.compile(options.separator), len(options.output_fields)
        encoded = batch.rows.column(options.split_field).cast(pa.string()).dictionary_encode()
        parts = [pattern.split(text, count - 1) if count > 1 else [text] for text in encoded.dictionary.to_pylist()]
        columns = [
            pa.array([p[i] if i < len(p) else None for p in parts], pa.string()).take(encoded.indices)
            for i in range(count)
        ]
        names = [*batch.rows.schema.names, *options.output_fields]
        return batch.with_rows(pa.RecordBatch.from_arrays([*batch.rows.columns, *columns], names))
