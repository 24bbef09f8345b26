"""What the transforms share: which tables of a stream they change, and with which options."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import AfterValidator, Field

from headrace.connector import Batch, Options, Problem, TableSchema, TaskContext, Transform
from headrace.errors import ConfigError
from headrace.javaregex import compile_regex
from headrace.options import read_options
from headrace.rows import Column, PrimaryKey


def _checked(pattern: str) -> str:
    compile_regex(pattern)
    return pattern


Regex = Annotated[str, AfterValidator(_checked)]
"""An option that holds one of Java's regular expressions."""


class TableOptions(Options):
    """Options of every transform: which tables it changes."""

    table_match_regex: Regex = Field(
        default=".*", description="Full paths of the tables to change; others pass as they are."
    )
    table_transform: list[dict[str, Any]] | None = Field(
        default=None, description="Other options for single tables: table_path, and any option of this transform."
    )


class TableTransform(Transform):
    """A transform that changes tables one by one.

    A subclass says `describe(table, options)` and `change(batch, options, task)`; both are called for the tables that
    match, with the options that hold for them.
    """

    Options: ClassVar[type[TableOptions]] = TableOptions

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._regex = compile_regex(options.table_match_regex)
        self._for = lru_cache(4096)(self._find)
        self._own: dict[str, Any] = {}
        problems: list[Problem] = []
        for number, values in enumerate(options.table_transform or ()):
            path = values.get("table_path", "")
            given = {**options.model_dump(by_alias=False, exclude_unset=True), **values}
            read = read_options(
                type(options), {k: v for k, v in given.items() if k not in ("table_path", "table_transform")}
            )
            problems += [p.under(f"table_transform[{number}]") for p in read.problems]
            self._own[path] = read.options
        if problems:
            raise ConfigError(problems)

    def describe(self, table: TableSchema, options: Any) -> TableSchema:
        """The table after the change. Raises ConfigError; `missing` makes one for a column that is not there."""
        raise NotImplementedError

    def change(self, batch: Batch, options: Any, task: TaskContext) -> Batch | list[Batch]:
        """The rows after the change."""
        raise NotImplementedError

    def schema(self, table: TableSchema) -> TableSchema:
        """See Transform.schema."""
        options = self._for(table.path)
        return table if options is None else self.describe(table, options)

    def apply(self, batch: Batch, task: TaskContext) -> Batch | list[Batch]:
        """See Transform.apply."""
        options = self._for(batch.table)
        return batch if options is None else self.change(batch, options, task)

    def _find(self, path: str) -> Any:
        if path in self._own:
            return self._own[path]
        return self.options if self._regex.fullmatch(path) else None


def column_problem(option: str, name: str, table: TableSchema) -> ConfigError:
    """There is no such column: names the known ones, and the nearest."""
    near = get_close_matches(name, table.names, 1)
    cure = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(table.names)}"
    return ConfigError([Problem(option, f"table {table.path} has no column {name!r}", cure)])


def need_columns(option: str, names: list[str], table: TableSchema) -> None:
    """Raises ConfigError with every name that is no column of the table."""
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
