"""Positions in the middle of a batch: the source's own position before it, and how many rows after that are through.

A source's positions lie between its batches. Where rows are slow, a checkpoint cannot wait for the end of one; a
restart then reads the batch again from its start and leaves out the rows that are through.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.connector import Position

_AFTER, _ROWS, _CHECKSUM, _COLUMNS = "headrace:after", "headrace:rows", "headrace:checksum", "headrace:columns"


@dataclass(frozen=True)
class Midway:
    """`rows` rows after the position `after` are through.

    checksum: the sum of these rows' hashes modulo 2^64, by which a restart knows them again; None where the type of a
    column has none. columns: that were hashed; a table may have more since.
    """

    after: Position | None
    rows: int
    checksum: int | None = None
    columns: tuple[str, ...] = ()

    def to_json(self) -> Position:
        """As a position that is saved like any other, here or in a transactional target."""
        text = None if self.checksum is None else f"{self.checksum:016x}"
        return {_AFTER: self.after, _ROWS: self.rows, _CHECKSUM: text, _COLUMNS: list(self.columns)}

    @classmethod
    def read(cls, position: Position | None) -> "Midway":
        """What a saved position says; one of the source's own has no rows after it that are through."""
        if not isinstance(position, Mapping) or _ROWS not in position:
            return cls(position, 0)
        text = position[_CHECKSUM]
        known = None if text is None else int(text, 16)
        return cls(position[_AFTER], position[_ROWS], known, tuple(position[_COLUMNS]))
