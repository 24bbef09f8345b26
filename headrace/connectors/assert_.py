"""Assert: checks rows and tables against rules, and fails the job when one does not hold."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AliasChoices, Field, model_validator

from headrace.connector import (
    Batch,
    Choice,
    Committable,
    Options,
    Problem,
    Sink,
    SinkKind,
    SinkWriter,
    State,
    TableSchema,
    TaskContext,
    sink,
)
from headrace.errors import Rejected
from headrace.rows import parse_type, type_name
from headrace.values import parse_value, parse_values

FAILED = "ErrorCode:[ASSERT-01], ErrorDescription:[Rule validate failed]"
"""How SeaTunnel's AssertConnectorException begins."""


class RowRuleType(Choice):
    """What a row rule limits."""

    MAX_ROW = "MAX_ROW"
    MIN_ROW = "MIN_ROW"


class ValueRuleType(Choice):
    """What a value rule asks of a value."""

    NOT_NULL = "NOT_NULL"
    NULL = "NULL"
    MIN = "MIN"
    MAX = "MAX"
    MIN_LENGTH = "MIN_LENGTH"
    MAX_LENGTH = "MAX_LENGTH"


class RowRule(Options):
    """How many rows a table must have."""

    rule_type: RowRuleType = Field(description="MAX_ROW or MIN_ROW.")
    rule_value: float = Field(description="Rows.")


class ValueRule(Options):
    """One rule for the values of a field: a type with its value, a value to equal, or both, which must both hold."""

    rule_type: ValueRuleType | None = Field(default=None, description="What is asked.")
    rule_value: float | None = Field(default=None, description="The bound or length.")
    equals_to: Any = Field(default=None, description="The value every row must have, as FakeSource rows write it.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rule_type is None and "equals_to" not in self.model_fields_set:
            raise ValueError("rule_type or equals_to is needed")
        bounded = {ValueRuleType.MIN, ValueRuleType.MAX, ValueRuleType.MIN_LENGTH, ValueRuleType.MAX_LENGTH}
        if self.rule_type in bounded and self.rule_value is None:
            raise ValueError(f"{self.rule_type} needs rule_value")
        return self

    def __str__(self) -> str:
        return f"AssertRule(ruleType={self.rule_type}, ruleValue={self.rule_value}, equalTo={self.equals_to})"


class FieldRule(Options):
    """What a field must be."""

    field_name: str = Field(description="The column.")
    field_type: Any = Field(default=None, description="Its type, exactly; nulls fit every type.")
    field_value: list[ValueRule] = Field(default=[], description="Rules for every value.")


class ConstraintKeyColumnRule(Options):
    """A column of a constraint key."""

    name: str = Field(validation_alias="constraint_key_column_name", description="The column.")
    sort: str | None = Field(default=None, validation_alias="constraint_key_sort_type", description="ASC or DESC.")


class ConstraintKeyRule(Options):
    """A constraint key the table must have."""

    name: str = Field(validation_alias="constraint_key_name", description="The key.")
    type: str = Field(validation_alias="constraint_key_type", description="Its type.")
    columns: list[ConstraintKeyColumnRule] = Field(
        validation_alias="constraint_key_columns", description="Its columns."
    )


class PrimaryKeyRule(Options):
    """The primary key the table must have."""

    name: str | None = Field(default=None, validation_alias="primary_key_name", description="The key.")
    columns: list[str] = Field(validation_alias="primary_key_columns", description="Its columns in order.")


class ColumnRule(Options):
    """A column the table must have."""

    name: str = Field(description="The column.")
    type: Any = Field(default=None, description="Its type.")
    column_length: int | None = Field(default=None, description="Its length.")
    nullable: bool | None = Field(default=None, description="Whether it may be null.")
    default_value: Any = Field(default=None, description="Its default.")
    comment: str | None = Field(default=None, description="Its comment.")


class CatalogTableRule(Options):
    """What the table itself must be."""

    primary_key_rule: PrimaryKeyRule | None = Field(default=None, description="The primary key.")
    constraint_key_rule: list[ConstraintKeyRule] = Field(default=[], description="The constraint keys.")
    column_rule: list[ColumnRule] = Field(default=[], description="The columns.")


class TableRules(Options):
    """Rules of one table."""

    table_path: str = Field(default="", description="The table these rules are for.")
    row_rules: list[RowRule] = Field(default=[], description="How many rows.")
    field_rules: list[FieldRule] = Field(default=[], description="What the fields must be.")
    catalog_table_rule: CatalogTableRule | None = Field(default=None, description="What the table must be.")


class Rules(TableRules):
    """All rules: those for every table, or for each table its own."""

    table_names: list[str] | None = Field(
        default=None,
        validation_alias=AliasChoices("table-names", "table_names"),
        description="Exactly these tables come.",
    )
    tables_configs: list[TableRules] | None = Field(default=None, description="Rules table by table.")


class AssertSinkOptions(Options):
    """Options of Assert."""

    rules: Rules = Field(description="What must hold.")
    replica: int = Field(
        default=1, validation_alias="multi_table_sink_replica", description="Accepted: a task has one writer per table."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = self.rules
        if not (
            rules.row_rules
            or rules.field_rules
            or rules.catalog_table_rule
            or rules.table_names
            or rules.tables_configs
        ):
            raise ValueError(
                "rules holds none of row_rules, field_rules, catalog_table_rule, table-names, tables_configs"
            )
        return self

    def for_table(self, path: str) -> TableRules | None:
        """The rules of a table; None when it has none."""
        if self.rules.tables_configs is None:
            return self.rules
        return next((rules for rules in self.rules.tables_configs if rules.table_path == path), None)


@sink("Assert")
class AssertSink(Sink):
    """Fails the job when a rule does not hold. Row counts are those of all tasks together, over restarts too."""

    Options = AssertSinkOptions
    options: AssertSinkOptions
    example = """
sink {
  Assert {
    rules {
      row_rules = [{ rule_type = MIN_ROW, rule_value = 1 }, { rule_type = MAX_ROW, rule_value = 1000 }]
      field_rules = [
        {
          field_name = id
          field_type = bigint
          field_value = [{ rule_type = NOT_NULL }, { rule_type = MIN, rule_value = 1 }]
        }
        { field_name = name, field_type = string, field_value = [{ rule_type = MAX_LENGTH, rule_value = 40 }] }
      ]
    }
  }
}
"""
    kind = SinkKind.PLAIN

    def is_repeatable(self) -> bool:
        """Checking rows again harms nothing: the counts are saved with the checkpoints."""
        return True

    def cure_for_changes(self, table: TableSchema) -> str:
        """Rules hold for rows of all kinds; nothing is written."""
        return ""

    def check(self, tables: Sequence[TableSchema]) -> Iterable[Problem]:  # noqa: D102
        names = self.options.rules.table_names
        if names is not None and set(names) != {table.path for table in tables}:
            come = ", ".join(sorted(table.path for table in tables))
            yield Problem("rules.table-names", f"{FAILED} - tables {come} come, {', '.join(sorted(names))} must")
        for configured in self.options.rules.tables_configs or ():
            if configured.table_path not in {table.path for table in tables}:
                yield Problem("rules.tables_configs", f"{FAILED} - table {configured.table_path} does not come")
        for table in tables:
            rules = self.options.for_table(table.path)
            if rules is not None and rules.catalog_table_rule is not None:
                for text in _catalog_problems(rules.catalog_table_rule, table):
                    yield Problem("rules.catalog_table_rule", f"{FAILED} - table {table.path}: {text}")

    def writer(self, table: TableSchema, task: TaskContext, state: State | None) -> SinkWriter:  # noqa: D102
        return _AssertWriter(self.options.for_table(table.path), table, state)

    def merge_states(self, states: Sequence[State]) -> State:  # noqa: D102
        return sum(states)

    def finish(self, tables: Sequence[TableSchema], states: Mapping[str, State]) -> None:  # noqa: D102
        for path in dict.fromkeys([*(table.path for table in tables), *states]):
            rules = self.options.for_table(path)
            rows = states.get(path, 0)
            for rule in rules.row_rules if rules else ():
                fits = rows <= rule.rule_value if rule.rule_type is RowRuleType.MAX_ROW else rows >= rule.rule_value
                if not fits:
                    text = f"AssertRule(ruleType={rule.rule_type}, ruleValue={rule.rule_value}, equalTo=None)"
                    raise Rejected(f"{FAILED} - row num :{rows} fail rule: {text}", "Assert", path)


class _AssertWriter(SinkWriter):
    def __init__(self, rules: TableRules | None, table: TableSchema, state: State | None) -> None:
        self._rules, self._table = rules, table
        self._rows = state or 0

    def write(self, batch: Batch) -> None:
        self._rows += batch.num_rows
        for rule in self._rules.field_rules if self._rules else ():
            if rule.field_name not in batch.rows.schema.names:
                known = ", ".join(batch.rows.schema.names)
                text = f"{FAILED} - there is no field {rule.field_name!r} in {known}"
                raise Rejected(text, "Assert", batch.table)
            self._check_field(rule, batch, batch.rows.column(batch.rows.schema.names.index(rule.field_name)))

    def _check_field(self, rule: FieldRule, batch: Batch, column: pa.Array) -> None:
        if rule.field_type is not None and column.null_count < len(column):
            wanted = parse_type(rule.field_type)
            if type_name(wanted) != type_name(column.type):
                text = f"field {rule.field_name} is {type_name(column.type)}, fail rule: type {type_name(wanted)}"
                raise Rejected(f"{FAILED} - {text}", "Assert", batch.table)
        for value_rule in rule.field_value:
            fits = _fits(value_rule, column)
            if not pc.all(fits, min_count=0).as_py():
                row = pc.index(fits, pa.scalar(value=False)).as_py()
                values = batch.rows.slice(row, 1).to_pylist()[0]
                text = f"row :{values} field {rule.field_name} fail rule: {value_rule}"
                raise Rejected(f"{FAILED} - {text}", "Assert", batch.table)

    def prepare_commit(self, checkpoint_id: int) -> Committable | None:
        return None

    def state(self) -> State | None:
        return self._rows


def _fits(rule: ValueRule, column: pa.Array) -> pa.BooleanArray:
    """Which values hold the rule: its type and the value to equal; `equals_to = null` alone asks for nulls."""
    if rule.rule_type is None:
        return _equals(rule.equals_to, column)
    fits = _fits_type(rule, column)
    return fits if rule.equals_to is None else pc.and_(fits, _equals(rule.equals_to, column))


def _fits_type(rule: ValueRule, column: pa.Array) -> pa.BooleanArray:
    """Which values the type of a rule allows; null fits NULL only."""
    if rule.rule_type is ValueRuleType.NULL:
        return pc.is_null(column)
    if rule.rule_type is ValueRuleType.NOT_NULL:
        return pc.is_valid(column)
    if rule.rule_type in (ValueRuleType.MIN, ValueRuleType.MAX):
        if not (
            pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)
        ):
            return pa.array([False] * len(column))
        numbers = column.cast(pa.float64(), safe=False)
        smaller = rule.rule_type is ValueRuleType.MAX
        found = pc.less_equal(numbers, rule.rule_value) if smaller else pc.greater_equal(numbers, rule.rule_value)
        return pc.fill_null(found, fill_value=False)
    if not pa.types.is_string(column.type):
        return pa.array([False] * len(column))
    lengths = pc.utf8_length(column)
    shorter = rule.rule_type is ValueRuleType.MAX_LENGTH
    found = pc.less_equal(lengths, rule.rule_value) if shorter else pc.greater_equal(lengths, rule.rule_value)
    return pc.fill_null(found, fill_value=False)


def _equals(wanted: Any, column: pa.Array) -> pa.BooleanArray:
    if wanted is None:
        return pc.is_null(column)
    try:
        value = parse_values([wanted], column.type)
    except ValueError as error:
        raise Rejected(f"{FAILED} - equals_to: {error}", "Assert") from error
    if pa.types.is_nested(column.type) or isinstance(column.type, pa.ExtensionType):
        expected = value.to_pylist()[0]
        return pa.array([item == expected for item in column.to_pylist()], pa.bool_())
    return pc.fill_null(pc.equal(column, value[0]), fill_value=False)


def _catalog_problems(rule: CatalogTableRule, table: TableSchema) -> Iterable[str]:
    if (key := rule.primary_key_rule) is not None:
        have = table.primary_key
        if have is None or list(have.columns) != key.columns or (key.name is not None and have.name != key.name):
            yield f"primary key {have} fail rule: {key.name}({', '.join(key.columns)})"
    for constraint in rule.constraint_key_rule:
        wanted = (constraint.type.upper(), [(c.name, c.sort) for c in constraint.columns])
        found = next((k for k in table.constraint_keys if k.name == constraint.name), None)
        if found is None or (found.type, list(found.columns)) != wanted:
            yield f"constraint key {found} fail rule: {constraint.name} {wanted}"
    if rule.column_rule:
        names = [column.name for column in rule.column_rule]
        if table.names != names:
            yield f"columns {', '.join(table.names)} fail rule: {', '.join(names)}"
            return
    for wanted_column in rule.column_rule:
        yield from _column_problems(wanted_column, table)


def _column_problems(rule: ColumnRule, table: TableSchema) -> Iterable[str]:
    column = table.column(rule.name)
    if rule.type is not None and type_name(parse_type(rule.type)) != type_name(column.type):
        yield f"column {rule.name} is {type_name(column.type)}, fail rule: {rule.type}"
    if rule.column_length is not None and (column.length or 0) != rule.column_length:
        yield f"column {rule.name} has length {column.length}, fail rule: {rule.column_length}"
    if rule.nullable is not None and column.nullable != rule.nullable:
        yield f"column {rule.name} has nullable {column.nullable}, fail rule: {rule.nullable}"
    if rule.default_value is not None and parse_value(rule.default_value, column.type) != (
        None if column.default is None else parse_value(column.default, column.type)
    ):
        yield f"column {rule.name} has default {column.default!r}, fail rule: {rule.default_value!r}"
    if rule.comment is not None and column.comment != rule.comment:
        yield f"column {rule.name} has comment {column.comment!r}, fail rule: {rule.comment!r}"
