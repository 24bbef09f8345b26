"""Files of one directory with different columns: nothing is lost without a word."""

import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from headrace.connectors.local_file import LocalFileSource
from headrace.errors import Rejected
from headrace.testing import make
from tests.connectors.test_local_file import read_all


def files(tmp_path, *tables, form="parquet"):
    for number, table in enumerate(tables):
        (pq.write_table if form == "parquet" else orc.write_table)(table, tmp_path / f"{number:03d}.{form}")
    return make(LocalFileSource, path=str(tmp_path), file_format_type=form)


@pytest.mark.parametrize("nothing", [pa.null(), pa.list_(pa.null()), pa.struct([("x", pa.null())])])
def test_a_column_that_is_null_in_the_first_file_has_the_type_of_the_next(tmp_path, nothing):
    values = {pa.null(): "text", pa.list_(pa.null()): ["text"]}.get(nothing, {"x": "text"})
    source = files(tmp_path, pa.table({"note": pa.array([None], nothing)}), pa.table({"note": [values]}))
    assert read_all(source) == [(None,), (values,)]


@pytest.mark.parametrize("form", ["parquet", "orc"])
def test_columns_that_only_some_files_have_are_null_in_the_others_and_told(tmp_path, caplog, form):
    with caplog.at_level(logging.WARNING):
        source = files(tmp_path, pa.table({"id": [1], "old": ["x"]}), pa.table({"ID": [2], "new": [2.5]}), form=form)
        assert source.tables()[0].names == ["id", "old", "new"]
        assert read_all(source) == [(1, "x", None), (2, None, 2.5)]
    assert "001" in caplog.text
    assert "which are null there: new" in caplog.text


def test_numbers_get_the_widest_type(tmp_path):
    narrow, wide = pa.table({"n": pa.array([1], pa.int32())}), pa.table({"n": pa.array([2**40])})
    assert read_all(files(tmp_path, narrow, wide)) == [(1,), (2**40,)]


def test_what_a_file_beyond_those_that_were_looked_at_has_is_told_or_refused(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("headrace.connectors._files.source.LOOKED_AT", 1)
    with caplog.at_level(logging.WARNING):
        assert read_all(files(tmp_path, pa.table({"id": [1]}), pa.table({"id": [2], "new": ["x"]}))) == [(1,), (2,)]
    assert "left out: new; name all columns in schema" in caplog.text
    source = files(tmp_path, pa.table({"id": pa.array([None], pa.null())}), pa.table({"id": [2]}))
    with pytest.raises(Rejected, match="column id of .*001.* is BIGINT, and held only nulls.*declare id in schema"):
        read_all(source)


def test_a_partition_that_only_some_files_have_is_null_in_the_others(tmp_path):
    (tmp_path / "day=1").mkdir()
    pq.write_table(pa.table({"id": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": [2]}), tmp_path / "day=1" / "b.parquet")
    source = make(LocalFileSource, path=str(tmp_path), file_format_type="parquet")
    assert read_all(source) == [(1, None), (2, "1")]


def test_a_file_without_any_of_the_columns_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("headrace.connectors._files.source.LOOKED_AT", 1)
    with pytest.raises(Rejected, match=r"001.parquet has none of the columns id; it has other"):
        read_all(files(tmp_path, pa.table({"id": [1]}), pa.table({"other": [2]})))


@pytest.mark.parametrize(("dtype", "nanos"), [("time", pa.time64("ns")), ("timestamp", pa.timestamp("ns"))])
def test_nanoseconds_that_the_schema_has_no_room_for_are_refused_with_column_value_and_cure(tmp_path, dtype, nanos):
    files(tmp_path, pa.table({"at": pa.array([36_000_123_456_000], nanos)}))
    source = {"path": str(tmp_path), "file_format_type": "parquet", "schema": {"fields": {"at": dtype}}}
    [(at,)] = read_all(make(LocalFileSource, **source))
    assert (at.hour, at.microsecond) == (10, 123456)
    files(tmp_path, pa.table({"at": pa.array([36_000_123_456_789], nanos)}))
    with pytest.raises(Rejected, match=r"column at of .*10:00:00.123456\S* has nanoseconds.*the column as string"):
        read_all(make(LocalFileSource, **source))
