"""Writing PostgreSQL: rows go in by COPY, straight into the table or into a temporary one that a statement applies.

CSV is the form of the COPY: Arrow writes it as fast as anything, and PostgreSQL reads every one of its types from text.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from headrace.connectors._jdbc.dialect import Refused
from headrace.connectors._jdbc.dialects.postgresql.encoded import BEGIN, END, CopiedRows
from headrace.connectors._jdbc.dialects.postgresql.failures import is_of_row, is_of_statement, line_of, reason_of
from headrace.connectors._jdbc.dialects.postgresql.text import with_places
from headrace.connectors._jdbc.dialects.postgresql.values import as_text
from headrace.connectors._jdbc.statements import Action, Mode, Statements
from headrace.rows import Batch, EncodedBatch

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.postgresql.database import Postgresql

CHUNK_ROWS = 8192
"""Rows that become texts at once."""

_NUMBER = "headrace_n"
"""The column of a temporary table that says which of the rows given a row is."""

_CSV = pv.WriteOptions(include_header=False)


class Writing:
    """What one connection writes; temporary tables last as long as its transaction."""

    def __init__(self, database: "Postgresql") -> None:
        self._database = database
        self._staged: dict[tuple[str, ...], str] = {}
        self._declared: dict[tuple[str, ...], dict[str, str]] = {}

    def forget(self) -> None:
        """A transaction begins: the temporary tables of the last one are gone."""
        self._staged.clear()

    def write(self, action: Action, of: Statements, rows: pa.RecordBatch) -> Refused:
        """See Database.write."""
        if not rows.num_rows:
            return []
        if action is Action.QUERY:
            return self._query(of, rows)
        columns = self._database.dialect.columns(of)
        if action is Action.INSERT:
            target = self._database.dialect.quoted(of.table)
            return self._copied(of, target, columns, rows)
        names = list(of.key) if action is Action.DELETE else list(columns)
        return self._staged_rows(action, of, {name: columns[name] for name in names}, rows.select(names))

    def add(self, of: Statements, batch: Batch) -> bool:
        """See Database.add. Rows that need no key are copied by `write`, which finds those that are refused."""
        columns = self._database.dialect.columns(of)
        target = self._database.dialect.quoted(of.table)
        if isinstance(batch, EncodedBatch):
            came = cast("CopiedRows", batch.encoded)
            return self._tried(lambda: self._pass_on(target, columns, came))
        if of.mode is not Mode.UPSERT:
            return False
        texts = self._texts(of, batch.rows)
        return self._tried(lambda: self._copy(target, columns, texts))

    def _tried(self, work: Callable[[], None]) -> bool:
        """Do it within a savepoint; False when the table does not take a row, or no COPY: then nothing is left."""
        database = self._database
        database.execute("SAVEPOINT headrace")
        try:
            with database.translated():
                try:
                    work()
                except database.driver.Error as error:
                    if not (is_of_row(error) or is_of_statement(error)):
                        raise
                    database.execute("ROLLBACK TO SAVEPOINT headrace")
                    return False
        finally:
            database.release("headrace")
        return True

    def _pass_on(self, target: str, columns: dict[str, str], rows: "CopiedRows") -> None:
        """COPY rows as another COPY gave them."""
        statement = f"COPY {target} ({', '.join(columns.values())}) FROM STDIN (FORMAT binary)".encode()
        with self._database.connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(BEGIN)
            copy.write(rows.data)
            copy.write(END)

    # ------------------------------------------------------------------------------------------------------ COPY

    def _copied(self, of: Statements, target: str, columns: dict[str, str], rows: pa.RecordBatch) -> Refused:
        """COPY rows; the rows before one that is refused are copied again without it."""
        refused: Refused = []
        texts, start = self._texts(of, rows), 0

        def work(low: int, high: int) -> None:
            self._copy(target, columns, texts.slice(low, high - low))

        while start < texts.num_rows:
            failure = self._attempt(work, start, texts.num_rows)
            if failure is None:
                break
            bad = self._row_of(failure, texts.slice(start))
            if bad is None:
                refused += self._halved(start, texts.num_rows, work, failure)
                break
            if bad:
                refused += self._halved(start, start + bad, work)
            refused.append((start + bad, reason_of(failure)))
            start += bad + 1
        return refused

    def _copy(self, target: str, columns: dict[str, str], texts: pa.RecordBatch) -> None:
        listed = ", ".join(columns.values())
        statement = f"COPY {target} ({listed}) FROM STDIN (FORMAT csv)".encode()
        with self._database.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for at in range(0, texts.num_rows, CHUNK_ROWS):
                sink = pa.BufferOutputStream()
                pv.write_csv(texts.slice(at, CHUNK_ROWS), sink, _CSV)
                copy.write(memoryview(sink.getvalue()))

    def _texts(self, of: Statements, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The columns as texts that PostgreSQL reads, or as numbers that Arrow writes so."""
        declared = self._types(of)
        columns = [as_text(rows.column(n), declared.get(of.columns.get(n, n), "")) for n in rows.schema.names]
        return pa.RecordBatch.from_arrays(columns, rows.schema.names)

    def _types(self, of: Statements) -> dict[str, str]:
        """The declared types of the target's columns."""
        if of.table not in self._declared:
            found = self._database.table(of.table)
            columns = found.columns if found is not None else ()
            self._declared[of.table] = {column.name: column.source_type or "" for column in columns}
        return self._declared[of.table]

    @staticmethod
    def _row_of(failure: Any, texts: pa.RecordBatch) -> int | None:
        """The row at fault; a line of the COPY is one of the text, and a value may have several."""
        line = line_of(failure)
        if line is None:
            return None
        breaks = np.zeros(texts.num_rows, np.int64)
        for column in texts.columns:
            if pa.types.is_string(column.type):
                found = pc.fill_null(pc.count_substring(column, "\n"), 0)
                breaks += found.to_numpy(zero_copy_only=False)
        last = np.cumsum(breaks + 1)  # the line on which each row ends
        row = int(np.searchsorted(last, line))
        return row if row < texts.num_rows else None

    # ---------------------------------------------------------------------------------------------------- attempts

    def _attempt(self, work: Callable[[int, int], None], low: int, high: int) -> Any:
        """Do it within a savepoint; gives back the error of a row, after which nothing of it is left."""
        self._database.execute("SAVEPOINT headrace")
        try:
            with self._database.translated():
                try:
                    work(low, high)
                except self._database.driver.Error as error:
                    if not is_of_row(error):
                        raise
                    self._database.execute("ROLLBACK TO SAVEPOINT headrace")
                    return error
        finally:
            self._database.release("headrace")
        return None

    def _halved(
        self, start: int, end: int, work: Callable[[int, int], None], failure: Any = None
    ) -> Iterator[tuple[int, str]]:
        """Do it with ever smaller parts, until the bad rows are alone. failure: of all of them; None: not tried yet."""
        waiting = [(start, end, failure)]
        while waiting:
            low, high, failed = waiting.pop()
            if failed is None:
                failed = self._attempt(work, low, high)
            if failed is None:
                continue
            if high - low == 1:
                yield low, reason_of(failed)
            else:
                middle = (low + high) // 2
                waiting += [(middle, high, None), (low, middle, None)]

    # ------------------------------------------------------------------------------------------- temporary tables

    def _staged_rows(self, action: Action, of: Statements, columns: dict[str, str], rows: pa.RecordBatch) -> Refused:
        """COPY rows into a temporary table, then apply it; each row has its number there."""
        temporary = self._temporary(of)
        numbered = rows.append_column(_NUMBER, pa.array(np.arange(rows.num_rows), pa.int64()))
        refused = list(self._copied(of, temporary, {**columns, _NUMBER: _NUMBER}, numbered))
        sql = self._applying(action, of, columns, temporary)

        def work(low: int, high: int) -> None:
            self._database.connection.execute(sql.format(low=low, high=high))

        refused += self._halved(0, rows.num_rows, work)
        self._database.execute(f"TRUNCATE {temporary}")
        return sorted(refused)

    def _temporary(self, of: Statements) -> str:
        """Without the constraints of the target but with its types, so that COPY finds what does not fit them."""
        if of.table not in self._staged:
            name = f"headrace_rows_{len(self._staged)}"
            listed = ", ".join(self._database.dialect.columns(of).values())
            target = self._database.dialect.quoted(of.table)
            self._database.execute(
                f"CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT {listed}, 0::bigint AS {_NUMBER} FROM {target} "
                "WITH NO DATA"
            )
            self._staged[of.table] = f"pg_temp.{name}"
        return self._staged[of.table]

    def _applying(self, action: Action, of: Statements, columns: dict[str, str], temporary: str) -> str:
        """The statement that applies the rows from `{low}` to below `{high}`. A key's last row decides."""
        dialect = self._database.dialect
        target, listed = dialect.quoted(of.table), ", ".join(columns.values())
        key = [columns[name] for name in of.key]
        same = " AND ".join(f"t.{column} = s.{column}" for column in key)
        rows = f"{temporary} s WHERE {_NUMBER} >= {{low}} AND {_NUMBER} < {{high}}"
        from_rows = ", ".join(f"s.{column}" for column in columns.values())
        sql = {
            Action.UPSERT: lambda: (
                f"INSERT INTO {target} ({listed}) SELECT {from_rows} FROM {rows} ORDER BY {_NUMBER} "
                f"{dialect.on_conflict(of)}"
            ),
            Action.INSERT_MISSING: lambda: (
                f"INSERT INTO {target} ({listed}) SELECT {from_rows} FROM {rows} "
                f"AND NOT EXISTS (SELECT 1 FROM {target} t WHERE {same}) ORDER BY {_NUMBER}"
            ),
            Action.UPDATE: lambda: (
                f"UPDATE {target} t SET {', '.join(f'{columns[n]} = s.{columns[n]}' for n in of.others)} "
                f"FROM (SELECT DISTINCT ON ({', '.join(key)}) * FROM {rows} "
                f"ORDER BY {', '.join(key)}, {_NUMBER} DESC) s WHERE {same}"
            ),
            Action.DELETE: lambda: f"DELETE FROM {target} t USING {rows} AND {same}",
        }[action]()
        return sql.replace("{", "{{").replace("}", "}}").replace("{{low}}", "{low}").replace("{{high}}", "{high}")

    # -------------------------------------------------------------------------------------------- a query of one's own

    def _query(self, of: Statements, rows: pa.RecordBatch) -> Refused:
        """The user's statement for each row."""
        sql = with_places(of.query)[0]
        values = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))

        def work(low: int, high: int) -> None:
            with self._database.connection.cursor() as cursor:
                cursor.executemany(sql, values[low:high])

        return list(self._halved(0, rows.num_rows, work))
