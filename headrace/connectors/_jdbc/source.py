"""Reading tables and queries: by row numbers where rows have them, so that a read goes on exactly where it stopped."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from headrace.connector import Batch, Position, Read, Source, Split, TableSchema, TaskContext
from headrace.connectors._jdbc.options import JdbcSourceOptions, JdbcTableOptions
from headrace.connectors._jdbc.sqlite import Fetch, Sqlite, SqliteSettings, quoted
from headrace.connectors._jdbc.types import from_values, misfits
from headrace.errors import ConfigError, Rejected
from headrace.javaregex import compile_regex
from headrace.rows import type_name

CHUNK_BYTES = 64 * 1024
"""Rows become columns in chunks of about this size: while their objects fit the processor's cache, reading is half as
fast again, and wide rows do not fill the memory."""

SPLIT_ROWS = 65_536
"""Fewer rows than this are not worth a split of their own, unless split.size says so."""

SPLITS_PER_TASK = 4
"""So that a task that is done early has something left to take."""


@dataclass(frozen=True)
class _Entry:
    """One table or query to read. sql: a SELECT without conditions, or the table's quoted name.

    number: the name of the row number, None where rows have none.
    """

    schema: TableSchema
    sql: str
    number: str | None
    options: JdbcTableOptions


class JdbcSource(Source):
    """Reads tables and queries of a database. SQLite: `jdbc:sqlite:FILE`.

    Tables are read in parts by row number; a restart goes on after the last row. The rows of a query have no numbers:
    a restart runs it again and skips as many, so give it an ORDER BY that leaves no choice.

    Types are those of SeaTunnel's SQLite dialect: INTEGER is INT (a bigger value is an error that says so; declare the
    column BIGINT, or cast it in a query), DECIMAL is DOUBLE, dates and times are STRING. FLOAT is DOUBLE, as SQLite
    stores it.
    """

    Options = JdbcSourceOptions
    options: JdbcSourceOptions
    _told = False

    def tables(self) -> list[TableSchema]:
        """The tables as the database describes them."""
        return [entry.schema for entry in self._entries]

    def splits(self, parallelism: int) -> list[Split]:
        """Ranges of row numbers, or of the partition column."""
        with self._database() as database:
            return [
                Split(f"{number}:{part}", size, entry.schema.path, data=self._counted(entry) | data)
                for number, entry in enumerate(self._entries)
                for part, size, data in self._parts(database, entry, parallelism)
            ]

    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:
        """Yield the split's rows."""
        if task.index == 0 and not self._told:
            self._told = True
            for name, reason in self.options.idle():
                task.log.warning("Jdbc source: %s does nothing: %s", name, reason)
        entry = next((e for e in self._entries if e.schema.path == split.data["entry"]), None)
        if entry is None:
            raise Rejected(f"there is no {split.data['entry']} any more in {self._settings.path}")
        then, now = split.data.get("query"), self._counted(entry).get("query")
        if position is not None and then != now:
            raise Rejected(
                f"the saved state counts the rows of {then or entry.schema.path}, which is {now or 'a table'} now, so "
                "rows would be lost or come twice; restore with what was read then, or start under a new job id",
                split=split.id,
            )
        with Sqlite(self._settings, read_only=True, memory=task.memory_bytes) as database:
            reader = _Reader(database, entry, self._conditions(entry, split.data), task, self.options.fetch_size)
            yield from reader.by_number(position) if entry.number else reader.by_count(position)

    @property
    def _settings(self) -> SqliteSettings:
        return self.options.settings()

    def _database(self) -> Sqlite:
        return Sqlite(self._settings, read_only=True)

    # --------------------------------------------------------------------------------------------- what to read

    @cached_property
    def _entries(self) -> list[_Entry]:
        with self._database() as database:
            entries = [e for options in self.options.entries() for e in self._found(database, options)]
        paths = [entry.schema.path for entry in entries]
        twice = sorted({path for path in paths if paths.count(path) > 1})
        if twice:
            raise ConfigError(
                [f"table_list: {', '.join(twice)} is read more than once; give each a table_path of its own"]
            )
        return entries

    def _found(self, database: Sqlite, options: JdbcTableOptions) -> Iterator[_Entry]:
        if options.query:
            query = options.query.strip().rstrip(";")
            columns = database.query_columns(query)
            path = options.table_path or _origin(query) or self.output
            known = database.table(_name(options.table_path, database.names())) if options.table_path else None
            schema = TableSchema(path, columns, known.primary_key if known else None).with_columns(columns)
            yield _Entry(schema, f"({query})", None, options)
            return
        names, path = database.names(), options.table_path or ""
        if self.options.use_regex:
            pattern = compile_regex(path)
            found = [n for n in names if pattern.fullmatch(n) or pattern.fullmatch(f"main.{n}")]
        else:
            found = [n for n in [_name(path, names)] if n in names]
        if not found:
            cure = f"it has {', '.join(names)}" if names else "it has no tables"
            raise ConfigError([f"table_path: there is no table {path!r} in {database.path}; {cure}"])
        for name in found:
            described = database.table(name)
            assert described is not None, "names() has just listed it"
            schema = described if self.options.use_regex else replace(described, path=path)
            yield _Entry(schema, quoted(name), _row_number(database, name, described), options)

    # -------------------------------------------------------------------------------------------------- splits

    def _parts(self, database: Sqlite, entry: _Entry, parallelism: int) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """(name, rows as far as they are known, what its rows fulfil) of the parts of one table or query."""
        column = entry.options.partition_column
        if column is not None:
            yield from _partitions(database, entry, column, parallelism)
        elif entry.number is None:
            yield "all", 0, {}
        else:
            [(low, high)] = database.execute(f"SELECT min({entry.number}), max({entry.number}) FROM {entry.sql}")
            if low is None:
                yield "all", 0, {"upto": 0}
                return
            span = high - low + 1
            wanted = self.options.split_size or max(SPLIT_ROWS, math.ceil(span / (parallelism * SPLITS_PER_TASK)))
            parts = math.ceil(span / wanted)
            if parts > parallelism * SPLITS_PER_TASK:  # numbers may be far apart: no more parts than the rows fill
                [(rows,)] = database.execute(f"SELECT count(*) FROM {entry.sql}")
                parts = min(parts, math.ceil(rows / wanted))
            for number, data in enumerate(_ranges(low, high, parts)):
                yield str(number), span // parts, data

    def _counted(self, entry: _Entry) -> dict[str, Any]:
        """What a split's data says of the rows that its positions count: the query, where rows have no numbers."""
        found: dict[str, Any] = {"entry": entry.schema.path}
        if entry.number is None:
            found["query"] = " ".join(filter(None, (entry.sql, self.options.where_condition)))
        return found

    def _conditions(self, entry: _Entry, data: Mapping[str, Any]) -> list[str]:
        """What the rows of a split fulfil, as SQL."""
        where = self.options.where_condition
        found = [f"({where.strip()[5:]})"] if where else []
        column = quoted(entry.options.partition_column) if entry.options.partition_column else str(entry.number)
        for key, sign in _SIGNS.items():
            if key in data:
                found.append(f"{column} {sign} {data[key]!r}")
        if "hash" in data:
            parts, number = data["hash"]
            found.append(f"{_hash(column)} % {parts} = {number}")
        if "null" in data:
            found.append(f"{column} IS {'' if data['null'] else 'NOT '}NULL")
        return found


def _origin(query: str) -> str | None:
    """The path of a query's rows: the table its first column comes from, as catalog and as table.

    That is what SQLite's JDBC driver tells of a result, and SeaTunnel makes the path of it. None where it is not known.
    """
    import sqlglot
    from sqlglot import exp

    try:
        select: Any = sqlglot.parse_one(query, dialect="sqlite")
    except sqlglot.errors.SqlglotError:
        return None
    while isinstance(select, exp.Select):
        parts = [select.args.get("from_"), *select.args.get("joins", ())]
        tables = [part.this for part in parts if part is not None]
        first = select.selects[0] if select.selects else None
        named = first.table if isinstance(first, exp.Column) else ""
        table = next((t for t in tables if not named or t.alias_or_name == named), None)
        if isinstance(table, exp.Table):
            return f"{table.name}.{table.name}"
        select = table.this if isinstance(table, exp.Subquery) else None
    return None


def _name(path: str | None, names: Sequence[str]) -> str:
    """The table a path means: all of it where a table is called so, else its last part; case does not matter."""
    known = {name.lower(): name for name in names}
    whole = path or ""
    last = whole.rpartition(".")[2]
    return known.get(whole.lower()) or known.get(last.lower()) or last


def _row_number(database: Sqlite, name: str, table: TableSchema) -> str | None:
    """The name by which a table's row numbers can be asked for, whatever its columns are called."""
    if not database.has_rowid(name):
        return None
    taken = {column.lower() for column in table.names}
    return next((alias for alias in ("_rowid_", "rowid", "oid") if alias not in taken), None)


def _partitions(
    database: Sqlite, entry: _Entry, name: str, parallelism: int
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Parts by a column: ranges of numbers, or texts by a hash; rows where it is null are a part of their own."""
    names = {n.lower(): n for n in entry.schema.names}
    if name.lower() not in names:
        cure = f"its columns are {', '.join(entry.schema.names)}"
        raise ConfigError([f"partition_column: {entry.schema.path} has no column {name!r}; {cure}"])
    dtype = entry.schema.column(names[name.lower()]).type
    parts, options = entry.options.partition_num or parallelism, entry.options
    given = options.partition_lower_bound is not None or options.partition_upper_bound is not None
    if not given:
        yield "null", 0, {"null": True}
    if not (pa.types.is_integer(dtype) or pa.types.is_floating(dtype)):
        for number in range(parts):
            yield str(number), 0, {"hash": [parts, number]}
        return
    low, high = options.partition_lower_bound, options.partition_upper_bound
    [(least, most)] = database.execute(
        f"SELECT min(c), max(c) FROM (SELECT {quoted(name)} c FROM {entry.sql}) WHERE typeof(c) IN ('integer', 'real')"
    )
    start, end = (least if low is None else low), (most if high is None else high)
    if start is None or end is None or start > end:
        bounds = {} if low is None else {"from": low}
        yield "0", 0, bounds | ({"null": False} if high is None else {"upto": high})
        return
    if pa.types.is_integer(dtype):
        start, end = math.ceil(start), math.floor(end)
        parts = max(1, min(parts, end - start + 1))
    ranges = _ranges(start, end, parts)
    if low is None:
        del ranges[0]["from"]
    if high is None:  # whatever is no number comes after all numbers, and must be read to be noticed
        del ranges[-1]["upto"]
        ranges[-1].setdefault("null", False)
    for number, data in enumerate(ranges):
        yield str(number), 0, data


_SIGNS = {"from": ">=", "below": "<", "upto": "<="}
"""What a split's data says of its column's values."""


def _ranges(low: Any, high: Any, parts: int) -> list[dict[str, Any]]:
    """From `low` to `high` in parts of the same width; each ends where the next begins, the last with `high`."""
    if isinstance(low, int) and isinstance(high, int):
        edges = [low + (high - low + 1) * i // parts for i in range(parts)]
    else:
        edges = [low + (high - low) * i / parts for i in range(parts)]
    ends: list[dict[str, Any]] = [{"below": edge} for edge in edges[1:]]
    return [{"from": edge, **end} for edge, end in zip(edges, [*ends, {"upto": high}], strict=True)]


def _hash(column: str) -> str:
    """A number for each text; SQLite has no hash function."""
    text = f"CAST({column} AS TEXT)"
    return f"(length({text}) * 31 + coalesce(unicode({text}), 0) * 7 + coalesce(unicode(substr({text}, -1)), 0))"


# --------------------------------------------------------------------------------------------------------- reading


class _Reader:
    """Reads one split."""

    def __init__(
        self, database: Sqlite, entry: _Entry, conditions: Sequence[str], task: TaskContext, fetch_size: int
    ) -> None:
        self._database, self._entry, self._task = database, entry, task
        self._conditions = list(conditions)
        self._columns = ", ".join(map(quoted, entry.schema.names))
        self._most = fetch_size or task.batch_rows
        self._chunk = min(8, self._most)  # how wide the rows are is not known yet

    def by_number(self, position: Position | None) -> Iterator[Read]:
        """A query for each batch, which ends before the batch is handed on: nobody waits for our lock meanwhile."""
        number = self._entry.number
        while True:
            after = [] if position is None else [f"{number} > {position}"]
            sql = f"{self._select(f'{self._columns}, {number}', after)} ORDER BY {number} LIMIT {self._task.batch_rows}"
            with self._database.reading(sql) as fetch:
                count, last, rows = self._batch(fetch, 0)
            if not count:
                return
            position = last
            yield Read(Batch(rows, self._entry.schema.path), position)

    def by_count(self, position: Position | None) -> Iterator[Read]:
        """One query; the position is the number of rows."""
        done = position or 0
        with self._database.reading(f"{self._select(self._columns, [])} LIMIT -1 OFFSET {done}") as fetch:
            while True:
                count, _, rows = self._batch(fetch, done)
                if not count:
                    return
                done += count
                yield Read(Batch(rows, self._entry.schema.path), done)

    def _select(self, what: str, more: Sequence[str]) -> str:
        conditions = [*self._conditions, *more]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {what} FROM {self._entry.sql}{where}"

    def _batch(self, fetch: Fetch, done: int) -> tuple[int, Any, pa.RecordBatch]:
        """How many rows were fetched, the last one's number, and the good ones as columns."""
        parts: list[pa.RecordBatch] = []
        count, size, last = 0, 0, None
        while count < self._task.batch_rows and size < self._task.batch_bytes:
            rows = fetch(min(self._chunk, self._task.batch_rows - count))
            if not rows:
                break
            part = self._columnar(rows, done + count)
            count, size, last = count + len(rows), size + part.nbytes, rows[-1][-1]
            self._chunk = max(1, min(self._most, len(rows) * CHUNK_BYTES // max(1, part.nbytes)))
            parts += [part] if part.num_rows else []
        none = pa.RecordBatch.from_pylist([], self._entry.schema.arrow)
        return count, last, pa.concat_batches(parts) if parts else none

    def _columnar(self, rows: Sequence[tuple[Any, ...]], done: int) -> pa.RecordBatch:
        """Fetched rows as columns, without those that are set aside."""
        schema = self._entry.schema.arrow
        values = list(zip(*rows, strict=True)) or [()] * (len(schema) + 1)
        try:
            columns = [from_values(values[i], field.type) for i, field in enumerate(schema)]
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return self._columnar(self._without_misfits(rows, done), done)
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _without_misfits(self, rows: Sequence[tuple[Any, ...]], done: int) -> list[tuple[Any, ...]]:
        """The rows whose values have their columns' types; the others are set aside."""
        bad: dict[int, str] = {}
        for at, column in enumerate(self._entry.schema.columns):
            for row, misfit in enumerate(misfits([row[at] for row in rows], column.type)):
                if misfit and row not in bad:
                    declared = column.source_type or "unknown"
                    bad[row] = (
                        f"column {column.name} (declared {declared}) holds {_shown(rows[row][at])}, which is no "
                        f"{type_name(column.type)}; cast it in a query, or change the column's type"
                    )
        for row, reason in bad.items():
            place = f"row number {rows[row][-1]}" if self._entry.number else f"row {done + row + 1}"
            values = dict(zip(self._entry.schema.names, map(_shown, rows[row]), strict=False))
            self._task.rejects.add_raw(
                self._entry.schema.path, [str(values)], reason, f"{self._entry.schema.path} {place}"
            )
        return [values for row, values in enumerate(rows) if row not in bad]


def _shown(value: Any) -> Any:
    """A fetched value for people."""
    return value.decode(errors="replace")[:200] if isinstance(value, bytes) else value
