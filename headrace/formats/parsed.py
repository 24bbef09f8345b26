"""Blocks that a quick reader takes where it is known to agree with the slow one, whose meaning is the meaning."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from headrace.formats.file_format import BadLine, FilePart
from headrace.formats.lines import Block, LineFormat, line_number

SLOW_BYTES = 16 * 1024
"""A part of a block that is not halved any more before it is read slowly."""


@dataclass
class Parsed:
    """The rows of a block. odd: its bad lines, and its rows that had fields too many or too few, in order."""

    rows: pa.Table
    odd: list[BadLine] = field(default_factory=list)


def by_halves(
    block: Block,
    form: LineFormat,
    quickly: Callable[[memoryview], pa.Table | None],
    slowly: Callable[[memoryview, int], Parsed],
) -> Parsed:
    """The rows of a block. quickly: None for what it does not take; then that is halved, until it is small.

    slowly: is told where its part begins in the block.
    """
    pieces = list(_halves(block.data, 0, len(block.data), form, quickly, slowly))
    if len(pieces) == 1:
        return pieces[0]
    odd, before = [], 0
    for piece in pieces:
        odd += [line._replace(after=line.after + before) for line in piece.odd]
        before += piece.rows.num_rows
    return Parsed(pa.concat_tables([piece.rows for piece in pieces]), odd)


def _halves(
    data: memoryview,
    start: int,
    end: int,
    form: LineFormat,
    quickly: Callable[[memoryview], pa.Table | None],
    slowly: Callable[[memoryview, int], Parsed],
) -> Iterator[Parsed]:
    found = quickly(data[start:end])
    if found is not None:
        yield Parsed(found)
        return
    half = start + (end - start) // 2
    middle = start + form.dialect.last_row_end(bytes(data[start:half])) if end - start > SLOW_BYTES else start
    if middle == start:
        yield slowly(data[start:end], start)
        return
    yield from _halves(data, start, middle, form, quickly, slowly)
    yield from _halves(data, middle, end, form, quickly, slowly)


class LineNumbers:
    """The numbers of lines in a file, from 1; the file is only read up to a block when one is asked for."""

    def __init__(self, part: FilePart, block: Block, start: int, form: LineFormat) -> None:
        self._part, self._block, self._start, self._form = part, block, start, form
        self._first: int | None = None

    def of(self, data: bytes | memoryview) -> int:
        """The number of the line that begins behind `data`, which begins at `start` of the block."""
        count = self._form.dialect.count_ends
        if self._first is None:
            self._first = line_number(self._part.file, self._block.start, self._form)
            self._first += count(self._block.data[: self._start])
        return self._first + count(data)
