"""How far the splits of a task are through: what a barrier answers, also when it comes in the middle of a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headrace.checkpoint.midway import Midway
from headrace.checksums import checksum
from headrace.connector import Batch, Position
from headrace.errors import Rejected


class Reached:
    """The positions of the splits that a task reads in this epoch."""

    def __init__(self) -> None:
        self._moved: dict[str, Position] = {}
        self._finished: list[str] = []
        self._before: dict[str, Position | None] = {}
        self._skipped: dict[str, Midway] = {}
        self._batch: tuple[str, Batch, int] | None = None

    def begin(self, split: str, position: Position | None) -> Position | None:
        """A split is read from here: the position that its source knows."""
        start = Midway.read(position)
        self._before[split] = start.after
        if start.rows:
            self._skipped[split] = start
        return start.after

    def through(self, split: str, batch: Batch) -> int:
        """How many rows of a batch that was read were through at the start.

        Raises Rejected when they are not the rows that were.
        """
        left = self._skipped.get(split)
        if left is None:
            return 0
        rows = min(left.rows, batch.num_rows)
        left = replace(left, rows=left.rows - rows, checksum=_less(left, batch.slice(0, rows)))
        if left.rows:
            self._skipped[split] = left
        else:
            del self._skipped[split]
            if left.checksum:
                raise _changed(split, "not those")
        return rows

    def part(self, split: str, batch: Batch, rows: int) -> None:
        """So many rows of the batch are through."""
        self._batch = split, batch, rows

    def done(self, split: str, position: Position) -> None:
        """A batch is through, and this is the position after it."""
        self._batch, self._before[split] = None, position
        left = self._skipped.get(split)
        self._moved[split] = position if left is None else replace(left, after=position).to_json()

    def end(self, split: str) -> None:
        """The split was read to its end. Raises Rejected when not all rows came again that were through."""
        if split in self._skipped:
            raise _changed(split, f"{self._skipped[split].rows:,} fewer than those")
        self._before.pop(split, None)
        self._finished.append(split)

    def take(self) -> tuple[Mapping[str, Position], list[str]]:
        """What moved since the last call: split → after its last row that is through; the splits that have ended."""
        (moved, self._moved), (finished, self._finished) = (self._moved, {}), (self._finished, [])
        if self._batch is not None:
            split, batch, rows = self._batch
            columns = tuple(batch.rows.schema.names)
            here = Midway(self._before[split], rows, _checksum(batch.slice(0, rows), columns), columns)
            moved[split] = here.to_json()
        return moved, sorted(finished)


def _less(known: Midway, batch: Batch) -> int | None:
    """The checksum without these rows, which are among those it is of; None where it cannot be told."""
    missing = set(known.columns) - set(batch.rows.schema.names)
    found = None if known.checksum is None or missing else _checksum(batch, known.columns)
    return None if known.checksum is None or found is None else (known.checksum - found) % 2**64


def _checksum(batch: Batch, columns: Sequence[str]) -> int | None:
    """None where the type of a column has none, or two have one name."""
    if len(set(batch.rows.schema.names)) < batch.rows.num_columns:
        return None
    try:
        return checksum(batch.rows.select(list(columns)), batch.kinds)
    except TypeError:
        return None


def _changed(split: str, what: str) -> Rejected:
    return Rejected(
        f"the rows after the saved position are {what} that were read before, so rows would be lost or come twice; put "
        "the data back as it was, or start under a new job id",
        split=split,
    )
