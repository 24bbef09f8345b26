"""SQLite: opening its files, waiting for their locks, what tables they hold, and what its errors mean.

The library is Python's own, though ADBC reads four times and writes up to two and a half times as fast: a second copy
of SQLite in one process breaks the locks of the first when it closes a file (sqlite.org/howtocorrupt, 2.2.1), and a
program that calls `headrace.run` may well have the same file open.
"""

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import length_hint
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from headrace.connector import Position, Read, TaskContext
from headrace.connectors._jdbc.dialect import Database, Dialect, Entry, Name, Part, Refused, Splitting
from headrace.connectors._jdbc.dialects.sqlite import reading
from headrace.connectors._jdbc.dialects.sqlite.read_back import SqliteReadBack, unverified
from headrace.connectors._jdbc.dialects.sqlite.types import storable, type_of
from headrace.connectors._jdbc.positions import EPOCHS, POSITIONS
from headrace.connectors._jdbc.statements import Action, Statements
from headrace.errors import Rejected, Unavailable
from headrace.memory import show_size
from headrace.rows import Column, ConstraintKey, PrimaryKey, TableSchema

CACHE_KIB = 64 * 1024
"""Of the pages of a file, so that inserts into the middle of an index seldom wait for the disk (1.8 times as fast)."""

BEGIN_MS = 1000
"""How long one attempt to get the write lock waits before it looks whether others are making progress."""

SAMPLE_ROWS = 1000
"""Rows that tell the type of a column that declares none."""

CHUNK_ROWS = 4096
"""Rows that become objects at once."""

_NAMES: dict[str, range | tuple[str, ...]] = {
    "busy_timeout": range(1, 86_400_001),
    "cache_size": range(-(1 << 30), 1 << 30),
    "foreign_keys": ("on", "off", "true", "false", "1", "0"),
    "journal_mode": ("delete", "truncate", "persist", "wal"),
    "synchronous": ("normal", "full", "extra"),
}
"""The parameters a URL may have, and their values. None that loads code, names other files or gives up durability."""

Fetch = Callable[[int], list[tuple[Any, ...]]]
"""Gives at most so many more rows of a query; none at the end."""

_BAD_ROW = {"SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_RANGE"}
_UNFINISHED = {"SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY"}
"""A program died while it wrote: the next connection that may write undoes what it has not committed."""

_AWAY = {"SQLITE_IOERR", "SQLITE_FULL", "SQLITE_PROTOCOL", "SQLITE_NOMEM", "SQLITE_INTERRUPT"}


@dataclass(frozen=True)
class SqliteSettings:
    """How to open a file. patience: seconds to wait for a lock."""

    path: str
    patience: float = 30.0
    pragmas: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The file."""
        return self.path

    def exists(self) -> bool:
        """Whether the file is there."""
        return os.path.exists(self.path)

    @classmethod
    def of(cls, path: str, parameters: Mapping[str, str], patience: float) -> "SqliteSettings":
        """The settings of a URL's parts. Raises ValueError with all that is wrong."""
        wrong, pragmas = [], {}
        if not path or path.startswith(":"):
            wrong.append(f"{path or 'an empty name'!r} is not a file; a database in memory ends with its connection")
        for name, value in parameters.items():
            allowed = _NAMES.get(name.lower())
            if allowed is None:
                wrong.append(f"parameter {name!r} is not allowed; possible: {', '.join(_NAMES)}")
            elif not _fits(value, allowed):
                wrong.append(f"parameter {name} cannot be {value!r}")
            else:
                pragmas[name.lower()] = value
        if wrong:
            raise ValueError(f"url: {'; '.join(wrong)}")
        if "busy_timeout" in pragmas:
            patience = int(pragmas.pop("busy_timeout")) / 1000
        return cls(path, patience, pragmas)


def _fits(value: str, allowed: range | tuple[str, ...]) -> bool:
    if isinstance(allowed, range):
        return value.removeprefix("-").isdecimal() and int(value) in allowed
    return value.lower() in allowed


class Sqlite(Database):
    """One connection, for one thread. Raises Unavailable, Rejected.

    memory: what the task may take that it is for; of that, an eighth is for the pages of the file, and a value that is
    read may have a sixth, since it is there up to three times.
    """

    def __init__(
        self, dialect: Dialect, settings: SqliteSettings, *, read_only: bool, memory: int | None = None
    ) -> None:
        self.dialect, self.shown = dialect, settings.shown
        self._settings, self.path, self._memory = settings, settings.path, memory
        path = f"/{os.path.abspath(settings.path).lstrip('/')}"  # after two slashes a URL has its host
        mode = "ro" if read_only else "rwc"
        if read_only and not os.path.exists(path):
            raise Rejected(f"cannot open {self.path}: there is no such file; check the url")
        if not os.path.isdir(os.path.dirname(path)):
            raise Rejected(f"cannot open {self.path}: its directory does not exist; create it, or check the url")
        with self._translated():
            try:
                self._connection = self._connect(path, mode)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname not in _UNFINISHED:
                    raise
                self._connect(path, "rw").close()
                self._connection = self._connect(path, mode)

    def _connect(self, path: str, mode: str) -> sqlite3.Connection:
        patience = self._settings.patience
        connection = sqlite3.connect(
            f"file:{quote(path)}?mode={mode}", uri=True, timeout=patience, isolation_level=None, check_same_thread=False
        )
        try:
            connection.set_authorizer(_only_this_file)
            cache = CACHE_KIB if self._memory is None else min(CACHE_KIB, self._memory // 8 // 1024)
            connection.execute(f"PRAGMA cache_size = -{cache}")
            if self._memory is not None and mode == "ro":
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self._memory // 6)
            for name, value in self._settings.pragmas.items():
                connection.execute(f"PRAGMA {name} = {value}").fetchall()
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Roll back what is not committed."""
        self._connection.close()

    # ------------------------------------------------------------------------------------------- transactions

    def begin(self) -> None:
        """Take the write lock. Waits as long as others commit now and then, else as long as the settings say."""
        seen, deadline = -1, time.monotonic() + self._settings.patience
        self._connection.execute(f"PRAGMA busy_timeout = {min(BEGIN_MS, int(self._settings.patience * 1000))}")
        try:
            while True:
                try:
                    self._connection.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                        raise
                    version = self._version()
                    if seen != -1 and version not in (seen, -1):
                        deadline = time.monotonic() + self._settings.patience
                    seen = seen if version == -1 else version
                    if time.monotonic() >= deadline:
                        raise
        except sqlite3.Error as error:
            raise self._meaning(error) from error
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {int(self._settings.patience * 1000)}")

    def _version(self) -> int:
        """A number that changes when another connection commits; -1 where even that is locked."""
        with contextlib.suppress(sqlite3.OperationalError):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        return -1

    def commit(self) -> None:
        """Make the transaction durable."""
        with self._translated():
            self._connection.execute("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    # --------------------------------------------------------------------------------------------- statements

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement."""
        with self._translated():
            return self._connection.execute(sql, values).fetchall()

    def execute_all(self, sql: str) -> None:
        """Run several statements that `;` separates, within the transaction that is open."""
        statement = ""
        for part in sql.split(";"):
            statement += part + ";"
            if sqlite3.complete_statement(statement):
                if statement.strip("; \n\t"):
                    self.execute(statement)
                statement = ""
        if statement.strip("; \n\t"):
            self.execute(statement)

    def explain(self, sql: str, count: int) -> None:
        """See Database.explain."""
        self.execute(f"EXPLAIN {sql}", [None] * count)

    def write(self, action: Action, statements: Statements, rows: pa.RecordBatch) -> Refused:
        """See Database.write."""
        sql, names = self.dialect.sql(action, statements)
        refused: Refused = []
        for start in range(0, rows.num_rows, CHUNK_ROWS):
            chunk = rows.slice(start, CHUNK_ROWS)
            columns = [storable(chunk.column(name)).to_pylist() for name in names]
            refused += [(start + row, reason) for row, reason in self.write_rows(sql, columns)]
        return refused

    def write_rows(self, sql: str, columns: Sequence[Sequence[Any]]) -> Refused:
        """Run one statement for each row; gives back which rows were refused for what they hold, with the reasons.

        A refused row changes nothing, and the others do not need it: no savepoint, which would copy every page that
        the next rows touch.
        """
        refused: Refused = []
        rows: Iterator[tuple[Any, ...]] = iter(list(zip(*columns, strict=True)))
        total = length_hint(rows)
        while True:
            with self._translated():
                try:
                    self._connection.executemany(sql, rows)
                    return refused
                except (sqlite3.Error, OverflowError) as error:
                    refusal = isinstance(error, OverflowError) or _main_code(error) in _BAD_ROW
                    if not refusal or not self._connection.in_transaction:
                        raise
                    refused.append((total - length_hint(rows) - 1, str(error)))

    @contextlib.contextmanager
    def reading(self, sql: str) -> Iterator[Fetch]:
        """A query's rows, fetched bit by bit; texts are bytes.

        Until the end the file is locked against commits of others, unless it is in WAL mode.
        """
        with self._translated():
            cursor = self._connection.cursor()
            try:
                # Texts that are not UTF-8 must spoil their row only, so they come as bytes and Arrow checks them.
                self._connection.text_factory = bytes
                cursor.execute(sql)
                yield cursor.fetchmany
            finally:
                self._connection.text_factory = str
                cursor.close()

    # ------------------------------------------------------------------------------------------------- tables

    def names(self) -> list[Name]:
        """The tables and views, without those of SQLite and Headrace."""
        sql = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
        return [(n,) for (n,) in self.execute(sql) if not n.startswith("sqlite_") and n not in (POSITIONS, EPOCHS)]

    def paths(self, name: Name) -> list[str]:
        """A file's tables are also those of the schema `main`."""
        return [name[0], f"main.{name[0]}"]

    def table(self, name: Name) -> TableSchema | None:
        """A table's or view's columns and keys; None when there is none."""
        [table] = name
        quoted = self.dialect.quoted(name)
        info = self.execute(f"PRAGMA table_info({quoted})")
        if not info:
            return None
        columns = self._columns(info, quoted)
        key = tuple(row[1] for row in sorted((row for row in info if row[5]), key=lambda row: row[5]))
        unique = tuple(
            ConstraintKey(index, "UNIQUE_KEY", tuple((c, None) for c in names)) for index, names in self._unique(table)
        )
        return TableSchema(table, columns, PrimaryKey("PRIMARY", key) if key else None, unique)

    def _unique(self, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        for _, index, unique, origin, partial in self.execute(f"PRAGMA index_list({self.dialect.quote(name)})"):
            if unique and origin != "pk" and not partial:
                names = [row[2] for row in self.execute(f"PRAGMA index_info({self.dialect.quote(index)})")]
                if all(names):
                    yield index, tuple(names)

    def query_columns(self, query: str) -> tuple[Column, ...]:
        """A query's columns; a view made for a moment tells their declared types."""
        self.execute("DROP VIEW IF EXISTS temp.headrace_query")
        self.execute(f"CREATE TEMP VIEW headrace_query AS {query}")
        try:
            return self._columns(self.execute("PRAGMA temp.table_info(headrace_query)"), "temp.headrace_query")
        finally:
            self.execute("DROP VIEW temp.headrace_query")

    def _columns(self, info: Sequence[tuple[Any, ...]], place: str) -> tuple[Column, ...]:
        found = []
        for _, name, declared, required, _, key in info:
            dtype = type_of(declared)
            if dtype is None:
                dtype = type_of(self._sample(place, name))
                assert dtype is not None
            found.append(Column(name, dtype, not required and not key, source_type=declared or None))
        return tuple(found)

    def _sample(self, place: str, name: str) -> str:
        """The type that holds the first values of a column that declares none, as a declared type."""
        sql = f"SELECT typeof(c) FROM (SELECT {self.dialect.quote(name)} c FROM {place} LIMIT {SAMPLE_ROWS})"
        kinds = {row[0] for row in self.execute(f"{sql} GROUP BY 1")} - {"null"}
        if kinds == {"integer"}:
            return "BIGINT"
        if kinds and kinds <= {"integer", "real"}:
            return "DOUBLE"
        return "BLOB" if kinds == {"blob"} else "TEXT"

    def has_rowid(self, name: str) -> bool:
        """Whether rows have numbers: no views, no tables WITHOUT ROWID."""
        kind = self.execute("SELECT type FROM sqlite_master WHERE lower(name) = lower(?)", (name,))
        if kind != [("table",)]:
            return False
        try:
            self.execute(f"SELECT _rowid_ FROM {self.dialect.quote(name)} LIMIT 0")
        except Rejected:
            return False
        return True

    def row_number(self, name: str) -> str | None:
        """The column that is the row's number; None where there is none (sqlite.org/lang_createtable, 5)."""
        keys = [row for row in self.execute(f"PRAGMA table_info({self.dialect.quote(name)})") if row[5]]
        if len(keys) != 1 or keys[0][2].upper() != "INTEGER" or not self.has_rowid(name):
            return None
        of_key = [row for row in self.execute(f"PRAGMA index_list({self.dialect.quote(name)})") if row[3] == "pk"]
        return None if of_key else str(keys[0][1])

    def is_strict(self, name: str) -> bool:
        """Whether columns of the table take values of their type only."""
        found = self.execute("SELECT sql FROM sqlite_master WHERE lower(name) = lower(?)", (name,))
        return bool(found) and re.search(r"\)[^()]*\bSTRICT\b[^()]*$", found[0][0] or "", re.IGNORECASE) is not None

    def collates(self, name: str) -> bool:
        """Whether a column or index of the table says that texts which differ are the same."""
        found = self.execute("SELECT sql FROM sqlite_master WHERE lower(tbl_name) = lower(?)", (name,))
        return any(re.search(r"\bCOLLATE\s+(?!\W?BINARY\b)", sql or "", re.IGNORECASE) for (sql,) in found)

    # ------------------------------------------------------------------------------- what the seam asks for

    def number(self, name: Name, table: TableSchema) -> str | None:
        """The name by which a table's row numbers can be asked for, whatever its columns are called."""
        if not self.has_rowid(name[0]):
            return None
        taken = {column.lower() for column in table.names}
        return next((alias for alias in ("_rowid_", "rowid", "oid") if alias not in taken), None)

    def parts(self, entry: Entry, wanted: Splitting) -> Iterator[Part]:
        """Ranges of row numbers, or of a column."""
        return reading.parts(self, entry, wanted)

    def read(
        self, entry: Entry, data: Mapping[str, Any], position: Position | None, task: TaskContext, fetch: int
    ) -> Iterator[Read]:
        """By row number where rows have one, else by how many were read."""
        return reading.read(self, entry, data, position, task, fetch)

    def unverified(self, name: Name, statements_of: Statements) -> str:
        """See Database.unverified."""
        return unverified(self, name, statements_of)

    def read_back(self, statements: Statements, found: TableSchema, number: int) -> SqliteReadBack:
        """See Database.read_back."""
        return SqliteReadBack(self, statements, found, number)

    # ------------------------------------------------------------------------------------------------- errors

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._meaning(error) from error

    def _meaning(self, error: sqlite3.Error) -> Rejected | Unavailable:
        code, path = _main_code(error), self.path
        if getattr(error, "sqlite_errorname", None) in _UNFINISHED:
            return Unavailable(
                f"cannot read {path}: a program died while it wrote there, and only who may write can undo that; check "
                "the owner and mode of the file and its directory"
            )
        if code in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            waited = f"{self._settings.patience:g} s"
            return Unavailable(
                f"cannot use {path}: another program has locked it for {waited}; end its transaction, or raise "
                "connection_check_timeout_sec"
            )
        if code == "SQLITE_AUTH":
            return Rejected(f"cannot use other files than {path}: ATTACH, DETACH and VACUUM INTO are not allowed")
        if code == "SQLITE_TOOBIG" and self._memory is not None:
            return Rejected(
                f"{path}: a value takes more than {show_size(self._memory // 6)}, and this task has "
                f"{show_size(self._memory)} of memory for all it does; raise --memory, lower env.parallelism, or leave "
                "the column out with a query"
            )
        if code == "SQLITE_NOTADB":
            return Rejected(f"cannot open {path}: it is not a SQLite database")
        if code in ("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN"):
            return Rejected(f"cannot open {path}: {error}; check the owner and mode of the file and its directory")
        if code in _AWAY:
            free = ""
            with contextlib.suppress(OSError):
                disk = os.statvfs(Path(path).absolute().parent)
                free = f"; {disk.f_bavail * disk.f_frsize >> 20} MiB are free there"
            return Unavailable(f"cannot use {path}: {error}{free}")
        return Rejected(f"{path}: {error}")


def _main_code(error: BaseException) -> str:
    """`SQLITE_CONSTRAINT` of `SQLITE_CONSTRAINT_UNIQUE`; empty for errors of Python's own layer."""
    return "_".join(getattr(error, "sqlite_errorname", None or "").split("_")[:2])


def _only_this_file(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) else sqlite3.SQLITE_OK
