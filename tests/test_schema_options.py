"""The `schema` option as SeaTunnel's page writes it."""

import pytest

from headrace.options import read_options
from headrace.schema_options import SchemaOptions

FIELDS = {"id": "bigint", "dt": "string", "v": "float_vector"}


def table(**schema):
    read = read_options(SchemaOptions, {"table": "db.s.t", "fields": FIELDS, **schema})
    assert read.problems == read.unknown == ()
    return read.options.table_schema()


@pytest.mark.parametrize("kind", [{}, {"constraintType": "KEY"}, {"constraintType": "index_key"}])
def test_a_constraint_key_is_an_index_unless_it_says_otherwise(kind):
    key = {"constraintName": "k", "constraintColumns": [{"columnName": "id", "sortType": "ASC"}], **kind}
    assert [(k.name, k.type, k.columns) for k in table(constraintKeys=[key]).constraint_keys] == [
        ("k", "INDEX_KEY", (("id", "ASC"),))
    ]


def test_vector_indexes_may_say_how_they_are_built():
    column = {"columnName": "v", "indexName": "i", "indexType": "HNSW", "metricType": "L2"}
    key = {"constraintName": "k", "constraintType": "VECTOR_INDEX_KEY", "constraintColumns": [column]}
    assert table(constraintKeys=[key]).constraint_keys[0].columns == (("v", None),)


def test_partition_keys_go_with_their_columns():
    partitioned = table(partition_keys=["dt"])
    assert partitioned.partition_keys == ("dt",)
    assert partitioned.with_columns(partitioned.columns[:1]).partition_keys == ()


@pytest.mark.parametrize("key", [{"partition_keys": ["x"]}, {"primaryKey": {"name": "pk", "columnNames": ["x"]}}])
def test_keys_of_unknown_columns_are_refused(key):
    [problem] = read_options(SchemaOptions, {"fields": FIELDS, **key}).problems
    assert "names 'x', the columns are id, dt, v" in str(problem)
