"""Sql: one SELECT over the rows of a table."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import Field

from headrace.connector import Batch, Choice, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.transforms._tables import TableOptions, TableTransform

if TYPE_CHECKING:
    from headrace.sql.select import Select


class Engine(Choice):
    """Names that job files give SeaTunnel's SQL engine; both mean the one that Headrace has."""

    ZETA = "ZETA"
    INTERNAL = "INTERNAL"


class SqlOptions(TableOptions):
    """Options of Sql."""

    query: str = Field(description="SELECT expressions FROM name WHERE condition; name is the input's, or dual.")
    engine: Engine = Field(default=Engine.ZETA, description="ZETA or INTERNAL, which are the same here.")


@transform("Sql")
class SqlTransform(TableTransform):
    """Computes columns and drops rows with a SELECT; a row without a result is bad, the others go on."""

    Options = SqlOptions
    drops_rows = True
    adds_rows = True

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._ready: dict[tuple[str, str], tuple[pa.Schema, Select]] = {}

    def check(self) -> None:
        """See Transform.check."""
        from headrace.sql.grammar import parse_query

        problems: list[Problem] = []
        for place, options in self.option_sets():
            try:
                parse_query(options.query)
            except ConfigError as error:
                problems += [problem.under(place) for problem in error.problems]
        if problems:
            raise ConfigError(problems)

    def describe(self, table: TableSchema, options: SqlOptions) -> TableSchema:  # noqa: D102
        from headrace.sql.select import Select

        return Select(options.query, table).output

    def change(self, batch: Batch, options: SqlOptions, task: TaskContext) -> Batch | list[Batch]:  # noqa: D102
        from headrace.sql.select import run_rows

        return run_rows(self._select(batch, options), batch, task.rejects)

    def _select(self, batch: Batch, options: SqlOptions) -> "Select":
        """The query ready for the batch's table; made anew when the table has changed."""
        from headrace.sql.select import Select

        key = batch.table, options.query
        schema, select = self._ready.get(key, (None, None))
        if select is None or not batch.rows.schema.equals(schema):
            select = Select(options.query, TableSchema.from_arrow(batch.rows.schema, batch.table))
            self._ready[key] = batch.rows.schema, select
        return select
