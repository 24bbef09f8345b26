"""Split: cuts a text column into several."""

import pyarrow as pa
from pydantic import Field

from headrace.connector import Batch, TableSchema, TaskContext, transform
from headrace.javaregex import compile_regex, split
from headrace.rows import Column
from headrace.transforms._tables import Regex, TableOptions, TableTransform, add_arrays, add_columns, need_columns
from headrace.transforms._texts import distinct_texts


class SplitOptions(TableOptions):
    """Options of Split."""

    separator: Regex = Field(min_length=1, description="A regular expression between the parts.")
    split_field: str = Field(description="The column to cut.")
    output_fields: list[str] = Field(min_length=1, description="Names of the parts; the last one keeps the rest.")


@transform("Split")
class SplitTransform(TableTransform):
    """Appends the parts of a text as columns; parts that are missing are null, and all of them for a null."""

    Options = SplitOptions

    def describe(self, table: TableSchema, options: SplitOptions) -> TableSchema:  # noqa: D102
        need_columns("split_field", [options.split_field], table)
        return add_columns(table, [Column(name, pa.string()) for name in options.output_fields])

    def change(self, batch: Batch, options: SplitOptions, task: TaskContext) -> Batch:  # noqa: D102
        pattern, count = compile_regex(options.separator), len(options.output_fields)
        texts, indices = distinct_texts(batch.rows.column(options.split_field))
        parts = [split(pattern, text, count) for text in texts]
        new = {
            name: pa.array([p[i] if i < len(p) else None for p in parts], pa.string()).take(indices)
            for i, name in enumerate(options.output_fields)
        }
        return batch.with_rows(add_arrays(batch.rows, new))
