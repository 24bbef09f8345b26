"""Json files of changes, one message a line: debezium_json, canal_json, maxwell_json, with the kinds of the rows."""

import io
import json
from abc import abstractmethod
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa

from headrace.connector import Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.changes import Change, as_text, canal, debezium, maxwell
from headrace.formats.file_format import (
    KIND,
    BadLine,
    FileFormat,
    FilePart,
    FormatWriter,
    ReadSettings,
    WriteSettings,
    slices,
)
from headrace.formats.json_lines import JsonFormat
from headrace.formats.lines import Block, LineFormat, blocks, line_number
from headrace.formats.text_stream import TextStream
from headrace.rows import RowKind
from headrace.storage.opened import InMemory, Opened
from headrace.values import parse_value, to_array

_BEFORE = (RowKind.UPDATE_BEFORE, RowKind.DELETE)


class _ChangeFormat(FileFormat):
    """A message gives no row, one, or two: the row before and after an update. A position counts rows."""

    suffix = "json"
    packable = True
    gives_changes = True
    unverified = "files of changes are not read back"

    @abstractmethod
    def changes(self, message: Any) -> list[Change]:
        """The rows of one message with their kinds. Raises ValueError for what is none."""

    @abstractmethod
    def message(self, before: bytes | None, after: bytes | None) -> bytes:
        """The line of a change: of an insertion `before` is None, of a deletion `after`."""

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:
        return [(0, file.size)]  # changes of one key stay in their order

    def read(
        self,
        part: FilePart,
        position: Position | None,
        schema: pa.Schema,
        settings: ReadSettings,
        task: TaskContext,
        table: str,
    ) -> Iterator[tuple[pa.RecordBatch, Position]]:
        offset, skip = position or (part.start, 0)
        form = LineFormat(encoding=settings.encoding, skip=settings.skip_header)
        try:
            for block in blocks(part, offset, form, task):
                rows, bad = self._rows(block, schema, part, form)
                yield from slices(rows, task, block.start, block.end, skip, bad, table)
                skip = max(skip - rows.num_rows, 0)
        except UnicodeError as error:
            raise Rejected(f"{part.label} is not {settings.encoding}: {error}; set the option encoding") from error

    def parse(
        self, raw: bytes, header: Opened | None, schema: pa.Schema, settings: ReadSettings
    ) -> tuple[pa.Table, list[BadLine]]:
        return self._rows(Block(memoryview(raw), 0, 0), schema, FilePart(InMemory("", raw), 0, 0), LineFormat())

    def _rows(
        self, block: Block, schema: pa.Schema, part: FilePart, form: LineFormat
    ) -> tuple[pa.Table, list[BadLine]]:
        rows: list[list[Any]] = []
        bad: list[BadLine] = []
        for number, line in enumerate(bytes(block.data).split(b"\n")):
            if line.strip():
                try:
                    rows += self._of_line(line, schema)
                except _Wrong as error:
                    first = line_number(part.file, block.start, form)
                    place = f"{part.label} row {first + number}"
                    bad.append(BadLine(len(rows), line, error.reason, place + error.place))
        arrays = [to_array([row[i] for row in rows], field.type) for i, field in enumerate(schema)]
        kinds = pa.array([row[-1] for row in rows], pa.uint8())
        return pa.table([*arrays, kinds], schema.append(pa.field(KIND, pa.uint8()))), bad

    def _of_line(self, line: bytes, schema: pa.Schema) -> list[list[Any]]:
        """The rows of a line, their kinds behind their values. Raises _Wrong; then the line makes no row at all."""
        column = ""
        try:
            made = []
            for kind, row in self.changes(json.loads(line, parse_float=Decimal)):
                values = []
                for field in schema:
                    column = field.name
                    values.append(parse_value(as_text(row.get(field.name)), field.type))
                made.append([*values, int(kind)])
                column = ""
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            reason = f"the line is not JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise _Wrong(reason, f", column {column}" if column else "") from error
        return made

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:
        return _ChangeWriter(self, stream, schema, settings)


class _Wrong(Exception):
    def __init__(self, reason: str, place: str) -> None:
        super().__init__(reason, place)
        self.reason, self.place = reason, place


class DebeziumJsonFormat(_ChangeFormat):
    """`{"before": …, "after": …, "op": "c"}`, in a wrapper with its schema or without."""

    name = "debezium_json"

    def changes(self, message: Any) -> list[Change]:  # noqa: D102
        return debezium(message)

    def message(self, before: bytes | None, after: bytes | None) -> bytes:  # noqa: D102
        op = b"c" if before is None else b"d" if after is None else b"u"
        return b'{"before":%b,"after":%b,"op":"%b"}\n' % (before or b"null", after or b"null", op)


class CanalJsonFormat(_ChangeFormat):
    """`{"data": [row], "old": [changed fields], "type": "UPDATE"}`."""

    name = "canal_json"

    def changes(self, message: Any) -> list[Change]:  # noqa: D102
        return canal(message)

    def message(self, before: bytes | None, after: bytes | None) -> bytes:  # noqa: D102
        return _data_message(*(row and b"[%b]" % row for row in (before, after)))


class MaxwellJsonFormat(_ChangeFormat):
    """`{"data": row, "old": changed fields, "type": "UPDATE"}`."""

    name = "maxwell_json"

    def changes(self, message: Any) -> list[Change]:  # noqa: D102
        return maxwell(message)

    def message(self, before: bytes | None, after: bytes | None) -> bytes:  # noqa: D102
        return _data_message(before, after)


def _data_message(before: bytes | None, after: bytes | None) -> bytes:
    """What Canal and Maxwell have in common. A row is never empty: it has its braces."""
    if before is not None and after is not None:
        return b'{"data":%b,"old":%b,"type":"UPDATE"}\n' % (after, before)
    return b'{"data":%b,"type":"%b"}\n' % (after or before or b"", b"DELETE" if after is None else b"INSERT")


class _ChangeWriter(FormatWriter):
    """An update is a deletion and an insertion, as in SeaTunnel; with merge_update_event it is one message.

    Then the row before an update waits for the one after it, which is the next.
    """

    def __init__(self, form: _ChangeFormat, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> None:
        self._form, self._stream, self._settings = form, TextStream(stream, settings.encoding), settings
        self._plain = settings.model_copy(update={"encoding": "UTF-8"})
        self._waiting: bytes | None = None

    def write(self, rows: pa.RecordBatch) -> None:
        kinds = [RowKind(kind) for kind in rows.column(KIND).to_pylist()]
        out = io.BytesIO()
        JsonFormat().writer(out, rows.schema, self._plain).write(rows.select(rows.schema.names[:-1]))
        for kind, row in zip(kinds, out.getvalue().split(b"\n")[:-1], strict=True):
            self._add(kind, row)

    def _add(self, kind: RowKind, row: bytes) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and kind is RowKind.UPDATE_AFTER:
            self._put(waiting, row)
            return
        if waiting is not None:
            self._put(waiting, None)
        if kind is RowKind.UPDATE_BEFORE and self._settings.merge_updates:
            self._waiting = row
        elif kind in _BEFORE:
            self._put(row, None)
        else:
            self._put(None, row)

    def _put(self, before: bytes | None, after: bytes | None) -> None:
        self._stream.write(self._form.message(before, after))

    def close(self) -> None:
        if self._waiting is not None:
            self._put(self._waiting, None)
        self._waiting = None
