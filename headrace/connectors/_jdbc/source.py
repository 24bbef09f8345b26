"""Reading tables and queries: what there is to read, and in which parts; how a part is read is the dialect's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import Any

from headrace.connector import Position, Read, Source, Split, TableSchema, TaskContext
from headrace.connectors._jdbc import addresses
from headrace.connectors._jdbc.dialect import Database, Entry, Right, Snapshot, Splitting, Uses
from headrace.connectors._jdbc.options import JdbcSourceOptions, JdbcTableOptions, place_of
from headrace.errors import ConfigError, Problem, Rejected
from headrace.javaregex import compile_regex
from headrace.places import Address, ReadWish


class JdbcSource(Source):
    """Reads tables and queries of a database.

    Tables are read in parts by their keys or row numbers, and a restart goes on after the last row. The rows of a query
    have no numbers: a restart runs it again and skips as many, so give it an ORDER BY that leaves no choice.
    """

    Options = JdbcSourceOptions
    options: JdbcSourceOptions
    example = """
source {
  Jdbc {
    url = "jdbc:postgresql://db.example.com:5432/shop"
    user = "ann"
    password = ${SHOP_PASSWORD}
    table_list = [
      { table_path = "public.people" }
      { table_path = "public.recent", query = "SELECT * FROM people WHERE born >= '2000-01-01' ORDER BY id" }
    ]
  }
}
"""
    _told = False
    _held: tuple[str, Snapshot | None] | None = None

    @classmethod
    def schemes(cls) -> Mapping[str, str]:
        """See Source.schemes: those of all databases."""
        return addresses.schemes()

    @classmethod
    def options_at(cls, address: Address, wish: ReadWish) -> dict[str, Any]:
        """See Source.options_at."""
        return addresses.read_options(address, wish)

    def __init__(self, options: JdbcSourceOptions) -> None:
        super().__init__(options)
        self._lock = Lock()

    def tables(self) -> list[TableSchema]:
        """The tables as the database describes them."""
        return [entry.schema for _, entry in self._entries]

    def lacks(self, parallelism: int) -> Iterable[str]:
        """What the database says."""
        return self.options.connection().dialect.lacks(parallelism, writes=False)

    def advice(self) -> Iterable[Problem]:
        """What the database says of its settings."""
        said = [self.options.where_condition, *(options.query for options in self.options.entries())]
        with self._database() as database:
            yield from database.advise(Uses(inserts=False, sql="\n".join(filter(None, said))))

    too_many_splits = "lower partition_num, or raise split.size"

    def places(self) -> list[str]:
        """The tables, by database."""
        connection = self.options.connection()
        return [place_of(connection, entry.name) for _, entry in self._entries if entry.name is not None]

    def splits(self, parallelism: int) -> Iterator[Split]:
        """Ranges of keys or row numbers, or of the partition column."""
        with self._database() as database:
            for number, (options, entry) in enumerate(self._entries):
                for part in database.parts(entry, self._splitting(options, parallelism)):
                    data = self._counted(entry) | part.data
                    yield Split(f"{number}:{part.name}", part.size, entry.schema.path, data=data)

    def rereads_alike(self, mode: str) -> bool:
        """See Source.rereads_alike: others may change the table meanwhile."""
        return False

    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:
        """Yield the split's rows."""
        if task.index == 0 and not self._told:
            self._told = True
            for name, reason in self.options.idle():
                task.log.warning("Jdbc source: %s does nothing: %s", name, reason)
        entry = next((e for _, e in self._entries if e.schema.path == split.data["entry"]), None)
        if entry is None:
            shown = self.options.connection().settings.shown
            raise Rejected(f"there is no {split.data['entry']} any more in {shown}")
        then, now = split.data.get("query"), self._counted(entry).get("query")
        if position is not None and then != now:
            raise Rejected(
                f"the saved state counts the rows of {then or entry.schema.path}, which is {now or 'a table'} now, so "
                "rows would be lost or come twice; restore with what was read then, or start under a new job id",
                split=split.id,
            )
        with self._database(task) as database:
            yield from database.read(entry, split.data, position, task, self.options.fetch_size)

    def _database(self, task: TaskContext | None = None) -> Database:
        connection = self.options.connection()
        if task is None:
            return connection.open(read_only=True)
        label, snapshot = f"headrace source of job {task.job.job_id}", self._snapshot(task)
        number = "" if snapshot is None else snapshot.number
        return connection.open(read_only=True, memory=task.memory_bytes, label=label, snapshot=number)

    def _snapshot(self, task: TaskContext) -> Snapshot | None:
        """One for all reads of a start of the pipeline in this process, and where the database can of all."""
        job, connection = task.job, self.options.connection()
        start = f"{job.store}/{job.job_id}/{job.run}/{job.pipeline}/{job.epoch}/{connection.settings.shown}"
        with self._lock:
            if self._held is None or self._held[0] != start:
                self._held = None  # before the next: it may be the same lock
                found = connection.dialect.hold_snapshot(connection.settings, start, job.parallelism)
                self._held = (start, found)
                if found is not None and not found.is_shared:
                    task.log.warning("Jdbc source: the tasks read states of the database of different moments")
            return self._held[1]

    # --------------------------------------------------------------------------------------------- what to read

    @cached_property
    def _entries(self) -> list[tuple[JdbcTableOptions, Entry]]:
        with self._database() as database:
            entries = [(o, e) for o in self.options.entries() for e in self._found(database, o)]
            named = [entry.name for _, entry in entries if entry.name is not None]
            lacking = [database.dialect.shown_name(n) for n in named if database.lacks(n, [Right.SELECT])]
        paths = [entry.schema.path for _, entry in entries]
        twice = sorted({path for path in paths if paths.count(path) > 1})
        if lacking:
            tables = ", ".join(lacking)
            raise ConfigError(
                [Problem("user", f"the login may not SELECT from {tables}", "GRANT SELECT ON them to it")]
            )
        if twice:
            raise ConfigError(
                [f"table_list: {', '.join(twice)} is read more than once; give each a table_path of its own"]
            )
        return entries

    def _found(self, database: Database, options: JdbcTableOptions) -> Iterator[Entry]:
        dialect, where = database.dialect, (self.options.where_condition or "").strip()[5:]
        if options.query:
            query = options.query.strip().rstrip(";")
            columns = database.query_columns(query)
            path = options.table_path or origin(query, dialect.sqlglot) or self.output
            name = dialect.find(path, database.names()) if options.table_path else None
            known = database.table(name) if name is not None else None
            schema = TableSchema(path, columns, known.primary_key if known else None).with_columns(columns)
            yield Entry(schema, None, f"({query}\n)", where=where)  # it may end in a comment
            return
        names, path = database.names(), options.table_path or ""
        found = self._matching(database, path, names)
        if not found:
            there = [dialect.shown_name(name) for name in names]
            cure = f"it has {', '.join(there[:50])}" if names else "it has no tables"
            raise ConfigError([f"table_path: there is no table {path!r} in {database.shown}; {cure}"])
        for name in found:
            described = database.table(name)
            if described is None:  # somebody has dropped it since
                raise Rejected(f"there is no table {dialect.shown_name(name)} in {database.shown} any more")
            schema = described if self.options.use_regex else replace(described, path=path)
            yield Entry(schema, name, dialect.quoted(name), database.number(name, described), where)

    def _matching(self, database: Database, path: str, names: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        if not self.options.use_regex:
            found = database.dialect.find(path, names)
            return [] if found is None else [found]
        pattern = compile_regex(path)
        return [name for name in names if any(pattern.fullmatch(text) for text in database.paths(name))]

    # -------------------------------------------------------------------------------------------------- splits

    def _splitting(self, options: JdbcTableOptions, parallelism: int) -> Splitting:
        return Splitting(
            parallelism,
            self.options.split_size,
            options.partition_column,
            options.partition_num,
            options.partition_lower_bound,
            options.partition_upper_bound,
        )

    def _counted(self, entry: Entry) -> dict[str, Any]:
        """What a split's data says of the rows that its positions count: the query, where rows have no numbers."""
        found: dict[str, Any] = {"entry": entry.schema.path}
        if entry.number is None:
            found["query"] = " ".join(filter(None, (entry.sql.replace("\n)", ")"), self.options.where_condition)))
        return found


def origin(query: str, dialect: str) -> str | None:
    """The path of a query's rows: the table its first column comes from, as catalog and as table.

    That is what JDBC drivers tell of a result, and SeaTunnel makes the path of it. None where it is not known.
    """
    import sqlglot
    from sqlglot import exp

    try:
        select: Any = sqlglot.parse_one(query, dialect=dialect)
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
