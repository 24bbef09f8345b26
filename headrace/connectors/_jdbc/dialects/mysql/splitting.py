"""Parts of a table, found without reading it: what lies between two keys is estimated by the index, and halved."""

import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.connectors._jdbc.dialect import Entry, Part, Splitting
from headrace.connectors._jdbc.dialects.mysql.conditions import compared
from headrace.connectors._jdbc.dialects.mysql.types import BYTES, declared
from headrace.connectors._jdbc.parts import MOST_PARTS, SPLIT_ROWS, SPLITS_PER_TASK, parts_by_column, parts_by_key
from headrace.rows import Column

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.mysql.database import Mysql

"""A bigger number would be a sign of a split.size without sense."""

Key = list[str]


def split(database: "Mysql", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    """The parts of one table or query."""
    if wanted.column is not None:
        yield from parts_by_column(entry, wanted, partial(_limits, database, entry), _edges)
    elif entry.number is None or entry.name is None:
        yield Part("all")
    else:
        yield from _by_key(database, entry, wanted)


# ---------------------------------------------------------------------------------------------------------- by a key


def _by_key(database: "Mysql", entry: Entry, wanted: Splitting) -> Iterator[Part]:
    finder = _Finder(database, entry)
    relation = database.catalog.relation(entry.name or ())
    rows = max(relation.rows if relation is not None else 0, finder.estimate(None, None))
    each = wanted.rows or max(SPLIT_ROWS, math.ceil(rows / (wanted.parallelism * SPLITS_PER_TASK)))
    bounds = finder.bounds(each, rows) if rows > each else []
    yield from parts_by_key(entry.number, bounds, rows)


class _Finder:
    """Finds keys that leave about as many rows between them. The database orders them, as its collations have it."""

    def __init__(self, database: "Mysql", entry: Entry) -> None:
        self._database, self._entry = database, entry
        self._key: list[str] = entry.number
        quote = database.dialect.quote
        self._names = [f"t.{quote(name)}" for name in self._key]
        types = {column.name: column.source_type or "" for column in entry.schema.columns}
        self._kinds = [declared(types[name]).base for name in self._key]

    def _where(self, low: Key | None, high: Key | None, sign: str = ">=") -> str:
        quote = self._database.dialect.quote
        found = [compared(self._entry, quote, self._key, sign, low)] if low is not None else []
        found += [compared(self._entry, quote, self._key, "<", high)] if high is not None else []
        return f" WHERE {' AND '.join(found)}" if found else ""

    def estimate(self, low: Key | None, high: Key | None) -> int:
        """Rows from `low` to below `high`, as the index tells at a glance."""
        sql = f"EXPLAIN SELECT {self._names[0]} FROM {self._entry.sql} AS t{self._where(low, high)}"
        with self._database.translated(), self._database.connection.cursor() as cursor:
            cursor.execute(sql)
            names = [item[0].lower() for item in cursor.description or ()]
            row = dict(zip(names, (cursor.fetchall() or [()])[0], strict=False))
        return int(row.get("rows") or 0)

    def _one(self, where: str, way: str = "") -> Key | None:
        """The first key of those that fulfil a condition; the last with DESC."""
        what = ", ".join(
            f"HEX({name})" if kind in BYTES else f"CAST({name} AS CHAR)"
            for name, kind in zip(self._names, self._kinds, strict=True)
        )
        order = ", ".join(name + way for name in self._names)
        found = self._database.execute(f"SELECT {what} FROM {self._entry.sql} AS t{where} ORDER BY {order} LIMIT 1")
        return list(found[0]) if found else None

    def bounds(self, each: int, rows: int) -> list[Key]:
        """Where parts begin, but the first."""
        low, high = self._one(""), self._one("", " DESC")
        if low is None or high is None or low == high:
            return []
        most = min(MOST_PARTS, max(2, 2 * math.ceil(rows / each)))
        done, waiting, count_of_parts = list[tuple[Key, int]](), [(low, high, rows)], 1
        while waiting:
            begin, end, count = waiting.pop()
            found = self._between(begin, end) if count > each and count_of_parts < most else None
            if found is None:
                done.append((begin, count))
                continue
            count_of_parts += 1
            waiting += [(found, end, self._part(found, end, high)), (begin, found, self._part(begin, found, high))]
        return self._joined(done, each)[1:]

    def _part(self, low: Key, high: Key, last: Key) -> int:
        return self.estimate(low, None if high == last else high)

    @staticmethod
    def _joined(parts: Sequence[tuple[Key, int]], each: int) -> list[Key]:
        """Small neighbours become one part."""
        found, size = [parts[0][0]], parts[0][1]
        for begin, count in parts[1:]:
            if size + count > each:
                found.append(begin)
                size = count
            else:
                size += count
        return found

    def _between(self, low: Key, high: Key) -> Key | None:
        """A key about in the middle that is neither; None where there is none, or none is found."""
        at = next((i for i, (a, b) in enumerate(zip(low, high, strict=True)) if a != b), None)
        if at is None:
            return None
        probe = middle(self._kinds[at], low[at], high[at])
        if probe is None:
            return self._next(low, high)
        names, quote = self._key[: at + 1], self._database.dialect.quote
        values = [*low[:at], probe]
        inside = self._where(low, high, ">")
        above = compared(self._entry, quote, names, ">=", values)
        below = compared(self._entry, quote, names, "<", values)
        return self._one(f"{inside} AND {above}") or self._one(f"{inside} AND {below}", " DESC")

    def _next(self, low: Key, high: Key) -> Key | None:
        return self._one(self._where(low, high, ">"))


def middle(kind: str, low: str, high: str) -> str | None:
    """About half way between two values of a type; None where nothing lies between them."""
    if kind in ("decimal", "numeric"):
        found = (Decimal(low) + Decimal(high)) / 2
        return f"{found:f}"
    if kind == "date":
        a, b = (_as_date(text).toordinal() for text in (low, high))
        return date.fromordinal((a + b) // 2).isoformat() if b - a > 1 else None
    if kind in ("datetime", "timestamp"):
        start, end = datetime.fromisoformat(low), datetime.fromisoformat(high)
        return (start + (end - start) / 2).isoformat(" ")
    if kind in BYTES:
        return _between_digits(bytes.fromhex(low), bytes.fromhex(high)).hex()
    if kind in ("char", "varchar", "uuid"):
        return _between_texts(low, high)
    a, b = int(low), int(high)
    return str((a + b) // 2 + (a + b) % 2) if b - a > 1 else None


def _as_date(text: str) -> date:
    return date.fromisoformat(text)


def _between_digits(low: bytes, high: bytes) -> bytes:
    size = max(len(low), len(high)) + 1
    a, b = (int.from_bytes(value.ljust(size, b"\0"), "big") for value in (low, high))
    return ((a + b) // 2).to_bytes(size, "big")


def _between_texts(low: str, high: str) -> str:
    """By the characters behind what they have in common. Collations may order them otherwise: it is only a guess."""
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    a, b = ord(low[same]) if same < len(low) else 32, ord(high[same]) if same < len(high) else 32
    a, b = min(a, b), max(a, b)
    if b - a > 1:
        return low[:same] + _plain((a + b) // 2)
    after = ord(low[same + 1]) if same + 1 < len(low) else 48
    return low[: same + 1] + _plain((after + 122) // 2 if after < 122 else after + 1)


def _plain(code: int) -> str:
    return "\ue000" if 0xD800 <= code <= 0xDFFF else chr(code)


# ------------------------------------------------------------------------------------------------------- by a column


def _limits(database: "Mysql", entry: Entry, column: Column) -> tuple[Any, Any]:
    name, where = f"t.{database.dialect.quote(column.name)}", f" WHERE {entry.where}" if entry.where else ""
    [(least, most)] = database.execute(f"SELECT min({name}), max({name}) FROM {entry.sql} AS t{where}")
    return least, most


def _edges(column: Column, low: Any, high: Any, count: int) -> list[str]:
    if pa.types.is_date(column.type):
        a, b = (_as_date(str(value)[:10]).toordinal() for value in (low, high))
        return [str(date.fromordinal(a + (b - a) * i // count)) for i in range(count + 1)]
    start, end = (datetime.fromisoformat(str(value)) for value in (low, high))
    return [(start + (end - start) * i / count).isoformat(" ") for i in range(count + 1)]
