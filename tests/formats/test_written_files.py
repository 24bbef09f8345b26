"""A writer writes nothing that its own reader would read otherwise: rows come back, or are refused with the column."""

import io
from datetime import UTC, date, datetime

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.connector import JobContext, TaskContext
from headrace.formats.file_format import FilePart, ReadSettings, WriteSettings
from headrace.formats.registry import file_format
from headrace.storage.opened import InMemory

ODD = "a,\"'\n\r\t;|\\ \x00\x01\x02é€😀\ufeff1-:."
TEXT = st.text(ODD, max_size=6)
VALUES = {
    pa.string(): TEXT,
    pa.binary(): st.one_of(TEXT.map(str.encode), st.binary(max_size=4)),
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.decimal128(38, 9): st.decimals(-(10**28), 10**28, places=9, allow_nan=False),
    pa.date32(): st.dates(date(1, 1, 1)),
    pa.time64("us"): st.times(),
    pa.timestamp("us"): st.datetimes(datetime(1, 1, 1)),
    pa.timestamp("us", "UTC"): st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    pa.timestamp("us", "Europe/Warsaw"): st.datetimes(
        datetime(1920, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)
    ),
    pa.list_(pa.string()): st.lists(st.none() | st.text("ab, \n\"\x02€", max_size=4), max_size=3),
    pa.list_(pa.int32()): st.lists(st.none() | st.integers(-9, 9), max_size=3),
    pa.struct({"x": pa.int32(), "y": pa.string()}): st.fixed_dictionaries(
        {"x": st.integers(-9, 9), "y": st.text("ab,\"€", min_size=1, max_size=3)}
    ),
    pa.map_(pa.string(), pa.int32()): st.dictionaries(st.text("a,€", min_size=1), st.integers(0, 9), max_size=2),
}  # fmt: skip
OPTIONS = [
    {}, {"field_delimiter": "||"}, {"field_delimiter": "\\t"}, {"field_delimiter": "-"}, {"row_delimiter": ";"},
    {"row_delimiter": "\\r\\n"}, {"row_delimiter": "|\n"}, {"csv_string_quote_mode": "ALL"},
    {"csv_string_quote_mode": "NONE"}, {"encoding": "UTF-16"}, {"encoding": "UTF-16LE"}, {"enable_header_write": True},
]  # fmt: skip


@st.composite
def tables(draw):
    types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=3))
    rows = draw(st.integers(1, 4))
    columns = [pa.array(draw(st.lists(st.none() | VALUES[t], min_size=rows, max_size=rows)), t) for t in types]
    return pa.RecordBatch.from_arrays(columns, [f"c{i}" for i in range(len(columns))])


def written(form, rows, options):
    """The bytes of a file that holds the rows twice, written in two batches; None where a row is refused."""
    write = WriteSettings.model_validate(options)
    if form.refused(rows, write):
        return None
    stream = io.BytesIO()
    writer = form.writer(stream, rows.schema, write)
    writer.write(rows)
    writer.write(rows)
    writer.close()
    return stream.getvalue()


def read(form, data, schema, options):
    reading = {k: v for k, v in options.items() if k in ("field_delimiter", "row_delimiter", "encoding")}
    settings = ReadSettings.model_validate(
        {**reading, "skip_header_row_number": int("enable_header_write" in options and form.name != "json")}
    )
    zones = [pa.timestamp("us", "UTC") if getattr(t, "tz", None) else t for t in schema.types]
    schema = pa.schema(list(zip(schema.names, zones, strict=True)))
    file, found = InMemory("out", data), []
    for start, end in form.cut(file, 1 << 30, settings):
        part, task = FilePart(file, start, end), TaskContext(JobContext(0))
        found += [row for rows, _ in form.read(part, None, schema, settings, task, "t") for row in rows.to_pylist()]
    return found


def seen(row, form, options):
    """A row as a file of the format can tell it: without quotes there is nothing between an empty text and null."""
    has_quotes = form.name == "json" or (form.name == "csv" and options.get("csv_string_quote_mode") != "NONE")
    return {k: repr(_seen(v, has_quotes)) for k, v in row.items()}


def _seen(value, has_quotes):
    if not has_quotes and value in ("", b"", [], {}, [None], [""]):
        return None
    if not has_quotes and isinstance(value, list):
        return [None if item == "" else item for item in value]
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


@settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), st.sampled_from(["csv", "text", "json"]), st.sampled_from(OPTIONS))
def test_what_is_written_is_read_back_or_refused(rows, name, options):
    form = file_format(name)
    data = written(form, rows, options)
    if data is not None:
        expected = [seen(row, form, options) for row in rows.to_pylist()] * 2
        assert [seen(row, form, options) for row in read(form, data, rows.schema, options)] == expected
