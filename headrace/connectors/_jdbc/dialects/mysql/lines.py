"""Rows as bytes, one after the other in one buffer: what statements are cut out of, and what a load sends."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def joined(parts: Sequence[Any], count: int) -> pa.Array:
    """Texts and columns, joined row by row."""
    made = [part if isinstance(part, pa.Array) else pa.scalar(part, pa.large_binary()) for part in parts]
    if not any(isinstance(part, pa.Array) for part in made):
        return pa.array([b"".join(parts)] * count, pa.large_binary())
    return pc.binary_join_element_wise(*made, pa.scalar(b"", pa.large_binary()))


def listed(columns: Sequence[pa.Array], sign: bytes, null: str) -> pa.Array:
    """The values of each row with a sign between them. null: what stands for no value."""
    between = pa.scalar(sign, pa.large_binary())
    return pc.binary_join_element_wise(*columns, between, null_handling="replace", null_replacement=null)


class Lines:
    """Rows as bytes in one buffer."""

    def __init__(self, lines: pa.Array) -> None:
        if lines.offset:
            lines = pa.concat_arrays([lines])
        _, offsets, self._data = lines.buffers()
        self._ends = np.frombuffer(offsets, np.int64, len(lines) + 1)
        self._bytes = memoryview(self._data)

    @property
    def longest(self) -> int:
        """Bytes of the longest row."""
        return int(np.diff(self._ends).max())

    def between(self, low: int, high: int) -> memoryview:
        """The rows from `low` to below `high`."""
        return self._bytes[int(self._ends[low]) : int(self._ends[high])]

    def chunks(self, size: int) -> Iterator[memoryview]:
        """All rows, in pieces of so many bytes."""
        begin, end = int(self._ends[0]), int(self._ends[-1])
        for at in range(begin, end, size):
            yield self._bytes[at : min(at + size, end)]

    def parts(self, most: int) -> Iterator[tuple[int, int]]:
        """Ranges of rows of about so many bytes, or of one row."""
        low, count = 0, len(self._ends) - 1
        while low < count:
            high = int(np.searchsorted(self._ends, self._ends[low] + most, "right")) - 1
            high = min(max(high, low + 1), count)
            yield low, high
            low = high
