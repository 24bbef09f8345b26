"""TableRename: renames tables by rules."""

from dataclasses import replace

from headrace.connector import Batch, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.transforms._names import RenameOptions, convert_case, new_name
from headrace.transforms._tables import TableTransform


class TableRenameOptions(RenameOptions):
    """Options of TableRename."""


@transform("TableRename")
class TableRenameTransform(TableTransform):
    """Renames tables by rules: replaced parts, letters' case, prefix and suffix; database and schema get the case."""

    Options = TableRenameOptions

    def describe(self, table: TableSchema, options: TableRenameOptions) -> TableSchema:  # noqa: D102
        return replace(table, path=_path(table.path, options))

    def tables(self, tables: list[TableSchema]) -> list[TableSchema]:
        """All tables under their new names. Raises ConfigError when two get the same one."""
        made = super().tables(tables)
        for number, table in enumerate(made):
            if clash := next(
                (old.path for old, new in zip(tables, made[:number], strict=False) if new.path == table.path), ""
            ):
                text = f"tables {clash} and {tables[number].path} would both be called {table.path}"
                raise ConfigError([Problem("", text, "rename only one of them, or merge them with TableMerge")])
        return made

    def change(self, batch: Batch, options: TableRenameOptions, task: TaskContext) -> Batch:  # noqa: D102
        return replace(batch, table=_path(batch.table, options))


def _path(path: str, options: TableRenameOptions) -> str:
    parts = path.split(".", 2)
    above = [convert_case(part, options.convert_case) for part in parts[:-1]]
    return ".".join([*above, new_name(parts[-1], options)])
