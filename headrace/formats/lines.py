"""Text files in blocks of whole rows, from any row on: what csv, text and json have in common."""

import codecs
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from headrace.connector import TaskContext
from headrace.errors import Rejected
from headrace.formats.dialect import Dialect
from headrace.formats.file_format import FilePart
from headrace.storage.opened import Opened

BLOCK_BYTES = 4 * 1024 * 1024
"""Read at once. Large enough for Arrow's parsers, small enough that a task holds few of them."""

_SCAN_BYTES = 1024 * 1024

_PACKED = {
    b"\x1f\x8b\x08": 'it is packed with gzip; set compress_codec = "gzip"',
    b"\x28\xb5\x2f\xfd": 'it is packed with zstd; set compress_codec = "zstd"',
    b"\x04\x22\x4d\x18": 'it is packed with lz4; set compress_codec = "lz4"',
    b"\x89LZO\x00\r\n": 'it is packed with lzo; set compress_codec = "lzo"',
    b"BZh91AY&SY": 'it is packed with bz2; set compress_codec = "bz2"',
    b"PK\x03\x04": 'it is a zip archive; set archive_compress_codec = "ZIP"',
}
_MARKS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


@dataclass(frozen=True)
class LineFormat:
    """dialect: how rows end. encoding: of the file; blocks come out as UTF-8.

    skip: lines at the start of the file that are no rows. header: whether the row behind them names the columns.
    """

    dialect: Dialect = field(default_factory=lambda: Dialect(row_end="\n"))
    encoding: str = "utf-8"
    skip: int = 0
    header: bool = False

    @property
    def ascii_based(self) -> bool:
        """Whether the ends of rows can be found in the bytes of the file, without decoding it."""
        try:
            return '\n,"a'.encode(self.encoding) == b'\n,"a'
        except LookupError:
            return False

    @property
    def is_utf8(self) -> bool:
        """Whether the file's bytes are blocks as they are."""
        return codecs.lookup(self.encoding).name in ("utf-8", "ascii", "utf-8-sig")

    def body_start(self, head: bytes | bytearray, *, whole: bool) -> tuple[int, int] | None:
        """Where the header row of a file begins and where the first row does; None when that lies behind `head`.

        whole: whether `head` is all there is.
        """
        at = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        for _ in range(self.skip):
            at = self.dialect.line_end(head, at) if at < len(head) else 0
            if not at:
                return (len(head), len(head)) if whole else None
        if not self.header:
            return at, at
        end = self.dialect.first_row_end(head[at:], 1)
        if not end and not whole:
            return None
        return at, at + end if end else len(head)


@dataclass(frozen=True)
class Block:
    """Whole rows as UTF-8. start, end: offsets in the file. last: whether nothing follows, so that it may end oddly."""

    data: memoryview
    start: int
    end: int
    last: bool = False


def cut(file: Opened, split_size: int, form: LineFormat) -> list[tuple[int, int]]:
    """Byte ranges of about `split_size` that begin and end at row ends; one for a file that cannot be cut."""
    if file.size <= split_size or not form.ascii_based:
        return [(0, file.size)]
    starts = [0]
    with file.stream() as stream:
        at = _body_of(stream, form)
        for wanted in range(split_size, file.size, split_size):
            at = _row_start(stream, at, wanted, form)
            if at >= file.size:
                break
            if at > starts[-1]:
                starts.append(at)
    return list(zip(starts, [*starts[1:], file.size], strict=True))


def _body_of(stream: BinaryIO, form: LineFormat) -> int:
    head = b""
    while True:
        fresh = stream.read(_SCAN_BYTES)
        head += fresh
        found = form.body_start(head, whole=not fresh)
        if found is not None:
            return found[1]


def _row_start(stream: BinaryIO, known: int, wanted: int, form: LineFormat) -> int:
    """The first row that starts at or after `wanted`; all from the row start `known` on is looked at, if it must be."""
    if known >= wanted:
        return known
    stream.seek(known)
    at, data = known, b""
    while fresh := stream.read(max(_SCAN_BYTES, len(data))):
        data += fresh
        if at + len(data) < wanted:
            whole = form.dialect.last_row_end(data)
            at, data = at + whole, data[whole:]
        elif end := form.dialect.first_row_end(data, wanted - at):
            return at + end
    return at + len(data)


def blocks(part: FilePart, start: int, form: LineFormat, task: TaskContext) -> Iterator[Block]:
    """Blocks of a part's rows from `start`, where a row begins. Raises UnicodeError for a wrong encoding.

    Of a part that grows, what stands behind the last row end may be part of a row; it is left then. Bytes that are no
    text stay as they are. Raises Rejected for a row that the task has no memory for, and for a file that is packed.
    """
    size = min(BLOCK_BYTES, task.batch_bytes)
    with part.file.stream() as file:
        if form.ascii_based:
            stream, end = file, part.end
            stream.seek(start)
        else:
            stream, end = io.BufferedReader(_Decoded(file, form.encoding)), sys.maxsize
            stream.read(start)
        at, rest, is_head = start, b"", start == 0
        while at + len(rest) < end:
            data = _read_behind(stream, rest, min(max(size, len(rest)), end - at - len(rest)))
            last = len(data) == len(rest) or at + len(data) >= end
            if is_head:
                _check_mark(data, part, form)
                body = form.body_start(data, whole=last and not part.growing)
                if body is None:
                    if last:
                        return
                    rest = _kept(data, at, part, form, task)
                    continue
                is_head, at = False, at + body[1]
                data = data[body[1] :]
            whole = len(data) if last and not part.growing else form.dialect.last_row_end(data)
            if whole == 0 and last:
                return
            rest = _kept(data, at, part, form, task) if whole == 0 else bytes(memoryview(data)[whole:])
            if whole:
                begin, at = at, at + whole
                yield Block(_as_utf8(memoryview(data)[:whole], form), begin, at, last and not rest)
            if last:
                return


def _as_utf8(data: memoryview, form: LineFormat) -> memoryview:
    if not form.ascii_based or form.is_utf8:
        return data
    return memoryview(str(data, form.encoding, "surrogateescape").encode("utf-8", "surrogateescape"))


def _read_behind(file: BinaryIO, rest: bytes, size: int) -> bytearray:
    """`rest` and the next `size` bytes of the file, or fewer at its end, in memory of their own."""
    data = bytearray(len(rest) + size)
    data[: len(rest)] = rest
    filled = len(rest)
    with memoryview(data) as view:
        while filled < len(data) and (got := file.readinto(view[filled:])):  # type: ignore[attr-defined]
            filled += got
    if filled < len(data):
        del data[filled:]
    return data


def _kept(data: bytearray, at: int, part: FilePart, form: LineFormat, task: TaskContext) -> bytes:
    """The beginning of a row, kept until it is whole; it is there three times: read, put together, and as values."""
    quote = form.dialect.quote
    cure = f"look for a {quote} that is not closed" if quote else "see that row_delimiter is what ends the rows"
    task.check_size(3 * len(data), f"the line at byte {at:,} of {part.label}", cure)
    return bytes(data)


def _check_mark(data: bytearray, part: FilePart, form: LineFormat) -> None:
    """Raises Rejected for a file whose first bytes say that it is packed, or in another encoding."""
    for mark, what in _PACKED.items():
        if data.startswith(mark):
            raise Rejected(f"{part.label} is not {form.encoding} text: {what}")
    for mark, encoding in _MARKS.items():
        if form.ascii_based and data.startswith(mark):
            raise Rejected(f"{part.label} begins with the mark of {encoding}; set encoding = {encoding}")


class _Decoded(io.RawIOBase):
    """A file in an encoding like UTF-16 as the bytes of its text in UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file, self._decoder = file, codecs.getincrementaldecoder(encoding)()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            fresh = self._file.read(_SCAN_BYTES)
            self._ready = self._decoder.decode(fresh, final=not fresh).encode()
            if not fresh:
                break
        found = self._ready[: len(buffer)]
        buffer[: len(found)] = found
        self._ready = self._ready[len(found) :]
        return len(found)


def header_row(file: Opened, form: LineFormat, task: TaskContext) -> bytes:
    """The row that names the columns, in UTF-8; empty when the file ends before it. Raises UnicodeError, Rejected."""
    part = FilePart(file, 0, file.size)
    head = b""
    with file.stream() as stream:
        while True:
            raw = stream.read(64 * 1024)
            head += raw
            data = head if form.ascii_based else codecs.decode(head, form.encoding, "ignore").encode()
            _check_mark(bytearray(data), part, form)
            found = form.body_start(data, whole=not raw)
            if found is not None:
                begin, end = found
                return bytes(_as_utf8(memoryview(data)[begin:end], form))
            _kept(bytearray(data), 0, part, form, task)


def line_number(file: Opened, offset: int, form: LineFormat) -> int:
    """The number of the line that starts at `offset`, from 1; for messages, so the file is read up to there."""
    count, left, before = 1, offset, b""
    with file.stream() as raw:
        stream = raw if form.ascii_based else io.BufferedReader(_Decoded(raw, form.encoding))
        while left > 0 and (data := stream.read(min(_SCAN_BYTES, left))):
            count += form.dialect.count_ends(before + data) - form.dialect.count_ends(before)
            before, left = data[-1:], left - len(data)
    return count
