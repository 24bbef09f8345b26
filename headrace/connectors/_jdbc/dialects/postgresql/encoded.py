"""Rows of a binary COPY as they came, so that another one takes them (postgresql.org/docs/current/sql-copy.html)."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from headrace.connectors._jdbc.dialects.postgresql.decode import Rows
from headrace.connectors._jdbc.dialects.postgresql.types import Wire

COPY_BINARY = "rows of a binary COPY of PostgreSQL"
"""The name of the encoding."""

BEGIN, END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
"""What stands before the first row and behind the last."""

_BUILT_IN = re.compile(
    r"boolean|smallint|integer|bigint|real|double precision|numeric\(\d+,\d+\)|text|character varying(\(\d+\))?|"
    r"character\(\d+\)|jsonb?|uuid|bytea|date|time(\(\d\))? without time zone|timestamp(\(\d\))? with(out)? time zone"
)
"""Types that are the same in every database, as the catalog writes them."""


def is_built_in(declared: str | None) -> bool:
    """Whether a type of this name means the same everywhere."""
    return declared is not None and _BUILT_IN.fullmatch(declared) is not None


class CopiedRows:
    """Rows of one batch. data: their bytes. bounds: where each begins, and where the last ends.

    sums: of the estimated bytes of the rows before each. types: what the source declares. read: how to decode.
    """

    form = COPY_BINARY

    def __init__(
        self,
        data: bytearray,
        bounds: np.ndarray,
        sums: np.ndarray,
        types: tuple[str, ...],
        read: Callable[[Rows], pa.RecordBatch],
    ) -> None:
        self._data, self._bounds, self._sums, self.types, self._read = data, bounds, sums, types, read

    @property
    def num_rows(self) -> int:
        """How many there are."""
        return len(self._bounds) - 1

    @property
    def nbytes(self) -> int:
        """Bytes as they travel."""
        return int(self._bounds[-1] - self._bounds[0])

    @property
    def estimated_bytes(self) -> int:
        """See Encoded."""
        return int(self._sums[-1] - self._sums[0])

    @property
    def data(self) -> memoryview:
        """The rows."""
        return memoryview(self._data)[int(self._bounds[0]) : int(self._bounds[-1])]

    def slice(self, offset: int, length: int) -> "CopiedRows":
        """See Encoded."""
        chosen = slice(offset, offset + length + 1)
        return CopiedRows(self._data, self._bounds[chosen], self._sums[chosen], self.types, self._read)

    def decode(self) -> pa.RecordBatch:
        """See Encoded."""
        return self._read(Rows(bytearray(self.data), self._bounds[1:] - self._bounds[0]))


def as_they_came(
    data: bytearray,
    ends: Sequence[int],
    wires: Sequence[Wire],
    types: tuple[str, ...],
    read: Callable[[Rows], pa.RecordBatch],
) -> CopiedRows | None:
    """The rows of a batch undecoded; None when one of them has a value that cannot be decoded."""
    rows, estimates = Rows(data, ends), np.zeros(len(ends), np.int64)
    for way in wires:
        sizes, is_bad = rows.measure(way)
        if is_bad:
            return None
        estimates += sizes
    bounds, sums = np.zeros((2, len(ends) + 1), np.int64)
    bounds[1:], sums[1:] = rows.ends, np.cumsum(estimates)
    return CopiedRows(data, bounds, sums, types, read)
