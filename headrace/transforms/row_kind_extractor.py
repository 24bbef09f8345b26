"""RowKindExtractor: writes the row kind into a column and makes every row an insert."""

from dataclasses import replace

import pyarrow as pa
from pydantic import Field

from headrace.connector import Batch, Choice, TableSchema, TaskContext, transform
from headrace.rows import Column, RowKind
from headrace.transforms._tables import TableOptions, TableTransform, add_arrays, add_columns


class KindText(Choice):
    """How a kind is written."""

    SHORT = "SHORT"
    FULL = "FULL"


class RowKindExtractorOptions(TableOptions):
    """Options of RowKindExtractor."""

    custom_field_name: str = Field(default="row_kind", description="The new column's name.")
    transform_type: KindText = Field(default=KindText.SHORT, description="SHORT writes +I, FULL writes INSERT.")


@transform("RowKindExtractor")
class RowKindExtractorTransform(TableTransform):
    """Appends the row kind as text; all rows become inserts, so that append-only targets keep changes."""

    Options = RowKindExtractorOptions

    def describe(self, table: TableSchema, options: RowKindExtractorOptions) -> TableSchema:  # noqa: D102
        return add_columns(table, [Column(options.custom_field_name, pa.string())])

    def leaves_changes(self, table: TableSchema) -> bool:  # noqa: D102
        return not self.options_for(table.path)

    def change(self, batch: Batch, options: RowKindExtractorOptions, task: TaskContext) -> Batch:  # noqa: D102
        short = options.transform_type is KindText.SHORT
        texts = pa.array([kind.short if short else kind.name for kind in RowKind])
        column = texts.take(batch.kind_array())
        return replace(batch, rows=add_arrays(batch.rows, {options.custom_field_name: column}), kinds=None)
