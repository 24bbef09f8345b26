"""The seam between Jdbc and a database: what a dialect tells and does, so that all else is written once over it.

A dialect is one module or package of `dialects`, found by its name there, and its test. It has a `DIALECT`.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from headrace.connector import JobContext, Position, Problem, Read, TaskContext, Verifier
from headrace.connectors._jdbc.statements import Action, Statements
from headrace.jdbcurl import JdbcUrl
from headrace.places import Address
from headrace.rows import Batch, Column, TableSchema

Name = tuple[str, ...]
"""A table's name in its database, from the outside in: `("people",)`, `("public", "people")`."""

Refused = list[tuple[int, str]]
"""Rows that a target refused for what they hold: their number within the rows given, and the target's reason."""


class Undone(Exception):
    """A row was refused, and all that its transaction has written is gone with it: write it again from the start.

    The database then finds refused rows before it writes them. Only where `Dialect.streams` is False: there the rows of
    a transaction are still at hand.
    """


@dataclass(frozen=True)
class Login:
    """What the options say of a connection. patience: seconds to wait for a database that is away or locked.

    parameters: those of the URL and of `properties`. limits are in milliseconds, None where none is given.
    """

    url: JdbcUrl
    user: str | None = None
    password: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    patience: float = 30.0
    connect_ms: int | None = None
    socket_ms: int | None = None


class Settings(Protocol):
    """How to reach a database, as its dialect reads it from the options."""

    @property
    def shown(self) -> str:
        """What texts call the database: its file, or host and name. Never a password."""


@dataclass(frozen=True)
class Uses:
    """What a job does with a database. inserts: whether it writes. sql: the user's own statements and conditions."""

    inserts: bool
    sql: str = ""


@dataclass(frozen=True)
class Entry:
    """One table or query to read. name: the table's, None for a query. sql: a SELECT, or the table's quoted name.

    number: by what rows can be told from one another and asked for in order, as the dialect means it; None where they
    cannot, so that a position is the number of rows. where: what all rows fulfil, as SQL; empty without a condition.
    """

    schema: TableSchema
    name: Name | None
    sql: str
    number: Any = None
    where: str = ""


class Part:
    """A part of an entry's rows. name: the same after a restart. size: rows, 0 unknown. data: which rows; JSON."""

    __slots__ = ("data", "name", "size")

    def __init__(self, name: str, size: int = 0, data: Mapping[str, Any] | None = None) -> None:
        self.name, self.size, self.data = name, size, dict(data or {})


@dataclass(frozen=True)
class Splitting:
    """How a table or query shall be split. rows: of a split; None where the user does not say.

    column: to split by, with the number of its parts and the bounds of its values.
    """

    parallelism: int
    rows: int | None = None
    column: str | None = None
    parts: int | None = None
    lower: str | int | float | None = None
    upper: str | int | float | None = None


class Sql(StrEnum):
    """Words in which databases differ."""

    LOCK_ROW = "lock row"
    """What follows a SELECT that keeps others from changing the row until the transaction ends; may be empty."""
    BIG_INTEGER = "big integer"
    TEXT = "text"
    KEY_TEXT = "key text"
    """A text that can be a key, case and all."""
    BOOLEAN = "boolean"
    TABLE_SUFFIX = "table suffix"
    """What follows the parentheses of a CREATE TABLE of our own."""


class Right(StrEnum):
    """What a login may do with a table; CREATE: make it."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CREATE = "CREATE"


class Snapshot(Protocol):
    """One state of a database, kept for all tasks that read it."""

    number: str
    """What `Dialect.open` takes."""
    is_shared: bool
    """False where other processes read another state."""


class ReadBack(Protocol):
    """Reads back what was written into one table of the target, within the transaction that wrote it."""

    def begin(self) -> None:
        """A batch is about to be written."""

    def wrote(self, rows: pa.RecordBatch, *, deleted: bool) -> None:
        """These rows were executed, after the ones before."""

    def compare(self, table: str, replaced: Batch | None, verifier: Verifier) -> None:
        """Look what the batch has made of the target. Raises Undelivered when a row is not as it was written.

        replaced: rows whose key came again in the batch, so that they left no row.
        """


class Database(ABC):
    """One connection, for one thread. Every method raises Unavailable or Rejected, never a driver's own error."""

    dialect: "Dialect"
    shown: str
    """What texts call the database."""

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Roll back what is not committed."""

    # ------------------------------------------------------------------------------------------- transactions

    @abstractmethod
    def begin(self) -> None:
        """Begin a transaction. Waits for its turn where only one connection can write."""

    @abstractmethod
    def commit(self) -> None:
        """Make the transaction durable."""

    @abstractmethod
    def rollback(self) -> None:
        """Undo the transaction, if there is one. Never raises."""

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self.begin()
        try:
            yield
            self.commit()
        finally:
            self.rollback()

    def evict(self, job: JobContext) -> None:
        """Before a new start of a pipeline: end what connections of older ones still hold in the database."""

    # --------------------------------------------------------------------------------------------- statements

    @abstractmethod
    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; a `?` stands for each value."""

    @abstractmethod
    def execute_all(self, sql: str) -> None:
        """Run several statements that `;` separates, within the transaction that is open."""

    @abstractmethod
    def explain(self, sql: str, count: int) -> None:
        """Let the database check a statement with so many `?`, without running it. Raises Rejected."""

    @abstractmethod
    def write(self, action: Action, statements: Statements, rows: pa.RecordBatch) -> Refused:
        """Do one thing with each row, within the transaction that is open; rows that are refused change nothing.

        Raises Undone, once at most.
        """

    def add(self, statements: Statements, batch: Batch) -> bool:
        """Insert rows in the quickest way there is, all or none, within the transaction that is open.

        False when nothing of them is in: a row was refused or its key is there already, or there is no such way.
        """
        return False

    # ------------------------------------------------------------------------------------------------- tables

    @abstractmethod
    def names(self) -> list[Name]:
        """The tables and views, without those of the database itself and of Headrace."""

    @abstractmethod
    def table(self, name: Name) -> TableSchema | None:
        """A table's or view's columns and keys; its path is what a job calls it. None when there is none."""

    def paths(self, name: Name) -> Iterable[str]:
        """The paths that a regular expression may mean a table by."""
        return [".".join(name[-length:]) for length in range(1, len(name) + 1)]

    @abstractmethod
    def query_columns(self, query: str) -> tuple[Column, ...]:
        """A query's columns, without running it."""

    def make_room(self, name: Name) -> None:
        """Make the schema or the like that a table shall lie in, where it is missing."""

    # ------------------------------------------------------------------------------------------------ reading

    @abstractmethod
    def number(self, name: Name, table: TableSchema) -> Any:
        """See Entry.number."""

    @abstractmethod
    def parts(self, entry: Entry, wanted: Splitting) -> Iterator[Part]:
        """The parts to read an entry in."""

    @abstractmethod
    def read(
        self, entry: Entry, data: Mapping[str, Any], position: Position | None, task: TaskContext, fetch: int
    ) -> Iterator[Read]:
        """The rows of a part after a position. data: of the part. fetch: rows fetched at once, at most; 0: any."""

    # ----------------------------------------------------------------------------------------------- checking

    def unverified(self, name: Name, statements_of: Statements) -> str:
        """Why what is written into a table cannot be told from its other rows; empty when it can be read back."""
        return f"{self.dialect.title} is not asked what it holds"

    def read_back(self, statements: Statements, found: TableSchema, number: int) -> ReadBack | None:
        """What reads a table back; asked only where `unverified` says nothing. number: the table's, in this session."""
        return None

    def not_atomic(self, name: Name) -> str:
        """Why rows of a table cannot be committed together with their positions; empty when they can."""
        return ""

    def lacks(self, name: Name, rights: Sequence[Right]) -> Iterable[Right]:
        """Which of the rights to a table the login does not have, as far as the database tells."""
        return ()

    def look(self) -> Iterable[Problem]:
        """What of the server's version, state and settings keeps a sink from writing, each with its cure."""
        return ()

    def advise(self, uses: Uses) -> Iterable[Problem]:
        """Settings by which a job is slower, or by which something means what the user may not expect, each with its
        cure.
        """
        return ()


class Dialect(ABC):
    """What differs from one database to another. Has no state; makes connections.

    name: as the option `dialect` has it. title: as people write it. kinds: what URLs call it.
    url_form: an example of a URL. drivers: parts of the names of Java classes that mean it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    url_form: ClassVar[str]
    drivers: ClassVar[tuple[str, ...]] = ()
    idle: ClassVar[Mapping[str, str]] = {}
    """Options, by their names in Python, that do nothing with this database, each with the reason."""
    uses: ClassVar[frozenset[str]] = frozenset()
    """Options, by their names in Python, that mean something only to few databases, and to this one."""
    bulk: ClassVar[bool] = False
    """Whether the rows of a batch are written by one statement, which can touch no row twice."""
    types: ClassVar[Mapping[str, str]] = {}
    """For the docs: the database's types, and what each is read as."""
    streams: ClassVar[bool] = True
    """Whether a transaction may stay open from barrier to barrier while others write; else rows wait in the task."""
    words: ClassVar[Mapping[Sql, str]]
    usual_schema: ClassVar[str] = ""
    """The schema of tables that name none."""
    empty: ClassVar[str] = "TRUNCATE TABLE"
    """The statement that empties a table, before its name."""
    sqlglot: ClassVar[str] = ""
    """What the parser of queries calls it."""

    accepts: ClassVar[frozenset[str]] = frozenset()
    """Encodings in which `Database.add` takes rows."""

    is_of_one_machine: ClassVar[bool] = False
    """Whether the database may be out of reach for other machines, as a file on a disk that they need not share."""

    def lacks(self, parallelism: int, *, writes: bool) -> Iterable[str]:
        """What it cannot promise to so many tasks that read, or that write; a sentence each, for `headrace check`."""
        return ()

    # ----------------------------------------------------------------------------------------------- addresses

    @property
    def address_form(self) -> str:
        """What an address of the command `copy` looks like."""
        return f"{self.schemes()[0]}://USER@HOST:PORT/DATABASE.TABLE"

    def schemes(self) -> tuple[str, ...]:
        """What an address of the database begins with."""
        return self.kinds

    def place_of(self, address: Address) -> tuple[str, str]:
        """What follows `jdbc:KIND:` in the URL, and the table that the address names: behind the first point."""
        database, _, table = address.path.lstrip("/").partition(".")
        return f"//{address.hosts}/{database}", table

    # ------------------------------------------------------------------------------------------------ reaching

    @abstractmethod
    def settings(self, login: Login) -> Any:
        """How to reach the database. Raises ValueError with all that is wrong."""

    @abstractmethod
    def touches(self, settings: Any) -> Iterable[tuple[str, str]]:
        """(`path` or `host`, value) of all files and hosts that a connection touches."""

    def is_there(self, settings: Any) -> bool:
        """Whether there is a database to ask; a file may be made by the first who writes."""
        return True

    def make_database(self, settings: Any) -> None:
        """Create the database of the settings where it is missing. Raises Rejected without the right to it."""

    @abstractmethod
    def open(
        self, settings: Any, *, read_only: bool, memory: int | None = None, label: str = "", snapshot: str = ""
    ) -> Database:
        """A new connection; what is missing is created where it is to be written. memory: bytes that it may take.

        label: what the database's lists of connections shall show, as far as they can. snapshot: the number of one
        that is held, to read in.
        """

    def hold_snapshot(self, settings: Any, job: str, readers: int) -> Snapshot | None:
        """Keep one state of the database for all who read for a start of a pipeline; None where it cannot be shared.

        job: names the start. readers: how many tasks read. Held as long as the object lives.
        """
        return None

    # --------------------------------------------------------------------------------------------------- names

    def quote(self, name: str) -> str:
        """A name as SQL."""
        return '"' + name.replace('"', '""') + '"'

    def quoted(self, name: Name) -> str:
        """A table's name as SQL."""
        return ".".join(map(self.quote, name))

    @abstractmethod
    def target(self, settings: Any, table: str, database: str | None) -> Name:
        """The name that a sink's options mean."""

    def own_table(self, settings: Any, schema: str | None, table: str) -> Name:
        """The name of a table of Headrace's own. schema: of the option positions_schema."""
        return (schema, table) if schema else (table,)

    def find(self, path: str, names: Sequence[Name]) -> Name | None:
        """The table that a source's path means."""
        parts = tuple(path.split("."))
        for exact in (True, False):
            for name in names:
                a, b = (name, parts) if exact else (_lower(name), _lower(parts))
                if a == b or a == b[-len(a) :] or b == a[-len(b) :]:
                    return name
        return None

    def shown_name(self, name: Name) -> str:
        """A table's name for people, and for regular expressions."""
        return ".".join(name)

    # ---------------------------------------------------------------------------------------------- statements

    def sql(self, action: Action, statements: Statements) -> tuple[str, tuple[str, ...]]:
        """A statement for one row, and the rows' column for each of its `?`."""
        return {
            Action.QUERY: self._query, Action.INSERT: self._insert, Action.UPSERT: self._upsert,
            Action.UPDATE: self._update, Action.INSERT_MISSING: self._insert_missing, Action.DELETE: self._delete,
        }[action](statements)  # fmt: skip

    def columns(self, statements: Statements) -> dict[str, str]:
        """The rows' columns with their names in the table as SQL."""
        return {name: self.quote(to) for name, to in statements.columns.items()}

    def _query(self, of: Statements) -> tuple[str, tuple[str, ...]]:
        return of.query, tuple(of.columns)

    def _insert(self, of: Statements) -> tuple[str, tuple[str, ...]]:
        columns = self.columns(of)
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {self.quoted(of.table)} ({', '.join(columns.values())}) VALUES ({marks})"
        return sql, tuple(columns)

    def _upsert(self, of: Statements) -> tuple[str, tuple[str, ...]]:
        sql, columns = self._insert(of)
        return f"{sql} {self.on_conflict(of)}", columns

    def on_conflict(self, of: Statements) -> str:
        """The end of an INSERT that updates the row with the same key."""
        columns = self.columns(of)
        changes = ", ".join(f"{columns[n]} = excluded.{columns[n]}" for n in of.others)
        action = f"UPDATE SET {changes}" if changes else "NOTHING"
        return f"ON CONFLICT ({', '.join(columns[name] for name in of.key)}) DO {action}"

    def _update(self, of: Statements) -> tuple[str, tuple[str, ...]]:
        columns = self.columns(of)
        changes = ", ".join(f"{columns[n]} = ?" for n in of.others)
        sql = f"UPDATE {self.quoted(of.table)} SET {changes} WHERE {self._is_key(of)}"
        return sql, (*of.others, *of.key)

    def _insert_missing(self, of: Statements) -> tuple[str, tuple[str, ...]]:
        columns = self.columns(of)
        marks = ", ".join("?" * len(columns))
        sql = (
            f"INSERT INTO {self.quoted(of.table)} ({', '.join(columns.values())}) SELECT {marks} "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.quoted(of.table)} WHERE {self._is_key(of)})"
        )
        return sql, (*columns, *of.key)

    def _delete(self, of: Statements) -> tuple[str, tuple[str, ...]]:
        return f"DELETE FROM {self.quoted(of.table)} WHERE {self._is_key(of)}", of.key

    def _is_key(self, of: Statements) -> str:
        columns = self.columns(of)
        return " AND ".join(f"{columns[name]} = ?" for name in of.key)

    # --------------------------------------------------------------------------------------------------- types

    @abstractmethod
    def declare(self, column: Column, *, in_key: bool = False) -> str:
        """The type a column gets in a new table."""

    def comments(self, name: Name, table: TableSchema, columns: Mapping[str, str]) -> Iterable[str]:
        """Statements that give a new table and its columns their comments. columns: of the rows → in the table."""
        return ()

    def column_suffix(self, column: Column) -> str:
        """What follows a column's type and NOT NULL in a CREATE TABLE."""
        return ""

    def table_suffix(self, table_options: Mapping[str, str]) -> str:
        """What follows the parentheses of a CREATE TABLE. Raises Rejected for options it does not know."""
        return ""

    def unstorable(self, column: pa.Array, declared: str | None) -> tuple[pa.BooleanArray, str] | None:
        """Which values a column declared so would change, and how; None where none can be. declared: None unknown."""
        return None


def _lower(name: Name) -> Name:
    return tuple(part.lower() for part in name)
