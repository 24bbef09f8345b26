"""Reads and writes files through their format alone."""

import io

import pyarrow as pa

from headrace.connector import JobContext, TaskContext
from headrace.formats.file_format import FilePart, ReadSettings, WriteSettings
from headrace.formats.registry import file_format
from headrace.rows import parse_type
from headrace.storage.opened import InMemory


def schema_of(**fields):
    """An Arrow schema of SeaTunnel's types."""
    return pa.schema([(name, parse_type(dtype)) for name, dtype in fields.items()])


def read(form, data, schema=None, name="in", rejects=None, **settings):
    """The rows of a file's bytes as lists of values."""
    made, file = file_format(form), InMemory(name, data)
    schema = schema or made.file_schema(file)
    options = ReadSettings.model_validate(settings)
    task = TaskContext(JobContext(0), **({"rejects": rejects} if rejects else {}))
    rows = []
    for start, end in made.cut(file, 1 << 40, options):
        for batch, _ in made.read(FilePart(file, start, end), None, schema, options, task, "t"):
            rows += [list(row.values()) for row in batch.to_pylist()]
    return rows


def written(form, rows, **settings):
    """The bytes of a file that holds the rows of a RecordBatch."""
    stream, options = io.BytesIO(), WriteSettings.model_validate(settings)
    writer = file_format(form).writer(stream, rows.schema, options)
    writer.write(rows)
    writer.close()
    return stream.getvalue()
