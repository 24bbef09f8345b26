"""Parts of a table, found without reading it: by statistics of a sample of its blocks, or by its blocks themselves."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.connectors._jdbc.dialect import Entry, Part, Splitting
from headrace.connectors._jdbc.parts import SPLIT_ROWS, SPLITS_PER_TASK, equal_ranges, part_column
from headrace.rows import Column

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.postgresql.database import Postgresql

SAMPLE_BLOCKS = 2000
"""Blocks of a table that are looked at, about, to find where its parts begin: 16 MiB at most."""

MOST_PARTS = 10_000
"""A bigger number would be a sign of a split.size without sense."""


def split(database: "Postgresql", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    """The parts of one table or query."""
    if wanted.column is not None:
        yield from _by_column(database, entry, wanted)
        return
    if entry.number is None or entry.name is None:
        yield Part("all")
        return
    blocks, rows = _size(database, entry)
    rows_each = wanted.rows or max(SPLIT_ROWS, math.ceil(rows / (wanted.parallelism * SPLITS_PER_TASK)))
    count = max(1, min(math.ceil(rows / rows_each), MOST_PARTS, blocks))
    if entry.number == "ctid":
        edges = [blocks * i // count for i in range(count)]
        for number, (low, high) in enumerate(zip(edges, [*edges[1:], None], strict=True)):
            yield Part(str(number), rows // count, {"blocks": [low, high]})
        return
    key = {"key": entry.number}
    bounds = _bounds(database, entry, count, blocks) if count > 1 else []
    for number in range(len(bounds) + 1):
        begin = {"from": bounds[number - 1]} if number else {}
        end = {"below": bounds[number]} if number < len(bounds) else {}
        yield Part(str(number), rows // (len(bounds) + 1), key | begin | end)


def _size(database: "Postgresql", entry: Entry) -> tuple[int, int]:
    """Blocks and rows, the rows as far as the statistics or one look at some blocks tell. A partitioned table's are
    those of its partitions."""
    [(size, block, known)] = database.execute(
        "SELECT coalesce(sum(pg_relation_size(t.relid)), 0)::bigint, current_setting('block_size')::bigint, "
        "coalesce(sum(CASE WHEN c.relkind = 'r' OR c.relkind = 'm' THEN c.reltuples END), -1)::bigint "
        "FROM (SELECT ?::regclass AS relid UNION SELECT relid FROM pg_partition_tree(?)) t "
        "JOIN pg_class c ON c.oid = t.relid",
        (entry.sql, entry.sql),
    )
    blocks = int(size) // int(block)
    if known > 0 or not blocks:
        return blocks, max(int(known), 0)
    percent = min(100.0, 100 * 100 / blocks)
    [(found,)] = database.execute(f"SELECT count(*) FROM {entry.sql} TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)")
    return blocks, round(found * 100 / percent)


def _bounds(database: "Postgresql", entry: Entry, count: int, blocks: int) -> list[list[str]]:
    """Where parts begin, but the first: keys of a sample that leave about as many rows between them.

    The database orders them, so that its collations and types decide, and a skewed key makes parts as big as others.
    """
    names = [database.dialect.quote(name) for name in entry.number]
    listed, texts = ", ".join(names), ", ".join(f"{name}::text" for name in names)
    percent = min(100.0, 100 * max(SAMPLE_BLOCKS, 2 * count) / blocks)
    found = database.execute(
        f"SELECT {texts} FROM (SELECT {listed}, row_number() OVER (ORDER BY {listed}) AS headrace_n, "
        f"count(*) OVER () AS headrace_c FROM {entry.sql} TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)) s "
        f"WHERE headrace_n * {count} / headrace_c <> (headrace_n - 1) * {count} / headrace_c "
        f"AND headrace_n < headrace_c ORDER BY headrace_n"
    )
    return [list(row) for row in found]


# ------------------------------------------------------------------------------------------------------- by a column


def _by_column(database: "Postgresql", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    """Ranges of numbers and dates, or a hash of anything else; rows where it is null are a part of their own."""
    column = part_column(entry, wanted)
    here: dict[str, Any] = {"column": column.name}
    if wanted.lower is None and wanted.upper is None:
        yield Part("null", data=here | {"null": True})
    count = wanted.parts or wanted.parallelism
    if _is_range(column):
        ranges = _ranges(database, entry, column, wanted, count)
    else:
        ranges = [{"hash": [count, number]} for number in range(count)]
    for number, data in enumerate(ranges):
        yield Part(str(number), data=here | data)


def _is_range(column: Column) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_date, pa.types.is_timestamp)
    return any(kind(column.type) for kind in kinds)


def _ranges(
    database: "Postgresql", entry: Entry, column: Column, wanted: Splitting, count: int
) -> list[dict[str, Any]]:
    name, named = database.dialect.quote(column.name), "" if entry.name is not None else " AS headrace_query"
    low, high = wanted.lower, wanted.upper
    if low is None or high is None:
        where = f" WHERE {entry.where}" if entry.where else ""
        [(least, most)] = database.execute(f"SELECT min({name}), max({name}) FROM {entry.sql}{named}{where}")
        low, high = (least if low is None else low), (most if high is None else high)
    if low is None or high is None:
        return [{"null": False}]
    ranges = _spread(database, column, low, high, count)
    if wanted.lower is None:
        ranges[0].pop("from", None)
    if wanted.upper is None:
        ranges[-1].pop("upto", None)
        ranges[-1].setdefault("null", False)
    return ranges


def _spread(database: "Postgresql", column: Column, low: Any, high: Any, count: int) -> list[dict[str, Any]]:
    if pa.types.is_integer(column.type):
        low, high = math.ceil(low), math.floor(high)
        return list(equal_ranges(low, high, max(1, min(count, high - low + 1))))
    declared = column.source_type
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        edges = [float(low) + (float(high) - float(low)) * i / count for i in range(count)]
        texts = [str(low), *(repr(edge) for edge in edges[1:]), str(high)]
    else:
        rows = database.execute(
            f"SELECT (a + (b - a) * i / {count})::{declared}::text FROM generate_series(0, {count}) i, "
            f"(SELECT ?::{declared} a, ?::{declared} b) s ORDER BY i",
            (str(low), str(high)),
        )
        texts = [row[0] for row in rows]
    ends: list[dict[str, Any]] = [{"below": text} for text in texts[1:-1]]
    return [{"from": text, **end} for text, end in zip(texts, [*ends, {"upto": texts[-1]}], strict=False)]
