"""Functions of dates and times."""

import time as clock
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import ConfigError
from headrace.sql.casts import to_text
from headrace.sql.functions import (
    COUNTS,
    TEXTS,
    UNKNOWN,
    Argument,
    Kind,
    Value,
    array_of,
    by_row,
    constant,
    first_type,
    function,
    is_number,
    whole,
    wrong,
)
from headrace.sql.patterns import DAYS, MONTHS, format_column, parse, result_type

TEXT, INT, LONG, STAMP = pa.string(), pa.int32(), pa.int64(), pa.timestamp("us")
_CURE = "write TO_DATE(text, 'yyyy-MM-dd HH:mm:ss')"
DATED = Kind("dates and timestamps", lambda t: pa.types.is_date(t) or pa.types.is_timestamp(t), _CURE)
CLOCKED = Kind("times and timestamps", lambda t: pa.types.is_time(t) or pa.types.is_timestamp(t), _CURE)
TEMPORAL = Kind("dates, times and timestamps", lambda t: DATED.has(t) or CLOCKED.has(t), _CURE)


# ------------------------------------------------------------------------------------------------------------- now


def _machine_now() -> datetime:
    return datetime.now()  # noqa: DTZ005  SeaTunnel's times have no zone: the machine's clock is meant


@function("CURRENT_DATE", result=pa.date32(), least=0, volatile=True, fails=False)
def _current_date(rows: int) -> Value:
    return pa.scalar(_machine_now().date())


@function("CURRENT_TIME", result=pa.time64("us"), least=0, volatile=True, fails=False)
def _current_time(rows: int) -> Value:
    return pa.scalar(_machine_now().time(), pa.time64("us"))


@function("CURRENT_TIMESTAMP", "NOW", result=STAMP, least=0, volatile=True, fails=False)
def _current_timestamp(rows: int) -> Value:
    return pa.scalar(_machine_now(), STAMP)


# ---------------------------------------------------------------------------------------------------------- fields


def _week(column: pa.Array) -> pa.Array:
    """Weeks of the year that begin on Mondays; the first has four days of it at least, days before are in week 0."""
    days = pc.add(pc.subtract(pc.day_of_year(column), pc.day_of_week(column)), 9)
    return pc.divide(days, 7)


def _week_from_one(column: pa.Array) -> pa.Array:
    """What WEEK gives: SeaTunnel's engine counts from 1 where its EXTRACT counts from 0."""
    return pc.add(_week(column), 1)


def _century(size: int) -> Callable[[pa.Array], pa.Array]:
    return lambda column: pc.add(pc.divide(pc.subtract(pc.year(column), 1), size), 1)


def _micros_of_second(column: pa.Array) -> pa.Array:
    """SeaTunnel's releases count the parts of a second within their second: 235 ms of 20:38:45.235, never 45235."""
    return pc.add(pc.multiply(pc.millisecond(column), 1000), pc.microsecond(column))


def _isodow(column: pa.Array) -> pa.Array:
    return pc.add(pc.day_of_week(column), 1)


def _dow(column: pa.Array) -> pa.Array:
    return pc.day_of_week(column, week_start=7)


_DATE_FIELDS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "YEAR": pc.year, "MONTH": pc.month, "DAY": pc.day, "QUARTER": pc.quarter, "WEEK": _week,
    "CENTURY": _century(100), "MILLENNIUM": _century(1000), "DECADE": lambda c: pc.divide(pc.year(c), 10),
    "DOW": _dow, "DAYOFWEEK": _dow, "ISODOW": _isodow, "DOY": pc.day_of_year, "DAYOFYEAR": pc.day_of_year,
    "ISOYEAR": pc.iso_year,
}  # fmt: skip
_TIME_FIELDS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "HOUR": pc.hour, "MINUTE": pc.minute, "SECOND": pc.second,
    "MILLISECOND": pc.millisecond, "MILLISECONDS": pc.millisecond,
    "MICROSECOND": _micros_of_second, "MICROSECONDS": _micros_of_second,
}  # fmt: skip


def _field(name: str, takes: Kind, kernel: Callable[[pa.Array], pa.Array]) -> None:
    @function(name, result=INT, takes=takes, fails=False)
    def apply(when: Value, rows: int) -> Value:
        return pa.nulls(rows, INT) if pa.types.is_null(when.type) else kernel(when).cast(INT)


for _name, _kernel in (
    ("YEAR", pc.year), ("QUARTER", pc.quarter), ("MONTH", pc.month), ("WEEK", _week_from_one), ("DAY_OF_MONTH", pc.day),
    ("DAY_OF_WEEK", _isodow), ("DAY_OF_YEAR", pc.day_of_year),
):  # fmt: skip
    _field(_name, DATED, _kernel)
for _name, _kernel in (("HOUR", pc.hour), ("MINUTE", pc.minute), ("SECOND", pc.second)):
    _field(_name, CLOCKED, _kernel)


def _extract_type(arguments: Sequence[Argument]) -> pa.DataType:
    unit = arguments[1].literal
    if unit == "EPOCH":
        return LONG
    if unit not in _DATE_FIELDS and unit not in _TIME_FIELDS:
        raise wrong(
            f"EXTRACT knows no field {unit}", f"write one of {', '.join([*_DATE_FIELDS, *_TIME_FIELDS, 'EPOCH'])}"
        )
    return INT


@function("EXTRACT", result=_extract_type, least=2, takes=TEMPORAL, fails=False)
def _extract(when: Value, unit: Value, rows: int) -> Value:
    """Null for a field that the value has not, such as the hour of a DATE."""
    name, column = constant(unit), array_of(when, rows)
    if name == "EPOCH":
        if not DATED.has(column.type):
            return pa.nulls(rows, LONG)
        return column.cast(pa.timestamp("s", getattr(column.type, "tz", None)), safe=False).cast(LONG)
    fields, kind = (_DATE_FIELDS, DATED) if name in _DATE_FIELDS else (_TIME_FIELDS, CLOCKED)
    return fields[name](column).cast(INT) if kind.has(column.type) else pa.nulls(rows, INT)


def _name_of(name: str, names: tuple[str, ...], kernel: Callable[[pa.Array], pa.Array]) -> None:
    @function(name, result=TEXT, takes=DATED, fails=False)
    def apply(when: Value, rows: int) -> Value:
        return pa.nulls(rows, TEXT) if pa.types.is_null(when.type) else pa.array(names).take(kernel(when))


_name_of("DAYNAME", DAYS, pc.day_of_week)
_name_of("MONTHNAME", MONTHS, lambda column: pc.subtract(pc.month(column), 1))


# ------------------------------------------------------------------------------------------------------ arithmetic


_MICROS = {
    "WEEK": 604_800_000_000, "DAY": 86_400_000_000, "HOUR": 3_600_000_000, "MINUTE": 60_000_000, "SECOND": 1_000_000,
    "MILLISECOND": 1000,
}  # fmt: skip
_ADD_UNITS = ("YEAR", "MONTH", *_MICROS)
_DIFF_UNITS = ("YEAR", "MONTH", "WEEK", "DAY", "DAYTIME", "HOUR", "MINUTE", "SECOND", "MILLISECOND")
_TRUNC_UNITS = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")


def _unit(arguments: Sequence[Argument], place: int, known: Sequence[str], name: str) -> None:
    """Raises ConfigError when the unit that is written in the query is not known."""
    if len(arguments) > place and arguments[place].literal not in (UNKNOWN, None):
        try:
            _known_unit(arguments[place].literal, known, name)
        except ValueError as error:
            raise wrong(str(error), f"write one of {', '.join(known)}") from error


def _known_unit(unit: Any, known: Sequence[str], name: str) -> str:
    found = str(unit or "DAY").upper()
    if found not in known:
        raise ValueError(f"{name} knows no unit {unit!r}")
    return found


def _by_unit(
    unit: Value | None, known: Sequence[str], name: str, columns: Sequence[Value], dtype: Any, kernel: Any
) -> Value:
    """`kernel(unit, *columns)`; rows of different units are computed unit by unit."""
    one = None if unit is None else constant(unit)
    if one is not UNKNOWN:
        return kernel(_known_unit(one, known, name), *columns)
    rows = len(unit)  # type: ignore[arg-type]
    arrays = [array_of(column, rows) for column in columns]
    done = pa.nulls(rows, dtype)
    for value in pc.unique(unit).to_pylist():
        mask = unit.is_null() if value is None else pc.fill_null(pc.equal(unit, value), False)  # type: ignore[union-attr]
        made = kernel(_known_unit(value, known, name), *(array.filter(mask) for array in arrays))
        done = pc.replace_with_mask(done, mask, made)
    return done


def _add_type(arguments: Sequence[Argument]) -> pa.DataType:
    _unit(arguments, 2, _ADD_UNITS, "DATEADD")
    return first_type(arguments)


@function("DATEADD", "TIMESTAMPADD", result=_add_type, least=2, most=3, takes=(TEMPORAL, COUNTS, TEXTS))
def _dateadd(when: Value, count: Value, unit: Value = None, *, rows: int) -> Value:
    """A unit that the value has not, such as the hour of a DATE, changes nothing."""
    columns = [array_of(when, rows), array_of(count, rows)]
    return _by_unit(unit, _ADD_UNITS, "DATEADD", columns, when.type, _add)


def _add(unit: str, when: pa.Array, count: pa.Array) -> pa.Array:
    dtype = when.type
    if pa.types.is_null(dtype):
        return when
    if unit in ("YEAR", "MONTH"):
        return when if pa.types.is_time(dtype) else _add_months(when, pc.multiply(count, 12 if unit == "YEAR" else 1))
    if pa.types.is_date(dtype):
        if unit not in ("WEEK", "DAY"):
            return when
        return pc.add_checked(when.cast(INT), pc.multiply(count, 7 if unit == "WEEK" else 1).cast(INT)).cast(dtype)
    if pa.types.is_time(dtype):
        if unit in ("WEEK", "DAY"):
            return when
        day = _MICROS["DAY"]
        moved = pc.add(when.cast(LONG), pc.multiply_checked(count, _MICROS[unit]))
        return _floor_mod(moved, day).cast(dtype)
    local = pc.local_timestamp(when) if dtype.tz else when
    moved = pc.add_checked(local.cast(LONG), pc.multiply_checked(count, _MICROS[unit])).cast(STAMP)
    return _zoned(moved, dtype)


def _zoned(local: pa.Array, dtype: Any) -> pa.Array:
    """A wall clock's times as the type, in its zone if it has one."""
    if not dtype.tz:
        return local.cast(dtype)
    return pc.assume_timezone(local, dtype.tz, ambiguous="earliest", nonexistent="latest").cast(dtype)


def _floor_mod(value: pa.Array, size: int) -> pa.Array:
    rest = pc.subtract(value, pc.multiply(pc.divide(value, size), size))
    return pc.if_else(pc.less(rest, 0), pc.add(rest, size), rest)


def _add_months(when: pa.Array, months: pa.Array) -> pa.Array:
    """Days that the month has not become its last one."""
    dtype = when.type
    local = pc.local_timestamp(when) if getattr(dtype, "tz", None) else when
    stamps = local.cast(STAMP)
    valid = pc.and_(stamps.is_valid(), months.is_valid())
    values = pc.fill_null(stamps, datetime(1970, 1, 1)).to_numpy(zero_copy_only=False).astype("M8[us]")  # noqa: DTZ001
    month = values.astype("M8[M]")
    target = month + pc.fill_null(months, 0).to_numpy(zero_copy_only=False).astype("m8[M]")
    last = (target + 1).astype("M8[D]") - target.astype("M8[D]") - np.timedelta64(1, "D")
    day = np.minimum(values.astype("M8[D]") - month.astype("M8[D]"), last)
    moved = target.astype("M8[us]") + day + (values - values.astype("M8[D]"))
    made = pc.if_else(valid, pa.array(moved, STAMP), pa.scalar(None, STAMP))
    return made.cast(dtype) if pa.types.is_date(dtype) else _zoned(made, dtype)


def _diff_type(arguments: Sequence[Argument]) -> pa.DataType:
    _unit(arguments, 2, _DIFF_UNITS, "DATEDIFF")
    return LONG


@function("DATEDIFF", result=_diff_type, least=2, most=3, takes=(TEMPORAL, TEMPORAL, TEXTS))
def _datediff(start: Value, end: Value, unit: Value = None, *, rows: int) -> Value:
    """Whole units from the first to the second; years and months as on a calendar, days from date to date."""
    columns = [array_of(start, rows), array_of(end, rows)]
    return _by_unit(unit, _DIFF_UNITS, "DATEDIFF", columns, LONG, _diff)


def _diff(unit: str, start: pa.Array, end: pa.Array) -> pa.Array:
    if unit in ("YEAR", "MONTH", "DAY"):
        if not (DATED.has(start.type) and DATED.has(end.type)):
            return pa.nulls(len(start), LONG)
        days = [_local(side).cast(pa.date32()) for side in (start, end)]
        if unit == "DAY":
            return pc.subtract(days[1].cast(INT), days[0].cast(INT)).cast(LONG)
        months = _months_between(*days)
        return months if unit == "MONTH" else pc.divide(months, 12)
    micros = [_instant(side) for side in (start, end)]
    size = _MICROS["DAY"] if unit == "DAYTIME" else _MICROS[unit]
    return pc.divide(pc.subtract(micros[1], micros[0]), size)


def _local(column: pa.Array) -> pa.Array:
    return pc.local_timestamp(column) if getattr(column.type, "tz", None) else column


def _instant(column: pa.Array) -> pa.Array:
    """Microseconds since 1970, or since midnight."""
    return (
        column if pa.types.is_time(column.type) else column.cast(pa.timestamp("us", getattr(column.type, "tz", None)))
    ).cast(LONG)


def _months_between(start: pa.Array, end: pa.Array) -> pa.Array:
    def number(day: pa.Array) -> pa.Array:
        return pc.add(pc.multiply(pc.year(day), 12), pc.month(day))

    total = pc.subtract(number(end), number(start))
    days = pc.subtract(pc.day(end), pc.day(start))
    less = pc.and_(pc.greater(total, 0), pc.less(days, 0))
    more = pc.and_(pc.less(total, 0), pc.greater(days, 0))
    return pc.subtract(pc.add(total, more.cast(LONG)), less.cast(LONG))


def _trunc_type(arguments: Sequence[Argument]) -> pa.DataType:
    _unit(arguments, 1, _TRUNC_UNITS, "DATE_TRUNC")
    return STAMP


@function("DATE_TRUNC", result=_trunc_type, most=2, takes=(DATED, TEXTS))
def _date_trunc(when: Value, unit: Value = None, *, rows: int) -> Value:
    column = _local(array_of(when, rows)).cast(STAMP)
    return _by_unit(
        unit, _TRUNC_UNITS, "DATE_TRUNC", [column], STAMP, lambda u, c: pc.floor_temporal(c, unit=u.lower())
    )


# ----------------------------------------------------------------------------------------------------------- texts


@function("FORMATDATETIME", result=TEXT, least=2, takes=(TEMPORAL, TEXTS))
def format_datetime(when: Value, pattern: Value, rows: int) -> Value:
    """A date, time or timestamp in a pattern."""
    column = array_of(when, rows)
    if pa.types.is_null(column.type):
        return pa.nulls(rows, TEXT)
    one = constant(pattern)
    if one is not UNKNOWN:
        return pa.nulls(rows, TEXT) if one is None else format_column(column, one)
    done = pa.nulls(rows, TEXT)
    for value in pc.unique(pattern.drop_null()).to_pylist():
        mask = pc.fill_null(pc.equal(pattern, value), False)
        done = pc.replace_with_mask(done, mask, format_column(column.filter(mask), value))
    return done


def _parse_type(arguments: Sequence[Argument]) -> pa.DataType:
    pattern = arguments[1].literal
    if not isinstance(pattern, str):
        raise wrong(
            "the pattern of TO_DATE and PARSEDATETIME decides the column's type", "write it as text: 'yyyy-MM-dd'"
        )
    try:
        return result_type(pattern)
    except ValueError as error:
        raise wrong(str(error)) from error


@function("PARSEDATETIME", "TO_DATE", result=_parse_type, least=2)
def _parse_datetime(text: Value, pattern: Value, rows: int) -> Value:
    form = constant(pattern)
    dtype = result_type(form)
    return by_row(lambda t: parse(t, form, dtype), [to_text(text)], dtype)


@function("IS_DATE", result=pa.bool_(), least=2, fails=False)
def _is_date(text: Value, pattern: Value, rows: int) -> Value:
    """False for null, and for a pattern that is none."""

    def check(t: str | None, p: str | None) -> bool:
        if not t or not p:
            return False
        try:
            parse(t, p, result_type(p))
        except (ValueError, ConfigError):
            return False
        return True

    return by_row(check, [to_text(text), to_text(pattern)], pa.bool_(), nulls=True)


@lru_cache(256)
def zone_of(text: str) -> str:
    """A zone as Arrow names it, of `Asia/Shanghai`, `UTC+8`, `GMT-03:30`, `+08:00` or `Z`. Raises ValueError."""
    name = text.strip()
    offset = name[3:] if name[:3] in ("UTC", "GMT") else name[2:] if name[:2] == "UT" else name
    if name in ("Z", "UTC", "GMT", "UT"):
        return "UTC"
    if offset[:1] in "+-" and offset[1:].replace(":", "").isdigit():
        hours, _, minutes = offset[1:].partition(":")
        if not minutes and len(hours) == 4:
            hours, minutes = hours[:2], hours[2:]
        if int(hours) <= 18 and int(minutes or 0) < 60:
            return f"{offset[0]}{int(hours):02d}:{int(minutes or 0):02d}"
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"there is no time zone {text!r}; write one such as Asia/Shanghai or +08:00") from error
    return name


_SECONDS = Kind(
    "seconds since 1970",
    lambda t: is_number(t) or pa.types.is_string(t),
    "write CAST(… AS BIGINT)",
    lambda value: value.cast(LONG) if pa.types.is_string(value.type) else whole(value),
)


@function("FROM_UNIXTIME", result=TEXT, least=2, most=3, takes=(_SECONDS, TEXTS, TEXTS))
def _from_unixtime(seconds: Value, pattern: Value, zone: Value = None, *, rows: int) -> Value:
    """Without a zone, in the machine's."""
    column = array_of(seconds, rows)
    place = None if zone is None else constant(zone)
    if place is UNKNOWN:
        return by_row(
            lambda s, p, z: _from_unixtime(pa.array([s]), pa.scalar(p), pa.scalar(z), rows=1)[0].as_py(),
            [column, pattern, zone], TEXT,
        )  # fmt: skip
    if place is None:
        return format_datetime(_machine_clock(column), pattern, rows)
    moments = column.cast(pa.timestamp("s")).cast(STAMP).cast(pa.timestamp("us", "UTC"))
    return format_datetime(moments.cast(pa.timestamp("us", zone_of(place))), pattern, rows)


def _on_utc() -> bool:
    return clock.timezone == 0 and not clock.daylight


def _machine_clock(seconds: pa.Array) -> pa.Array:
    """The machine's wall clock at some seconds since 1970."""
    if _on_utc():
        return seconds.cast(pa.timestamp("s")).cast(STAMP)
    return by_row(datetime.fromtimestamp, [seconds], STAMP)


def _zone_type(arguments: Sequence[Argument]) -> pa.DataType:
    if not isinstance(arguments[1].literal, str):
        raise wrong("the zone of AT TIME ZONE must be written as text, such as 'Asia/Shanghai'")
    if not pa.types.is_timestamp(arguments[0].type):
        raise wrong("AT TIME ZONE takes timestamps", _CURE)
    try:
        return pa.timestamp("us", zone_of(arguments[1].literal))
    except ValueError as error:
        raise wrong(str(error)) from error


@function("AT TIME ZONE", result=_zone_type, least=2)
def _at_time_zone(when: Value, zone: Value, rows: int) -> Value:
    """The same moment in another zone; a timestamp without a zone is one of the machine's clock."""
    column = array_of(when, rows)
    place = zone_of(constant(zone))
    if not column.type.tz:
        utc = pa.timestamp("us", "UTC")
        column = column.cast(utc) if _on_utc() else by_row(lambda v: v.astimezone(UTC), [column], utc)
    return column.cast(pa.timestamp("us", place))
