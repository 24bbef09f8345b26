"""TableFilter: drops whole tables."""

from pydantic import Field

from headrace.connector import Batch, Choice, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.javaregex import compile_regex
from headrace.transforms._tables import Regex, TableOptions, TableTransform


class PatternMode(Choice):
    """What happens to the tables that match."""

    INCLUDE = "INCLUDE"
    EXCLUDE = "EXCLUDE"


class TableFilterOptions(TableOptions):
    """Options of TableFilter."""

    database_pattern: Regex | None = Field(default=None, description="What the database's whole name matches.")
    schema_pattern: Regex | None = Field(default=None, description="What the schema's whole name matches.")
    table_pattern: Regex | None = Field(default=None, description="What the table's whole name matches.")
    pattern_mode: PatternMode = Field(
        default=PatternMode.INCLUDE, description="INCLUDE keeps the tables that match all patterns, EXCLUDE drops them."
    )


@transform("TableFilter")
class TableFilterTransform(TableTransform):
    """Drops whole tables by the names of database, schema and table; the upper name of two counts as either."""

    Options = TableFilterOptions
    drops_rows = True

    def tables(self, tables: list[TableSchema]) -> list[TableSchema]:
        """The tables that stay. Raises ConfigError when none does."""
        kept = [table for table in tables if self._keeps(table.path)]
        if tables and not kept:
            names = ", ".join(table.path for table in tables)
            raise ConfigError([Problem("", f"no table is left of {names}", "the patterns match whole names")])
        return kept

    def describe(self, table: TableSchema, options: TableFilterOptions) -> TableSchema:  # noqa: D102
        return table

    def change(self, batch: Batch, options: TableFilterOptions, task: TaskContext) -> Batch | list[Batch]:  # noqa: D102
        return batch if self._keeps(batch.table) else []

    def _keeps(self, path: str) -> bool:
        return all(_keeps(path, options) for options in self.options_for(path))


def _keeps(path: str, options: TableFilterOptions) -> bool:
    parts = path.split(".", 2)
    database, schema = (parts[0], parts[-2]) if len(parts) > 1 else ("", "")
    patterns = (options.database_pattern, options.schema_pattern, options.table_pattern)
    matches = all(
        pattern is None or compile_regex(pattern).fullmatch(name)
        for pattern, name in zip(patterns, (database, schema, parts[-1]), strict=True)
    )
    return matches is (options.pattern_mode is PatternMode.INCLUDE)
