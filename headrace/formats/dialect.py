"""Where the rows and fields of csv and text files begin and end: one grammar for cutting files and for reading them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

_LONE, _LONE_WITHIN = r"\r", r"\r(?!\Z)"
"""A carriage return that ends a line by itself; the last byte of a block may be half of an end."""


class Quoted(str):
    """A field that stood in quotes: it is never null, and an empty one is an empty text."""

    __slots__ = ()


class TextRow(NamedTuple):
    """A row as it stands in the file, without its end, and its fields. start: where it begins in the text.

    unclosed: where the quote begins that nothing closes; -1 where all are closed.
    """

    raw: str
    fields: list[str]
    start: int
    unclosed: int = -1


@dataclass(frozen=True)
class Dialect:
    r"""delimiter: between fields; empty where a line is one field. quote, escape: one character, or none.

    row_end: what ends a row; empty for the ends of lines: `\n`, `\r\n` and `\r`.

    A quote has a meaning only where a field begins; it holds until the next one that is not doubled. What follows it is
    text again. An escape takes the meaning from the character behind it, within quotes and without. This is how Arrow
    reads csv files, too.
    """

    delimiter: str = ""
    quote: str = ""
    escape: str = ""
    row_end: str = ""

    def rows(self, text: str) -> Iterator[TextRow]:
        """The rows of a text that begins with one; an empty line is a row with one empty field."""
        fields: list[str] = []
        start, unclosed = 0, -1
        for match in self._field.finditer(text):
            begin, end = match.span()
            if begin == end == len(text) and not fields:
                return
            quoted, closed, rest, stop = match.group(1, 2, 3, 4)
            if quoted is None:
                fields.append(self._unescaped(rest) if self.escape and self.escape in rest else rest)
            else:
                fields.append(self._unquoted(quoted, rest))
                if not closed:
                    unclosed = begin
            if stop and stop == self.delimiter:
                continue
            yield TextRow(text[start : end - len(stop)], fields, start, unclosed)
            fields, start, unclosed = [], end, -1
            if end == len(text):
                return

    def _unquoted(self, quoted: str, rest: str) -> str:
        text = self._marks.sub(r"\1\2", quoted) if self.escape else quoted.replace(self.quote * 2, self.quote)
        return Quoted(text + self._unescaped(rest))

    def _unescaped(self, text: str) -> str:
        return self._escaped.sub(r"\1", text) if self.escape else text

    def last_row_end(self, data: bytes | bytearray) -> int:
        """Behind the last row of `data` that certainly ends in it; 0 when there is none. data: begins with a row."""
        if not self._has_marks(data):
            return self._last_line_end(data)
        if self._is_clean(data):
            return self._last_end_outside_quotes(data)
        match = self._whole_rows.match(data)
        return match.end() if match else 0

    def first_row_end(self, data: bytes | bytearray, beyond: int) -> int:
        """Behind the first row of `data` that ends at `beyond` or later; 0 when none is known to."""
        at = self.last_row_end(data[:beyond])
        while at < beyond:
            match = self._row.match(data, at)
            if match is None:
                return 0
            at = match.end()
        return at

    def line_end(self, data: bytes | bytearray, start: int) -> int:
        """Behind the line at `start`, whatever quotes stand in it; 0 when it is not whole."""
        match = self._end.search(data, start)
        return match.end() if match else 0

    def count_ends(self, data: bytes | memoryview) -> int:
        """How many lines end in `data`, within quotes, too."""
        data = bytes(data)
        if self.row_end:
            return data.count(self._end_bytes)
        lone = data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else 0
        return data.count(b"\n") + lone

    def leaves_open(self, data: bytes | bytearray | memoryview) -> bool:
        """Whether a quote in the last row of `data` is never closed. data: begins with a row."""
        data = bytes(data)
        if not self.quote or self.quote.encode() not in data:
            return False
        tail = data[self.last_row_end(data) :]
        return any(row.unclosed >= 0 for row in self.rows(str(tail, "utf-8", "surrogateescape")))

    # ------------------------------------------------------------------------------------------------------- parts

    def _has_marks(self, data: bytes | bytearray) -> bool:
        """Whether a row's end may be none, because of a quote or an escape before it."""
        return bool(self.quote and self.quote.encode() in data) or bool(self.escape and self.escape.encode() in data)

    def _last_line_end(self, data: bytes | bytearray) -> int:
        if self.row_end:
            found = data.rfind(self._end_bytes)
            return found + len(self._end_bytes) if found >= 0 else 0
        return data.rfind(b"\n") + 1 or data.rfind(b"\r", 0, len(data) - 1) + 1

    def _is_clean(self, data: bytes | bytearray) -> bool:
        """Whether every quote opens a field, closes one or is doubled: then their number tells what is within them."""
        if self.escape or self.row_end or len(self.delimiter) != 1 or not (self.delimiter + self.quote).isascii():
            return False
        at, quotes = self._quotes(data)
        before = np.where(quotes > 0, at[quotes - 1], 10)
        behind = np.where(quotes + 1 < len(at), at[np.minimum(quotes + 1, len(at) - 1)], 10)
        doubled = np.diff(quotes) == 1
        opening, closing = slice(0, None, 2), slice(1, None, 2)
        delimiter = ord(self.delimiter)
        opens = (before == delimiter) | (before == 10) | (before == 13)
        opens[1:] |= doubled
        closes = (behind == delimiter) | (behind == 10) | (behind == 13)
        closes[:-1] |= doubled
        return bool(opens[opening].all() and closes[closing].all())

    def _quotes(self, data: bytes | bytearray) -> tuple[Any, Any]:
        """The bytes, and where the quotes are among them, as numpy's arrays."""
        at = np.frombuffer(data, np.uint8)
        return at, np.flatnonzero(at == ord(self.quote))

    def _last_end_outside_quotes(self, data: bytes | bytearray) -> int:
        _, quotes = self._quotes(data)
        end = len(data)
        while (found := data.rfind(b"\n", 0, end)) >= 0:
            before = int(np.searchsorted(quotes, found))
            if before % 2 == 0:
                return found + 1
            end = int(quotes[before - 1])  # what is behind the opening quote is within it
        match = self._whole_rows.match(data)  # rows that end with \r alone
        return match.end() if match else 0

    @cached_property
    def _end_bytes(self) -> bytes:
        return self.row_end.encode() or b"\n"

    @cached_property
    def _end(self) -> re.Pattern[bytes]:
        return re.compile(self._end_pattern(_LONE_WITHIN).encode(), re.DOTALL)

    @cached_property
    def _row(self) -> re.Pattern[bytes]:
        return re.compile(self._row_pattern().encode(), re.DOTALL)

    @cached_property
    def _whole_rows(self) -> re.Pattern[bytes]:
        return re.compile(f"(?:{self._row_pattern()})*+".encode(), re.DOTALL)

    @cached_property
    def _field(self) -> re.Pattern[str]:
        """The quoted part, its closing quote, the rest, and what ends the field."""
        stop = "|".join(filter(None, (re.escape(self.delimiter), self._end_pattern(_LONE), r"\Z")))
        return re.compile(f"{self._field_pattern(_LONE, '(')}({stop})", re.DOTALL)

    @cached_property
    def _escaped(self) -> re.Pattern[str]:
        return re.compile(f"{re.escape(self.escape)}(.)", re.DOTALL)

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        """What is escaped or doubled within quotes."""
        return re.compile(f"{re.escape(self.escape)}(.)|{re.escape(self.quote)}({re.escape(self.quote)})", re.DOTALL)

    def _end_pattern(self, lone: str) -> str:
        return re.escape(self.row_end) or rf"\r\n|\n|{lone}"

    def _row_pattern(self) -> str:
        field = self._field_pattern(_LONE_WITHIN, "(?:")
        before = f"(?:{field}{re.escape(self.delimiter)})*+" if self.delimiter else ""
        return f"{before}{field}(?:{self._end_pattern(_LONE_WITHIN)})"

    def _field_pattern(self, lone: str, group: str) -> str:
        """A field up to its end. group: what opens the three groups."""
        quote, escape, delimiter = re.escape(self.quote), re.escape(self.escape), re.escape(self.delimiter)
        escaped = rf"{escape}(?:.|\Z)|" if escape else ""
        ends = "|".join(filter(None, (delimiter, self._end_pattern(lone), escape)))
        special = re.escape(self.delimiter[:1] + (self.row_end[:1] or "\r\n") + self.escape)
        rest = rf"{group}(?:[^{special}]++|{escaped}(?!{ends}).)*+)"
        if not quote:
            return rest if group != "(" else f"(?:()()(?!))?{rest}"
        within = "|".join(filter(None, (quote, escape)))
        text = rf"(?:[^{quote}{escape}]++|{escaped}{quote}{quote}|(?!{within}).)*+"
        return rf"(?:{quote}{group}{text}){group}{quote}?))?+{rest}"
