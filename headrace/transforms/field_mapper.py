"""FieldMapper: selects, orders and renames columns."""

import pyarrow as pa
from pydantic import Field

from headrace.connector import Batch, TableSchema, TaskContext, transform
from headrace.transforms._tables import TableOptions, TableTransform, need_columns, rename_columns


class FieldMapperOptions(TableOptions):
    """Options of FieldMapper."""

    field_mapper: dict[str, str] = Field(min_length=1, description="Column → its new name; the others are dropped.")


@transform("FieldMapper")
class FieldMapperTransform(TableTransform):
    """Selects, orders and renames columns; keys follow the names."""

    Options = FieldMapperOptions

    def describe(self, table: TableSchema, options: FieldMapperOptions) -> TableSchema:  # noqa: D102
        mapper = options.field_mapper
        need_columns("field_mapper", list(mapper), table)
        return rename_columns(table.with_columns([table.column(name) for name in mapper]), mapper, "field_mapper")

    def change(self, batch: Batch, options: FieldMapperOptions, task: TaskContext) -> Batch:  # noqa: D102
        columns = [batch.rows.column(name) for name in options.field_mapper]
        return batch.with_rows(pa.RecordBatch.from_arrays(columns, list(options.field_mapper.values())))
