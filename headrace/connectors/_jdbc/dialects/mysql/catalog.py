"""What a database holds: its tables, their columns, keys, engines and comments, by information_schema."""

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from headrace.connectors._jdbc.dialect import Name
from headrace.connectors._jdbc.dialects.mysql.types import KEYS, declared, length, wire
from headrace.rows import Column, ConstraintKey, PrimaryKey, TableSchema

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.mysql.database import Mysql

_OWN = "('mysql', 'information_schema', 'performance_schema', 'sys')"

_COLUMNS = """
SELECT column_name, column_type, is_nullable, column_comment, extra FROM information_schema.columns
WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position
"""

_KEYS = """
SELECT index_name, column_name, nullable, sub_part FROM information_schema.statistics
WHERE table_schema = ? AND table_name = ? AND non_unique = 0 ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index
"""

_NEEDED = """
SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ? AND is_nullable = 'NO'
AND column_default IS NULL AND extra NOT LIKE '%auto_increment%' AND extra NOT LIKE '%GENERATED%'
"""

_TRIGGERS = """
SELECT count(*) FROM information_schema.triggers WHERE event_object_schema = ? AND event_object_table = ?
AND event_manipulation = 'INSERT'
"""

TRANSACTIONAL = ("innodb", "rocksdb", "tokudb", "ndbcluster", "ndb", "xtradb")


class Relation(NamedTuple):
    """A table or view. engine: empty for a view. rows: as the database estimates."""

    schema: str
    name: str
    engine: str
    rows: int
    comment: str


class Catalog:
    """Asked through one connection."""

    def __init__(self, database: "Mysql") -> None:
        self._database = database

    def names(self) -> list[Name]:
        """All tables and views, those of the connection's database first."""
        here = self._database.settings.database
        found = self._database.execute(
            f"SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema NOT IN {_OWN} "
            "ORDER BY table_schema <> ?, table_schema, table_name",
            (here,),
        )
        return [tuple(row) for row in found]

    def place(self, name: Name) -> tuple[str, str]:
        """Database and table."""
        return (name[0] if len(name) > 1 else self._database.settings.database, name[-1])

    def relation(self, name: Name) -> Relation | None:
        """A table by its name."""
        found = self._database.execute(
            "SELECT table_schema, table_name, engine, table_rows, table_comment, table_type "
            "FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
            self.place(name),
        )
        if not found:
            return None
        schema, table, engine, rows, comment, kind = found[0]
        is_view = "VIEW" in kind
        return Relation(schema, table, "" if is_view else (engine or ""), int(rows or 0), "" if is_view else comment)

    def table(self, name: Name) -> TableSchema | None:
        """Columns, keys and comment; None when there is no such table."""
        relation = self.relation(name)
        if relation is None:
            return None
        columns, narrow = [], self._database.settings.narrow
        for column, kind, nullable, comment, _ in self._database.execute(_COLUMNS, self.place(name)):
            kind = kind.decode() if isinstance(kind, bytes) else kind
            dtype = wire(kind, narrow=narrow).type
            columns.append(
                Column(column, dtype, nullable == "YES", length(kind), comment=comment or None, source_type=kind)
            )
        primary, unique = self._keys(name)
        path = f"{relation.schema}.{relation.name}"
        return TableSchema(path, tuple(columns), primary, unique, relation.comment or None)

    def _keys(self, name: Name) -> tuple[PrimaryKey | None, tuple[ConstraintKey, ...]]:
        indexes: dict[str, list[str | None]] = {}
        for index, column, _, part in self._database.execute(_KEYS, self.place(name)):
            indexes.setdefault(index, []).append(None if part else column)
        primary, unique = None, []
        for index, columns in indexes.items():
            if all(columns):
                names = tuple(str(column) for column in columns)
                if index == "PRIMARY":
                    primary = PrimaryKey("PRIMARY", names)
                else:
                    unique.append(ConstraintKey(index, "UNIQUE_KEY", tuple((column, None) for column in names)))
        return primary, tuple(unique)

    def unique_indexes(self, name: Name) -> list[set[str]]:
        """The columns of each unique index, also of those that hold parts or expressions, in small letters."""
        indexes: dict[str, set[str]] = {}
        for index, column, _, _ in self._database.execute(_KEYS, self.place(name)):
            indexes.setdefault(index, set()).add((column or "").lower())
        return list(indexes.values())

    def loads(self, name: Name, given: Collection[str]) -> bool:
        """Whether LOAD DATA means the same as INSERT to a table. given: the columns written, in small letters.

        It does not where other values than those of the rows come in: by triggers, or for columns without a default.
        """
        relation, place = self.relation(name), self.place(name)
        if relation is None or relation.engine.lower() != "innodb":
            return False
        needed = {str(row[0]).lower() for row in self._database.execute(_NEEDED, place)}
        return needed <= set(given) and self._database.execute(_TRIGGERS, place) == [(0,)]

    def made(self, name: Name) -> set[str]:
        """Columns whose values the database makes itself, in small letters."""
        rows = self._database.execute(_COLUMNS, self.place(name))
        return {str(row[0]).lower() for row in rows if "GENERATED" in row[4].upper().replace("DEFAULT_GENERATED", "")}

    def reading_key(self, name: Name) -> list[str]:
        """The columns by which a table can be read in order: a unique index that never holds null; empty without."""
        kinds = {row[0]: row[1] for row in self._database.execute(_COLUMNS, self.place(name))}
        indexes: dict[str, list[tuple[str, bool]]] = {}
        for index, column, nullable, part in self._database.execute(_KEYS, self.place(name)):
            indexes.setdefault(index, []).append((column, nullable != "YES" and not part))
        for columns in indexes.values():
            if all(usable and declared(str(kinds.get(name, ""))).base in KEYS for name, usable in columns):
                return [column for column, _ in columns]
        return []
