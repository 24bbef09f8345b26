"""Parquet and orc files of others: timestamps of all years, and files that are cut off."""

import datetime as dt
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from headrace.errors import Rejected
from tests.formats.reading import read

FAR = [dt.datetime(9999, 12, 31, 1, 2, 3, 456789), dt.datetime(1600, 1, 1), dt.datetime(1, 1, 1), None]
MICROS, NANOS = pa.timestamp("us"), pa.timestamp("ns")


def file_of(form, groups, **options):
    """The bytes of a file with one row group or stripe for each table."""
    stream = io.BytesIO()
    if form == "int96":
        with pq.ParquetWriter(stream, groups[0].schema, use_deprecated_int96_timestamps=True) as writer:
            for group in groups:
                writer.write_table(group)
    else:
        writer = orc.ORCWriter(stream, stripe_size=1, **options)
        for group in groups:
            writer.write(group)
        writer.close()
    return stream.getvalue()


def reader_of(form):
    return "parquet" if form == "int96" else "orc"


def int96_of(values):
    """A parquet file with INT96 of any year: Arrow writes it from nanoseconds alone, so the days are put in by hand."""
    near = pa.table({"t": pa.array([dt.datetime(2000, 1, 1, 0, 0, i) for i in range(len(values))], NANOS)})
    stream = io.BytesIO()
    pq.write_table(near, stream, use_deprecated_int96_timestamps=True, use_dictionary=False, compression="none")
    data = stream.getvalue()
    for i, value in enumerate(values):
        old = (i * 10**9).to_bytes(8, "little") + (2451545).to_bytes(4, "little")
        span = value - dt.datetime(2000, 1, 1)
        nanos = (span - dt.timedelta(span.days)) // dt.timedelta(microseconds=1) * 1000
        new = nanos.to_bytes(8, "little") + (2451545 + span.days).to_bytes(4, "little")
        assert data.count(old) >= 1
        data = data.replace(old, new)
    return data


def test_int96_has_all_years():
    assert [row[0] for row in read("parquet", int96_of(FAR[:3]))] == FAR[:3]


def test_orc_timestamps_have_all_years_within_nested_values_too():
    table = pa.table(
        {
            "t": pa.array(FAR, MICROS),
            "l": pa.array([[FAR[0], None], None, [], [FAR[1]]], pa.list_(MICROS)),
            "m": pa.array([[("k", FAR[0])], [], None, [("k", None)]], pa.map_(pa.string(), MICROS)),
            "r": pa.array([{"x": FAR[0]}, None, {"x": None}, {"x": FAR[2]}], pa.struct([("x", MICROS)])),
            "z": pa.array(FAR[:3], pa.timestamp("us", "UTC")).take([0, 1, 2, None]),
            "n": [1, 2, 3, 4],
        }
    )
    assert read("orc", file_of("orc", [table])) == [list(row.values()) for row in table.to_pylist()]


@pytest.mark.parametrize("form", ["int96", "orc"])
def test_nanoseconds_are_kept_where_the_first_rows_have_them(form):
    table = pa.table({"t": pa.array([1_700_000_000_123_456_789, None], NANOS)})
    [[first], [second]] = read(reader_of(form), file_of(form, [table]))
    assert (first.value, second) == (1_700_000_000_123_456_789, None)


@pytest.mark.parametrize("form", ["int96", "orc"])
def test_digits_that_no_type_holds_beside_the_others_are_an_error_with_the_column(form):
    first = pa.table({"t": pa.array([1_700_000_000_123_456_000] * 70_000, NANOS)})
    later = pa.table({"t": pa.array([1_700_000_000_123_456_789] * 1000, NANOS)})
    with pytest.raises(Rejected, match="cannot read column t of in: it has digits below a microsecond"):
        read(reader_of(form), file_of(form, [first, later]))


@pytest.mark.parametrize("form", ["parquet", "orc"])
@pytest.mark.parametrize("part", [0, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_refused_by_name(form, part):
    stream = io.BytesIO()
    table = pa.table({"id": range(1000)})
    (pq.write_table if form == "parquet" else orc.write_table)(table, stream)
    data = stream.getvalue()
    with pytest.raises(Rejected, match=rf"in is not an? {form} file that can be read: .*; write it again"):
        read(form, data[: int(len(data) * part)])
