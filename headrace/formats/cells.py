"""Cells of csv and text files ↔ values: nested separators, blanks, formats (SeaTunnel: TextDeserializationSchema)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from headrace.formats.file_format import ReadSettings
from headrace.formats.java_dates import format_column, strftime_pattern
from headrace.javatext import java_double, java_texts
from headrace.leaves import printed_floats
from headrace.values import parse_value

SEPARATORS = ("\x02", "\x03", "\x04", "\x05", "\x06", "\x07")
"""Between the parts of a nested value, the outermost first."""


def parse_cell(text: str | None, dtype: pa.DataType, formats: Sequence[str] = (), level: int = 0) -> Any:
    """One cell as the Python object that Arrow takes for `dtype`; a blank is null. Raises ValueError.

    formats: Java patterns that are tried before the value's shape decides.
    """
    if text is None or not text.strip():
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
            found = _by_pattern(text.strip(), pattern)
            if found is not None:
                return parse_value(found if not pa.types.is_time(dtype) else found.time(), dtype)
    return parse_value(text.strip(), dtype)


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

    null: what stands for null; None keeps it.
    """
    dtype = column.type
    if pa.types.is_string(dtype):
        texts = column
    elif pa.types.is_binary(dtype):
        texts = pa.array([None if v is None else v.decode(errors="replace") for v in column.to_pylist()], pa.string())
    elif pa.types.is_date(dtype) and formats.get("date"):
        texts = format_column(column, str(formats["date"]))
    elif pa.types.is_time(dtype):
        texts = _to_the_second(column, formats.get("time"), "HH:mm:ss")
    elif pa.types.is_timestamp(dtype):
        texts = _to_the_second(column, formats.get("datetime"), "yyyy-MM-dd HH:mm:ss")
    elif pa.types.is_floating(dtype):
        texts = _java_numbers(column)
    elif pa.types.is_nested(dtype) or isinstance(dtype, pa.ExtensionType):
        plain = dtype.storage_type if isinstance(dtype, pa.ExtensionType) else dtype
        values = printed_floats(column).to_pylist()
        texts = pa.array([None if v is None else _join(v, plain, 0) for v in values], pa.string())
    else:
        texts = column.cast(pa.string())
    return pc.fill_null(texts, null) if texts.null_count and null is not None else texts


def _to_the_second(column: pa.Array, pattern: str | None, default: str) -> pa.Array:
    """By the pattern; without one to the second, or with the fraction where a value has one: nothing is lost."""
    if pattern:
        return format_column(column, pattern)
    whole = column.cast(
        pa.timestamp("s", column.type.tz) if pa.types.is_timestamp(column.type) else pa.time32("s"), safe=False
    )
    if column.equals(whole.cast(column.type)):
        return format_column(column, default)
    texts = format_column(column, f"{default}.SSSSSS")
    return pc.replace_substring_regex(pc.replace_substring_regex(texts, r"000$", ""), r"\.000$", "")


def _java_numbers(column: pa.Array) -> pa.Array:
    """`1.0` and `2.25E10`, as Java prints them; Arrow prints `1` and `2.25e+10`."""
    texts = pc.replace_substring_regex(column.cast(pa.string()), r"e\+?(-?)0*(\d+)$", r"E\1\2")
    texts = pc.replace_substring_regex(texts, r"^(-?\d)E", r"\1.0E")
    same = pc.fill_null(pc.match_substring_regex(texts, _AS_JAVA), fill_value=True)
    if pc.all(same, min_count=0).as_py():
        return texts
    odd = pc.invert(same)
    return pc.replace_with_mask(texts, odd, pa.array(java_texts(column.filter(odd)), pa.string()))


_AS_JAVA = r"^-?(0\.0{0,2}[1-9]\d*|[1-9]\d{0,6}\.\d+|\d\.\d+E-?\d+)$"
"""Numbers that Arrow and Java print alike: Java turns to exponents below 0.001 and from 10,000,000 on."""


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
        return value.decode(errors="replace")
    if isinstance(value, datetime):
        value = value.astimezone(UTC) if value.tzinfo else value
        return value.isoformat(sep=" ")
    return java_double(value) if isinstance(value, float) else str(value)
