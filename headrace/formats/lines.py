"""Text files in blocks of whole lines, from any place on: what csv, text and json have in common."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.connector import TaskContext
from headrace.formats.file_format import FilePart
from headrace.storage.opened import Opened

BLOCK_BYTES = 4 * 1024 * 1024
"""Read at once. Large enough for Arrow's parsers, small enough that a task holds few of them."""

_SCAN_BYTES = 1024 * 1024


@dataclass(frozen=True)
class LineFormat:
    """delimiter: ends a line. quote: a byte between two of which a delimiter is text; empty for none.
    encoding: of the file; blocks come out as UTF-8. skip: header lines at the start of the file."""

    delimiter: bytes = b"\n"
    quote: bytes = b""
    encoding: str = "utf-8"
    skip: int = 0

    @property
    def ascii_based(self) -> bool:
        """Whether line ends and quotes can be found in the bytes of the file, without decoding it."""
        try:
            return '\n,"a'.encode(self.encoding) == b'\n,"a'
        except LookupError:
            return False


@dataclass(frozen=True)
class Block:
    """Whole lines as UTF-8. start, end: offsets in the file. quoted: whether a quote is among them."""

    data: memoryview
    start: int
    end: int
    quoted: bool = True


def cut(file: Opened, split_size: int, form: LineFormat) -> list[tuple[int, int]]:
    """Byte ranges of about `split_size` that begin and end at line ends; one for a file that cannot be cut."""
    size = file.size
    if size <= split_size or not form.ascii_based:
        return [(0, size)]
    starts = [0]
    with file.stream() as stream:
        for wanted in range(split_size, size, split_size):
            start = _line_start(stream, starts[-1], max(wanted, starts[-1]), form)
            if starts[-1] < start < size:
                starts.append(start)
    return list(zip(starts, [*starts[1:], size], strict=True))


def _line_start(file, known: int, wanted: int, form: LineFormat) -> int:  # type: ignore[no-untyped-def]
    """The first line that starts at or after `wanted`; with quotes, all from the line start `known` on is looked at."""
    odd = bool(form.quote) and _count(file, known, wanted, form.quote) % 2 == 1
    file.seek(wanted)
    offset = wanted
    while data := file.read(64 * 1024):
        at = 0
        while (found := data.find(form.delimiter, at)) >= 0:
            odd ^= bool(form.quote) and data.count(form.quote, at, found) % 2 == 1
            at = found + len(form.delimiter)
            if not odd:
                return offset + at
        odd ^= bool(form.quote) and data.count(form.quote, at) % 2 == 1
        offset += len(data)
    return offset


def _count(file, start: int, end: int, what: bytes) -> int:  # type: ignore[no-untyped-def]
    """How often `what` stands in a part of the file."""
    file.seek(start)
    found, left = 0, end - start
    while left > 0 and (data := file.read(min(_SCAN_BYTES, left))):
        found += data.count(what)
        left -= len(data)
    return found


def blocks(part: FilePart, start: int, form: LineFormat, task: TaskContext) -> Iterator[Block]:
    """Blocks of a part's lines from `start`, where a line begins. Raises UnicodeError for a wrong encoding.

    Of a part that grows, what stands behind the last line end may be part of a line; it is left then. Raises Rejected
    for a line that the task has no memory for.
    """
    size = min(BLOCK_BYTES, task.batch_bytes)
    if not form.ascii_based:
        yield from _decoded_blocks(part, start, form, task, size)
        return
    end = part.end
    plain = codecs.lookup(form.encoding).name in ("utf-8", "ascii")
    with part.file.stream() as file:
        file.seek(start)
        at, rest = start, b""
        skip = form.skip if start == 0 else 0
        while at + len(rest) < end:
            data = _read_behind(file, rest, min(max(size, len(rest)), end - at - len(rest)))
            last = len(data) == len(rest) or at + len(data) >= end
            whole = len(data) if last and not part.growing else _last_line_end(data, form)
            if whole == 0 and last:
                return
            if whole == 0:
                _check_line(len(data), at, part, form, task)
                rest = bytes(data)
                continue
            lines, rest = memoryview(data)[:whole], bytes(data[whole:])
            begin, at = at, at + whole
            while skip and lines:
                head = data.find(form.delimiter, begin - (at - whole), whole)
                length = (whole if head < 0 else head + len(form.delimiter)) - (begin - (at - whole))
                begin, lines, skip = begin + length, lines[length:], skip - 1
            if begin == 0 and data.startswith(codecs.BOM_UTF8):
                lines = lines[3:]
            if lines:
                quoted = bool(form.quote) and form.quote in data
                yield Block(lines if plain else memoryview(str(lines, form.encoding).encode()), begin, at, quoted)
            if last:
                return


def _read_behind(file, rest: bytes, size: int) -> bytearray:  # type: ignore[no-untyped-def]
    """`rest` and the next `size` bytes of the file, or fewer at its end, in memory of their own."""
    data = bytearray(len(rest) + size)
    data[: len(rest)] = rest
    filled = len(rest)
    with memoryview(data) as view:
        while filled < len(data) and (got := file.readinto(view[filled:])):
            filled += got
    if filled < len(data):
        del data[filled:]
    return data


def _last_line_end(data: bytes | bytearray, form: LineFormat) -> int:
    """Where the last whole line of `data` ends; 0 when there is none."""
    found = data.rfind(form.delimiter)
    if not form.quote or form.quote not in data:
        return found + len(form.delimiter) if found >= 0 else 0
    quotes = data.count(form.quote, 0, found) if found >= 0 else 0
    while found >= 0 and quotes % 2:
        before = data.rfind(form.delimiter, 0, found)
        quotes -= data.count(form.quote, max(before, 0), found)
        found = before
    return found + len(form.delimiter) if found >= 0 else 0


def _check_line(length: int, at: int, part: FilePart, form: LineFormat, task: TaskContext) -> None:
    """A line is there three times: as it was read, put together, and as the values of its row."""
    cure = f"look for a {form.quote.decode()} that is not closed" if form.quote else ""
    task.check_size(3 * length, f"the line at byte {at:,} of {part.label}", cure)


def _decoded_blocks(part: FilePart, position: int, form: LineFormat, task: TaskContext, size: int) -> Iterator[Block]:
    """A file in an encoding like UTF-16, read from its start; offsets count the bytes of its text in UTF-8."""
    decoder = codecs.getincrementaldecoder(form.encoding)()
    at, rest, skip = 0, b"", form.skip
    with part.file.stream() as file:
        while True:
            fresh = file.read(max(size, len(rest)))
            data = rest + decoder.decode(fresh, final=not fresh).encode()
            whole = len(data) if not fresh else _last_line_end(data, form)
            if whole == 0:
                _check_line(len(data), at, part, form, task)
            lines, rest = data[:whole], data[whole:]
            begin, at = at, at + whole
            while skip and lines:
                head, _, lines = lines.partition(form.delimiter)
                begin += len(head) + len(form.delimiter)
                skip -= 1
            if lines and at > position:
                yield Block(memoryview(lines)[max(position - begin, 0) :], max(begin, position), at)
            if not fresh:
                return


def line_number(file: Opened, offset: int, form: LineFormat) -> int:
    """The number of the line that starts at `offset`, from 1; for messages, so the file is read up to there."""
    if not offset:
        return 1
    with file.stream() as stream:
        return 1 + _count(stream, 0, offset, form.delimiter)
