"""Parts of a table, found without reading it: by statistics of a sample of its blocks, or by its blocks themselves."""

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.connectors._jdbc.dialect import Entry, Part, Splitting
from headrace.connectors._jdbc.parts import MOST_PARTS, SPLIT_ROWS, SPLITS_PER_TASK, parts_by_column, parts_by_key
from headrace.rows import Column

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.postgresql.database import Postgresql

SAMPLE_BLOCKS = 2000
"""Blocks of a table that are looked at, about, to find where its parts begin: 16 MiB at most."""

"""A bigger number would be a sign of a split.size without sense."""


def split(database: "Postgresql", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    """The parts of one table or query."""
    if wanted.column is not None:
        yield from parts_by_column(entry, wanted, partial(_limits, database, entry), partial(_edges, database))
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
    bounds = _bounds(database, entry, count, blocks) if count > 1 else []
    yield from parts_by_key(entry.number, bounds, rows)


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


def _limits(database: "Postgresql", entry: Entry, column: Column) -> tuple[Any, Any]:
    name, named = database.dialect.quote(column.name), "" if entry.name is not None else " AS headrace_query"
    where = f" WHERE {entry.where}" if entry.where else ""
    [(least, most)] = database.execute(f"SELECT min({name}), max({name}) FROM {entry.sql}{named}{where}")
    return least, most


def _edges(database: "Postgresql", column: Column, low: Any, high: Any, count: int) -> list[str]:
    declared = column.source_type
    rows = database.execute(
        f"SELECT (a + (b - a) * i / {count})::{declared}::text FROM generate_series(0, {count}) i, "
        f"(SELECT ?::{declared} a, ?::{declared} b) s ORDER BY i",
        (str(low), str(high)),
    )
    return [row[0] for row in rows]
