"""Copy: appends copies of columns under other names."""

from dataclasses import replace
from typing import Self

from pydantic import Field, model_validator

from headrace.connector import Batch, TableSchema, TaskContext, transform
from headrace.transforms._tables import TableOptions, TableTransform, add_arrays, add_columns, need_columns


class CopyOptions(TableOptions):
    """Options of Copy."""

    fields: dict[str, str] = Field(default={}, description="New column → the column it copies.")
    src_field: str | None = Field(default=None, description="The column to copy; the older form, with dest_field.")
    dest_field: str | None = Field(default=None, description="The copy's name.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.copies():
            raise ValueError("fields is needed: { new = old }")
        return self

    def copies(self) -> dict[str, str]:
        """New → old, in order."""
        older = {self.dest_field: self.src_field} if self.dest_field and self.src_field else {}
        return {**older, **self.fields}


@transform("Copy")
class CopyTransform(TableTransform):
    """Appends copies of columns. A copy of a copy is not found: all are made of the columns that arrive."""

    Options = CopyOptions

    def describe(self, table: TableSchema, options: CopyOptions) -> TableSchema:  # noqa: D102
        copies = options.copies()
        need_columns("fields", list(copies.values()), table)
        new = [replace(table.column(old), name=name) for name, old in copies.items()]
        return add_columns(table, new)

    def change(self, batch: Batch, options: CopyOptions, task: TaskContext) -> Batch:  # noqa: D102
        rows, copies = batch.rows, options.copies()
        return batch.with_rows(add_arrays(rows, {name: rows.column(old) for name, old in copies.items()}))
