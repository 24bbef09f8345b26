"""What sources tell beside their rows: collected by a reader, summed up by a task and its pipeline, told at the end.

Rows that were mended are counted with the other rows, exactly; examples of them, and the names that were looked for,
are only told, so they are those of the starts since the pipeline was begun or restored.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from headrace.connector import Notices
from headrace.execution.progress import Counts

MENDED = {
    "padded": "had fewer fields than the columns need, and null stands for the others",
    "cut": "had more fields than the columns need, and the last ones were dropped",
}
"""How a row was mended, see Notices, in words."""


@dataclass
class TableNotices:
    """What was told of one table. mended: how → rows. examples: how → the first of them.

    found: columns that were found by name somewhere. missing: column → (where it was not, the most similar name there).
    """

    mended: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    missing: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, other: "TableNotices") -> None:
        """Take in what another one tells; rows are not added, for they are counted elsewhere."""
        self.examples = other.examples | self.examples
        self.found = self.found | other.found
        self.missing = other.missing | self.missing

    def warnings(self, table: str, counts: Mapping[str, int], *, whole: bool) -> Iterable[str]:
        """Sentences. counts: how → rows. whole: all that was read is known, so that what was not found is nowhere."""
        for how, words in MENDED.items():
            if counts.get(how):
                example = f": {self.examples[how]}" if how in self.examples else ""
                s = "s" * (counts[how] != 1)
                yield f"{counts[how]:,} row{s} of table {table} {words}; first{example or ' in an earlier run'}"
        for name, (where, near) in self.missing.items():
            if whole and name not in self.found:
                hint = f"; did you mean {near}?" if near else ""
                yield f"column {name} of table {table} is null in all rows: no field has that name, as in {where}{hint}"


class Noticed(Notices):
    """The notices of one thread: by table."""

    def __init__(self) -> None:
        self.tables: dict[str, TableNotices] = {}

    def mended(self, table: str, how: str, example: str) -> None:
        """See Notices.mended."""
        found = self._of(table)
        found.mended[how] = found.mended.get(how, 0) + 1
        found.examples.setdefault(how, example)

    def names(self, table: str, where: str, found: Collection[str], missing: Mapping[str, str]) -> None:
        """See Notices.names."""
        told = self._of(table)
        told.found.update(found)
        for name, near in missing.items():
            told.missing.setdefault(name, (where, near))

    def take(self) -> dict[str, TableNotices]:
        """What was told since the last call."""
        found, self.tables = self.tables, {}
        return found

    def add(self, tables: Mapping[str, TableNotices]) -> None:
        """Take in what others told."""
        for table, told in tables.items():
            self._of(table).add(told)

    def warnings(self, counts: Mapping[str, Counts], *, whole: bool) -> list[str]:
        """All that is worth a warning. counts: the source's tables; see TableNotices.warnings."""
        return [
            text
            for table in dict.fromkeys([*counts, *self.tables])
            for text in self._of(table).warnings(table, _mended(counts.get(table)), whole=whole)
        ]

    def _of(self, table: str) -> TableNotices:
        return self.tables.setdefault(table, TableNotices())


def _mended(counts: Counts | None) -> dict[str, int]:
    return {} if counts is None else {"padded": counts.padded, "cut": counts.cut}
