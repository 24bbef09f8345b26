"""Cells of csv and text files ↔ values: nested separators, blanks, formats (SeaTunnel: TextDeserializationSchema)."""

import contextlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from headrace.formats.file_format import ReadSettings
from headrace.formats.iso_texts import fits
from headrace.formats.java_dates import format_column, strftime_pattern
from headrace.formats.java_numbers import java_numbers
from headrace.javatext import java_double
from headrace.leaves import printed_floats
from headrace.values import parse_value

SEPARATORS = ("\x02", "\x03", "\x04", "\x05", "\x06", "\x07")
"""Between the parts of a nested value, the outermost first."""

_SHORT_CLOCK = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2})(?:[T ](\d{2})(?:(\d{2})(?:(\d{2}))?)?)?(Z|[+-]\d{2}(?::?\d{2})?)?\Z", re.ASCII
)


def parse_cell(text: str | None, dtype: pa.DataType, formats: Sequence[str] = (), level: int = 0) -> Any:
    """One cell as the Python object that Arrow takes for `dtype`; a blank is null, within a nested one an empty text.
    Raises ValueError.

    formats: Java patterns that are tried before the value's shape decides.
    """
    if not text or not (level or pa.types.is_nested(dtype) or text.strip()):
        return None
    if pa.types.is_string(dtype):
        return text
    if pa.types.is_binary(dtype):
        return text.encode()
    if pa.types.is_list(dtype):
        return [parse_cell(item, dtype.value_type, formats, level + 1) for item in text.split(SEPARATORS[level])]
    if pa.types.is_map(dtype):
        pairs = [entry.partition(SEPARATORS[level + 1]) for entry in text.split(SEPARATORS[level])]
        return [
            (parse_cell(k, dtype.key_type, formats, level + 2), parse_cell(v, dtype.item_type, formats, level + 2))
            for k, _, v in pairs
        ]
    if pa.types.is_struct(dtype):
        parts = text.split(SEPARATORS[level])
        fields = [dtype.field(i) for i in range(dtype.num_fields)]
        return {
            field.name: parse_cell(parts[i] if i < len(parts) else None, field.type, formats, level + 1)
            for i, field in enumerate(fields)
        }
    if pa.types.is_temporal(dtype):
        for pattern in formats:
            found = _by_pattern(text.strip(), pattern) if fits(pattern, dtype) else None
            if found is not None:
                return parse_value(found if not pa.types.is_time(dtype) else found.time(), dtype)
        if pa.types.is_timestamp(dtype):
            return parse_value(_whole_timestamp(text.strip()), dtype)
    return parse_value(text.strip(), dtype)


def _whole_timestamp(text: str) -> str:
    """A day alone is its midnight, and a time of day may be `12`, `1230` or `123005`, as ISO 8601 has it."""
    match = _SHORT_CLOCK.match(text)
    if match is None:
        return text
    return f"{match[1]} {match[2] or '00'}:{match[3] or '00'}:{match[4] or '00'}{match[5] or ''}"


def parse_text_cell(text: str | None, dtype: pa.DataType, settings: ReadSettings) -> Any:
    """A cell of an Excel sheet or a field of an XML row: nested values are JSON, rows may be cells with delimiters."""
    if text is None or not text.strip() or text == settings.null_format:
        return None
    if pa.types.is_struct(dtype) and not _is_json(text):
        parts = text.split(settings.field_delimiter or ";")
        fields = [dtype.field(i) for i in range(dtype.num_fields)]
        return {
            field.name: parse_text_cell(parts[i] if i < len(parts) else None, field.type, settings)
            for i, field in enumerate(fields)
        }
    if pa.types.is_date(dtype) and text.endswith(" 00:00:00"):  # a date cell of Excel
        text = text.removesuffix(" 00:00:00")
    if pa.types.is_nested(dtype) or isinstance(dtype, pa.ExtensionType):
        return parse_value(text.strip(), dtype)
    return parse_cell(text, dtype, settings.patterns())


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _by_pattern(text: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(text, strftime_pattern(pattern).replace("%f3", "%f").replace("%f6", "%f"))  # noqa: DTZ007
    except ValueError:
        return None


def cell_texts(column: pa.Array, formats: dict[str, str | None], null: str | None = "") -> pa.Array:
    """A column as the texts of its cells. formats: `date`, `datetime`, `time` → Java pattern or None for ISO.

    null: what stands for null; None keeps it. Moments with a zone keep their offset; by a pattern they are in UTC.
    Raises ValueError naming the first bytes that are not text in UTF-8.
    """
    dtype = column.type
    if pa.types.is_string(dtype):
        texts = column
    elif any(kind(dtype) for kind in _BYTES):
        texts = _decoded(column)
    elif pa.types.is_date(dtype) and formats.get("date"):
        texts = format_column(column, str(formats["date"]))
    elif pa.types.is_time(dtype):
        texts = _moments(column, formats.get("time"))
    elif pa.types.is_timestamp(dtype):
        texts = _moments(column, formats.get("datetime"))
    elif pa.types.is_floating(dtype):
        texts = java_numbers(column)
    elif pa.types.is_nested(dtype) or isinstance(dtype, pa.ExtensionType):
        plain = dtype.storage_type if isinstance(dtype, pa.ExtensionType) else dtype
        values = printed_floats(column).to_pylist()
        texts = pa.array([None if v is None else _join(v, plain, 0) for v in values], pa.string())
    else:
        texts = column.cast(pa.string())
    return pc.fill_null(texts, null) if texts.null_count and null is not None else texts


_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)


def _decoded(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([None if value is None else _text_of(value) for value in column.to_pylist()], pa.string())


def _text_of(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"the bytes {value[:20]!r} are not a text in UTF-8") from error


def _moments(column: pa.Array, pattern: str | None) -> pa.Array:
    """By the pattern; without one to the second, and with the fraction where a value has one: nothing is lost."""
    if pattern:
        return format_column(column, pattern)
    return _shortest(column)


def _shortest(column: pa.Array) -> pa.Array:
    """The texts of moments, each with as much of its fraction, in threes, as says something."""
    if column.type.unit != "s":
        with contextlib.suppress(pa.ArrowInvalid):
            column = column.cast(_with_unit(column.type, "s"))
    texts = column.cast(pa.string())
    if (getattr(column.type, "tz", None) or "UTC") != "UTC":
        texts = pc.replace_substring_regex(texts, r"([+-]\d\d)(\d\d)$", r"\1:\2")
    if column.type.unit == "s":
        return texts
    numbers = column.cast(pa.int32() if pa.types.is_time32(column.type) else pa.int64())
    is_coarse = pc.fill_null(numbers, 1).to_numpy(zero_copy_only=False) % _THOUSAND == 0
    if not is_coarse.any():
        return texts
    rows = pa.array(is_coarse)
    coarse = column.filter(rows).cast(_with_unit(column.type, _COARSER[column.type.unit]))
    return pc.replace_with_mask(texts, rows, _shortest(coarse))


_COARSER = {"ns": "us", "us": "ms", "ms": "s"}
_THOUSAND = 1000
"""Of a unit are one of the coarser."""


def _with_unit(dtype: pa.DataType, unit: str) -> pa.DataType:
    if pa.types.is_timestamp(dtype):
        return pa.timestamp(unit, dtype.tz)
    return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)


def _join(value: Any, dtype: pa.DataType, level: int) -> str:
    if value is None:
        return ""
    if pa.types.is_list(dtype):
        return SEPARATORS[level].join(_join(item, dtype.value_type, level + 1) for item in value)
    if pa.types.is_map(dtype):
        return SEPARATORS[level].join(
            _join(k, dtype.key_type, level + 2) + SEPARATORS[level + 1] + _join(v, dtype.item_type, level + 2)
            for k, v in value
        )
    if pa.types.is_struct(dtype):
        fields = [dtype.field(i) for i in range(dtype.num_fields)]
        return SEPARATORS[level].join(_join(value[f.name], f.type, level + 1) for f in fields)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return _text_of(value)
    if isinstance(value, datetime):
        value = value.astimezone(UTC) if value.tzinfo else value
        return value.isoformat(sep=" ")
    return java_double(value) if isinstance(value, float) else str(value)
