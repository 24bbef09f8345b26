"""Which field of a file belongs to which column: names exactly, then without regard to case and surrounding blanks."""

from collections.abc import Sequence
from difflib import get_close_matches

import pyarrow as pa

from headrace.errors import Rejected


class FieldNames:
    """Where the columns of a schema are in a row. told_by: what says how many fields a row has, for messages.

    missing: the columns that no field belongs to.
    """

    def __init__(self, places: Sequence[int], schema: pa.Schema, fields: int, told_by: str) -> None:
        self._places = dict(zip(schema.names, places, strict=True))
        self.in_row = [str(i) for i in range(fields)]
        self.told_by = told_by
        self.missing = [name for name, place in self._places.items() if place < 0]

    @classmethod
    def by_position(cls, schema: pa.Schema) -> "FieldNames":
        """The fields of a row are the columns in their order."""
        return cls(range(len(schema)), schema, len(schema), "the schema has")

    @classmethod
    def by_header(cls, header: Sequence[str], schema: pa.Schema, where: str, cure: str = "") -> "FieldNames":
        """The fields of a row have the names of the header. where: the file, for messages.

        Raises Rejected when none of the columns is among them, or one that may not be null is not.
        """
        places = [place_of(field.name, header) for field in schema]
        check_names([f for f, place in zip(schema, places, strict=True) if place < 0], schema, header, where, cure)
        return cls(places, schema, len(header), "the header has")

    def index(self, column: str) -> int:
        """The field of a column, from 0; -1 when there is none."""
        return self._places[column]

    def of(self, column: str) -> str:
        """Its name among `in_row`, or one that is not there."""
        place = self._places[column]
        return str(place) if place >= 0 else f"-{column}"


def place_of(name: str, names: Sequence[str]) -> int:
    """Where `name` is among `names`: the same, or the first that differs in case and blanks only; -1 when nowhere."""
    if name in names:
        return names.index(name)
    plain = [_plain(other) for other in names]
    return plain.index(_plain(name)) if _plain(name) in plain else -1


def check_names(
    missing: Sequence[pa.Field], schema: pa.Schema, found: Sequence[str], where: str, cure: str = ""
) -> None:
    """Raises Rejected when no column of the schema is among the names `found`, or one that may not be null is not."""
    lists = f"the schema has {', '.join(schema.names)}; the file has {', '.join(n.strip() for n in found) or 'none'}"
    if missing and len(missing) == len(schema):
        raise Rejected(f"{where}: no column of the schema is in it: {lists}{cure}")
    if needed := [field.name for field in missing if not field.nullable]:
        raise Rejected(f"{where}: column {', '.join(needed)} may not be null and is not in it: {lists}{cure}")


def nearest(name: str, names: Sequence[str]) -> str:
    """The name most like it, or an empty text."""
    by_plain = {_plain(other): other for other in reversed(names)}
    found = get_close_matches(_plain(name), list(by_plain), 1)
    return by_plain[found[0]].strip() if found else ""


def _plain(name: str) -> str:
    return name.strip().casefold()
