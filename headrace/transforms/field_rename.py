"""FieldRename: renames columns by rules."""

from pydantic import Field

from headrace.connector import Batch, Options, TableSchema, TaskContext, transform
from headrace.transforms._names import RenameOptions, new_name
from headrace.transforms._tables import TableTransform, rename_columns


class Specific(Options):
    """One column with a name of its own."""

    field_name: str = Field(description="The column.")
    target_name: str = Field(description="Its new name.")


class FieldRenameOptions(RenameOptions):
    """Options of FieldRename."""

    specific: list[Specific] = Field(default=[], description="Columns with names of their own; no other rule holds.")


@transform("FieldRename")
class FieldRenameTransform(TableTransform):
    """Renames columns by rules: replaced parts, letters' case, prefix and suffix; keys follow the names."""

    Options = FieldRenameOptions

    def describe(self, table: TableSchema, options: FieldRenameOptions) -> TableSchema:  # noqa: D102
        return rename_columns(table, dict(zip(table.names, _names(table.names, options), strict=True)), "")

    def change(self, batch: Batch, options: FieldRenameOptions, task: TaskContext) -> Batch:  # noqa: D102
        return batch.with_rows(batch.rows.rename_columns(_names(batch.rows.schema.names, options)))


def _names(names: list[str], options: FieldRenameOptions) -> list[str]:
    specific = {rule.field_name: rule.target_name for rule in reversed(options.specific)}
    return [specific[name] if name in specific else new_name(name, options) for name in names]
