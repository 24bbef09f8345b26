import pickle

import pyarrow as pa
import pytest

from headrace.rows import (
    Batch,
    Column,
    PrimaryKey,
    RowKind,
    TableSchema,
    VectorType,
    estimate_bytes,
    parse_type,
    type_name,
)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("string", "STRING"),
        ("BigInt", "BIGINT"),
        ("long", "BIGINT"),
        ("decimal(10, 2)", "DECIMAL(10, 2)"),
        ("decimal(60,3)", "DECIMAL(60, 3)"),
        ("array<int>", "ARRAY<INT>"),
        ("map<string, array<decimal(3,1)>>", "MAP<STRING, ARRAY<DECIMAL(3, 1)>>"),
        ({"a": "int", "b": {"c": "string"}}, "ROW<a INT, b ROW<c STRING>>"),
        ("{a = int, b = array<string>}", "ROW<a INT, b ARRAY<STRING>>"),
        ("timestamp_tz", "TIMESTAMP_TZ"),
        ("sparse_float_vector", "SPARSE_FLOAT_VECTOR"),
        ("null", "NULL"),
    ],
)
def test_knows_seatunnels_types(written, name):
    assert type_name(parse_type(written)) == name


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("strng", "did you mean 'string'?"),
        ("decimal", "needs precision and scale"),
        ("decimal(5, 9)", "scale <= precision"),
        ("map<int>", "needs a key type and a value type"),
        (5, "is not a type"),
    ],
)
def test_says_what_is_wrong_with_a_type(written, message):
    with pytest.raises(ValueError, match=r".") as error:
        parse_type(written)
    assert message in str(error.value)


def test_vectors_survive_pickling_and_ipc():
    dtype = VectorType("float_vector")
    assert pickle.loads(pickle.dumps(dtype)) == dtype
    array = pa.ExtensionArray.from_storage(dtype, pa.array([[1.0]], pa.list_(pa.float32())))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema({"v": dtype})) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([array], ["v"]))
    assert pa.ipc.open_stream(sink.getvalue()).schema.field("v").type == dtype


@pytest.mark.parametrize(
    ("path", "schema_first", "parts"),
    [
        ("t", False, ("", "", "t")),
        ("d.t", False, ("d", "", "t")),
        ("s.t", True, ("", "s", "t")),
        ("d.s.t", False, ("d", "s", "t")),
    ],
)
def test_table_paths_have_their_parts(path, schema_first, parts):
    assert TableSchema(path, (), schema_first=schema_first).path_parts == parts


def test_keys_go_with_their_columns():
    table = TableSchema("t", (Column("a", pa.int32()), Column("b", pa.int32())), PrimaryKey("pk", ("a",)))
    assert table.with_columns(table.columns[:1]).primary_key is not None
    assert table.with_columns(table.columns[1:]).primary_key is None


def test_a_batch_keeps_kinds_beside_their_rows():
    rows = pa.RecordBatch.from_pydict({"a": [1, 2, 3]})
    batch = Batch(rows, "t", pa.array([0, 3, 2], pa.uint8()))
    assert batch.filter(pa.array([True, False, True])).kinds.to_pylist() == [0, 2]
    assert batch.slice(1, 1).kinds.to_pylist() == [3]
    assert batch.take(pa.array([2, 0])).kinds.to_pylist() == [2, 0]
    assert Batch(rows).kind_array().to_pylist() == [0, 0, 0]
    assert RowKind(3).short == "-D"


def test_estimates_bytes_as_seatunnel_does():
    rows = pa.RecordBatch.from_pydict({"a": pa.array([1, None], pa.int32()), "b": ["abc", None]})
    assert estimate_bytes(rows) == 4 + 3


@pytest.mark.parametrize(
    "text",
    [
        "map<string, {c_int=int\nc_string=string}>",
        "map<string, {\n  c_int = int\n  c_string = string\n}>",
        'map<string, {"c_int": "int", "c_string": "string"}>',
        "map<string,\n{c_int=int,\nc_string\n=\nstring}>",
    ],
)
def test_a_type_may_be_written_over_several_lines_or_as_json(text):
    assert type_name(parse_type(text)) == type_name(parse_type("map<string, {c_int = int, c_string = string}>"))
