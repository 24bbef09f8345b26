"""File formats by the name of `file_format_type`."""

from headrace.formats.delimited import DelimitedFormat, TextFormat
from headrace.formats.file_format import FileFormat
from headrace.formats.json_lines import JsonFormat
from headrace.formats.parquet import ParquetFormat

FORMATS: dict[str, type[FileFormat]] = {f.name: f for f in (TextFormat, DelimitedFormat, JsonFormat, ParquetFormat)}


def file_format(name: str) -> FileFormat:
    """The format called `name`, without regard to case. Raises ValueError naming the known ones."""
    found = FORMATS.get(name.strip().lower())
    if found is None:
        raise ValueError(f"file_format_type {name!r} is not known; known: {', '.join(FORMATS)}")
    return found()
