"""Xml files: one element is a row, its attributes or its children are the fields."""

import codecs
import logging
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, BinaryIO, NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.byte_texts import refused_texts
from headrace.formats.cells import cell_texts, parse_text_cell
from headrace.formats.file_format import FileFormat, FilePart, FormatWriter, ReadSettings, WriteSettings
from headrace.formats.json_lines import values_as_json
from headrace.rows import type_name
from headrace.storage.opened import Opened
from headrace.values import to_array

LOG = logging.getLogger("headrace.plugin")

READ_BYTES = 64 * 1024

ELEMENT_FACTOR = 4
"""Elements take so many times the memory of their text in the file."""


class XmlFormat(FileFormat):
    """Elements `xml_row_tag`, wherever they stand; a position is the number of rows read."""

    name = "xml"
    suffix = "xml"
    packable = True
    unverified = "xml files are not read back"

    def cut(self, file: Opened, split_size: int, settings: ReadSettings) -> list[tuple[int, int]]:  # noqa: D102
        return [(0, file.size)]

    def read(  # noqa: D102
        self,
        part: FilePart,
        position: Position | None,
        schema: pa.Schema,
        settings: ReadSettings,
        task: TaskContext,
        table: str,
    ) -> Iterator[tuple[pa.RecordBatch, Position]]:
        done, held = position or 0, []
        given, size, names = done, 0, _Names(schema, settings, part)
        try:
            for number, (fields, others) in enumerate(rows(part, settings, task), 1):
                if number <= done:
                    continue
                found = names.of(fields, others)
                if settings.is_complete and (strange := names.strangers(fields)):
                    reason = f"it has {strange}, which no row had that was looked at"
                    raw = str({name: text for name, field in fields.items() for text in field.texts})
                    task.rejects.add_raw(table, [raw], reason, f"{part.label} row {number}")
                    done = number
                    continue
                if (values := _values(found, fields, number, schema, settings, part, task, table)) is not None:
                    held.append(values)
                    size += sum(len(text) for field in fields.values() for text in field.texts)
                if len(held) >= task.batch_rows or size >= task.batch_bytes:
                    names.check()
                    yield _batch(held, schema), number
                    held, given, size = [], number, 0
                done = number
        except (ElementTree.ParseError, UnicodeError, OSError) as error:
            cure = "set the option encoding" if isinstance(error, UnicodeError) else "mend the file, or leave it out"
            raise Rejected(f"cannot read {part.label} as xml: {error}; {cure}") from error
        names.check()
        if held or done > given:
            yield _batch(held, schema), done  # empty where all the rows were bad: the position lies behind them
        names.tell()

    def refused(self, rows: pa.RecordBatch, settings: WriteSettings) -> Mapping[int, str]:  # noqa: D102
        return refused_texts(rows, _wrong)

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _XmlWriter(stream, schema, settings)


def row_tag(part: FilePart, settings: ReadSettings, task: TaskContext) -> tuple[str, bool]:
    """The element that is a row, and whether its attributes are the fields: the first one within the outermost.

    Raises Rejected for a file without one.
    """
    depth = 0
    try:
        for event, element in _events(part, settings, task):
            depth += 1 if event == "start" else -1
            if event == "end" and depth == 1:
                return _tag(element), bool(element.attrib) and not len(element)
    except (ElementTree.ParseError, UnicodeError) as error:
        raise Rejected(f"cannot read {part.label} as xml: {error}; mend the file, or leave it out") from error
    raise Rejected(f"{part.label} has no element within its outermost one, and so no rows")


class Field(NamedTuple):
    """What a row has under one name: the text of each such element, and the elements within them."""

    texts: list[str]
    inner: list[str]


def rows(part: FilePart, settings: ReadSettings, task: TaskContext) -> Iterator[tuple[dict[str, Field], bool]]:
    """The fields of each row by name, and whether it has others, attributes beside children or the other way round.

    What was read is forgotten, so that memory does not grow.
    """
    open_elements: list[ElementTree.Element] = []
    for event, element in _events(part, settings, task):
        if event == "start":
            open_elements.append(element)
            continue
        open_elements.pop()
        if _tag(element) == settings.xml_row_tag:
            if settings.xml_attributes:
                yield _attributes(element), len(element) > 0
            else:
                yield _children(element), bool(element.attrib)
            if open_elements:
                open_elements[-1].remove(element)


def _attributes(row: ElementTree.Element) -> dict[str, Field]:
    return {name.rpartition("}")[2]: Field([text], []) for name, text in row.attrib.items()}


def _children(row: ElementTree.Element) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for child in row:
        field = found.setdefault(_tag(child), Field([], []))
        field.texts.append("".join(child.itertext()))
        field.inner.extend(_tag(inner) for inner in child)
    return found


def _events(part: FilePart, settings: ReadSettings, task: TaskContext) -> Iterator[tuple[str, ElementTree.Element]]:
    """The beginnings and ends of elements. A row, or what lies between two, must not fill the memory."""
    parser: Any = ElementTree.XMLPullParser(("start", "end"))  # typed for events that are not asked for
    since, name = 0, f"a row of {part.label}, or what stands between two,"
    with part.file.stream() as file:
        first = file.read(READ_BYTES)
        decoder = codecs.getincrementaldecoder(_encoding(first, settings, part))()
        data = first
        while data:
            since += len(data)
            parser.feed(decoder.decode(data))
            for event, element in parser.read_events():
                if event == "end" and _tag(element) == settings.xml_row_tag:
                    since = 0
                yield event, element
            task.check_size(ELEMENT_FACTOR * since, name, f"look whether xml_row_tag = {settings.xml_row_tag} is right")
            data = file.read(READ_BYTES)
    parser.feed(decoder.decode(b"", final=True))
    parser.close()
    yield from parser.read_events()


_DECLARED = re.compile(rb"^\s*<\?xml[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._:-]+)[\"']")
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def _encoding(first: bytes, settings: ReadSettings, part: FilePart) -> str:
    """What a file's mark says; the option encoding where it was given, as in SeaTunnel; what the declaration says."""
    for mark, encoding in _MARKS.items():
        if first.startswith(mark):
            return encoding
    declared = _DECLARED.match(first[:1000])
    if "encoding" in settings.model_fields_set or declared is None:
        return settings.encoding
    name = declared[1].decode()
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise Rejected(
            f"{part.label} says that its encoding is {name!r}, which is not known; set the option encoding"
        ) from error
    return name


class _Names:
    """Finds the columns' elements or attributes: exactly, else without regard to case and blanks."""

    def __init__(self, schema: pa.Schema, settings: ReadSettings, part: FilePart) -> None:
        self._names, self._settings, self._part = schema.names, settings, part
        self._seen: set[str] = set()
        self._known: dict[str, None] = {}
        self._rows, self._others = 0, False

    def of(self, fields: dict[str, Field], others: bool) -> list[Field | None]:
        """The field of each column in one row."""
        self._rows += 1
        self._others = self._others or others
        if not fields.keys() <= self._known.keys():
            self._known.update(dict.fromkeys(fields))
        found = [fields.get(name) for name in self._names]
        if None in found:
            lower = {name.strip().lower(): field for name, field in fields.items()}
            found = [
                lower.get(name.strip().lower()) if field is None else field
                for name, field in zip(self._names, found, strict=True)
            ]
        self._seen.update(name for name, field in zip(self._names, found, strict=True) if field is not None)
        return found

    def strangers(self, fields: Mapping[str, Field]) -> str:
        """The fields of a row that no column is for."""
        known = {name.strip().lower() for name in self._names}
        return ", ".join(name for name in fields if name.strip().lower() not in known)

    def check(self) -> None:
        """Raises Rejected when rows were read that had fields, and not one column was among them."""
        if self._seen or not (self._known or self._others):
            return
        way = "attributes" if self._settings.xml_attributes else "elements"
        other = "false" if self._settings.xml_attributes else "true"
        known = ", ".join(self._known) or "none"
        raise Rejected(
            f"none of the columns {', '.join(self._names)} is in {self._part.label}: the {way} of its rows are "
            f"{known}; mend the names in schema, or set xml_use_attr_format = {other}"
        )

    def tell(self) -> None:
        """Warns of columns that were in no row."""
        if not self._rows:
            LOG.warning(
                "%s has no element %s: 0 rows; look whether xml_row_tag is right",
                self._part.label,
                self._settings.xml_row_tag,
            )
            return
        for name in self._names if self._known else ():
            if name not in self._seen:
                near = get_close_matches(name, self._known, 1)
                hint = f"did you mean {near[0]}?" if near else f"they have {', '.join(self._known)}"
                LOG.warning("column %s is in no row of %s, and null in all; %s", name, self._part.label, hint)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _values(
    found: list[Field | None],
    fields: dict[str, Field],
    number: int,
    schema: pa.Schema,
    settings: ReadSettings,
    part: FilePart,
    task: TaskContext,
    table: str,
) -> list[Any] | None:
    values = []
    for field, column in zip(found, schema, strict=True):
        try:
            values.append(None if field is None else _value(field, column, settings))
        except ValueError as error:
            raw = str({name: text for name, field in fields.items() for text in field.texts})
            task.rejects.add_raw(table, [raw], str(error), f"{part.label} row {number}, column {column.name}")
            return None
    return values


def _value(field: Field, column: pa.Field, settings: ReadSettings) -> Any:
    dtype = column.type
    if field.inner:
        inner = ", ".join(dict.fromkeys(field.inner))
        raise ValueError(
            f"the element {column.name} holds elements ({inner}) where {type_name(dtype)} was expected; "
            f"write them as JSON text, or set xml_row_tag to the element whose children are the columns"
        )
    if len(field.texts) > 1:
        if not pa.types.is_list(dtype):
            raise ValueError(
                f"the element {column.name} stands {len(field.texts)} times in the row; declare the column as an array"
            )
        return [parse_text_cell(text, dtype.value_type, settings) for text in field.texts]
    text = field.texts[0]
    if pa.types.is_string(dtype) or pa.types.is_binary(dtype):  # what is there has a text, if only an empty one
        found = text.encode() if pa.types.is_binary(dtype) else text
        return None if text == settings.null_format else found
    return parse_text_cell(text, dtype, settings)


def _batch(rows: list[list[Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [to_array([row[i] for row in rows], field.type) for i, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


_NAME = re.compile(
    "[:A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]"
    "[-.0-9\u00b7\u0300-\u036f\u203f\u2040:A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff"
    "\u200c\u200d\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]*"
)
"""What elements and attributes may be called (XML 1.0, 2.3: Name)."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that no XML 1.0 file can hold, however they are written (2.2: Char)."""


class _XmlWriter(FormatWriter):
    def __init__(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> None:
        self._stream, self._settings = stream, settings
        self._encoder = codecs.getincrementalencoder(settings.encoding)("xmlcharrefreplace")
        named = {"xml_root_tag": settings.xml_root_tag, "xml_row_tag": settings.xml_row_tag}
        for what, name in [*named.items(), *(("column", name) for name in schema.names)]:
            self._check_name(what, name)
        self._put(f'<?xml version="1.0" encoding="{settings.encoding}"?>\n<{settings.xml_root_tag}>\n')

    def _check_name(self, what: str, name: str) -> None:
        """Raises Rejected for what XML takes for no name, or what its reader would take for a part of it."""
        try:
            name.encode(self._settings.encoding)
        except UnicodeError as error:
            text = f"{what} {name!r} cannot be written in {self._settings.encoding}"
            raise Rejected(f"cannot write xml: {text}; rename it, or set encoding = UTF-8") from error
        if not _NAME.fullmatch(name) or ":" in name:
            raise Rejected(
                f"cannot write xml: {what} {name!r} is not a name in XML, which begins with a letter or _ and has "
                "letters, digits, _, - and . only; rename it"
            )

    def _put(self, text: str) -> None:
        self._stream.write(self._encoder.encode(text))

    def write(self, rows: pa.RecordBatch) -> None:
        tag, settings = self._settings.xml_row_tag, self._settings
        columns = [
            (name, _texts(column, settings)) for name, column in zip(rows.schema.names, rows.columns, strict=True)
        ]
        lines = []
        for i in range(rows.num_rows):
            fields = [(name, texts[i]) for name, texts in columns]
            if settings.xml_attributes:
                inner = "".join(f" {name}={quoteattr(text)}" for name, text in fields if text is not None)
                lines.append(f"    <{tag}{inner}/>\n")
            else:
                inner = "".join(
                    f"        <{name}>{escape(text, _KEPT)}</{name}>\n" for name, text in fields if text is not None
                )
                lines.append(f"    <{tag}>\n{inner}    </{tag}>\n")
        self._put("".join(lines))

    def close(self) -> None:
        self._put(f"</{self._settings.xml_root_tag}>\n")
        self._stream.write(self._encoder.encode("", final=True))


_KEPT = {"\r": "&#13;"}
"""A reader makes a line feed of a carriage return that is not written so."""


def _texts(column: pa.Array, settings: WriteSettings) -> list[str | None]:
    """Each value as text, nested ones as JSON; null is left out of the row."""
    if pa.types.is_nested(column.type) or isinstance(column.type, pa.ExtensionType):
        return values_as_json(column)
    texts = cell_texts(column, settings.formats())
    return list(pc.if_else(pc.is_valid(column), texts, pa.scalar(None, pa.string())).to_pylist())


def _wrong(text: str) -> str:
    odd = _FORBIDDEN.search(text)
    return f"has the character U+{ord(odd[0]):04X}, which no xml file can hold" if odd else ""
