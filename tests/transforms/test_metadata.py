"""Metadata: what is known of a row beside its values becomes columns."""

from dataclasses import replace

import pyarrow as pa
import pytest

from headrace.errors import ConfigError
from headrace.rows import Batch, Column, PrimaryKey
from headrace.testing import TABLE, TransformContract, batch, make, task
from headrace.transforms.metadata import MetadataTransform
from headrace.transforms.sql import SqlTransform

FIELDS = {"Database": "db", "Table": "t", "RowKind": "kind"}


class TestMetadata(TransformContract):
    @pytest.fixture
    def transform(self):
        return make(MetadataTransform, metadata_fields=FIELDS)


ROWS = batch((1, "a"), (2, "b"))


@pytest.mark.parametrize(
    ("path", "database", "table"),
    [("d.t", "d", "t"), ("d.s.t", "d", "t"), ("d.s.t.x", "d", "t.x"), ("t", None, "t")],
)
def test_database_and_table_are_those_of_the_path(path, database, table):
    found = make(MetadataTransform, metadata_fields=FIELDS).apply(Batch(ROWS.rows, path), task()).rows.to_pylist()
    assert found[0] == {"id": 1, "name": "a", "db": database, "t": table, "kind": "+I"}


def test_kinds_are_written_and_stay():
    rows = Batch(ROWS.rows, "t", pa.array([1, 3], pa.uint8()))
    found = make(MetadataTransform, metadata_fields={"RowKind": "kind"}).apply(rows, task())
    assert (found.rows["kind"].to_pylist(), found.kinds.to_pylist()) == (["-U", "-D"], [1, 3])


def test_what_the_source_tells_goes_with_its_rows():
    table = replace(TABLE, metadata=(Column("EventTime", pa.int64(), comment="of the record"),))
    told = pa.record_batch({"EventTime": pa.array([10, None], pa.int64())})
    transform = make(MetadataTransform, metadata_fields={"EventTime": "ts"})
    assert transform.schema(table).column("ts") == Column("ts", pa.int64(), comment="of the record")
    rows = Batch(ROWS.rows, "t", metadata=told)
    assert transform.apply(rows, task()).rows["ts"].to_pylist() == [10, None]
    for part in (rows.slice(1), rows.filter(pa.array([False, True])), rows.take(pa.array([1]))):
        assert transform.apply(part, task()).rows["ts"].to_pylist() == [None]


def test_what_only_other_sources_tell_is_null_with_a_warning(caplog):
    transform = make(MetadataTransform, metadata_fields={"EventTime": "ts", "Gtid": "gtid"})
    made = transform.schema(TABLE)
    assert [made.column(name).type for name in ("ts", "gtid")] == [pa.int64(), pa.string()]
    assert transform.apply(ROWS, task()).rows.select(["ts", "gtid"]).to_pylist() == [{"ts": None, "gtid": None}] * 2
    assert "tells no EventTime: ts is null" in caplog.text


def test_a_query_before_it_keeps_what_goes_with_the_rows_it_keeps():
    told = pa.record_batch({"EventTime": pa.array([10, 20], pa.int64())})
    rows = Batch(ROWS.rows, TABLE.path, metadata=told)
    for query, times in (("select * from t where id = 2", [20]), (EXPLODED, [10, 10, 20, 20])):
        sql = make(SqlTransform, query=query)
        sql.schema(replace(TABLE, metadata=(Column("EventTime", pa.int64()),)))
        assert sql.apply(rows, task()).metadata["EventTime"].to_pylist() == times


EXPLODED = "select * from t lateral view explode(array(1, 2)) as n"


def test_no_fields_change_nothing():
    assert make(MetadataTransform).apply(ROWS, task()).rows.equals(ROWS.rows)


def test_keys_stay_with_the_table():
    table = replace(TABLE, primary_key=PrimaryKey("pk", ("id",)))
    assert make(MetadataTransform, metadata_fields=FIELDS).schema(table).primary_key == table.primary_key


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"database": "x"}, r"metadata_fields\.database: .* tells no 'database'; did you mean 'Database'\?"),
        ({"What": "x"}, r"the source of table db\.people tells no 'What'; it has Database, Table, RowKind, EventTime"),
        ({"Table": "id"}, r"metadata_fields\.Table: table db\.people has a column 'id' already"),
        ({"Table": "x", "Database": "x"}, "has a column 'x' already"),
    ],
)
def test_what_is_not_known_is_refused_before_anything_runs(fields, message):
    with pytest.raises(ConfigError, match=message):
        make(MetadataTransform, metadata_fields=fields).schema(TABLE)
