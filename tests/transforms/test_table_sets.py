"""TableFilter and TableMerge: fewer tables than before."""

from dataclasses import replace

import pyarrow as pa
import pytest

from headrace.errors import ConfigError
from headrace.rows import Batch, TableSchema
from headrace.testing import TABLE, TransformContract, batch, make, task
from headrace.transforms.table_filter import TableFilterTransform
from headrace.transforms.table_merge import TableMergeTransform

EVERY = {
    "filter": (TableFilterTransform, {"table_pattern": "pe.*"}),
    "merge": (TableMergeTransform, {"database": "all", "table": "people"}),
}


@pytest.mark.parametrize("name", EVERY)
class TestEvery(TransformContract):
    @pytest.fixture
    def transform(self, name):
        cls, options = EVERY[name]
        return make(cls, **options)


PATHS = ("test.user_1", "test.user_x", "other.user_2", "db.s.user_3", "bare")


def left(**options):
    """The tables that stay; their rows do, too."""
    transform = make(TableFilterTransform, **options)
    found = [table.path for table in transform.tables([replace(TABLE, path=path) for path in PATHS])]
    rows = batch((1, "a")).rows
    assert [path for path in PATHS if transform.apply(Batch(rows, path), task()) != []] == found
    return found


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({}, list(PATHS)),
        ({"database_pattern": "test", "table_pattern": r"user_\d+"}, ["test.user_1"]),
        (
            {"database_pattern": "test", "table_pattern": r"user_\d+", "pattern_mode": "exclude"},
            ["test.user_x", "other.user_2", "db.s.user_3", "bare"],
        ),
        ({"schema_pattern": "s"}, ["db.s.user_3"]),
        ({"schema_pattern": "te.t"}, ["test.user_1", "test.user_x"]),
        ({"database_pattern": ""}, ["bare"]),
        ({"table_pattern": "user_1", "table_match_regex": r"test\..*"}, ["test.user_1", *PATHS[2:]]),
    ],
)
def test_tables_stay_by_their_names(options, paths):
    assert left(**options) == paths


def test_a_filter_that_leaves_nothing_is_refused_before_anything_runs():
    with pytest.raises(ConfigError, match=r"no table is left of db\.people; the patterns match whole names"):
        make(TableFilterTransform, table_pattern="peop").tables([TABLE])


def test_tables_that_match_become_one():
    transform = make(TableMergeTransform, table_match_regex=r"a\..*", database="d", schema="s", table="t")
    tables = [replace(TABLE, path=path) for path in ("a.x", "a.y", "b.z")]
    assert [table.path for table in transform.tables(tables)] == ["d.s.t", "b.z"]
    rows = batch((1, "a")).rows
    assert [transform.apply(Batch(rows, t.path), task()).table for t in tables] == ["d.s.t", "d.s.t", "b.z"]


def test_a_schema_without_a_database_is_a_schema():
    [table] = make(TableMergeTransform, schema="s", table="t").tables([TABLE])
    assert table.path_parts == ("", "s", "t")


@pytest.mark.parametrize(
    ("columns", "difference"),
    [
        ({"id": pa.int64(), "n": pa.string()}, "the columns are id, name and id, n"),
        ({"id": pa.int32(), "name": pa.string()}, "column id is BIGINT and INT"),
    ],
)
def test_tables_with_other_columns_do_not_merge(columns, difference):
    other = TableSchema.from_arrow(pa.schema(columns), "db.other")
    with pytest.raises(ConfigError, match=rf"tables db\.people and db\.other cannot become t: {difference}"):
        make(TableMergeTransform, table="t").tables([TABLE, other])


def test_a_table_that_has_the_name_already_must_have_the_columns():
    other = TableSchema.from_arrow(pa.schema({"x": pa.int32()}), "t")
    with pytest.raises(ConfigError, match="the columns are x and id, name"):
        make(TableMergeTransform, table="t", table_match_regex="db.*").tables([other, TABLE])
