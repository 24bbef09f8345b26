"""Xml files: one element is a row, its attributes or its children are the fields."""

from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import Position, TaskContext
from headrace.errors import Rejected
from headrace.formats.cells import cell_texts, parse_text_cell
from headrace.formats.file_format import FileFormat, FilePart, FormatWriter, ReadSettings, WriteSettings
from headrace.formats.json_lines import values_as_json
from headrace.storage.opened import Opened
from headrace.values import to_array

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
        given, size = done, 0
        try:
            for number, fields in enumerate(_rows(part, settings, task), 1):
                if number <= done:
                    continue
                if (values := _values(fields, number, schema, settings, part, task, table)) is not None:
                    held.append(values)
                    size += sum(len(text) for text in fields.values() if text)
                if len(held) == task.batch_rows or size >= task.batch_bytes:
                    yield _batch(held, schema), number
                    held, given, size = [], number, 0
                done = number
        except (ElementTree.ParseError, UnicodeError, OSError, LookupError) as error:
            raise Rejected(f"cannot read {part.label} as xml: {error}") from error
        if held or done > given:
            yield _batch(held, schema), done  # empty where all the rows were bad: the position lies behind them

    def writer(self, stream: BinaryIO, schema: pa.Schema, settings: WriteSettings) -> FormatWriter:  # noqa: D102
        return _XmlWriter(stream, settings)


def _rows(part: FilePart, settings: ReadSettings, task: TaskContext) -> Iterator[dict[str, str | None]]:
    """The fields of each row as text; what was read is forgotten, so that memory does not grow."""
    open_elements: list[ElementTree.Element] = []
    for event, element in _events(part, settings, task):
        if event == "start":
            open_elements.append(element)
            continue
        open_elements.pop()
        if _tag(element) == settings.xml_row_tag:
            if settings.xml_attributes:
                yield dict(element.attrib)
            else:
                yield {_tag(child): "".join(child.itertext()) for child in element}
            if open_elements:
                open_elements[-1].remove(element)


def _events(part: FilePart, settings: ReadSettings, task: TaskContext) -> Iterator[tuple[str, ElementTree.Element]]:
    """The beginnings and ends of elements. A row, or what lies between two, must not fill the memory."""
    parser: Any = ElementTree.XMLPullParser(("start", "end"))  # typed for events that are not asked for
    since, name = 0, f"a row of {part.label}, or what stands between two,"
    with part.file.stream() as file:
        while data := file.read(READ_BYTES):
            since += len(data)
            parser.feed(data)
            for event, element in parser.read_events():
                if event == "end" and _tag(element) == settings.xml_row_tag:
                    since = 0
                yield event, element
            task.check_size(ELEMENT_FACTOR * since, name, f"look whether xml_row_tag = {settings.xml_row_tag} is right")
    parser.close()
    yield from parser.read_events()


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _values(
    fields: dict[str, str | None],
    number: int,
    schema: pa.Schema,
    settings: ReadSettings,
    part: FilePart,
    task: TaskContext,
    table: str,
) -> list[Any] | None:
    values = []
    for field in schema:
        try:
            values.append(parse_text_cell(fields.get(field.name), field.type, settings))
        except ValueError as error:
            raw = str({name: text for name, text in fields.items() if text is not None})
            task.rejects.add_raw(table, [raw], str(error), f"{part.label} row {number}, column {field.name}")
            return None
    return values


def _batch(rows: list[list[Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [to_array([row[i] for row in rows], field.type) for i, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _XmlWriter(FormatWriter):
    def __init__(self, stream: BinaryIO, settings: WriteSettings) -> None:
        self._stream, self._settings = stream, settings
        root = settings.xml_root_tag
        self._put(f'<?xml version="1.0" encoding="{settings.encoding}"?>\n<{root}>\n')

    def _put(self, text: str) -> None:
        self._stream.write(text.encode(self._settings.encoding, "xmlcharrefreplace"))

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
                    f"        <{name}>{escape(text)}</{name}>\n" for name, text in fields if text is not None
                )
                lines.append(f"    <{tag}>\n{inner}    </{tag}>\n")
        self._put("".join(lines))

    def close(self) -> None:
        self._put(f"</{self._settings.xml_root_tag}>\n")


def _texts(column: pa.Array, settings: WriteSettings) -> list[str | None]:
    """Each value as text, nested ones as JSON; null is left out of the row."""
    if pa.types.is_nested(column.type) or isinstance(column.type, pa.ExtensionType):
        return values_as_json(column)
    texts = cell_texts(column, settings.formats())
    found: list[str | None] = pc.if_else(pc.is_valid(column), texts, pa.scalar(None, pa.string())).to_pylist()
    return found
