"""What a PostgreSQL database holds: its tables, their columns, keys and comments, by its system catalogs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.connectors._jdbc.dialect import Name
from headrace.connectors._jdbc.dialects.postgresql.types import KEYS, Wire, length, native, wire
from headrace.rows import Column, ConstraintKey, PrimaryKey, TableSchema

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.postgresql.database import Postgresql

_NAMES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname <> 'information_schema'
AND n.nspname NOT LIKE 'pg\\_%' ORDER BY n.nspname, c.relname
"""

_COLUMNS = """
SELECT a.attname, coalesce(b.typname, t.typname), CASE WHEN b.oid IS NULL THEN a.atttypmod ELSE t.typtypmod END,
a.attnotnull OR t.typnotnull, format_type(a.atttypid, a.atttypmod), col_description(a.attrelid, a.attnum),
a.attgenerated <> '' OR a.attidentity = 'a'
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
WHERE a.attrelid = ? AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_KEYS = """
SELECT i.indisprimary, c.relname, a.attname, a.attnotnull FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = ? AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
AND k.place <= i.indnkeyatts ORDER BY i.indisprimary DESC, c.relname, k.place
"""

_TYPES = """
SELECT coalesce(b.typname, t.typname), CASE WHEN b.oid IS NULL THEN m ELSE t.typtypmod END, format_type(o, m)
FROM unnest(?::oid[], ?::int[]) WITH ORDINALITY u (o, m, place) JOIN pg_type t ON t.oid = u.o
LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype ORDER BY place
"""


class Relation(NamedTuple):
    """A table or view. kind: `r` a table, `p` a partitioned one, `v` a view and so on. rows: as of the last ANALYZE."""

    oid: int
    kind: str
    rows: float


class Shape(NamedTuple):
    """A column of a table. base: the type's name without a domain around it."""

    column: Column
    base: str
    wire: Wire
    is_made: bool
    """Whether the database makes the values itself, and takes none."""
    native: Wire | None
    """See `types.native`."""


class Catalog:
    """Asked through one connection."""

    def __init__(self, database: "Postgresql") -> None:
        self._database = database

    def names(self) -> list[Name]:
        """All tables and views of the users' schemas, without partitions."""
        return [tuple(row) for row in self._database.execute(_NAMES)]

    def schema(self) -> str:
        """Where a table without a schema is made."""
        return str(self._database.execute("SELECT coalesce(current_schema(), 'public')")[0][0])

    def relation(self, name: Name) -> Relation | None:
        """A table by its name; one without a schema as the search path finds it."""
        found = self._database.execute(
            "SELECT c.oid, c.relkind::text, c.reltuples FROM pg_class c WHERE c.oid = to_regclass(?) "
            "AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
            (self._database.dialect.quoted(name),),
        )
        return Relation(*found[0]) if found else None

    def shapes(self, oid: int) -> list[Shape]:
        """The columns of a table in their order."""
        found = []
        for name, base, modifier, required, declared, comment, is_made in self._database.execute(_COLUMNS, (oid,)):
            way = wire(base, modifier)
            column = Column(name, way.type, not required, length(base, modifier), comment=comment, source_type=declared)
            found.append(Shape(column, base, way, is_made, native(base, modifier)))
        return found

    def table(self, name: Name) -> TableSchema | None:
        """Columns, keys and comment; None when there is no such table."""
        relation = self.relation(name)
        if relation is None:
            return None
        primary, unique = self._keys(relation.oid)
        comment = self._database.execute("SELECT obj_description(?, 'pg_class')", (relation.oid,))[0][0]
        columns = tuple(shape.column for shape in self.shapes(relation.oid))
        path = ".".join((self._database.settings.database, *name))
        return TableSchema(path, columns, primary, unique, comment)

    def _keys(self, oid: int) -> tuple[PrimaryKey | None, tuple[ConstraintKey, ...]]:
        indexes: dict[tuple[bool, str], list[str]] = {}
        for is_primary, index, column, _ in self._database.execute(_KEYS, (oid,)):
            indexes.setdefault((is_primary, index), []).append(column)
        primary = next((PrimaryKey(n, tuple(c)) for (is_primary, n), c in indexes.items() if is_primary), None)
        unique = tuple(
            ConstraintKey(name, "UNIQUE_KEY", tuple((column, None) for column in columns))
            for (is_primary, name), columns in indexes.items()
            if not is_primary and all(columns)
        )
        return primary, unique

    def reading_key(self, oid: int) -> list[str]:
        """The columns by which a table can be read in order: a unique index that never holds null; empty without."""
        bases = {shape.column.name: shape.base for shape in self.shapes(oid)}
        indexes: dict[str, list[tuple[str, bool]]] = {}
        for _, index, column, required in self._database.execute(_KEYS, (oid,)):
            indexes.setdefault(index, []).append((column, required))
        for columns in indexes.values():
            if all(required and bases.get(name) in KEYS for name, required in columns):
                return [name for name, _ in columns]
        return []

    def query_types(self, types: Sequence[tuple[int, int]]) -> list[tuple[str, int, str]]:
        """(name, modifier, as written) of types by oid and modifier."""
        values: tuple[Any, Any] = ([oid for oid, _ in types], [modifier for _, modifier in types])
        return [tuple(row) for row in self._database.execute(_TYPES, values)]
