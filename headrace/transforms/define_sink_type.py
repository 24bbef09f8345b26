"""DefineSinkType: says which native types a target's new table gets."""

from dataclasses import replace

from pydantic import Field

from headrace.connector import Batch, Options, TableSchema, TaskContext, transform
from headrace.transforms._tables import TableOptions, TableTransform, need_columns


class SinkColumn(Options):
    """One column's type in the target."""

    column: str = Field(min_length=1, description="The column.")
    type: str = Field(min_length=1, description="Its type in the words of the target, such as nvarchar2(10).")


class DefineSinkTypeOptions(TableOptions):
    """Options of DefineSinkType."""

    columns: list[SinkColumn] = Field(min_length=1, description="The columns, each with its type in the target.")


@transform("DefineSinkType")
class DefineSinkTypeTransform(TableTransform):
    """Says which native types columns get where a sink's save mode creates the table; rows stay as they are."""

    Options = DefineSinkTypeOptions

    def describe(self, table: TableSchema, options: DefineSinkTypeOptions) -> TableSchema:  # noqa: D102
        types = {item.column: item.type for item in options.columns}
        need_columns("columns", list(types), table)
        columns = [replace(column, sink_type=types.get(column.name, column.sink_type)) for column in table.columns]
        return table.with_columns(columns)

    def change(self, batch: Batch, options: DefineSinkTypeOptions, task: TaskContext) -> Batch:  # noqa: D102
        return batch
