"""Avro files: what is written comes back, files of others are read, damaged ones are refused."""

import datetime as dt
import io
from decimal import Decimal

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.connector import JobContext, TaskContext
from headrace.errors import Rejected
from headrace.formats.avro import AvroFormat
from headrace.formats.file_format import FilePart, ReadSettings
from headrace.rows import parse_type
from headrace.storage.opened import InMemory
from tests.formats.reading import read, written

VALUES = {
    "boolean": st.booleans(),
    "tinyint": st.integers(-128, 127),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(st.characters(codec="utf-8")),
    "bytes": st.binary(),
    "date": st.dates(),
    "time": st.times(),
    "timestamp": st.datetimes(),
    "timestamp_tz": st.datetimes(timezones=st.just(dt.UTC)),
    "decimal(38, 10)": st.decimals(-(10**27), 10**27, places=10),
    "decimal(60, 2)": st.decimals(-(10**40), 10**40, places=2),
    "array<timestamp>": st.lists(st.none() | st.datetimes(), max_size=3),
    "map<string, decimal(10, 2)>": st.dictionaries(st.text(max_size=3), st.decimals(-999, 999, places=2)).map(
        lambda made: list(made.items())
    ),
}


@pytest.mark.parametrize("dtype", VALUES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_every_type_comes_back_as_it_was_written(dtype, data):
    values = data.draw(st.lists(st.none() | VALUES[dtype], min_size=1, max_size=5))
    rows = pa.record_batch({"x": pa.array(values, parse_type(dtype))})
    assert read("avro", written("avro", rows)) == [[value] for value in rows["x"].to_pylist()]


@pytest.mark.parametrize("codec", ["none", "deflate", "snappy", "zstd", "bzip2", "xz"])
@pytest.mark.parametrize("nested", [False, True])
def test_fastavro_reads_what_is_written_by_every_codec(codec, nested):
    rows = {
        "id": pa.array(range(3_000)),
        "at": pa.array([dt.datetime(2024, 1, 1)] * 3_000, pa.timestamp("us", "UTC")),
    }
    rows |= {"deep": pa.array([{"a": [1, None], "b": "x"}] * 3_000)} if nested else {}
    batch = pa.record_batch(rows)
    data = written("avro", batch, compress_codec=codec)
    assert read("avro", data) == [list(row.values()) for row in batch.to_pylist()]
    if codec in ("none", "deflate", "bzip2", "xz"):  # fastavro needs a library for each of the others
        assert next(fastavro.reader(io.BytesIO(data))) == batch.slice(0, 1).to_pylist()[0]


OTHERS = [
    ("int", 7, 7),
    ("float", 1.5, 1.5),
    (["int", "null"], None, None),
    (["null", "int", "long"], 2**40, 2**40),
    ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, "B", "B"),
    ({"type": "fixed", "name": "f", "size": 2}, b"ab", b"ab"),
    ({"type": "fixed", "name": "f", "size": 4, "logicalType": "decimal", "precision": 5, "scale": 2},
     Decimal("-1.25"), Decimal("-1.25")),
    ({"type": "int", "logicalType": "date"}, dt.date(2024, 2, 29), dt.date(2024, 2, 29)),
    ({"type": "int", "logicalType": "time-millis"}, dt.time(1, 2, 3, 4000), dt.time(1, 2, 3, 4000)),
    ({"type": "long", "logicalType": "timestamp-millis"}, dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
     dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    ({"type": "long", "logicalType": "local-timestamp-millis"}, dt.datetime(1600, 1, 1), dt.datetime(1600, 1, 1)),
    ({"type": "array", "items": {"type": "int", "logicalType": "time-millis"}}, [dt.time(1)], [dt.time(1)]),
    ({"type": "map", "values": "bytes"}, {"k": b"v"}, [("k", b"v")]),
    ({"type": "record", "name": "r", "namespace": "n", "fields": [{"name": "a", "type": "long"}]}, {"a": 1}, {"a": 1}),
    ({"type": "string", "logicalType": "uuid"}, "8c2c3c4e-2d5d-4b8c-9a31-1a1a1a1a1a1a",
     "8c2c3c4e-2d5d-4b8c-9a31-1a1a1a1a1a1a"),
]  # fmt: skip


def test_all_digits_of_a_decimal_come_back():
    big = pa.record_batch({"x": pa.array([Decimal("1234567890123456789012345678901234567.8")], pa.decimal128(38, 1))})
    assert read("avro", written("avro", big)) == [[big["x"][0].as_py()]]


@pytest.mark.parametrize(("schema", "value", "expected"), OTHERS, ids=[str(row[0])[:60] for row in OTHERS])
def test_files_of_others_are_read(schema, value, expected):
    stream = io.BytesIO()
    record = {"type": "record", "name": "row", "fields": [{"name": "x", "type": schema}, {"name": "n", "type": "long"}]}
    fastavro.writer(stream, record, [{"x": value, "n": n} for n in range(3)], codec="deflate")
    assert read("avro", stream.getvalue()) == [[expected, n] for n in range(3)]


@pytest.mark.parametrize("split", [100, 1000, 7777, 1 << 30])
def test_every_row_is_in_one_part_however_a_file_is_cut_and_wherever_reading_goes_on(split):
    stream = io.BytesIO()
    record = {"type": "record", "name": "row", "fields": [{"name": "n", "type": "long"}]}
    fastavro.writer(stream, record, [{"n": n} for n in range(5000)], sync_interval=300)
    form, file, found = AvroFormat(), InMemory("in", stream.getvalue()), []
    task, schema = TaskContext(JobContext(0), batch_rows=37), pa.schema([("n", pa.int64())])
    for start, end in form.cut(file, split, ReadSettings()):
        position, more = None, True
        while more:  # one batch, then another reader goes on from its position
            reading = form.read(FilePart(file, start, end), position, schema, ReadSettings(), task, "t")
            more = next(reading, None)
            if more:
                found += more[0]["n"].to_pylist()
                position = more[1]
    assert found == list(range(5000))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: b"", "it ends within a block, at byte 0"),
        (lambda data: b"id,name\n1,a\n", "is not an avro file: it does not begin with Obj"),
        (lambda data: data[:-5], "it ends within a block"),
        (lambda data: data[:-16] + b"x" * 16, "is damaged at byte .*: its block does not end there"),
        (lambda data: data[:200], "in is (not an avro file|damaged)"),
    ],
)
def test_what_is_damaged_is_refused_with_its_place(change, reason):
    data = written("avro", pa.record_batch({"id": range(1000)}), compress_codec="deflate")
    with pytest.raises(Rejected, match=reason):
        read("avro", change(data))


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("a b", pa.array([1]), r"column 'a b': a name has letters, digits and _"),
        ("m", pa.array([[(1, 2)]], pa.map_(pa.int64(), pa.int64())), "column m: MAP<BIGINT, BIGINT>, for keys of maps"),
    ],
)
def test_what_avro_cannot_hold_is_refused_with_the_column(column, values, reason):
    with pytest.raises(Rejected, match=reason):
        written("avro", pa.record_batch({column: values}))


def test_a_union_that_no_column_holds_is_named():
    stream = io.BytesIO()
    record = {"type": "record", "name": "row", "fields": [{"name": "u", "type": ["int", "string"]}]}
    fastavro.writer(stream, record, [{"u": 1}])
    with pytest.raises(Rejected, match="column u of in is a union of int, string, which no column type holds"):
        read("avro", stream.getvalue())
