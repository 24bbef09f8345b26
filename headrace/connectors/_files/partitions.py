"""Values of partition columns ↔ the names of directories, as Hive and Spark write and read them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import Problem, TableSchema
from headrace.errors import Rejected
from headrace.formats.cells import cell_texts
from headrace.rows import type_name

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""The directory of rows whose partition value is null, as Hive and Spark name it."""

MOST_BYTES = 255
"""Of a directory's name, on Linux and in object stores behind it."""

_ESCAPED = re.compile(r"[\x00-\x1f\"#%'*/:=?\\\x7f{\[\]^]")
"""What Hive writes as % and two digits (FileUtils.charToEscape)."""


def folder_values(column: pa.Array, formats: dict[str, str | None]) -> pa.Array:
    """Each value as it stands in a directory's name: null as Hive's marker, the marker's own text escaped."""
    texts = cell_texts(column, formats, None).dictionary_encode()
    names = pa.array([escaped(text) for text in texts.dictionary.to_pylist()], pa.string())
    return pc.fill_null(names.take(texts.indices), NULL_PARTITION)


def escaped(text: str) -> str:
    """A text as Hive writes it in a directory's name."""
    if text == NULL_PARTITION:
        return f"%5F{text[1:]}"
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def folder_of(expression: str, names: Sequence[str], values: Sequence[str]) -> str:
    """The directories of a partition by partition_dir_expression. values: of folder_values.

    Raises Rejected where a name is longer than a directory's can be.
    """
    pairs = [(escaped(name), value) for name, value in zip(names, values, strict=True)]
    if "..." in expression:
        parts = [f"{name}={value}" for name, value in pairs]
    else:
        for i, (name, value) in enumerate(pairs):
            # Without its column's name, an empty value would be no directory at all.
            expression = expression.replace(f"${{k{i}}}", name).replace(f"=${{v{i}}}", f"={value}")
            expression = expression.replace(f"${{v{i}}}", value or NULL_PARTITION)
        parts = [part for part in expression.split("/") if part]
    for part in parts:
        if (size := len(part.encode())) > MOST_BYTES:
            raise Rejected(
                f"cannot write the partition {part[:60]}…: a directory's name has {MOST_BYTES} bytes at most, this one "
                f"would have {size}; partition by a column with shorter values"
            )
    return "/".join(_seen(part) for part in parts)


def _seen(name: str) -> str:
    """The name of a directory that readers do not pass over, and that does not lead elsewhere."""
    return f"%{ord(name[0]):02X}{name[1:]}" if is_passed_over(name) else name


def is_passed_over(folder: str) -> bool:
    """Whether readers leave a directory out: hidden ones, but not `_column=value` and the marker of null."""
    return folder.startswith(".") or (folder.startswith("_") and "=" not in folder and folder != NULL_PARTITION)


def partition_values(path: str) -> dict[str, str | None]:
    """The `k=v` directories of a path, in order: escapes read, Hive's marker as null."""
    parts = [part.partition("=") for part in Path(path).parent.parts]
    return {unquote(key): _value(value) for key, equals, value in parts if equals and key}


def _value(text: str) -> str | None:
    """Escapes that stand for no text were not made by Hive, and stay as they are."""
    try:
        return None if text == NULL_PARTITION else unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def check_partitions(table: TableSchema, by: Sequence[str], kept: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with the partition columns of a table. kept: the columns that its files would have."""
    for name in by:
        dtype = table.column(name).type if name in table.names else pa.string()
        if pa.types.is_nested(dtype) or pa.types.is_binary(dtype) or isinstance(dtype, pa.BaseExtensionType):
            text = f"column {name} of table {table.path} is {type_name(dtype)}, whose values make no names"
            yield Problem("partition_by", text, "partition by a column of numbers, texts or dates")
    if by and not kept:
        text = f"every column of table {table.path} is in partition_by, so its files would have no column, and no rows"
        yield Problem("partition_by", text, "leave one out, or set is_partition_field_write_in_file = true")
