"""Writing DuckDB: a batch is one statement over Arrow, and what it would refuse is found beforehand.

DuckDB has no savepoints: an error undoes the whole transaction. The first one is taken as it comes (`Undone`), so that
good rows cost no questions; from then on each batch is asked for what the constraints of the table refuse.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headrace.connectors._jdbc.dialect import Refused, Undone
from headrace.connectors._jdbc.dialects.duckdb.types import storable
from headrace.connectors._jdbc.statements import Action, Statements

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.duckdb.database import Duckdb

_ROWS, _NUMBER = "headrace_rows", "headrace_n"
"""What a statement calls the rows of a batch, and the number of each."""

_INTEGERS = ("TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT")
_NUMBERS = (*_INTEGERS, "UHUGEINT", "DECIMAL")


def literal(text: Any) -> str:
    """A text as SQL."""
    return "'" + str(text).replace("'", "''") + "'"


class Writing:
    """What one user of a file writes."""

    def __init__(self, database: "Duckdb") -> None:
        self._database = database
        self._asks = False

    def write(self, action: Action, of: Statements, rows: pa.RecordBatch) -> Refused:
        """See Database.write. Raises Undone."""
        if not rows.num_rows:
            return []
        if action is Action.QUERY:
            self._query(of, rows)
            return []
        work = _Batch(self._database, action, of, rows)
        refused = dict(work.changed())
        if self._asks:
            refused |= work.refused(refused)
        try:
            work.run(sorted(refused))
        except self._database.driver.Error as error:
            with self._database.translated():
                if self._asks or not self._database.is_of_row(error):
                    raise
            self._asks = True
            raise Undone from error
        finally:
            work.end()
        return sorted(refused.items())

    def _query(self, of: Statements, rows: pa.RecordBatch) -> None:
        """The user's statement for each row."""
        values = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        with self._database.translated():
            self._database.connection.executemany(of.query, values)


class _Batch:
    """Rows that one action is done with; DuckDB sees them as a table until `end`."""

    def __init__(self, database: "Duckdb", action: Action, of: Statements, rows: pa.RecordBatch) -> None:
        self._database, self._action, self._of = database, action, of
        self._quote, self._connection = database.dialect.quote, database.connection
        names = database.dialect.columns(of)
        if action is Action.DELETE:
            names = {name: names[name] for name in of.key}
        self._columns = names
        self._rows = pa.RecordBatch.from_arrays(
            [*(storable(rows.column(name)) for name in names), pa.array(np.arange(rows.num_rows), pa.int64())],
            [*(f"c{i}" for i in range(len(names))), _NUMBER],
        )
        self._connection.register(_ROWS, self._rows)
        given = self._connection.sql(f"SELECT * FROM {_ROWS} LIMIT 0")
        self._given = dict(zip(names, map(str, given.types), strict=False))
        self._target = database.dialect.quoted(of.table)
        there = self._connection.sql(f"SELECT * FROM {self._target} LIMIT 0")
        types = {name.lower(): str(dtype) for name, dtype in zip(there.columns, there.types, strict=True)}
        self._declared = {name: types.get(of.columns[name].lower(), self._given[name]) for name in names}

    def end(self) -> None:
        """Let go of the rows; an error has ended the transaction, and what it knew of them."""
        with contextlib.suppress(self._database.driver.Error):
            self._connection.unregister(_ROWS)

    # ------------------------------------------------------------------------------------------------- refusing

    def changed(self) -> Iterator[tuple[int, str]]:
        """Rows with a value that its column would not take, or would round or cut."""
        for name in self._columns:
            target = self._of.columns[name]
            given, declared = self._given[name], self._declared[name]
            condition = _changes(f"c{self._place(name)}", given, declared)
            if condition:
                reason = f"column {target}: a value of type {given} does not fit {declared} as it is"
                yield from self._found(condition, reason)

    def _place(self, name: str) -> int:
        return list(self._columns).index(name)

    def refused(self, known: Mapping[int, str]) -> dict[int, str]:
        """Rows that the constraints of the table refuse, beside the known ones, with the reason."""
        found = dict(known)
        for condition, reason in self._constraints():
            found |= dict(self._found(condition, reason, found))
        return found

    def _found(self, condition: str, reason: str, known: Mapping[int, str] | None = None) -> Iterator[tuple[int, str]]:
        left = f"(SELECT * FROM ({self._as_target()}) WHERE {_NUMBER} NOT IN ({', '.join(map(str, known or ()))}))"
        place = left if known else f"({self._as_target()})"
        with self._database.translated():
            rows = self._connection.execute(f"SELECT {_NUMBER} FROM {place} r WHERE {condition}").fetchall()
        yield from ((row, reason) for (row,) in rows)

    def _as_target(self) -> str:
        """The rows with the columns of the target beside their own, as far as they can be cast."""
        listed = ", ".join(
            f"TRY_CAST(c{i} AS {self._declared[name]}) AS {column}"
            for i, (name, column) in enumerate(self._columns.items())
        )
        return f"SELECT *, {listed} FROM {_ROWS}"

    def _constraints(self) -> Iterator[tuple[str, str]]:
        """What is true of rows that a constraint refuses, and the reason. Constraints of other columns are left."""
        known = {self._of.columns[name].lower() for name in self._columns}
        writes = self._action in (Action.INSERT, Action.UPSERT, Action.INSERT_MISSING)
        key = {self._of.columns[name].lower() for name in self._of.key}
        for kind, expression, names, other, others in self._declared_constraints():
            columns = [f"r.{self._quote(name)}" for name in names]
            if not {name.lower() for name in names} <= known:
                continue
            shown = ", ".join(names)
            if kind == "NOT NULL":
                yield f"{columns[0]} IS NULL", f"NOT NULL constraint failed: column {shown}"
            elif kind == "CHECK":
                yield f"NOT ({expression})", f"CHECK constraint failed: {expression}"
            elif kind == "FOREIGN KEY":
                pairs = zip((self._quote(name) for name in others), columns, strict=True)
                same = " AND ".join(f"o.{a} = {b}" for a, b in pairs)
                filled = " AND ".join(f"{column} IS NOT NULL" for column in columns)
                there = f"EXISTS (SELECT 1 FROM {self._quote(self._of.table[0])}.{self._quote(other)} o WHERE {same})"
                yield f"{filled} AND NOT {there}", f"foreign key constraint failed: no such {shown} in {other}"
            elif writes and (self._action is Action.INSERT or {name.lower() for name in names} != key):
                yield self._duplicate(names, columns, key), f"duplicate key: {shown} is there already"

    def _duplicate(self, names: Sequence[str], columns: Sequence[str], key: set[str]) -> str:
        """True of rows whose unique columns another row of the target, or one before it in the batch, has."""
        same = " AND ".join(f"t.{self._quote(name)} = {column}" for name, column in zip(names, columns, strict=True))
        filled = " AND ".join(f"{column} IS NOT NULL" for column in columns)
        if self._action is not Action.INSERT:  # the row that is updated may keep what it has
            is_itself = " AND ".join(f"t.{self._quote(n)} IS NOT DISTINCT FROM r.{self._quote(n)}" for n in sorted(key))
            same = f"{same} AND NOT ({is_itself})"
        listed = ", ".join(columns)
        times = f"row_number() OVER (PARTITION BY {listed} ORDER BY {_NUMBER})"
        before = f"SELECT {_NUMBER} n, {times} p FROM ({self._as_target()}) r WHERE {filled}"
        again = f"{_NUMBER} IN (SELECT n FROM ({before}) WHERE p > 1)"
        return f"{filled} AND (EXISTS (SELECT 1 FROM {self._target} t WHERE {same}) OR {again})"

    def _declared_constraints(self) -> Iterator[tuple[str, str, Sequence[str], str, Sequence[str]]]:
        """Kind, expression, columns, and for a foreign key the other table and its columns; NOT NULL first."""
        schema, table = self._of.table
        rows = self._connection.execute(
            "SELECT constraint_type, expression, constraint_column_names, referenced_table, referenced_column_names "
            "FROM duckdb_constraints() WHERE database_name = current_database() AND lower(schema_name) = lower(?) "
            "AND lower(table_name) = lower(?) ORDER BY constraint_type IN ('PRIMARY KEY', 'UNIQUE'), constraint_index",
            [schema, table],
        ).fetchall()
        yield from rows
        found = self._database.table(self._of.table)
        declared = {tuple(row[2]) for row in rows}
        for index in found.constraint_keys if found is not None else ():
            names = tuple(name for name, _ in index.columns)
            if names not in declared:
                yield "UNIQUE", "", names, "", ()

    # --------------------------------------------------------------------------------------------------- writing

    def run(self, without: Sequence[int]) -> None:
        """The statement, for all rows but those. Raises the library's errors."""
        if len(without) == self._rows.num_rows:
            return
        if without:
            kept = np.ones(self._rows.num_rows, bool)
            kept[list(without)] = False
            self._connection.register(_ROWS, self._rows.filter(pa.array(kept)))
        self._connection.execute(self._statement())

    def _statement(self) -> str:
        columns, of, target = self._columns, self._of, self._target
        listed = ", ".join(columns.values())
        value = {name: self._cast(name) for name in columns}
        values = ", ".join(value.values())
        same = " AND ".join(f"t.{columns[name]} = {value[name]}" for name in of.key if name in columns)
        by_number = f"FROM {_ROWS} s ORDER BY {_NUMBER}"

        def update() -> str:
            changes = ", ".join(f"{columns[name]} = {value[name]}" for name in of.others)
            keys = ", ".join(f"c{self._place(name)}" for name in of.key)
            last = f"SELECT DISTINCT ON ({keys}) * FROM {_ROWS} ORDER BY {keys}, {_NUMBER} DESC"
            return f"UPDATE {target} t SET {changes} FROM ({last}) s WHERE {same}"

        statements: dict[Action, Callable[[], str]] = {
            Action.INSERT: lambda: f"INSERT INTO {target} ({listed}) SELECT {values} {by_number}",
            Action.UPSERT: lambda: (
                f"INSERT INTO {target} ({listed}) SELECT {values} {by_number} {self._database.dialect.on_conflict(of)}"
            ),
            Action.INSERT_MISSING: lambda: (
                f"INSERT INTO {target} ({listed}) SELECT {values} FROM {_ROWS} s "
                f"WHERE NOT EXISTS (SELECT 1 FROM {target} t WHERE {same}) ORDER BY {_NUMBER}"
            ),
            Action.UPDATE: update,
            Action.DELETE: lambda: f"DELETE FROM {target} t USING {_ROWS} s WHERE {same}",
        }
        return statements[self._action]()

    def _cast(self, name: str) -> str:
        place = f"s.c{self._place(name)}"
        return place if self._given[name] == self._declared[name] else f"CAST({place} AS {self._declared[name]})"


def _changes(column: str, given: str, declared: str) -> str:
    """True of values that a column declared so does not take as they are; empty where it takes them all."""
    if given == declared or given == '"NULL"' or _holds(given, declared):
        return ""
    cast = f"TRY_CAST({column} AS {declared})"
    no_cast = f"{cast} IS NULL"
    if given == "VARCHAR":
        number = declared.partition("(")[0]
        rounded = f"TRY_CAST({column} AS DOUBLE) IS DISTINCT FROM CAST({cast} AS DOUBLE)"
        no_cast += f" OR {rounded}" if number in _NUMBERS else ""
    elif (given, declared) != ("DOUBLE", "FLOAT"):
        no_cast += f" OR TRY_CAST({cast} AS {given}) IS DISTINCT FROM {column}"
    return f"{column} IS NOT NULL AND ({no_cast})"


def _holds(given: str, declared: str) -> bool:
    """Whether every value has one of the declared type."""
    if declared in _INTEGERS and given in _INTEGERS:
        low, high = _INTEGERS.index(given), _INTEGERS.index(declared)
        return high > low and (given.startswith("U") or not declared.startswith("U"))
    return declared == "VARCHAR" or (given, declared) in (("FLOAT", "DOUBLE"), ("DATE", "TIMESTAMP"))
