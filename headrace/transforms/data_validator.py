"""DataValidator: checks values by rules; rows that break one fail, are dropped, or go to a table of errors."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

import orjson
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from headrace.connector import Batch, Choice, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.javatext import json_value
from headrace.leaves import printed_floats
from headrace.rows import Column
from headrace.transforms._rules import Rule
from headrace.transforms._tables import TableOptions, TableTransform, need_columns

ERROR_COLUMNS = tuple(
    Column(name, dtype, nullable=False, comment=comment)
    for name, dtype, comment in (
        ("source_table_id", pa.string(), "Source table identifier"),
        ("source_table_path", pa.string(), "Source table path"),
        ("original_data", pa.string(), "The row as JSON"),
        ("validation_errors", pa.string(), "What is wrong with it, as a JSON array"),
        ("create_time", pa.timestamp("us"), "When it was found"),
    )
)
"""The columns of a table of errors."""


class Handling(Choice):
    """What becomes of a row that breaks a rule."""

    FAIL = "FAIL"
    SKIP = "SKIP"
    ROUTE_TO_TABLE = "ROUTE_TO_TABLE"


class FieldRule(Rule):
    """The rules of one column: one beside the name, or several in `rules`."""

    field_name: str = Field(description="The column.")
    rules: list[Rule] = Field(default=[], description="Several rules.")

    @model_validator(mode="after")
    def _has_rules(self) -> Self:
        if self.rule_type is None and not self.rules:
            raise ValueError("rule_type or rules is needed")
        for number, rule in enumerate(self.rules):
            if rule.rule_type is None:
                raise ValueError(f"rules[{number}].rule_type is needed")
        return self

    def all(self) -> list[Rule]:
        """Every rule of the column."""
        return self.rules or [self]


class DataValidatorOptions(TableOptions):
    """Options of DataValidator."""

    field_rules: list[FieldRule] = Field(min_length=1, description="The rules, by column.")
    row_error_handle_way: Handling = Field(
        default=Handling.FAIL, description="FAIL, SKIP the row, or ROUTE_TO_TABLE: write it into a table of errors."
    )
    error_table: str | None = Field(
        default=None,
        validation_alias="row_error_handle_way.error_table",
        description="The table of errors, in the database of the table that is checked unless a dot is in its name.",
    )

    @field_validator("row_error_handle_way", mode="before")
    @classmethod
    def _both_keys(cls, value: Any) -> Any:
        """HOCON keeps of `way = X` and `way.error_table = Y` only the second, which says what is meant."""
        return Handling.ROUTE_TO_TABLE if isinstance(value, Mapping) and "error_table" in value else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.row_error_handle_way is Handling.ROUTE_TO_TABLE and not self.error_table:
            raise ValueError("ROUTE_TO_TABLE needs row_error_handle_way.error_table")
        return self

    def error_path(self, path: str) -> str:
        """The table of errors of a table."""
        assert self.error_table is not None
        database, dot, _ = path.partition(".")
        return f"{database}.{self.error_table}" if dot and "." not in self.error_table else self.error_table


@transform("DataValidator")
class DataValidatorTransform(TableTransform):
    """Checks values by rules: not null, range, length, pattern, function; all that is wrong with a row is told."""

    Options = DataValidatorOptions
    drops_rows = True

    def tables(self, tables: list[TableSchema]) -> list[TableSchema]:
        """The tables, and the tables of errors."""
        found = {table.path: self.schema(table) for table in tables}
        for table in tables:
            for options in self.options_for(table.path):
                if options.row_error_handle_way is Handling.ROUTE_TO_TABLE:
                    path = options.error_path(table.path)
                    errors = TableSchema(path, ERROR_COLUMNS, comment="Rows that broke a rule")
                    if found.setdefault(path, errors).names != errors.names:
                        text = f"the table of errors {path} is one of the tables that are checked"
                        raise ConfigError([Problem("row_error_handle_way.error_table", text, "give it another name")])
        return list(found.values())

    def describe(self, table: TableSchema, options: DataValidatorOptions) -> TableSchema:  # noqa: D102
        problems = []
        for number, field in enumerate(options.field_rules):
            place = f"field_rules[{number}]"
            need_columns(f"{place}.field_name", [field.field_name], table)
            for rule in field.all():
                try:
                    rule.check_type(table.column(field.field_name).type)
                except ValueError as error:
                    problems.append(Problem(place, f"column {field.field_name}: {error}"))
        if problems:
            raise ConfigError(problems)
        return table

    def change(self, batch: Batch, options: DataValidatorOptions, task: TaskContext) -> Batch | list[Batch]:  # noqa: D102
        wrong: dict[int, list[tuple[str, str]]] = {}
        for field in options.field_rules:
            for rule in field.all():
                for row, reason in rule.failures(batch.rows.column(field.field_name)).items():
                    wrong.setdefault(row, []).append((field.field_name, reason))
        if not wrong:
            return batch
        keep = [True] * batch.num_rows
        for row in wrong:
            keep[row] = False
        if options.row_error_handle_way is Handling.FAIL:
            reasons = [_reason(wrong.get(row, [])) for row in range(batch.num_rows)]
            task.rejects.add(batch, pa.array([not good for good in keep]), pa.array(reasons))
        good = batch.filter(pa.array(keep))
        if options.row_error_handle_way is not Handling.ROUTE_TO_TABLE:
            return good
        return [good, _errors(batch, dict(sorted(wrong.items())), options.error_path(batch.table))]


def _reason(found: list[tuple[str, str]]) -> str:
    return "Validation failed: " + "; ".join(f"{name}: {text}" for name, text in found) if found else ""


def _errors(batch: Batch, wrong: Mapping[int, list[tuple[str, str]]], path: str) -> Batch:
    """One row of the table of errors for each bad row."""
    bad = batch.rows.take(pa.array(list(wrong), pa.int64()))
    rows = pa.RecordBatch.from_arrays([printed_floats(c) for c in bad.columns], bad.schema.names).to_pylist()
    texts = [[{"field_name": name, "error_message": text} for name, text in found] for found in wrong.values()]
    now = datetime.now()  # noqa: DTZ005  SeaTunnel's times have no zone
    columns = [
        pa.array([batch.table] * len(rows)),
        pa.array([batch.table] * len(rows)),
        pa.array([orjson.dumps(json_value(row)).decode() for row in rows]),
        pa.array([orjson.dumps(found).decode() for found in texts]),
        pa.array([now] * len(rows), pa.timestamp("us")),
    ]
    schema = TableSchema(path, ERROR_COLUMNS).arrow
    return Batch(pa.RecordBatch.from_arrays(columns, schema=schema), path)
