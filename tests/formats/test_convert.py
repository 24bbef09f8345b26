"""Columns of files that carry their types, read as the types of a schema."""

import pyarrow as pa
import pytest

from headrace.connectors._files.columns import shaped
from headrace.connectors._files.partitions import partition_values
from headrace.errors import Rejected
from headrace.formats.convert import convert
from headrace.formats.file_format import FilePart, WriteSettings
from headrace.formats.registry import file_format
from headrace.rows import Column, TableSchema
from headrace.storage.opened import InMemory

NO_TEXT = b"\xff\x00\xe9"
SCALARS = [pa.binary(), pa.large_binary(), pa.binary(3), pa.binary_view()]


@pytest.mark.parametrize("dtype", SCALARS, ids=str)
def test_bytes_are_read_as_the_text_that_they_are_and_never_as_another(dtype):
    good = pa.array(["né".encode(), None], dtype)
    assert convert(good, pa.string()).to_pylist() == ["né", None]
    with pytest.raises(ValueError, match=r"the bytes b'\\xff\\x00\\xe9' are not a text in UTF-8"):
        convert(pa.array([b"abc", NO_TEXT], dtype), pa.string())


def nested(value: bytes) -> list[tuple[pa.Array, pa.DataType, object]]:
    maps = pa.map_(pa.string(), pa.binary())
    return [
        (pa.array([[b"ab", value]]), pa.list_(pa.string()), ["ab", "né"]),
        (pa.array([{"a": value}]), pa.struct([("a", pa.string())]), {"a": "né"}),
        (pa.array([[("k", value)]], maps), pa.map_(pa.string(), pa.string()), [("k", "né")]),
    ]


def test_bytes_within_nested_values_are_read_likewise():
    for column, dtype, found in nested("né".encode()):
        assert convert(column, dtype).to_pylist() == [found]
    for column, dtype, _ in nested(NO_TEXT):
        with pytest.raises(ValueError, match="xff"):
            convert(column, dtype)


def test_bytes_that_are_no_text_are_an_error_with_file_and_column():
    rows = pa.record_batch({"a": pa.array([NO_TEXT])})
    table, part = TableSchema("t", (Column("a", pa.string()),)), FilePart(InMemory("in.parquet", b""), 0, 0)
    with pytest.raises(Rejected, match=r"cannot read column a of in\.parquet: the bytes b'\\xff\\x00\\xe9' are not"):
        shaped(rows, table, {}, part)


@pytest.mark.parametrize("form", ["csv", "text"])
def test_bytes_within_nested_values_that_are_no_text_are_refused_by_text_files(form):
    rows = pa.record_batch({"a": pa.array([[b"ab"], [NO_TEXT]])})
    refused = file_format(form).refused(rows, WriteSettings())
    assert list(refused) == [1]
    assert "column a: the bytes b'\\xff\\x00\\xe9' are not UTF-8 text" in refused[1]


def test_escapes_of_a_directory_that_stand_for_no_text_stay_as_they_are():
    assert partition_values("/data/a=x%20y/b=%FFz/f.parquet") == {"a": "x y", "b": "%FFz"}
