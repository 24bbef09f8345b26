"""File formats by the name of `file_format_type`."""

import importlib

from headrace.formats.file_format import FileFormat

FORMATS = {
    "text": "delimited:TextFormat",
    "csv": "delimited:DelimitedFormat",
    "json": "json_lines:JsonFormat",
    "parquet": "parquet:ParquetFormat",
    "orc": "orc:OrcFormat",
    "avro": "avro:AvroFormat",
    "excel": "excel:ExcelFormat",
    "xml": "xml:XmlFormat",
    "binary": "binary:BinaryFormat",
    "canal_json": "change_json:CanalJsonFormat",
    "debezium_json": "change_json:DebeziumJsonFormat",
    "maxwell_json": "change_json:MaxwellJsonFormat",
}
"""Name → module and class, which is imported when a job names it: a small job must not wait for all of them."""


def file_format(name: str) -> FileFormat:
    """The format called `name`, without regard to case. Raises ValueError naming the known ones."""
    place = FORMATS.get(name.strip().lower())
    if place is None:
        raise ValueError(f"file_format_type {name!r} is not known; known: {', '.join(FORMATS)}")
    module, _, cls = place.partition(":")
    found: type[FileFormat] = getattr(importlib.import_module(f"headrace.formats.{module}"), cls)
    return found()
