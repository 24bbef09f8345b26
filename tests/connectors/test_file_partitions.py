"""Values of partition columns as directories, and back."""

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.connectors._files.partitions import folder_of, folder_values, partition_values
from headrace.connectors.local_file import LocalFileSink, LocalFileSource
from headrace.errors import Rejected
from headrace.rows import Batch, TableSchema
from headrace.testing import make
from tests.connectors.test_local_file import read_all, write

VALUES = ["a/b", "a%2Fb", None, "", "__HIVE_DEFAULT_PARTITION__", "x=1", "ł 東", "..", ".", 'q"*?:', "a\nb"]
HIVE = "${k0}=${v0}/${k1}=${v1}/.../${kn}=${vn}/"


def shops(tmp_path, values, **options):
    rows = pa.record_batch({"id": range(len(values)), "shop": pa.array(values, pa.string())})
    options = {"file_format_type": "parquet", "partition_by": ["shop"], "tmp_path": str(tmp_path / "tmp"), **options}
    write(make(LocalFileSink, path=str(tmp_path / "out"), **options), Batch(rows), TableSchema.from_arrow(rows.schema))
    return tmp_path / "out"


def test_partition_values_come_back_as_they_were(tmp_path):
    folder = shops(tmp_path, VALUES)
    rows = read_all(make(LocalFileSource, path=str(folder), file_format_type="parquet"))
    assert sorted(rows) == list(enumerate(VALUES))


def test_others_read_the_same_values(tmp_path):
    folder = shops(tmp_path, ["a/b", "a%2Fb", None, "x"])
    shop = ds.partitioning(pa.schema([("shop", pa.string())]), flavor="hive")
    table = ds.dataset(folder, format="parquet", partitioning=shop).to_table().sort_by("id")
    assert table["shop"].to_pylist() == ["a/b", "a%2Fb", None, "x"]
    asked = f"select shop from read_parquet('{folder}/**/*.parquet', hive_partitioning=true) order by id"
    assert duckdb.sql(asked).fetchall() == [("a/b",), ("a%2Fb",), (None,), ("x",)]


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=20), min_size=2, max_size=2))
def test_every_text_comes_back(values):
    folders = [folder_values(pa.array([value], pa.string()), {})[0].as_py() for value in values]
    path = folder_of(HIVE, ["a", "_b/c"], folders)
    assert not any(part in ("", ".", "..") for part in path.split("/"))
    assert partition_values(f"{path}/file") == dict(zip(["a", "_b/c"], values, strict=True))


def test_directories_without_names_are_read_again_whatever_they_are_called(tmp_path):
    folder = shops(tmp_path, ["_x", ".y", None, ""], partition_dir_expression="${v0}", file_format_type="json")
    source = make(LocalFileSource, path=str(folder), file_format_type="json", schema={"fields": {"id": "bigint"}})
    assert sorted(read_all(source)) == [(0,), (1,), (2,), (3,)]


def test_a_value_that_is_too_long_for_a_directory_is_refused(tmp_path):
    with pytest.raises(Rejected, match=r"the partition shop=aaa.*has 255 bytes at most, this one would have 305"):
        shops(tmp_path, ["a" * 300])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"partition_by": ["id", "shop"]}, "every column of table t is in partition_by"),
        ({"partition_by": ["shop"], "sink_columns": ["shop"]}, "every column of table t is in partition_by"),
        ({"partition_by": ["tags"]}, "column tags of table t is ARRAY<STRING>, whose values make no names"),
        ({"partition_by": ["raw"]}, "column raw of table t is BYTES, whose values make no names"),
        ({"partition_by": ["id", "shop", "tags", "raw"], "is_partition_field_write_in_file": True}, "column tags"),
    ],
)
def test_partitions_that_cannot_hold_the_rows_are_found_before_anything_is_written(tmp_path, options, expected):
    fields = [("id", pa.int64()), ("shop", pa.string())]
    if "ARRAY" in expected or "BYTES" in expected or "tags" in expected:
        fields += [("tags", pa.list_(pa.string())), ("raw", pa.binary())]
    table = TableSchema.from_arrow(pa.schema(fields), "t")
    problems = list(make(LocalFileSink, path=str(tmp_path), file_format_type="parquet", **options).check([table]))
    assert expected in str(problems[0])
