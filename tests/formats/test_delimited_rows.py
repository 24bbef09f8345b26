"""One format, one meaning: Arrow's reader and the slow one give the same rows, wherever a block or a split ends."""

import csv

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.connector import JobContext, TaskContext
from headrace.errors import BadRow, Rejected
from headrace.formats.delimited import DelimitedFormat, TextFormat
from headrace.formats.delimited_rows import DelimitedRows
from headrace.formats.file_format import FilePart, ReadSettings
from headrace.storage.opened import InMemory

TYPES = {
    "string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "float": pa.float32(), "double": pa.float64(),
    "decimal": pa.decimal128(9, 2), "boolean": pa.bool_(), "date": pa.date32(), "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"), "timestamp_tz": pa.timestamp("us", "UTC"), "bytes": pa.binary(),
    "array": pa.list_(pa.string()),
}  # fmt: skip
CELLS = [
    "", " ", "  ", '""', '"  "', "NULL", '"NULL"', "NaN", "inf", "-Infinity", "a", "ä€",
    'x"y', '5" nail', '"a"b', ' "a"',
    '"a,b"', '"a\nb"', '"a\r\nb"', '"a""b"', '""""', '"""a"""', "\\,", '"\\""', '"a\\"\nb"', "a\\", "1", " 1 ", "0x10",
    "-0", "+5", "1.0", "1e3", "1_0", "007", "3000000000", "1e39", "1e999", "-1e999", "0.1", "1.005", "16777217", "true",
    "TRUE", "T", "0", "2024-01-31", "2024-02-31", "2024/1/31", "20240131", "2024-01-31 12", "2024-01-31T12:30",
    "2024-01-31 1230", "2024-01-31 12:30:05", "2024-01-31 12:30:05.123456", "2024-01-31 12:30:05.1234567", "12:30",
    "12:30:05", "12:30:05.5", "24:00:00", "2024-01-31 12:30:05Z", "2024-01-31T12:30:05+02:00",
    "0000-01-01", "0001-01-01",
    "0000-12-31 23:59:59", "9999-12-31", "31.01.2024", "31.01.2024 10:11",
    "2024-01-31 12:30:60", "a\x02b", "1.10", "1.",
    ".5", "\x00", "a\x0bb", "a\u2028b", "\x1f", "||", "|", "١", "1e-2", "12345678.9", "123456789.12", "1,5", "2024-1-5",
]  # fmt: skip


def table(data, form=None, split=1 << 30, batch_bytes=1 << 22, types=(), **options):
    """The rows of a file in all, or the texts of the first error."""
    form, read = form or DelimitedFormat(), ReadSettings.model_validate(options)
    schema = pa.schema([pa.field(f"c{i}", t) if isinstance(t, pa.DataType) else t for i, t in enumerate(types)])
    file, task = InMemory("in.csv", data), TaskContext(JobContext(0), batch_bytes=batch_bytes)
    found = []
    try:
        for start, end in form.cut(file, split, read):
            part = FilePart(file, start, end)
            found += [rows for rows, _ in form.read(part, None, schema, read, task, "t")]
    except (BadRow, Rejected) as error:
        return str(error)
    return pa.Table.from_batches(found, schema)


def both(data, form, types, options, **more):
    fast = table(data, form, types=types, **options, **more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DelimitedRows, "_fast", lambda self, data: None)
        slow = table(data, form, types=types, **options, **more)
    return fast, slow


def same(one, other):
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return one.schema == other.schema and [repr(v) for v in one.to_pylist()] == [repr(v) for v in other.to_pylist()]


@st.composite
def files(draw):
    names = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=3))
    types = [pa.field(f"c{i}", TYPES[n], draw(st.integers(0, 9)) > 0) for i, n in enumerate(names)]
    options = draw(st.sampled_from([{}, {}, {"null_format": "NULL"}, {"escape_char": "\\"}, {"quote_char": ""},
        {"null_format": "0"}, {"datetime_format": "yyyy-MM-dd HH:mm:ss"},
        {"date_format": "dd.MM.yyyy", "datetime_format": "dd.MM.yyyy HH:mm", "time_format": "HH:mm"},
        {"field_delimiter": "||"}, {"row_delimiter": ";"}, 
        {"row_delimiter": "|\n", "field_delimiter": "\\t"}]))  # fmt: skip
    delimiter = {"\\t": "\t"}.get(options.get("field_delimiter", ","), options.get("field_delimiter", ","))
    fitting = st.one_of(st.sampled_from(CELLS), st.text('a"\n\r,\\ 1|;', max_size=4))
    rows = draw(st.lists(st.lists(fitting, min_size=len(types), max_size=len(types)), min_size=1, max_size=5))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(rows) - 1))
        rows[at] = rows[at][:-1] or [""] if draw(st.booleans()) else [*rows[at], "more"]
    end = {";": ";", "|\n": "|\n"}.get(options.get("row_delimiter", ""), draw(st.sampled_from(["\n", "\r\n", "\r"])))
    text = end.join(delimiter.join(row) for row in rows) + draw(st.sampled_from(["", end]))
    return text.encode(), types, options


@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(), st.sampled_from([DelimitedFormat(), TextFormat()]))
def test_arrows_reader_and_the_slow_one_give_the_same_rows(file, form):
    data, types, options = file
    options = {"field_delimiter": ",", **options}
    fast, slow = both(data, form, types, options)
    assert same(fast, slow)


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(), st.integers(1, 9), st.integers(1, 9))
def test_rows_do_not_depend_on_where_blocks_and_splits_end(file, batch_bytes, split):
    data, types, options = file
    whole = table(data, types=types, **options)
    assert same(table(data, types=types, batch_bytes=batch_bytes, **options), whole)
    assert same(table(data, types=types, split=split, batch_bytes=batch_bytes, **options), whole)


TRICKY = {
    "quotes with ends of rows": (b'1,"a\nb"\n2,"c""\r\n""d"\r\n3,\n,"e"\n', {}),
    "escapes before quotes": (b'1,"a\\"\nb"\n2,"\\\\"\n3,x\\\n4,\n', {"escape_char": "\\"}),
    "a lone mark in the middle": (b'1,5" nail\n2,"a\nb"\n3,"c" d\n4,"\n"\n', {}),
    "delimiters of two characters": (b'1||"a||b"\n2||c|d\n3||"|\n|"\n4||\n', {"field_delimiter": "||"}),
    "rows that end with another character": (b'1,"a;b";2,c\nd;3,;"4",e', {"row_delimiter": ";"}),
    "carriage returns alone": (b'1,"a\rb"\r2,c\r\r3,\r4,d', {}),
}


@pytest.mark.parametrize("name", TRICKY)
def test_every_size_of_blocks_and_every_number_of_splits_gives_the_same_rows(name):
    data, options = TRICKY[name]
    types = [TYPES["bigint"], TYPES["string"]]
    whole = table(data, types=types, **options)
    assert not isinstance(whole, str), whole
    for size in range(1, len(data) + 1):
        assert same(table(data, types=types, batch_bytes=size, **options), whole), f"blocks of {size} bytes"
        for batch_bytes in (1, 7, 1 << 22):
            found = table(data, types=types, split=size, batch_bytes=batch_bytes, **options)
            assert same(found, whole), f"splits of {size} bytes in blocks of {batch_bytes}"


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.text('ab ",\n;é', max_size=5), min_size=3, max_size=3), min_size=1, max_size=6))
def test_texts_in_quotes_mean_what_duckdb_and_python_say(tmp_path_factory, rows):
    file = tmp_path_factory.mktemp("csv") / "in.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    ours = table(file.read_bytes(), types=[pa.string()] * 3)
    assert [list(row.values()) for row in ours.to_pylist()] == rows
    read = "read_csv(?, header = false, quote = '\"', escape = '\"', delim = ',', nullstr = 'no null', columns = ?)"
    with duckdb.connect() as connection:
        names = dict.fromkeys(("a", "b", "c"), "VARCHAR")
        theirs = connection.execute(f"SELECT * FROM {read}", [str(file), names]).fetchall()
    assert [list(row) for row in theirs] == rows
