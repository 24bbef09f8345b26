"""What the transforms share: which tables of a stream they change, and with which options."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self

import pyarrow as pa
from pydantic import AfterValidator, Field, PrivateAttr, ValidationError

from headrace.connector import Batch, Choice, Options, Problem, TableSchema, TaskContext, Transform
from headrace.errors import ConfigError
from headrace.javaregex import compile_regex
from headrace.options import read_options
from headrace.rows import Column, PrimaryKey


def _checked(pattern: str) -> str:
    compile_regex(pattern)
    return pattern


Regex = Annotated[str, AfterValidator(_checked)]
"""An option that holds one of Java's regular expressions."""


class RuleMatch(Choice):
    """Which of several entries for one table hold."""

    FIRST_MATCH = "FIRST_MATCH"
    ALL_MATCH = "ALL_MATCH"


class TableOptions(Options):
    """Options of every transform: which tables it changes."""

    table_match_regex: Regex = Field(
        default=".*", description="Full paths of the tables to change; others pass as they are."
    )
    table_transform: list[dict[str, Any]] | None = Field(
        default=None,
        description="Single tables with options of their own: table_path and the options; the outer ones do not hold.",
    )
    rule_match_mode: RuleMatch | None = Field(
        default=None,
        description="When table_transform names a table more than once: FIRST_MATCH, or ALL_MATCH one after the other.",
    )

    _single_tables_only: bool = PrivateAttr(default=False)

    @classmethod
    def model_validate(cls, obj: Any, **settings: Any) -> Self:
        """Where only single tables have options, the outer ones may be missing: then no other table is changed."""
        try:
            return super().model_validate(obj, **settings)
        except ValidationError:
            if not isinstance(obj, dict) or not obj.get("table_transform") or set(obj) - set(TableOptions.model_fields):
                raise
            made: Self = cls.model_construct(**dict(TableOptions.model_validate(obj)))  # type: ignore[assignment]
            made._single_tables_only = True
            return made

    @property
    def single_tables_only(self) -> bool:
        """Whether only the tables in table_transform are changed."""
        return self._single_tables_only


class TableTransform(Transform):
    """A transform that changes tables one by one.

    A subclass says `describe(table, options)` and `change(batch, options, task)`; both are called for the tables that
    match, with the options that hold for them, which `options_for(path)` tells. `change` may give a list: the first
    batch is the table's, the others went elsewhere.
    """

    Options: ClassVar[type[TableOptions]] = TableOptions

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._regex = compile_regex(options.table_match_regex)
        self._rules = lru_cache(4096)(self._find)
        self._own: dict[str, list[tuple[str, Any]]] = {}
        problems: list[Problem] = []
        for number, values in enumerate(options.table_transform or ()):
            self._add(f"table_transform[{number}]", values, options, problems)
        if problems:
            raise ConfigError(problems)

    def _add(self, place: str, values: dict[str, Any], options: Any, problems: list[Problem]) -> None:
        own = dict(values)
        path = str(own.pop("table_path", ""))
        if not path:
            problems.append(Problem(f"{place}.table_path", "required option is missing", "the full path of one table"))
        if path in self._own and options.rule_match_mode is None:
            cure = "set rule_match_mode to FIRST_MATCH or ALL_MATCH"
            problems.append(Problem(f"{place}.table_path", f"table {path} is named twice", cure))
        read = read_options(type(options), own)
        problems += [problem.under(place) for problem in read.problems]
        if options.rule_match_mode is RuleMatch.ALL_MATCH or path not in self._own:
            self._own.setdefault(path, []).append((place, read.options))

    def option_sets(self) -> Iterable[tuple[str, Any]]:
        """See Transform.option_sets."""
        outer = [] if self.options.single_tables_only else [("", self.options)]
        return [*outer, *((place, options) for own in self._own.values() for place, options in own if options)]

    def describe(self, table: TableSchema, options: Any) -> TableSchema:
        """The table after the change. Raises ConfigError; `need_columns` makes one for a column that is not there."""
        raise NotImplementedError

    def change(self, batch: Batch, options: Any, task: TaskContext) -> Batch | list[Batch]:
        """The rows after the change."""
        raise NotImplementedError

    def options_for(self, path: str) -> tuple[Any, ...]:
        """The options that hold for a table, one after the other; none when it passes as it is."""
        return tuple(options for _, options in self._rules(path))

    def schema(self, table: TableSchema) -> TableSchema:
        """See Transform.schema."""
        for place, options in self._rules(table.path):
            try:
                table = self.describe(table, options)
            except ConfigError as error:
                raise ConfigError([problem.under(place) for problem in error.problems]) from error
        return table

    def apply(self, batch: Batch, task: TaskContext) -> Batch | list[Batch]:
        """See Transform.apply."""
        rules = self._rules(batch.table)
        if len(rules) == 1:
            return self.change(batch, rules[0][1], task)
        batches = [batch]
        for _, options in rules:
            result = self.change(batches[0], options, task)
            batches = [result, *batches[1:]] if isinstance(result, Batch) else [*result, *batches[1:]]
            if not result:
                break
        return batches[0] if len(batches) == 1 else batches

    def _find(self, path: str) -> list[tuple[str, Any]]:
        if path in self._own:
            return self._own[path]
        is_outer = not self.options.single_tables_only and self._regex.fullmatch(path)
        return [("", self.options)] if is_outer else []


def column_problem(option: str, name: str, table: TableSchema) -> ConfigError:
    """There is no such column: names the known ones, and the nearest."""
    near = get_close_matches(name, table.names, 1)
    cure = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(table.names)}"
    return ConfigError([Problem(option, f"table {table.path} has no column {name!r}", cure)])


def need_columns(option: str, names: list[str], table: TableSchema) -> None:
    """Raises ConfigError with every name that is not a column of the table."""
    problems = [p for name in names if name not in table.names for p in column_problem(option, name, table).problems]
    if problems:
        raise ConfigError(problems)


def add_columns(table: TableSchema, new: Sequence[Column]) -> TableSchema:
    """The table with more columns at its end; one that has the name of a known column takes its place."""
    named = {column.name: column for column in new}
    kept = [named.pop(column.name, column) for column in table.columns]
    return table.with_columns([*kept, *named.values()])


def add_arrays(rows: pa.RecordBatch, new: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """The rows with more columns, in the places where `add_columns` puts them."""
    whole = {**dict(zip(rows.schema.names, rows.columns, strict=True)), **new}
    return pa.RecordBatch.from_arrays(list(whole.values()), list(whole))


def rename_columns(table: TableSchema, names: Mapping[str, str], option: str) -> TableSchema:
    """The table with columns under other names; keys follow them. Raises ConfigError when two get the same name.

    names: old → new; columns that are not in it keep their names.
    """
    new = [names.get(name, name) for name in table.names]
    if twice := sorted({name for name in new if new.count(name) > 1}):
        old = ", ".join(repr(name) for name in table.names if names.get(name, name) == twice[0])
        raise ConfigError([Problem(option, f"table {table.path}: columns {old} would all be called {twice[0]!r}")])
    key = table.primary_key
    return replace(
        table,
        columns=tuple(replace(column, name=name) for column, name in zip(table.columns, new, strict=True)),
        primary_key=PrimaryKey(key.name, tuple(names.get(name, name) for name in key.columns)) if key else None,
        constraint_keys=tuple(
            replace(k, columns=tuple((names.get(name, name), sort) for name, sort in k.columns))
            for k in table.constraint_keys
        ),
    )
