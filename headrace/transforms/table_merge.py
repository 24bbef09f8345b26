"""TableMerge: makes one table of many."""

from dataclasses import replace

from pydantic import Field

from headrace.connector import Batch, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.rows import type_name
from headrace.transforms._tables import TableOptions, TableTransform


class TableMergeOptions(TableOptions):
    """Options of TableMerge."""

    database: str | None = Field(default=None, description="The database of the one table.")
    schema_name: str | None = Field(default=None, validation_alias="schema", description="The schema of the one table.")
    table: str = Field(description="The name of the one table.")

    def path(self) -> str:
        """The path of the one table."""
        return ".".join(part for part in (self.database, self.schema_name, self.table) if part)


@transform("TableMerge")
class TableMergeTransform(TableTransform):
    """Makes one table of those that match; their columns must be the same, their keys are those of the first."""

    Options = TableMergeOptions

    def tables(self, tables: list[TableSchema]) -> list[TableSchema]:
        """The tables with each group that merges as one. Raises ConfigError when their columns differ."""
        merged: dict[str, tuple[str, TableSchema]] = {}
        problems = []
        for table in tables:
            made = self.schema(table)
            first, known = merged.setdefault(made.path, (table.path, made))
            if difference := _difference(known, made):
                text = f"tables {first} and {table.path} cannot become {made.path}: {difference}"
                problems.append(Problem("table_match_regex", text, "make their columns equal first"))
        if problems:
            raise ConfigError(problems)
        return [table for _, table in merged.values()]

    def describe(self, table: TableSchema, options: TableMergeOptions) -> TableSchema:  # noqa: D102
        return replace(table, path=options.path(), schema_first=bool(options.schema_name and not options.database))

    def change(self, batch: Batch, options: TableMergeOptions, task: TaskContext) -> Batch:  # noqa: D102
        return replace(batch, table=options.path())


def _difference(one: TableSchema, other: TableSchema) -> str:
    """The first column that differs; empty when none does."""
    if one.names != other.names:
        return f"the columns are {', '.join(one.names)} and {', '.join(other.names)}"
    for a, b in zip(one.columns, other.columns, strict=True):
        if a.type != b.type:
            return f"column {a.name} is {type_name(a.type)} and {type_name(b.type)}"
    return ""
