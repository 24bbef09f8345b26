"""The columns of csv and text files, found by looking: what is between the fields, whether names stand first, types."""

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import Rejects, TaskContext
from headrace.errors import Rejected
from headrace.formats.delimited import DelimitedFormat, unescape
from headrace.formats.dialect import Dialect, TextRow
from headrace.formats.file_format import FileFormat, FilePart, ReadSettings
from headrace.formats.guess_texts import TextGuess
from headrace.formats.lines import LineFormat
from headrace.storage.opened import Opened

_HEAD_BYTES = 1024 * 1024
_HEAD_ROWS = 200
_DELIMITERS = (",", ";", "\t", "|")
_NAME = re.compile(r"[^\W\d][\w .\-/()#%&:']{0,127}")


class Forgiving(Rejects):
    """Leaves bad rows out: while columns are looked for, they are nobody's loss."""

    @property
    def sets_aside(self) -> bool:  # noqa: D102
        return False

    def add(self, batch: Any, mask: Any, reason: Any) -> None:  # noqa: D102
        pass

    def add_raw(self, table: str, raw: Any, reason: str, place: str = "") -> None:  # noqa: D102
        pass


class DelimitedGuess:
    """Looks at files one after the other. given: the options that the job file sets, which are not guessed.

    settings: what was found beside the columns, as options.
    """

    def __init__(self, form: FileFormat, settings: ReadSettings, task: TaskContext) -> None:
        assert isinstance(form, DelimitedFormat)
        self._form, self._given, self._task = form, settings, task
        self._columns: dict[str, TextGuess] = {}
        self._names: list[str] = []
        self._header: list[str] | None = None
        self._first = self._above = ""
        self._lines = 0
        self._delimiter = settings.field_delimiter
        self.settings: dict[str, Any] = {}
        self.notes: list[str] = []

    def add(self, file: Opened, label: str, limit: int) -> None:
        """Look at the first `limit` bytes of a file. Raises Rejected when it is not like those before it."""
        text = self._head(file)
        if not text.strip():
            return
        is_first = not self._first
        if is_first:
            self._first = label
            self._sniff(text)
        rows = list(islice((r for r in self._dialect().rows(text) if r.raw.strip()), _HEAD_ROWS))
        if is_first:
            self._begin(file, label, limit, text, rows)
        else:
            self._go_on(file, label, limit, text, rows)

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        """The columns found, in order."""
        return {name: guess.dtype for name, guess in self._columns.items()}

    @property
    def odd(self) -> Mapping[str, str]:
        """Column → the one text that keeps it from being a number."""
        return {name: guess.odd for name, guess in self._columns.items() if guess.odd}

    # ------------------------------------------------------------------------------------------------- the first file

    def _sniff(self, text: str) -> None:
        """What stands between the fields: the format's own delimiter, else one that cuts all rows alike."""
        if self._delimiter is not None:
            return
        others = [delimiter for delimiter in _DELIMITERS if delimiter != self._form.delimiter]
        found = [(self._width(text, delimiter), delimiter) for delimiter in others]
        if self._width(text, self._form.delimiter) < 2 and (best := max(found, key=lambda item: item[0]))[0] > 1:
            self._delimiter = self.settings["field_delimiter"] = best[1]
            self.notes.append(f"fields end with {best[1]!r}")

    def _width(self, text: str, delimiter: str) -> int:
        """How many fields every row has; 0 where they do not have the same number."""
        rows = islice(self._dialect(delimiter).rows(text), _HEAD_ROWS)
        widths = {len(row.fields) for row in rows if row.raw.strip()}
        return widths.pop() if len(widths) == 1 else 0

    def _begin(self, file: Opened, label: str, limit: int, text: str, rows: Sequence[TextRow]) -> None:
        first = rows[0]
        guesses = [TextGuess(self._given.patterns()) for _ in first.fields]
        recurs, top = False, [pa.nulls(0, pa.string())] * len(guesses)
        for number, batch in enumerate(self._batches(file, label, limit, len(guesses), self._given.skip_header)):
            if number == 0:
                top, batch = [column.slice(0, 1) for column in batch.columns], batch.slice(1)
            for guess, column, name in zip(guesses, batch.columns, first.fields, strict=True):
                guess.add(column)
                recurs = recurs or bool(pc.any(pc.equal(column, str(name)), min_count=0).as_py())
        if not self._has_header(first.fields, guesses, recurs=recurs):
            for guess, column in zip(guesses, top, strict=True):
                guess.add(column)
            self._names = self._names_above(len(guesses))
        else:
            self._header, self._lines = list(first.fields), _lines_to(first, text)
            self._names = unique_names(first.fields)
            by_name = self._form.quoted and [name.strip() for name in first.fields] == self._names
            above = self._lines - first.raw.count("\n") - 1
            skip = self._given.skip_header + (above if by_name else self._lines)
            self.settings |= {"use_header": by_name, "skip_header": skip}
        if "use_header" not in self._given.model_fields_set:
            self.notes.append("the first line has the names" if self._header is not None else "no line has the names")
        self._columns = dict(zip(self._names, guesses, strict=True))

    def _names_above(self, width: int) -> list[str]:
        """The names in the last line that the job skips, where it has as many; else numbers."""
        row = next(self._dialect().rows(self._above), None)
        if row is not None and len(row.fields) == width and not any(map(_is_value, row.fields)):
            return unique_names(row.fields)
        return [f"column_{number}" for number in range(1, width + 1)]

    def _has_header(self, first: Sequence[str], guesses: Sequence[TextGuess], *, recurs: bool) -> bool:
        """Whether the first line has the columns' names: as the job says; else by what it is and what follows."""
        if "use_header" in self._given.model_fields_set:
            return self._given.use_header
        if not any(name.strip() for name in first) or any(_is_value(name) for name in first):
            return False
        if any(guess.is_typed for guess in guesses):
            return True
        named = [name.strip() for name in first]
        return not recurs and len(set(named)) == len(named) and all(map(_NAME.fullmatch, named))

    # ----------------------------------------------------------------------------------------------------- the others

    def _go_on(self, file: Opened, label: str, limit: int, text: str, rows: Sequence[TextRow]) -> None:
        lines = _lines_to(rows[0], text) if self._header is not None else 0
        fields = [str(field) for field in rows[0].fields]
        names = self._names
        if self.settings.get("use_header"):
            names = [field.strip() for field in fields]
            if not set(names) & set(self._columns):
                raise Rejected(
                    f"{label} has none of the columns of {self._first}: its first line is {', '.join(names)}, that of "
                    f"{self._first} {', '.join(self._names)}; read them as tables of their own, or declare schema"
                )
        elif self._header is not None and (fields != self._header or lines != self._lines):
            raise Rejected(
                f"the first line of {label} is {', '.join(fields)}, that of {self._first} {', '.join(self._header)}, "
                "and columns without a name of their own are read by position; read them as tables of their own"
            )
        elif len(fields) != len(names):
            raise Rejected(
                f"the rows of {label} have {len(fields)} fields, those of {self._first} {len(names)}; read them as "
                "tables of their own, or declare schema"
            )
        skip = self._given.skip_header + lines
        guesses = [self._columns.setdefault(name, TextGuess(self._given.patterns())) for name in names]
        for batch in self._batches(file, label, limit, len(names), skip):
            for guess, column in zip(guesses, batch.columns, strict=True):
                guess.add(column)

    # ----------------------------------------------------------------------------------------------------------- both

    def _batches(self, file: Opened, label: str, limit: int, width: int, skip: int) -> Iterator[pa.RecordBatch]:
        """Rows as texts, by position."""
        schema = pa.schema([pa.field(str(number), pa.string()) for number in range(width)])
        update = {"use_header": False, "skip_header": skip, "field_delimiter": self._delimiter}
        settings = self._given.model_copy(update=update)
        part = FilePart(file, 0, file.size, label)
        for batch, after in self._form.read(part, None, schema, settings, self._task, ""):
            if batch.num_rows:
                yield batch
            if limit and after[0] >= limit:
                return

    def _dialect(self, delimiter: str | None = None) -> Dialect:
        update = {"field_delimiter": delimiter or self._delimiter}
        form: LineFormat = self._form.line_format(self._given.model_copy(update=update))
        return form.dialect

    def _head(self, file: Opened) -> str:
        """The first rows, without the lines to skip and without the last one where more follows."""
        with file.stream() as stream:
            raw = stream.read(_HEAD_BYTES)
        encoding = self._given.encoding
        text = codecs.getincrementaldecoder(encoding)("replace").decode(raw).removeprefix("\ufeff")
        end = unescape(self._given.row_delimiter)
        if file.size > len(raw) and end in text:
            text = text[: text.rindex(end) + len(end)]
        left = text.encode("utf-8", "surrogatepass")
        for _ in range(self._given.skip_header):
            whole = self._dialect().line_end(left, 0) or len(left)
            self._above, left = left[:whole].decode("utf-8", "surrogatepass"), left[whole:]
        return left.decode("utf-8", "surrogatepass")


def _lines_to(row: TextRow, text: str) -> int:
    """How many lines there are down to the end of the row."""
    return text[: row.start].count("\n") + row.raw.count("\n") + 1


def unique_names(fields: Sequence[str]) -> list[str]:
    """Names as columns can have them: an empty one is told by its place, one that was there before by its number."""
    found: list[str] = []
    for number, field in enumerate(fields, 1):
        name = field.strip() or f"column_{number}"
        names, again = set(found), 2
        unique = name
        while unique in names:
            unique, again = f"{name}_{again}", again + 1
        found.append(unique)
    return found


def _is_value(text: str) -> bool:
    """Whether a text is a number, a date or another value, and so no name."""
    guess = TextGuess()
    guess.add(pa.array([str(text)], pa.string()))
    return guess.is_typed
