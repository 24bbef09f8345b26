"""Values as job files and texts write them → Arrow, by SeaTunnel's rules; nothing is silently narrowed or shifted.

Dates and times are recognised by their shape (SeaTunnel: DateUtils, DateTimeUtils, TimeUtils).
"""

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from headrace.rows import VectorType, type_name

_DATE = re.compile(r"(\d{4})([-/.年])(\d{1,2})([-/.月])(\d{1,2})日?\Z|(\d{4})(\d{2})(\d{2})\Z")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\Z")
_CHINESE_TIME = re.compile(r"(\d{1,2})时(\d{1,2})分(?:(\d{1,2})秒)?\Z")
_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{0,9})\Z")
_ZONE = re.compile(r"(Z|[+-]\d{2}:?\d{2})(\[[^\]]*\])?\Z")
_UNITS = {"MS": "milliseconds", "S": "seconds", "M": "minutes", "H": "hours", "D": "days"}
_DURATION = re.compile(rf"(\d+)\s*({'|'.join(_UNITS)})", re.IGNORECASE)
_ISO_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)

_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)
_NOW = {"current_timestamp", "current_time", "current_date"}


class NumberText(str):
    """A number of a JSON document, as it is written there."""

    __slots__ = ()


def loads_exactly(text: str | bytes) -> Any:
    """A JSON document whose numbers with a point or an exponent are NumberText, so that no digit of them is lost.

    Raises ValueError.
    """
    return json.loads(text, parse_float=NumberText, parse_int=_whole, parse_constant=_no_constant)


def _whole(text: str) -> Any:
    return NumberText(text) if text == "-0" else int(text)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_values(values: Sequence[Any], dtype: pa.DataType) -> pa.Array:
    """An array of `values`. Raises ValueError naming the first value that does not fit, and the type."""
    return to_array([parse_value(value, dtype) for value in values], dtype)


def to_array(values: Sequence[Any], dtype: pa.DataType) -> pa.Array:
    """Parsed values as an array, vectors included."""
    if isinstance(dtype, VectorType):
        return pa.ExtensionArray.from_storage(dtype, pa.array(values, dtype.storage_type))
    return pa.array(values, dtype)


def parse_value(value: Any, dtype: pa.DataType) -> Any:
    """One value as the Python object that Arrow takes for `dtype`; None stays None.

    Rows may be objects by name or lists by position, also as JSON text, and maps as Java prints them. As in SeaTunnel,
    what an object holds beside the row's fields is ignored. Bytes are base64. Raises ValueError.
    """
    if value is None or pa.types.is_null(dtype):
        return None
    try:
        return _parse(value, dtype)
    except (ValueError, TypeError, InvalidOperation, OverflowError) as error:
        reason = str(error) if isinstance(error, ValueError) and str(error).startswith("cannot") else ""
        raise ValueError(reason or f"cannot read {value!r} as {type_name(dtype)}{_why(error)}") from error


def _why(error: Exception) -> str:
    text = str(error)
    return f": {text}" if isinstance(error, OverflowError) and text else ""


def _parse(value: Any, dtype: pa.DataType) -> Any:
    if isinstance(dtype, VectorType):
        return _vector(value, dtype)
    if pa.types.is_string(dtype):
        return _text(value)
    if pa.types.is_boolean(dtype):
        return _boolean(value)
    if pa.types.is_integer(dtype):
        return _integer(value, dtype)
    if pa.types.is_floating(dtype):
        return _number(value, dtype)
    if pa.types.is_decimal(dtype):
        return _decimal(value, dtype)
    if pa.types.is_binary(dtype):
        return value if isinstance(value, bytes) else base64.b64decode(str(value), validate=True)
    if pa.types.is_date(dtype):
        return parse_date(value)
    if pa.types.is_time(dtype):
        return parse_time(value)
    if pa.types.is_timestamp(dtype):
        return parse_timestamp(value, zoned=dtype.tz is not None)
    return _nested(_structure(value), dtype)


def _structure(value: Any) -> Any:
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        pairs = _pairs(value.strip())
        if pairs is None:
            raise
        return pairs


def _pairs(text: str) -> dict[str, str] | None:
    """A map as Java prints it, `{k1=v1, k2=v2}`; None for anything else."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    parts, depth, start = [], 0, 1
    for at, char in enumerate(text):
        depth += (char in "{[") - (char in "}]")
        if (char == "," and depth == 1) or (depth == 0 and at == len(text) - 1):
            parts.append(text[start:at])
            start = at + 1
    pairs = [part.partition("=") for part in parts if part.strip()]
    return {k.strip(): v.strip() for k, _, v in pairs} if all(sign for _, sign, _ in pairs) else None


def _nested(value: Any, dtype: pa.DataType) -> Any:
    if pa.types.is_list(dtype):
        if not isinstance(value, list | tuple):
            raise TypeError(value)
        return [parse_value(item, dtype.value_type) for item in value]
    if pa.types.is_map(dtype):
        pairs = value.items() if isinstance(value, Mapping) else [tuple(pair) for pair in value]
        return [(parse_value(k, dtype.key_type), parse_value(v, dtype.item_type)) for k, v in pairs]
    fields = [dtype.field(i) for i in range(dtype.num_fields)]
    if isinstance(value, Mapping):
        return {f.name: parse_value(value.get(f.name), f.type) for f in fields}
    if not isinstance(value, list | tuple) or len(value) != len(fields):
        raise TypeError(value)
    return {f.name: parse_value(item, f.type) for f, item in zip(fields, value, strict=True)}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return _json(value)
    return value.decode() if isinstance(value, bytes) else str(value)


def _json(value: Any) -> str:
    """A value as JSON, numbers with the digits that they were written with."""
    if isinstance(value, NumberText):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_json(str(key))}:{_json(item)}' for key, item in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(text)
    return text in ("true", "1")


def _integer(value: Any, dtype: pa.DataType) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    number = Decimal(str(value).strip())
    if number != number.to_integral_value():
        raise ValueError(value)
    whole = int(number)
    bits = dtype.bit_width
    if not -(1 << (bits - 1)) <= whole < 1 << (bits - 1):
        raise OverflowError(f"it is outside {-(1 << (bits - 1))} … {(1 << (bits - 1)) - 1}")
    return whole


def _number(value: Any, dtype: pa.DataType) -> float:
    """A text is rounded once, to the bits of the type, as Arrow does it."""
    number = float(value)
    is_narrow = pa.types.is_float32(dtype)
    if math.isinf(number) and "inf" not in str(value).lower():
        raise OverflowError("it is too large")
    if is_narrow and math.isfinite(number) and abs(number) >= 3.4028235677973366e38:
        raise OverflowError("it is too large")
    if is_narrow and isinstance(value, str) and len(value) > 9 and math.isfinite(number):
        number = pa.scalar(f"{Decimal(value.strip()):f}").cast(pa.float32()).as_py()
    return number


def _decimal(value: Any, dtype: Any) -> Decimal:
    number = Decimal(str(value).strip())
    if not number.is_finite():
        raise ValueError(value)
    scaled = number.quantize(Decimal(1).scaleb(-dtype.scale), context=_EXACT)
    if scaled != number:
        raise OverflowError(f"it has more than {dtype.scale} digits after the point")
    if len(scaled.as_tuple().digits) > dtype.precision and scaled:
        raise OverflowError(f"it has more than {dtype.precision} digits")
    return scaled


def _vector(value: Any, dtype: VectorType) -> Any:
    value = _structure(value)
    if dtype.name == "float_vector":
        return [float(item) for item in value]
    if dtype.name == "float16_vector":
        import numpy as np

        return [np.float16(item) for item in value]
    if dtype.name == "sparse_float_vector":
        return [(int(k), float(v)) for k, v in value.items()]
    if isinstance(value, list):
        return _bfloat16(value) if dtype.name == "bfloat16_vector" else bytes(item & 0xFF for item in value)
    return base64.b64decode(str(value), validate=True)


def _bfloat16(values: list[float]) -> bytes:
    """The upper half of each value as 32 bits, rounded to the nearest, little endian."""
    import numpy as np

    bits = np.asarray(values, np.float32).view(np.uint32)
    return bytes(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes())


# --------------------------------------------------------------------------------------------------- dates and times


def parse_date(value: Any) -> date:
    """`2024-01-31`, `2024/1/31`, `2024.01.31`, `2024年1月31日`, `20240131`, CURRENT_DATE. Raises ValueError."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value).strip()
    if text.lower() in _NOW:
        return datetime.now().date()  # noqa: DTZ005  SeaTunnel's dates have no zone: the machine's day is meant
    match = _DATE.match(text)
    if match is None:
        raise ValueError(text)
    if match[6]:
        return date(int(match[6]), int(match[7]), int(match[8]))
    return date(int(match[1]), int(match[3]), int(match[5]))


def parse_time(value: Any) -> time:
    """`12:30`, `12:30:05`, `12:30:05.123456`, `12时30分5秒`, CURRENT_TIME. Raises ValueError."""
    if isinstance(value, datetime):
        return value.time()
    if isinstance(value, time):
        return value
    text = str(value).strip()
    if text.lower() in _NOW:
        return datetime.now().time()  # noqa: DTZ005  SeaTunnel's times have no zone
    if match := _TIME.match(text):
        return time(int(match[1]), int(match[2]), int(match[3] or 0), _micros(match[4] or ""))
    if match := _CHINESE_TIME.match(text):
        return time(int(match[1]), int(match[2]), int(match[3] or 0))
    raise ValueError(text)


def parse_timestamp(value: Any, *, zoned: bool = False) -> datetime:
    """A date and a time with `T` or a blank between, or 14 to 23 digits, or CURRENT_TIMESTAMP. Raises ValueError.

    zoned: the text may end in `Z` or an offset, and without one means UTC; the result is in UTC. Otherwise a zone in
    the text is an error, because dropping it would shift the value.
    """
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC if zoned else None)
    text = str(value).strip()
    if text.lower() in _NOW:
        return datetime.now(UTC) if zoned else datetime.now()  # noqa: DTZ005  zone-less as SeaTunnel's
    zone = _ZONE.search(text) if len(text) > 10 and "-" not in text[:1] else None
    if zone is not None and (":" in text or "T" in text):
        if not zoned:
            raise ValueError(f"cannot read {text!r} as TIMESTAMP: it has a time zone; use the type timestamp_tz")
        local = _local_timestamp(text[: zone.start()].strip())
        return local.replace(tzinfo=UTC) - _offset(zone[1])
    local = _local_timestamp(text)
    return local.replace(tzinfo=UTC) if zoned else local


def _local_timestamp(text: str) -> datetime:
    if match := _DIGITS.match(text):
        parts = [int(match[i]) for i in range(1, 7)]
        when = datetime(*parts[:3], *parts[3:])  # type: ignore[arg-type]  # noqa: DTZ001  zone-less
        return when.replace(microsecond=_micros(match[7]))
    for separator in ("T", " ", "日"):
        day, found, clock = text.partition(separator)
        if found:
            return datetime.combine(parse_date(day), parse_time(clock.strip()))
    raise ValueError(text)


def _offset(text: str) -> timedelta:
    if text == "Z":
        return timedelta()
    sign = -1 if text[0] == "-" else 1
    digits = text[1:].replace(":", "")
    return sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))


def parse_duration(text: str) -> timedelta:
    """`500MS`, `30S`, `10M` (minutes), `12H` and `7D`, or ISO 8601 such as `PT1H30M`, as SeaTunnel takes them.

    Raises ValueError.
    """
    if match := _DURATION.fullmatch(text.strip()):
        return timedelta(**{_UNITS[match[2].upper()]: int(match[1])})
    if (match := _ISO_DURATION.fullmatch(text.strip())) and any(match.groups()):
        return timedelta(**{unit: float(found) for unit, found in match.groupdict().items() if found})
    raise ValueError(f"cannot read {text!r} as a duration: it is written 500MS, 10S, 5M, 12H, 7D or PT1H30M")


def _micros(fraction: str) -> int:
    """Microseconds of the digits behind the point; more digits than six must be zeros, or they would be lost."""
    if fraction[6:].strip("0"):
        raise OverflowError("it is finer than a microsecond")
    return int(fraction[:6].ljust(6, "0")) if fraction else 0
