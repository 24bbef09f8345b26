"""Filter: keeps or drops columns."""

from typing import Self

from pydantic import AliasChoices, Field, model_validator

from headrace.connector import Batch, TableSchema, TaskContext, transform
from headrace.transforms._tables import TableOptions, TableTransform, need_columns


class FilterOptions(TableOptions):
    """Options of Filter."""

    include_fields: list[str] | None = Field(
        default=None, validation_alias=AliasChoices("include_fields", "fields"), description="The columns to keep."
    )
    exclude_fields: list[str] | None = Field(default=None, description="The columns to drop.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.include_fields is None) == (self.exclude_fields is None):
            raise ValueError("one of include_fields and exclude_fields is needed, not both")
        return self


@transform("Filter")
class FilterTransform(TableTransform):
    """Keeps or drops columns; those that stay keep their order."""

    Options = FilterOptions

    def describe(self, table: TableSchema, options: FilterOptions) -> TableSchema:  # noqa: D102
        option = "include_fields" if options.include_fields is not None else "exclude_fields"
        need_columns(option, getattr(options, option), table)
        return table.with_columns([table.column(name) for name in _kept(options, table.names)])

    def change(self, batch: Batch, options: FilterOptions, task: TaskContext) -> Batch:  # noqa: D102
        return batch.with_rows(batch.rows.select(_kept(options, batch.rows.schema.names)))


def _kept(options: FilterOptions, names: list[str]) -> list[str]:
    if options.include_fields is not None:
        return [name for name in names if name in options.include_fields]
    return [name for name in names if name not in (options.exclude_fields or ())]
