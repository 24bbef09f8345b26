"""Which tables of the source a task fails at, so that the others can go on without them."""

from collections.abc import Collection


class Blame:
    """Follows the rows of one task from their table of the source to the tables of the sinks.

    tables: all of the source. handling: the table whose rows are on their way, empty between two batches.
    """

    def __init__(self, tables: Collection[str]) -> None:
        self._tables = frozenset(tables)
        self._feeds: dict[tuple[int, str], set[str]] = {}
        self._preparing: tuple[int, str] | None = None
        self.handling = ""

    def writes(self, step: int, table: str) -> None:
        """Rows on their way have reached a table of a sink."""
        self._feeds.setdefault((step, table), set()).add(self.handling)

    def prepares(self, step: int, table: str) -> None:
        """The writer of a sink's table is asked for what it has."""
        self._preparing = step, table

    def answered(self) -> None:
        """All writers have given what they had."""
        self._preparing = None

    def of(self, error: BaseException, step: int) -> tuple[str, ...]:
        """The tables of the source that an error concerns; none when that is not known."""
        table = str(getattr(error, "table", "") or "")
        if self.handling and self._preparing is None:
            return (self.handling,)
        fed = self._feeds.get(self._preparing or (step, table))
        return tuple(sorted(fed)) if fed else (table,) if table in self._tables else ()
