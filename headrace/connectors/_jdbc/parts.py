"""Splitting by the values of a key or a column, as far as it is the same in all databases."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from headrace.connectors._jdbc.dialect import Entry, Part, Splitting
from headrace.errors import ConfigError
from headrace.rows import Column

SPLIT_ROWS = 65_536
"""Fewer rows than this are not worth a split of their own, unless split.size says so."""

SPLITS_PER_TASK = 4
"""So that a task that is done early has something left to take."""

MOST_PARTS = 10_000

SIGNS = {"from": ">=", "below": "<", "upto": "<="}
"""What a part's data says of its key or column."""


def parts_by_key(key: Sequence[str], bounds: Sequence[list[str]], rows: int) -> Iterator[Part]:
    """Parts of about equally many of the rows. bounds: where they begin, but the first."""
    for number in range(len(bounds) + 1):
        begin = {"from": bounds[number - 1]} if number else {}
        end = {"below": bounds[number]} if number < len(bounds) else {}
        yield Part(str(number), rows // (len(bounds) + 1), {"key": key} | begin | end)


def parts_by_column(
    entry: Entry,
    wanted: Splitting,
    limits: Callable[[Column], tuple[Any, Any]],
    edges: Callable[[Column, Any, Any, int], list[str]],
) -> Iterator[Part]:
    """Ranges of numbers and dates, or a hash of anything else; rows where it is null are a part of their own.

    limits: asks the database for the least and the most value, None where there is none. edges: from a value of a date
    or time to another in so many steps, as texts. Raises ConfigError.
    """
    column = part_column(entry, wanted)
    here: dict[str, Any] = {"column": column.name}
    if wanted.lower is None and wanted.upper is None:
        yield Part("null", data=here | {"null": True})
    count = wanted.parts or wanted.parallelism
    if _is_range(column):
        ranges = _ranges(column, wanted, count, limits, edges)
    else:
        ranges = [{"hash": [count, number]} for number in range(count)]
    for number, data in enumerate(ranges):
        yield Part(str(number), data=here | data)


def _is_range(column: Column) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_date, pa.types.is_timestamp)
    return any(kind(column.type) for kind in kinds)


def _ranges(
    column: Column,
    wanted: Splitting,
    count: int,
    limits: Callable[[Column], tuple[Any, Any]],
    edges: Callable[[Column, Any, Any, int], list[str]],
) -> list[dict[str, Any]]:
    low, high = wanted.lower, wanted.upper
    if low is None or high is None:
        least, most = limits(column)
        low, high = (least if low is None else low), (most if high is None else high)
    if low is None or high is None:
        return [{"null": False}]
    ranges = _spread(column, low, high, count, edges)
    if wanted.lower is None:
        ranges[0].pop("from", None)
    if wanted.upper is None:
        ranges[-1].pop("upto", None)
        ranges[-1].setdefault("null", False)
    return ranges


def _spread(
    column: Column, low: Any, high: Any, count: int, edges: Callable[[Column, Any, Any, int], list[str]]
) -> list[dict[str, Any]]:
    if pa.types.is_integer(column.type):
        low, high = math.ceil(low), math.floor(high)
        return list(equal_ranges(low, high, max(1, min(count, high - low + 1))))
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        steps = [float(low) + (float(high) - float(low)) * i / count for i in range(count)]
        texts = [str(low), *(repr(step) for step in steps[1:]), str(high)]
    else:
        texts = edges(column, low, high, count)
    ends: list[dict[str, Any]] = [{"below": text} for text in texts[1:-1]]
    return [{"from": text, **end} for text, end in zip(texts, [*ends, {"upto": texts[-1]}], strict=False)]


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
