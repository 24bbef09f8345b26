"""Writing MySQL: rows that are added are loaded, or inserted many at once; a statement for each that its key finds.

A statement of many rows is all or nothing, and its warnings are read: what would have been changed is refused. A load
that is not sure to have written every row as it is leaves nothing, and the rows are inserted (`loading`).
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connectors._jdbc.dialect import Refused
from headrace.connectors._jdbc.dialects.mysql.failures import is_of_row, reason_in, row_in, text_of
from headrace.connectors._jdbc.dialects.mysql.lines import Lines, joined, listed
from headrace.connectors._jdbc.dialects.mysql.loading import Loading
from headrace.connectors._jdbc.dialects.mysql.text import pieces
from headrace.connectors._jdbc.dialects.mysql.values import as_literals
from headrace.connectors._jdbc.statements import Action, Statements
from headrace.errors import Unavailable

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.mysql.database import Mysql

STATEMENT_BYTES = 1 << 20
"""A statement is about as long as this, or one row; longer ones are no faster."""

STATEMENTS_AT_ONCE = 500

_HARMLESS = {1287, 1592, 1681, 1105, 4095, 3719, 3778, 3170}
"""Warnings that speak of the statement: what is deprecated, or unsafe for a binary log."""

_TOO_BIG = 1153

_QUERY, _OPTION = 0x03, 0x1B


class _Warned(Exception):
    """The server has warned of what it did. args: the number, and the text."""


class Writing:
    """What one connection writes."""

    def __init__(self, database: "Mysql") -> None:
        self._database = database
        self._known: dict[tuple[str, ...], Table] = {}
        self.loading = Loading(database)
        self._packet = 0
        self._knows_rows: bool | None = None

    def forget(self) -> None:
        """A transaction begins."""

    def write(self, action: Action, of: Statements, rows: pa.RecordBatch) -> Refused:
        """See Database.write."""
        if not rows.num_rows:
            return []
        table = self._table(of)
        if action is Action.UPSERT and table.has_other_keys(of):
            return self._by_key_alone(of, rows)
        if action in (Action.INSERT, Action.UPSERT):
            return sorted(self._many(action, of, table, rows))
        return sorted(self._one_by_one(action, of, table, rows))

    def add(self, of: Statements, rows: pa.RecordBatch) -> bool:
        """See Database.add."""
        return self.loading.load(of, self._table(of), rows, self._most())

    def _by_key_alone(self, of: Statements, rows: pa.RecordBatch) -> Refused:
        """ON DUPLICATE KEY UPDATE would change a row that is the same in another unique index: never the right one."""
        refused = dict(self.write(Action.UPDATE, of, rows) if of.others else [])
        left = [number for number in range(rows.num_rows) if number not in refused]
        found = self.write(Action.INSERT_MISSING, of, rows.take(pa.array(left, pa.int64())))
        return sorted([*refused.items(), *((left[number], reason) for number, reason in found)])

    def _table(self, of: Statements) -> "Table":
        if of.table not in self._known:
            self._known[of.table] = Table(self._database, of)
        return self._known[of.table]

    def _literals(self, of: Statements, table: "Table", rows: pa.RecordBatch) -> dict[str, pa.Array]:
        zone = self._database.settings.zone
        return {
            name: as_literals(rows.column(name), table.declared.get(of.columns.get(name, name).lower(), ""), zone)
            for name in rows.schema.names
        }

    # ----------------------------------------------------------------------------------------------- many at once

    def _many(self, action: Action, of: Statements, table: "Table", rows: pa.RecordBatch) -> Iterator[tuple[int, str]]:
        """`INSERT … VALUES (…), (…)`, of about a mebibyte each."""
        database, values = self._database, self._literals(of, table, rows)
        columns = database.dialect.columns(of)
        begin = f"INSERT INTO {database.dialect.quoted(of.table)} ({', '.join(columns.values())}) VALUES ".encode()
        end = f" {database.dialect.on_conflict(of)}".encode() if action is Action.UPSERT else b""
        inner = listed([values[name] for name in columns], b",", "NULL")
        most = STATEMENT_BYTES if table.is_atomic else 0
        batch = Lines(joined([b"(", inner, b"),"], rows.num_rows))

        def run(low: int, high: int) -> int:
            return self._run([begin, batch.between(low, high)[:-1], end])  # without the comma at the end

        for low, high in batch.parts(most):
            yield from self._attempted(table, run, low, high)

    def _run(self, parts: Sequence[Any]) -> int:
        """Run one statement; gives back how many warnings there are."""
        statement = b"".join(parts)
        connection = self._database.connection
        if len(statement) >= self._most():
            raise _Warned(_TOO_BIG, f"the row takes {len(statement)} bytes, and max_allowed_packet is {self._most()}")
        connection._execute_command(_QUERY, statement)
        return int(_answer(connection._read_packet()))

    def _most(self) -> int:
        if not self._packet:
            [(self._packet,)] = self._database.execute("SELECT @@max_allowed_packet")
        return self._packet

    def _attempted(
        self, table: "Table", run: Callable[[int, int], int], start: int, end: int
    ) -> Iterator[tuple[int, str]]:
        """Run the rows; where one is refused, those before it are run, then those behind it."""
        waiting = [(start, end)]
        while waiting:
            low, high = waiting.pop()
            if low >= high:
                continue
            found = self._attempt(table, run, low, high)
            if found is None:
                continue
            row, reason = found
            if row is None and high - low > 1:
                middle = (low + high) // 2
                waiting += [(middle, high), (low, middle)]
                continue
            bad = low if row is None else row
            yield bad, reason
            waiting += [(bad + 1, high), (low, bad)]

    def _attempt(
        self, table: "Table", run: Callable[[int, int], int], low: int, high: int
    ) -> tuple[int | None, str] | None:
        """Run rows; None when all are in, else the row at fault, None unknown, and why: then nothing of them is."""
        database = self._database
        with database.translated():
            if table.is_atomic:
                database.connection.query("SAVEPOINT headrace")
            try:
                warned = self._warning() if run(low, high) else None
                if warned is None:
                    return None
                number, text = warned.args
            except database.driver.Error as error:
                if not is_of_row(error):
                    raise
                number, text = self._row(), text_of(error)
            except _Warned as error:
                number, text = None, error.args[1]
            if table.is_atomic:
                database.connection.query("ROLLBACK TO SAVEPOINT headrace")
        row = row_in(text) or number
        place = low + row - 1 if row and low + row - 1 < high else None
        return place, reason_in(text)

    def _row(self) -> int | None:
        """The row of the statement that the last error is about, where the server tells: MariaDB 10.7 and later."""
        if self._knows_rows is None:
            version = self._database.connection.get_server_info()
            plain = version.removeprefix("5.5.5-").split("-")[0].split(".")
            self._knows_rows = "MariaDB" in version and [int(part) for part in plain[:2]] >= [10, 7]
        if not self._knows_rows:
            return None
        self._database.connection.query("GET DIAGNOSTICS CONDITION 1 @headrace_row = ROW_NUMBER")
        [(row,)] = self._database.execute("SELECT @headrace_row")
        return int(row) if row else None

    def _warning(self) -> _Warned | None:
        """The first warning that is about values."""
        with self._database.connection.cursor() as cursor:
            cursor.execute("SHOW WARNINGS")
            for _, code, text in cursor.fetchall():
                if code not in _HARMLESS:
                    return _Warned(None, text)
        return None

    # ------------------------------------------------------------------------------------------- a statement a row

    def _one_by_one(
        self, action: Action, of: Statements, table: "Table", rows: pa.RecordBatch
    ) -> Iterator[tuple[int, str]]:
        """The statements of many rows go to the server together, and stop at the first that is refused."""
        sql, names = self._database.dialect.sql(action, of)
        values, parts = self._literals(of, table, rows), [part.encode() for part in pieces(sql)]
        if len(parts) != len(names) + 1:
            raise Unavailable(f"the statement has {len(parts) - 1} `?` for {len(names)} values")
        columns = [pc.fill_null(values[name], b"NULL") for name in names]
        lines = joined(
            [part for pair in itertools.zip_longest(parts, columns) for part in pair if part is not None], rows.num_rows
        ).to_pylist()
        at = 0
        while at < len(lines):
            chunk = lines[at : at + STATEMENTS_AT_ONCE]
            done, reason = self._together(table, chunk)
            if reason is not None:
                yield at + done, reason
                done += 1
            at += done

    def _together(self, table: "Table", lines: Sequence[bytes]) -> tuple[int, str | None]:
        """How many of the statements were done before one was refused, and why."""
        done, reason, warned = self._sent(table, lines)
        if not warned:
            return done, reason
        for number, line in enumerate(lines[:done]):  # some row was changed: look at each
            found = self._attempt(table, lambda low, high, line=line: self._run([line]), 0, 1)  # type: ignore[misc]
            if found is not None:
                return number, found[1]
        return done, reason

    def _sent(self, table: "Table", lines: Sequence[bytes]) -> tuple[int, str | None, bool]:
        """Send statements as one; gives back also whether there were warnings, after which nothing of them is left."""
        database, connection = self._database, self._database.connection
        chosen, size = list[bytes](), 0
        for line in lines:
            if chosen and size + len(line) > min(STATEMENT_BYTES, self._most() - 1024):
                break
            chosen.append(line)
            size += len(line) + 1
        if size >= self._most():
            return 0, f"the row takes {size} bytes, and max_allowed_packet is {self._most()}", False
        done, warned, reason = 0, False, None
        with database.translated():
            if table.is_atomic:
                connection.query("SAVEPOINT headrace_rows")
            self._several(True)
            try:
                connection._execute_command(_QUERY, b";".join(chosen))
                for _ in chosen:
                    packet = connection._read_packet()
                    warned = bool(_answer(packet)) or warned
                    done += 1
            except database.driver.Error as error:
                if not is_of_row(error):
                    raise
                reason = text_of(error)
            self._several(False)
            if warned and table.is_atomic:
                connection.query("ROLLBACK TO SAVEPOINT headrace_rows")
        return done, None if reason is None else reason_in(reason), warned and table.is_atomic

    def _several(self, on: bool) -> None:
        """Let the connection take several statements at once, for our own only."""
        connection = self._database.connection
        connection._execute_command(_OPTION, b"\0\0" if on else b"\1\0")
        connection._read_packet()


def _answer(packet: Any) -> int:
    """The number of warnings in the answer to a statement that gives no rows."""
    from pymysql.protocol import OKPacketWrapper

    return int(OKPacketWrapper(packet).warning_count)


class Table:
    """What is known of a target. declared: its columns' types, by their names in small letters.

    never_null: columns that hold no null, in small letters. loads: whether rows can be loaded.
    """

    def __init__(self, database: "Mysql", of: Statements) -> None:
        self.declared: dict[str, str] = {}
        self.is_atomic = True
        self.never_null = frozenset[str]()
        self.loads = False
        self._indexes: list[set[str]] = []
        if of.table:
            found = database.table(of.table)
            columns = found.columns if found else ()
            self.declared = {c.name.lower(): c.source_type or "" for c in columns}
            self.never_null = frozenset(c.name.lower() for c in columns if not c.nullable)
            self.is_atomic = not database.not_atomic(of.table)
            self.loads = database.catalog.loads(of.table, [name.lower() for name in of.columns.values()])
            self._indexes = database.catalog.unique_indexes(of.table)

    def has_other_keys(self, of: Statements) -> bool:
        """Whether there is a unique index beside that of the key."""
        key = {of.columns[name].lower() for name in of.key}
        return any(index != key for index in self._indexes)
