"""What files that hold texts only cannot hold: bytes that are none, and texts that the format has no way to write."""

from collections.abc import Callable

import pyarrow as pa

from headrace.formats.json_lines import values_as_json


def refused_texts(rows: pa.RecordBatch, wrong: Callable[[str], str]) -> dict[int, str]:
    """The rows that a file cannot hold, by number from 0, and why. wrong: says so of a text; empty where it can."""
    found: dict[int, str] = {}
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        for row, value in enumerate(_texts(column)):
            try:
                text = value.decode() if isinstance(value, bytes) else value
            except UnicodeDecodeError as error:
                shown = bytes(error.object[:20]).hex()
                reason = f"the bytes {shown} are not a text in UTF-8, and such files hold texts only"
                found.setdefault(row, f"column {name}: {reason}; write another format")
                continue
            if text is not None and (reason := wrong(text)):
                found.setdefault(row, f"column {name}: {text[:100]!r} {reason}; take it out, or write another format")
    return found


def _texts(column: pa.Array) -> list[str | bytes | None]:
    """What is written of a column, where it may be anything; numbers, dates and truth values are always texts."""
    dtype = column.type
    if pa.types.is_nested(dtype) or isinstance(dtype, pa.ExtensionType):
        return list(values_as_json(column))
    return list(column.to_pylist()) if pa.types.is_string(dtype) or pa.types.is_binary(dtype) else []
