"""The columns of json, excel and xml files, found by looking at their values.

What a file says of a value holds: a text of digits in quotes, or in a cell of text, stays a text. Texts that are all
dates or times in ISO 8601 are dates or times.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa

from headrace.connector import TaskContext
from headrace.errors import Rejected
from headrace.formats import excel, xml
from headrace.formats.excel_cells import text_of
from headrace.formats.file_format import FilePart, ReadSettings
from headrace.formats.guess_delimited import unique_names
from headrace.formats.guess_texts import TextGuess
from headrace.formats.json_rows import objects
from headrace.formats.lines import LineFormat, blocks
from headrace.storage.opened import Opened
from headrace.values import NumberText, loads_exactly

_AT_ONCE = 10_000
"""Texts that are looked at together."""


class ValueGuess:
    """What the values of a column can be. outermost: whether its texts may be dates and times."""

    def __init__(self, *, outermost: bool = True) -> None:
        self._outermost = outermost
        self._kinds: set[str] = set()
        self._numbers, self._texts = TextGuess(), TextGuess()
        self._held: dict[str, list[str]] = {"number": [], "text": []}
        self._items: ValueGuess | None = None
        self._fields: dict[str, ValueGuess] = {}

    def add(self, value: Any) -> None:
        """Look at one more; null tells nothing."""
        if value is None:
            return
        kind = _kind_of(value)
        self._kinds.add(kind)
        if kind in ("number", "text"):
            self._hold(kind, str(value))
        elif kind == "list":
            self._items = self._items or ValueGuess(outermost=False)
            for item in value:
                self._items.add(item)
        elif kind == "object":
            for name, item in value.items():
                self._fields.setdefault(name, ValueGuess(outermost=False)).add(item)

    @property
    def dtype(self) -> pa.DataType:
        """The type of all values so far; STRING, which holds any as JSON, where no other does."""
        self._look("number")
        self._look("text")
        if len(self._kinds) != 1:
            return pa.string()
        [kind] = self._kinds
        if kind == "number":
            return self._numbers.dtype
        if kind == "text":
            found = self._texts.dtype
            return found if self._outermost and pa.types.is_temporal(found) else pa.string()
        if kind == "list":
            return pa.list_(self._items.dtype if self._items else pa.string())
        if kind == "object" and self._fields:
            return pa.struct([(name, guess.dtype) for name, guess in self._fields.items()])
        return _CELLS.get(kind, pa.string())

    def _hold(self, kind: str, text: str) -> None:
        # A blank text is a value of its own: it keeps a column of dates from being one.
        self._held[kind].append(text if text.strip() else "blank")
        if len(self._held[kind]) >= _AT_ONCE:
            self._look(kind)

    def _look(self, kind: str) -> None:
        (self._numbers if kind == "number" else self._texts).add(pa.array(self._held[kind], pa.string()))
        self._held[kind] = []


_CELLS = {
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "time": pa.time64("us"),
}


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | NumberText):
        return "number"
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return "object"
    return "text"


class JsonGuess:
    """Looks at json files one after the other: the fields of all objects, in the order in which they were seen."""

    def __init__(self, settings: ReadSettings, task: TaskContext) -> None:
        self._settings, self._task = settings, task
        self._columns: dict[str, ValueGuess] = {}
        self.settings: dict[str, Any] = {}
        self.notes: list[str] = []

    def add(self, file: Opened, label: str, limit: int) -> None:
        """Look at the first `limit` bytes of a file."""
        form = LineFormat(encoding=self._settings.encoding, skip=self._settings.skip_header)
        for block in blocks(FilePart(file, 0, file.size, label), 0, form, self._task):
            for line in bytes(block.data).split(b"\n"):
                for row in _rows_of(line):
                    for name, value in row.items():
                        self._columns.setdefault(name, ValueGuess()).add(value)
            if limit and block.end >= limit:
                return

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        """The columns found."""
        return {name: guess.dtype for name, guess in self._columns.items()}

    @property
    def odd(self) -> Mapping[str, str]:
        """JSON has a null of its own."""
        return {}


def _rows_of(line: bytes) -> Iterable[dict[str, Any]]:
    for text, found in objects(line):
        if isinstance(found, dict):
            yield loads_exactly(text)


class ExcelGuess:
    """Looks at the sheets that are read, wholly."""

    def __init__(self, settings: ReadSettings, task: TaskContext) -> None:
        self._given, self._task = settings, task
        self._names: list[str] | None = None
        self._header: list[str] = []
        self._first = ""
        self._guesses: list[_CellGuess] = []
        self.settings: dict[str, Any] = {}
        self.notes: list[str] = []

    def add(self, file: Opened, label: str, limit: int) -> None:
        """Look at all cells of a sheet. Raises Rejected when its first row is another than that of the file before."""
        rows = list(excel.cells_of(FilePart(file, 0, file.size, label), self._given, self._task))
        above, rows = rows[: self._given.skip_header], rows[self._given.skip_header :]
        filled = [number for number, row in enumerate(rows) if any(cell != "" for cell in row)]
        if not filled:
            return
        width = max(len(row) for row in rows)
        first = [text_of(cell) for cell in rows[filled[0]]] + [""] * (width - len(rows[filled[0]]))
        body = rows[filled[0] + 1 :]
        if self._names is None:
            self._first = label
            guesses = [_CellGuess.of(row[i] if i < len(row) else "" for row in body) for i in range(width)]
            if self._is_header(rows[filled[0]], guesses):
                self._header, self._names = first, unique_names(first)
                self.settings["skip_header"] = self._given.skip_header + filled[0] + 1
                self.notes.append("the first row has the names")
            else:
                body = rows
                names = [text_of(cell) for cell in above[-1]] if above else []
                has_names = len(names) == width and all(names)
                self._names = unique_names(names if has_names else [""] * width)
                self.notes.append("no row has the names")
            self._guesses = [_CellGuess() for _ in self._names]
        elif self._header and first[: len(self._header)] != self._header:
            raise Rejected(
                f"the first row of {label} is {', '.join(first)}, that of {self._first} {', '.join(self._header)}, and "
                "cells are read by position; read them as tables of their own, or declare schema"
            )
        elif not self._header:
            body = rows
        for row in body:
            for i, cell in enumerate(row):
                if i < len(self._guesses):
                    self._guesses[i].add(cell)
                elif cell != "":
                    raise Rejected(
                        f"a row of {label} has {len(row)} cells, those of {self._first} {len(self._guesses)}; read "
                        "them as tables of their own, or declare schema"
                    )

    def _is_header(self, first: list[Any], guesses: "list[_CellGuess]") -> bool:
        """Whether the first row has the names: texts alone, above columns that hold something else, or that differ."""
        if not all(isinstance(cell, str) for cell in first):
            return False
        named = [cell.strip() for cell in first if cell.strip()]
        is_typed = any(not pa.types.is_string(guess.dtype) for guess in guesses)
        return bool(named) and (is_typed or len(set(named)) == len(named))

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        """The columns found."""
        return {name: guess.dtype for name, guess in zip(self._names or [], self._guesses, strict=True)}

    @property
    def odd(self) -> Mapping[str, str]:
        """Cells have types of their own."""
        return {}


class _CellGuess:
    """What the cells of a column can be."""

    def __init__(self) -> None:
        self._types: set[pa.DataType] = set()

    @classmethod
    def of(cls, cells: Iterable[Any]) -> "_CellGuess":
        made = cls()
        for cell in cells:
            made.add(cell)
        return made

    def add(self, cell: Any) -> None:
        """Look at one more; an empty one tells nothing."""
        if cell != "" and not (isinstance(cell, str) and not cell.strip()):
            self._types.add(_type_of(cell))

    @property
    def dtype(self) -> pa.DataType:
        """The type of all cells so far."""
        found = self._types
        if found == {pa.int64(), pa.float64()}:
            return pa.float64()
        if found == {pa.date32(), pa.timestamp("us")}:
            return pa.timestamp("us")
        return next(iter(found)) if len(found) == 1 else pa.string()


def _type_of(cell: Any) -> pa.DataType:
    if isinstance(cell, bool):
        return pa.bool_()
    if isinstance(cell, int | float):
        is_whole = math.isfinite(cell) and float(cell).is_integer() and abs(cell) <= excel.EXACT_INTEGER
        return pa.int64() if is_whole else pa.float64()
    if isinstance(cell, datetime):
        return pa.timestamp("us")
    if isinstance(cell, date):
        return pa.date32()
    return pa.time64("us") if isinstance(cell, time) else pa.string()


class XmlGuess:
    """Looks at xml files one after the other: which element is a row, whether attributes or elements are its fields."""

    def __init__(self, settings: ReadSettings, task: TaskContext) -> None:
        self._given, self._task = settings, task
        self._columns: dict[str, TextGuess] = {}
        self._arrays: set[str] = set()
        self.settings: dict[str, Any] = {}
        self.notes: list[str] = []

    def add(self, file: Opened, label: str, limit: int) -> None:
        """Look at the rows that stand in the first `limit` bytes, about."""
        part = FilePart(file, 0, file.size, label)
        settings = self._given.model_copy(update=self.settings)
        if not settings.xml_row_tag:
            found = xml.row_tag(part, settings, self._task)
            self.settings |= {"xml_row_tag": found[0], "xml_attributes": found[1]}
            self.notes.append(f"a row is an element {found[0]}, its {'attributes' if found[1] else 'children'} columns")
            settings = settings.model_copy(update=self.settings)
        size = 0
        held: dict[str, list[str]] = {}
        for fields, _ in xml.rows(part, settings, self._task):
            for name, field in fields.items():
                if field.inner:
                    raise Rejected(
                        f"the element {name} of {label} holds elements ({', '.join(dict.fromkeys(field.inner))}); "
                        "set xml_row_tag to the element whose children are the columns"
                    )
                if len(field.texts) > 1:
                    self._arrays.add(name)
                held.setdefault(name, []).extend(field.texts)
                size += sum(map(len, field.texts))
            if limit and size >= limit:
                break
        for name, texts in held.items():
            self._columns.setdefault(name, TextGuess(settings.patterns())).add(pa.array(texts, pa.string()))

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        """The columns found."""
        return {
            name: pa.list_(guess.dtype) if name in self._arrays else guess.dtype
            for name, guess in self._columns.items()
        }

    @property
    def odd(self) -> Mapping[str, str]:
        """Column → the one text that keeps it from being a number."""
        return {name: guess.odd for name, guess in self._columns.items() if guess.odd}
