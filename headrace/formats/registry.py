"""File formats by the name of `file_format_type`."""

from headrace.formats.avro import AvroFormat
from headrace.formats.binary import BinaryFormat
from headrace.formats.change_json import CanalJsonFormat, DebeziumJsonFormat, MaxwellJsonFormat
from headrace.formats.delimited import DelimitedFormat, TextFormat
from headrace.formats.excel import ExcelFormat
from headrace.formats.file_format import FileFormat
from headrace.formats.json_lines import JsonFormat
from headrace.formats.orc import OrcFormat
from headrace.formats.parquet import ParquetFormat
from headrace.formats.xml import XmlFormat

_ALL: tuple[type[FileFormat], ...] = (
    TextFormat,
    DelimitedFormat,
    JsonFormat,
    ParquetFormat,
    OrcFormat,
    AvroFormat,
    ExcelFormat,
    XmlFormat,
    BinaryFormat,
    CanalJsonFormat,
    DebeziumJsonFormat,
    MaxwellJsonFormat,
)

FORMATS: dict[str, type[FileFormat]] = {f.name: f for f in _ALL}


def file_format(name: str) -> FileFormat:
    """The format called `name`, without regard to case. Raises ValueError naming the known ones."""
    found = FORMATS.get(name.strip().lower())
    if found is None:
        raise ValueError(f"file_format_type {name!r} is not known; known: {', '.join(FORMATS)}")
    return found()
