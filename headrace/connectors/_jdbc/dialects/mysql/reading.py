"""Reading MySQL: each part is one SELECT whose rows are taken off the connection as they come, in a key's order."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from select import select
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.connector import Batch, Position, Read, TaskContext
from headrace.connectors._jdbc.decoding import BadValues, set_aside
from headrace.connectors._jdbc.dialect import Entry
from headrace.connectors._jdbc.dialects.mysql.conditions import compared, conditions
from headrace.connectors._jdbc.dialects.mysql.decode import Rows
from headrace.connectors._jdbc.dialects.mysql.types import Wire, wire
from headrace.errors import HeadraceError, Rejected, Unavailable

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.mysql.database import Mysql

WAIT_SECONDS = 0.5
"""How long a read waits for the first row before it says that there is nothing yet."""

CHUNK_BYTES = 256 * 1024
"""What is asked of the connection at once."""

_END, _ERROR = 0xFE, 0xFF
_MOST = 0xFFFFFF
"""The length of a packet that goes on in the next."""

_QUERY = 0x03

_ORDER, _LIMIT = re.compile(r"\border\s+by\b", re.IGNORECASE), re.compile(r"\blimit\b", re.IGNORECASE)


def read(
    database: "Mysql", entry: Entry, data: Mapping[str, Any], position: Position | None, task: TaskContext
) -> Iterator[Any]:
    """See Database.read; yields None while there is nothing yet."""
    yield from _Reader(database, entry, task, position).read(data)


class Packets:
    """The rows of one result as they come off the connection."""

    def __init__(self, database: "Mysql", sql: str) -> None:
        self._database, self._connection = database, database.connection
        self._rest, self._file = bytearray(), self._connection._rfile
        self.is_done = False
        self._connection._execute_command(_QUERY, sql)

    def is_there(self, seconds: float) -> bool:
        """Whether the server has begun to answer."""
        sock = self._connection._sock
        return bool(getattr(sock, "pending", int)() or select([sock], [], [], seconds)[0])

    def begin(self) -> None:
        """Take what comes before the rows."""
        count = self._connection._read_packet().read_length_encoded_integer()
        for _ in range(count + 1):
            self._connection._read_packet()

    def take(self, most_rows: int, most_bytes: int) -> tuple[bytearray, list[int]]:
        """The bytes of the next rows, and where the values of each begin; none after the last."""
        data, starts, at = self._rest, list[int](), 0
        self._rest = bytearray()
        while not self.is_done:
            end = len(data)
            while at + 4 <= end:
                size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
                after = at + 4 + size
                if size == _MOST:
                    joined = self._joined(data, at)
                    if joined is None:
                        break
                    after = joined
                elif after > end:
                    break
                elif size < 9 and data[at + 4] == _END:
                    self.is_done = True
                    break
                elif data[at + 4] == _ERROR:
                    self._fail(bytes(data[at + 4 : after]))
                starts.append(at + 4)
                at = after
                if len(starts) >= most_rows or at >= most_bytes:
                    self._rest = data[at:]
                    del data[at:]
                    return data, starts
            if not self.is_done:
                self._fill(data)
        return data, starts

    def _fill(self, data: bytearray) -> None:
        try:
            found = self._file.read1(CHUNK_BYTES)
        except OSError as error:
            raise Unavailable(f"cannot read on from {self._database.shown}: {error}") from error
        if not found:
            raise Unavailable(f"cannot read on from {self._database.shown}: it has closed the connection")
        data += found

    @staticmethod
    def _joined(data: bytearray, at: int) -> int | None:
        """Take the headers out of a row of several packets; gives back where it ends, None when it is not all there."""
        heads, place = [], at
        while True:
            if place + 4 > len(data):
                return None
            size = data[place] | data[place + 1] << 8 | data[place + 2] << 16
            if place + 4 + size > len(data):
                return None
            heads.append(place)
            place += 4 + size
            if size < _MOST:
                break
        for head in reversed(heads[1:]):
            del data[head : head + 4]
        return place - 4 * (len(heads) - 1)

    def _fail(self, packet: bytes) -> None:
        from pymysql.err import raise_mysql_exception

        self.is_done = True
        raise_mysql_exception(packet)

    def stop(self) -> None:
        """The rows that are left are not wanted. The transaction stays, where the server ends the statement alone."""
        if self.is_done or not self._connection.open:
            return
        try:
            self._database.end_statement()
            while not self.is_done:
                self.take(1_000_000, 1 << 24)
            with contextlib.suppress(self._database.driver.Error):  # else the next statement may be ended in its place
                self._connection.query("DO 0")
        except (HeadraceError, self._database.driver.Error, OSError):
            if not self.is_done:
                self._connection._force_close()


class _Reader:
    """Reads one part."""

    def __init__(self, database: "Mysql", entry: Entry, task: TaskContext, position: Position | None) -> None:
        self._database, self._entry, self._task = database, entry, task
        self._quote = database.dialect.quote
        self._columns = entry.schema.columns
        narrow = database.settings.narrow
        self._wires: list[Wire] = [wire(column.source_type or "", narrow=narrow) for column in self._columns]
        self._position = position
        self._key: list[str] = entry.number or []
        self._skipped = 0 if self._key else int(position or 0)

    def read(self, data: Mapping[str, Any]) -> Iterator[Any]:
        """The batches, after a None for each time that there is nothing yet."""
        database, task = self._database, self._task
        if self._entry.name is not None:
            self._check_columns()
        sql = self._select(data)
        database.describe(sql)  # it is one statement
        sql = self._as_it_is(data) or sql
        with database.translated():
            packets = Packets(database, sql)
            try:
                while not packets.is_there(WAIT_SECONDS):
                    yield None
                packets.begin()
                while not packets.is_done:
                    found, starts = packets.take(task.batch_rows, task.batch_bytes)
                    left = min(self._skipped, len(starts))
                    self._skipped -= left
                    starts = starts[left:]
                    if starts:
                        yield from self._batch(found, starts)
            finally:
                packets.stop()

    def _check_columns(self) -> None:
        now = self._database.table(self._entry.name or ())
        if now is None:
            raise Rejected(f"there is no table {'.'.join(self._entry.name or ())} in {self._database.shown} any more")
        types = {column.name: column.source_type for column in now.columns}
        changed = [column.name for column in self._columns if types.get(column.name) != column.source_type]
        if changed:
            raise Rejected(
                f"table {'.'.join(self._entry.name or ())} in {self._database.shown} has other columns than when the "
                f"job began: {', '.join(changed)}; start it again"
            )

    # ------------------------------------------------------------------------------------------------ statement

    def _select(self, data: Mapping[str, Any]) -> str:
        what = [
            way.as_sql.format(f"t.{self._quote(column.name)}")
            for way, column in zip(self._wires, self._columns, strict=True)
        ]
        where = [f"({self._entry.where})"] if self._entry.where else []
        where += conditions(self._entry, self._quote, data)
        order = ""
        if self._key:
            order = f" ORDER BY {', '.join(f't.{self._quote(name)}' for name in self._key)}"
            where += [compared(self._entry, self._quote, self._key, ">", self._position)] if self._position else []
        clause = f" WHERE {' AND '.join(where)}" if where else ""
        return f"SELECT {', '.join(what)} FROM {self._sql()} AS t{clause}{order}"

    def _sql(self) -> str:
        """What is read from. A query within another one keeps its order only with a LIMIT."""
        sql = self._entry.sql
        ordered = list(_ORDER.finditer(sql)) if self._entry.name is None else []
        if not ordered or _LIMIT.search(sql, ordered[-1].end()):
            return sql
        return f"{sql.removesuffix(')')}LIMIT 18446744073709551615)"

    def _as_it_is(self, data: Mapping[str, Any]) -> str | None:
        """The query as the user wrote it, which needs no room at the server; None where it must be a part of another.

        That other one was understood by the server, so this one does nothing but read.
        """
        is_whole = self._entry.name is None and not self._entry.where and not conditions(self._entry, self._quote, data)
        plain = all(way.as_sql == "{}" for way in self._wires)
        return self._entry.sql[1:-1] if is_whole and plain else None

    # ---------------------------------------------------------------------------------------------------- rows

    def _batch(self, data: bytearray, starts: Sequence[int]) -> Iterator[Read]:
        rows = Rows(data, starts, self._database.settings.zero_dates)
        arrays, bad = [], list[BadValues]()
        for way, column in zip(self._wires, self._columns, strict=True):
            array, wrong = rows.column(way)
            arrays.append(array)
            if wrong is not None:
                bad.append(BadValues(column, *wrong))
        found = pa.RecordBatch.from_arrays(arrays, schema=self._entry.schema.arrow)
        self._position = self._after(found)
        if bad:
            found = set_aside(found, bad, self._entry.schema.path, self._task.rejects, "")
        yield Read(Batch(found, self._entry.schema.path), self._position)

    def _after(self, found: pa.RecordBatch) -> Position:
        if self._key:
            return [key_text(found.column(name)[-1]) for name in self._key]
        return int(self._position or 0) + found.num_rows


def key_text(value: pa.Scalar) -> str:
    """A value of a key, to write it into a condition again; bytes as hexadecimal digits."""
    if pa.types.is_boolean(value.type):
        return "1" if value.as_py() else "0"
    if pa.types.is_timestamp(value.type) and value.type.tz:
        value = value.cast(pa.timestamp("us"))
    if pa.types.is_date(value.type) or pa.types.is_timestamp(value.type):
        return str(value.cast(pa.string()).as_py())
    found = value.as_py()
    return found.hex() if isinstance(found, bytes) else str(found)
