"""Reading PostgreSQL: each part is one binary COPY, in the order of a key or of the table's blocks."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from select import select
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from headrace.connector import Batch, Position, Read, TaskContext
from headrace.connectors._jdbc.decoding import BadValues, set_aside
from headrace.connectors._jdbc.dialect import Entry, Part, Splitting
from headrace.connectors._jdbc.dialects.postgresql.decode import HEADER, Rows
from headrace.connectors._jdbc.dialects.postgresql.encoded import COPY_BINARY, as_they_came, is_built_in
from headrace.connectors._jdbc.dialects.postgresql.splitting import split
from headrace.connectors._jdbc.dialects.postgresql.text import literal
from headrace.connectors._jdbc.dialects.postgresql.types import Wire, native, wire
from headrace.connectors._jdbc.parts import SIGNS
from headrace.errors import Rejected
from headrace.rows import EncodedBatch

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.postgresql.database import Postgresql

WAIT_SECONDS = 0.5
"""How long a read waits for the first row before it says that there is nothing yet."""

_CTID = Wire(pa.binary(), "bytes", "ctid")

_END = b"\xff\xff"


def parts(database: "Postgresql", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    """The parts of one table or query."""
    return split(database, entry, wanted)


def read(
    database: "Postgresql", entry: Entry, data: Mapping[str, Any], position: Position | None, task: TaskContext
) -> Iterator[Any]:
    """See Database.read; yields None while there is nothing yet."""
    reader = _Reader(database, entry, task, position)
    yield from reader.read(data)


class _Reader:
    """Reads one part."""

    def __init__(self, database: "Postgresql", entry: Entry, task: TaskContext, position: Position | None) -> None:
        self._database, self._entry, self._task = database, entry, task
        self._quote = database.dialect.quote
        self._columns = entry.schema.columns
        self._position = position
        self._by_block = entry.number == "ctid"
        self._key: list[str] = entry.number if isinstance(entry.number, list) else []
        ways = self._ways()
        self._types = self._passing(ways)
        self._wires = [(own or usual) if self._types else usual for _, usual, own in ways]

    def _ways(self) -> list[tuple[str, Wire, Wire | None]]:
        """What each column is declared, how it travels as it is now, and how where its own bytes are wanted."""
        entry, catalog = self._entry, self._database.catalog
        if entry.name is None:
            found = self._database.describe(entry.sql[1:-1])
            types = catalog.query_types([(found.ftype(i), found.fmod(i)) for i in range(found.nfields)])
            return [(declared, wire(base, modifier), native(base, modifier)) for base, modifier, declared in types]
        relation = catalog.relation(entry.name)
        if relation is None:
            raise Rejected(f"there is no table {'.'.join(entry.name)} in {self._database.shown} any more")
        there = {s.column.name: (s.column.source_type or "", s.wire, s.native) for s in catalog.shapes(relation.oid)}
        return [there[column.name] for column in self._columns]

    def _passing(self, ways: Sequence[tuple[str, Wire, Wire | None]]) -> tuple[str, ...]:
        """The types of rows that are handed on undecoded; empty where they are decoded."""
        is_wanted = COPY_BINARY in self._task.accepts and not self._by_block
        encoding = self._database.connection.info.parameter_status("server_encoding")
        if not is_wanted or encoding == "SQL_ASCII":  # whose texts may be no texts
            return ()
        is_known = all(own is not None and is_built_in(declared) for declared, _, own in ways)
        return tuple(declared for declared, _, _ in ways) if is_known else ()

    def read(self, data: Mapping[str, Any]) -> Iterator[Any]:
        """The batches, after a None for each time that there is nothing yet."""
        sql = self._select(data)
        self._database.describe(sql)  # it is one statement, so nothing in it can end the parentheses of the COPY
        database = self._database
        statement = f"COPY ({sql}\n) TO STDOUT (FORMAT binary)".encode()
        with database.translated(), database.connection.cursor() as cursor, cursor.copy(statement) as copy:
            while (first := self._first()) is None:
                yield None
            pieces, sizes, is_end = [first], [len(first)], first == _END
            while not is_end:
                is_end = self._take(copy, pieces, sizes)
                if pieces:
                    yield from self._batch(bytearray().join(pieces), list(accumulate(sizes)))
                pieces, sizes = [], []

    def _take(self, copy: Any, pieces: list[Any], sizes: list[int]) -> bool:
        """Take rows behind those that are there until they make a batch; True when the last one has come.

        Libpq is asked directly: psycopg's own iteration takes five calls a row, and more time than all the rest. The
        end and its checks are psycopg's again.
        """
        connection, most_bytes = self._database.connection, self._task.batch_bytes
        pgconn, wait_for = connection.pgconn, [connection.fileno()]
        get, add, add_size, total = pgconn.get_copy_data, pieces.append, sizes.append, sum(sizes)
        for _ in range(self._task.batch_rows - len(pieces)):
            if total >= most_bytes:
                break
            size, data = get(1)
            while size == 0:
                select(wait_for, [], [], WAIT_SECONDS)
                pgconn.consume_input()
                size, data = get(1)
            if size > 2 or (size > 0 and data != _END):
                add(data)
                add_size(size)
                total += size
            elif size > 0:
                for _ in copy:  # nothing comes but the result
                    pass
                return True
            else:
                raise self._failure()
        return False

    def _failure(self) -> Exception:
        """What has ended the COPY too early."""
        pgconn, driver = self._database.connection.pgconn, self._database.driver
        results = []
        while (result := pgconn.get_result()) is not None:
            results.append(result)
        return cast("Exception", driver.errors.error_from_result(results[-1]))

    def _first(self) -> bytes | None:
        """The first row, without the header before it; None when it has not come within half a second."""
        connection = self._database.connection
        size, data = connection.pgconn.get_copy_data(1)
        if size > 0:
            found = bytes(data)[HEADER:]
            if found:
                return found
            size, data = connection.pgconn.get_copy_data(0)
            return bytes(data)
        if select([connection.fileno()], [], [], WAIT_SECONDS)[0]:
            connection.pgconn.consume_input()
            size, data = connection.pgconn.get_copy_data(1)
            if size > 0:
                return bytes(data)[HEADER:] or bytes(connection.pgconn.get_copy_data(0)[1])
        return None

    # ------------------------------------------------------------------------------------------------ statement

    def _select(self, data: Mapping[str, Any]) -> str:
        what = [  # with names of their own: an ORDER BY means the columns, not the texts made of them
            f"{w.as_sql.format(self._quote(c.name))} AS headrace_{i}"
            for i, (w, c) in enumerate(zip(self._wires, self._columns, strict=True))
        ]
        what += [_CTID.as_sql] if self._by_block else []
        where = [f"({self._entry.where})"] if self._entry.where else []
        where += conditions(self._database, self._entry, data)
        order = ""
        if self._key:
            names = [self._quote(name) for name in self._key]
            order = f" ORDER BY {', '.join(names)}"
            where += [compared(self._entry, self._quote, self._key, ">", self._position)] if self._position else []
        elif self._by_block and self._position is not None:
            where.append(f"ctid > {literal(self._position)}::tid")
        elif self._position:
            order = f" OFFSET {int(self._position)}"
        clause = f" WHERE {' AND '.join(where)}" if where else ""
        named = "" if self._entry.name is not None else " AS headrace_query"
        return f"SELECT {', '.join(what)} FROM {self._entry.sql}{named}{clause}{order}"

    # ---------------------------------------------------------------------------------------------------- rows

    def _batch(self, buffer: bytearray, ends: list[int]) -> Iterator[Read]:
        path = self._entry.schema.path
        if self._types and (came := as_they_came(buffer, ends, self._wires, self._types, self._all_good)) is not None:
            last = came.slice(came.num_rows - 1, 1).decode()
            self._position = self._after_key(last) or int(self._position or 0) + came.num_rows
            yield Read(EncodedBatch(came, path), self._position)
            return
        rows = Rows(buffer, ends)
        arrays, bad = [], list[BadValues]()
        for way, column in zip(self._wires, self._columns, strict=True):
            array, wrong = rows.column(way)
            arrays.append(array)
            if wrong is not None:
                bad.append(BadValues(column, *wrong))
        found = pa.RecordBatch.from_arrays(arrays, schema=self._entry.schema.arrow)
        self._position = self._after(rows, found)
        if bad:
            cure = "; cast it in a query, or change the column's type"
            found = set_aside(found, bad, path, self._task.rejects, cure)
        yield Read(Batch(found, path), self._position)

    def _all_good(self, rows: Rows) -> pa.RecordBatch:
        """Rows without a bad value."""
        arrays = [rows.column(way)[0] for way in self._wires]
        return pa.RecordBatch.from_arrays(arrays, schema=self._entry.schema.arrow)

    def _after(self, rows: Rows, found: pa.RecordBatch) -> Position:
        if self._by_block:
            place = rows.column(_CTID)[0][-1].as_py()
            return f"({int.from_bytes(place[:4], 'big')},{int.from_bytes(place[4:], 'big')})"
        return self._after_key(found) or int(self._position or 0) + found.num_rows

    def _after_key(self, found: pa.RecordBatch) -> list[str]:
        """The key of the last row; empty without a key."""
        return [_as_text(found.column(name)[-1]) for name in self._key]


def _as_text(value: pa.Scalar) -> str:
    """A value of a key as PostgreSQL reads it."""
    if pa.types.is_date(value.type):
        text = value.cast(pa.string()).as_py()
        if text.startswith(("-", "0000")):
            return f"{1 - int(text[:-6]):04}-{text[-5:]} BC"
        return str(text)
    return str(value.as_py())


def compared(entry: Entry, quote: Any, key: Sequence[str], sign: str, values: Sequence[str]) -> str:
    """A key compared with values of it, as SQL."""
    types = {column.name: column.source_type for column in entry.schema.columns}
    names = ", ".join(quote(name) for name in key)
    given = ", ".join(f"{literal(value)}::{types[name]}" for name, value in zip(key, values, strict=True))
    return f"({names}) {sign} ({given})"


def conditions(database: "Postgresql", entry: Entry, data: Mapping[str, Any]) -> list[str]:
    """What the rows of a part fulfil, as SQL."""
    quote, found = database.dialect.quote, []
    if "key" in data:
        for name, sign in SIGNS.items():
            if name in data:
                found.append(compared(entry, quote, data["key"], sign, data[name]))
    elif "column" in data:
        column = quote(data["column"])
        for name, sign in SIGNS.items():
            if name in data:
                value = data[name]
                found.append(f"{column} {sign} {literal(value) if isinstance(value, str) else repr(value)}")
        if "hash" in data:
            count, number = data["hash"]
            found.append(f"mod(hashtextextended({column}::text, 0), {int(count)}) IN ({number}, {number - count})")
        if "null" in data:
            found.append(f"{column} IS {'' if data['null'] else 'NOT '}NULL")
    if "blocks" in data:
        low, high = data["blocks"]
        found += [f"ctid >= '({int(low)},0)'::tid"] if low else []
        found += [f"ctid < '({int(high)},0)'::tid"] if high is not None else []
    return found
