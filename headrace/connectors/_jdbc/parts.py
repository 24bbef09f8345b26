"""Splitting by the values of a column, as far as it is the same in all databases."""

from collections.abc import Iterator
from typing import Any

from headrace.connectors._jdbc.dialect import Entry, Splitting
from headrace.errors import ConfigError
from headrace.rows import Column

SPLIT_ROWS = 65_536
"""Fewer rows than this are not worth a split of their own, unless split.size says so."""

SPLITS_PER_TASK = 4
"""So that a task that is done early has something left to take."""


def part_column(entry: Entry, wanted: Splitting) -> Column:
    """The column of the option partition_column, by its name without regard to case. Raises ConfigError."""
    name = (wanted.column or "").lower()
    found = next((column for column in entry.schema.columns if column.name.lower() == name), None)
    if found is None:
        cure = f"its columns are {', '.join(entry.schema.names)}"
        raise ConfigError([f"partition_column: {entry.schema.path} has no column {wanted.column!r}; {cure}"])
    return found


def equal_ranges(low: Any, high: Any, count: int) -> Iterator[dict[str, Any]]:
    """From `low` to `high` in parts of the same width; each ends where the next begins, the last with `high`.

    `from` and `upto` belong to a part, `below` does not.
    """
    whole = isinstance(low, int) and isinstance(high, int)
    edge: Any = low
    for number in range(1, count):
        after = low + (high - low + 1) * number // count if whole else low + (high - low) * number / count
        yield {"from": edge, "below": after}
        edge = after
    yield {"from": edge, "upto": high}
