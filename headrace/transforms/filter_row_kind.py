"""FilterRowKind: drops rows by their kind."""

from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from headrace.connector import Batch, Choice, TableSchema, TaskContext, transform
from headrace.rows import RowKind
from headrace.transforms._tables import TableOptions, TableTransform


class Kind(Choice):
    """SeaTunnel's long names of row kinds."""

    INSERT = "INSERT"
    UPDATE_BEFORE = "UPDATE_BEFORE"
    UPDATE_AFTER = "UPDATE_AFTER"
    DELETE = "DELETE"


class FilterRowKindOptions(TableOptions):
    """Options of FilterRowKind."""

    include_kinds: list[Kind] | None = Field(default=None, description="The kinds to keep.")
    exclude_kinds: list[Kind] | None = Field(default=None, description="The kinds to drop.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.include_kinds is None) == (self.exclude_kinds is None):
            raise ValueError("one of include_kinds and exclude_kinds is needed, not both")
        return self


@transform("FilterRowKind")
class FilterRowKindTransform(TableTransform):
    """Drops rows by their kind."""

    Options = FilterRowKindOptions
    drops_rows = True

    def describe(self, table: TableSchema, options: FilterRowKindOptions) -> TableSchema:  # noqa: D102
        return table

    def leaves_changes(self, table: TableSchema) -> bool:  # noqa: D102
        return all(_keeps_changes(options) for options in self.options_for(table.path))

    def change(self, batch: Batch, options: FilterRowKindOptions, task: TaskContext) -> Batch:  # noqa: D102
        named = options.include_kinds if options.include_kinds is not None else options.exclude_kinds or []
        numbers = {int(RowKind[kind.value]) for kind in named}
        if batch.kinds is None:
            keep = (int(RowKind.INSERT) in numbers) == (options.include_kinds is not None)
            return batch if keep else batch.slice(0, 0)
        found = pc.is_in(batch.kinds, pa.array(sorted(numbers), pa.uint8()))
        return batch.filter(found if options.include_kinds is not None else pc.invert(found))


def _keeps_changes(options: FilterRowKindOptions) -> bool:
    """Whether some rows other than inserts pass."""
    if options.include_kinds is not None:
        return any(kind is not Kind.INSERT for kind in options.include_kinds)
    return not {Kind.UPDATE_BEFORE, Kind.UPDATE_AFTER, Kind.DELETE} <= set(options.exclude_kinds or ())
