"""Options of files whose columns are found by looking: options in, options with a schema out."""

import logging
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from headrace.connector import JobContext, TaskContext
from headrace.connectors._files.columns import LOOKED_AT
from headrace.connectors._files.listing import readable_files
from headrace.connectors._files.options import FileSchemaOptions, FileTableOptions
from headrace.connectors._files.parts import members_of
from headrace.errors import BadRow, Rejected
from headrace.formats.file_format import FileFormat
from headrace.formats.lines import BLOCK_BYTES
from headrace.formats.packing import plain_file
from headrace.formats.registry import file_format
from headrace.rows import type_name
from headrace.storage.contract import Stat, Storage

LOG = logging.getLogger("headrace.plugin")

_LATER_BYTES = 64 * 1024
"""Looked at of each file behind the first hundred."""


def completed(storage: Storage, options: FileTableOptions) -> FileTableOptions:
    """The options with the columns, and what else was found by looking at the files; as they are where they tell them.

    Raises Rejected when there is nothing to look at, or when the files are not alike.
    """
    form = file_format(options.file_format_type) if options.file_format_type else None
    if not options.infer_schema or form is None:
        return options
    if options.has_columns or form.own_schema or form.gives_changes:
        return options.model_copy(update={"infer_schema": False})
    guess = _guess(form, options)
    files = readable_files(storage, options)
    _look(guess, storage, files, form, options)
    columns: dict[str, pa.DataType] = guess.columns
    if not columns:
        what = f"{files[0].path!r} is empty" if files else f"there are no files in {options.path!r}"
        raise Rejected(f"there are no columns to be found by looking: {what}; declare them in schema")
    found = ", ".join(f"{name} {type_name(dtype)}" for name, dtype in columns.items())
    LOG.info("%s: %s", options.path, "; ".join([f"columns found by looking: {found}", *guess.notes]))
    for name, text in guess.odd.items():
        LOG.warning(
            "column %s of %s is a text, for %r stands among its numbers; null_format = %r makes that null",
            name, options.path, text, text,
        )  # fmt: skip
    given = options.table_schema.model_dump(exclude_unset=True, by_alias=True) if options.table_schema else {}
    schema = FileSchemaOptions.model_validate({**given, "fields": {n: written(t) for n, t in columns.items()}})
    return options.model_copy(update={**guess.settings, "table_schema": schema})


def _guess(form: FileFormat, options: FileTableOptions) -> Any:
    # imported here: they bring the formats that they look at, for which few jobs have a use
    from headrace.formats.guess_delimited import DelimitedGuess, Forgiving
    from headrace.formats.guess_values import ExcelGuess, JsonGuess, XmlGuess

    size = min(options.infer_schema_bytes or BLOCK_BYTES, BLOCK_BYTES)
    task = TaskContext(JobContext(0), rejects=Forgiving(), batch_bytes=size)
    values = {"json": JsonGuess, "excel": ExcelGuess, "xml": XmlGuess}
    return values[form.name](options, task) if form.name in values else DelimitedGuess(form, options, task)


def _look(guess: Any, storage: Storage, files: Sequence[Stat], form: FileFormat, options: FileTableOptions) -> None:
    for number, found in enumerate(files):
        most = options.infer_schema_bytes
        limit = most if number < LOOKED_AT or not most else min(most, _LATER_BYTES)
        path, file = found.path, storage.open(found.path, found.size)
        for member in members_of(file, form, options) if options.is_packed else [""]:
            with plain_file(file, options.archive_codec, options.codec, member) as plain:
                guess.add(plain, f"{path}:{member}" if member else path, limit)


def written(dtype: pa.DataType) -> Any:
    """A type as the schema option has it."""
    if pa.types.is_struct(dtype):
        return {field.name: written(field.type) for field in dtype}
    if pa.types.is_list(dtype) and pa.types.is_nested(dtype.value_type):
        return f"array<{_in_text(dtype.value_type)}>"
    return type_name(dtype).lower()


def _in_text(dtype: pa.DataType) -> str:
    """A nested type within the text of another."""
    if pa.types.is_struct(dtype):
        return "{" + ", ".join(f'"{field.name}": {_in_text(field.type)}' for field in dtype) + "}"
    return f"array<{_in_text(dtype.value_type)}>" if pa.types.is_list(dtype) else type_name(dtype).lower()


def with_cure(error: BadRow, options: FileTableOptions) -> BadRow:
    """A row that does not fit what was found by looking, with what helps."""
    how_much = f"the first {options.infer_schema_bytes:,} bytes" if options.infer_schema_bytes else "all"
    cure = (
        f"the columns were found by looking at {how_much} of each file; declare them in schema, or set "
        "infer_schema_bytes = 0 to look at all"
    )
    return BadRow(f"{error.message}; {cure}", error.table, error.row, error.column, error.value)
