import time

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headrace.connector import JobContext
from headrace.connectors.fake_source import FakeSource
from headrace.errors import Rejected
from headrace.options import read_options
from headrace.rows import SIMPLE_TYPES
from headrace.testing import SourceContract, make, task

PEOPLE = {"fields": {"id": "bigint", "name": "string"}}


def read(source, parallelism=1, job=None):
    splits = list(source.splits(parallelism))
    return [item.batch for split in splits for item in source.read(split, None, task(job)) if item is not None]


def column(source, name):
    return pa.concat_arrays([batch.rows.column(name) for batch in read(source)])


class TestFakeSource(SourceContract):
    @pytest.fixture
    def source(self):
        fields = {name: name for name in SIMPLE_TYPES}
        fields |= {"decimal": "decimal(20, 4)", "row": {"a": "int", "b": "array<string>"}, "map": "map<string, int>"}
        return make(FakeSource, schema={"fields": fields}, row__num=20, split__num=3)


class TestFixedRows(SourceContract):
    @pytest.fixture
    def source(self):
        rows = [{"kind": "INSERT", "fields": [1, "a"]}, {"kind": "DELETE", "fields": {"name": "b", "id": 2}}]
        return make(FakeSource, schema=PEOPLE, rows=rows)


def test_gives_row_num_rows_to_each_parallel_task():
    source = make(FakeSource, schema=PEOPLE, row__num=10, split__num=3)
    assert [split.size for split in source.splits(2)] == [3, 3, 4, 3, 3, 4]
    assert sum(batch.num_rows for batch in read(source, 2)) == 20


def test_rows_of_different_splits_differ():
    first, second = read(make(FakeSource, schema=PEOPLE, row__num=100, split__num=2))
    assert first.rows != second.rows


def test_numbers_stay_below_max_and_not_below_min():
    source = make(FakeSource, schema={"fields": {"a": "int", "b": "double"}}, row__num=5000, int__min=3, int__max=6)
    assert set(column(source, "a").to_pylist()) == {3, 4, 5}


def test_picks_from_templates():
    source = make(FakeSource, schema=PEOPLE, row__num=100, string__template=["x", "y"], bigint__template=[7])
    assert set(column(source, "name").to_pylist()) == {"x", "y"}
    assert set(column(source, "id").to_pylist()) == {7}


def test_dates_come_from_their_templates():
    source = make(
        FakeSource, schema={"fields": {"d": "timestamp"}}, row__num=50, date__year__template=[2020],
        date__month__template=[2], date__day__template=[28, 29], time__hour__template=[5],
    )  # fmt: skip
    found = column(source, "d")
    assert set(pc.strftime(found, "%Y-%m").to_pylist()) == {"2020-02"}
    assert set(pc.hour(found).to_pylist()) == {5}


def test_sizes_of_values():
    fields = {"s": "string", "b": "bytes", "a": "array<int>", "m": "map<string, int>"}
    source = make(FakeSource, schema={"fields": fields}, string__length=9, bytes__length=3, array__size=2, map__size=1)
    [batch] = read(source)
    row = batch.rows.slice(0, 1).to_pylist()[0]
    assert [len(row[name]) for name in "sbam"] == [9, 3, 2, 1]


def test_default_values_and_column_lengths_win():
    columns = [{"name": "a", "type": "int", "defaultValue": 5}, {"name": "b", "type": "string", "columnLength": 12}]
    [batch] = read(make(FakeSource, schema={"columns": columns}))
    assert set(batch.rows.column("a").to_pylist()) == {5}
    assert {len(text) for text in batch.rows.column("b").to_pylist()} == {12}


def test_counts_up_over_all_splits():
    schema = {**PEOPLE, "primaryKey": {"name": "pk", "columnNames": ["id"]}}
    source = make(FakeSource, schema=schema, row__num=5, split__num=2, **{"auto.increment.enabled": True})
    assert [i for batch in read(source, 2) for i in batch.rows.column("id").to_pylist()] == list(range(1, 11))


def test_values_that_a_fixed_row_lacks_are_null_and_others_left_out_with_a_warning(caplog):
    rows = [{"fields": [1]}, {"fields": [2, "b", "more"]}, {"fields": {"name": "c", "nick": "d"}}]
    [batch] = read(make(FakeSource, schema=PEOPLE, rows=rows))
    assert batch.rows.to_pylist() == [{"id": 1, "name": None}, {"id": 2, "name": "b"}, {"id": None, "name": "c"}]
    assert "rows[0].fields: 1 values for 2 columns (and 2 more)" in caplog.text


def test_fixed_rows_come_once_per_split_with_their_kinds():
    rows = [{"kind": "INSERT", "fields": [1, "a"]}, {"kind": "UPDATE_AFTER", "fields": [1, None]}]
    batches = read(make(FakeSource, schema=PEOPLE, rows=rows), 2)
    assert [batch.kinds.to_pylist() for batch in batches] == [[0, 2], [0, 2]]
    assert batches[0].rows.to_pylist()[1] == {"id": 1, "name": None}


def test_gives_several_tables_with_their_own_options():
    configs = [{"schema": {**PEOPLE, "table": f"db.t{i}"}, "row.num": i} for i in (1, 2)]
    source = make(FakeSource, tables_configs=configs)
    assert [table.path for table in source.tables()] == ["db.t1", "db.t2"]
    assert [(batch.table, batch.num_rows) for batch in read(source)] == [("db.t1", 1), ("db.t2", 2)]


def test_saved_splits_find_their_table_whatever_its_place_is_now():
    tables = [
        {
            "row.num": 2,
            "auto.increment.enabled": True,
            "auto.increment.start": start,
            "schema": {**PEOPLE, "table": name},
        }
        for name, start in (("a", 1), ("b", 101))
    ]
    saved = list(make(FakeSource, tables_configs=tables).splits(1))
    source = make(FakeSource, tables_configs=tables[::-1])
    found = [item.batch for split in saved for item in source.read(split, None, task())]
    assert [(batch.table, batch.rows["id"].to_pylist()) for batch in found] == [("a", [1, 2]), ("b", [101, 102])]
    with pytest.raises(Rejected, match="there is no table b any more"):
        list(make(FakeSource, tables_configs=tables[:1]).read(saved[1], None, task()))


@pytest.mark.parametrize(
    "schema", [{"schema.fields": {"n": "int"}}, {"schema.fields.n": "int"}, {"schema": {"fields.n": "int"}}]
)
def test_a_schema_may_be_written_with_dots(schema):
    assert make(FakeSource, **schema).tables()[0].names == ["n"]


def test_gives_the_same_schema_to_all_table_names():
    source = make(FakeSource, schema=PEOPLE, **{"table-names": ["a.b", "a.c"]})
    assert [table.path for table in source.tables()] == ["a.b", "a.c"]


def test_a_streaming_source_has_no_end_though_its_splits_do():
    source = make(FakeSource, schema=PEOPLE, row__num=3)
    assert not source.is_bounded("STREAMING")
    [split] = source.splits(1)
    assert split.ends
    [read] = source.read(split, None, task(JobContext(1, mode="STREAMING")))
    assert read.batch.num_rows == 3


def test_waits_after_a_split_only_when_asked_to():
    source = make(FakeSource, schema=PEOPLE, **{"split.read-interval": 300})
    began = time.monotonic()
    read(source)
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "please specify [schema] as non-empty"),
        ({"schema": {"fields": {}}}, "the schema has no columns"),
        ({"schema": {"fields": {"a": "strin"}}}, "column 'a': unknown type 'strin'; did you mean 'string'?"),
        ({"schema": PEOPLE, "int.min": 5, "int.max": 1}, "int.min 5 is above int.max 1"),
        ({"schema": PEOPLE, "tinyint.max": 300}, "tinyint.max 300 is outside -128 … 127"),
        ({"schema": PEOPLE, "int.fake.mode": "template"}, "int.template must list values"),
        ({"schema": PEOPLE, "rows": [{"fields": ["x", "a"]}]}, "column 'id': cannot read 'x' as BIGINT"),
        ({"schema": PEOPLE, "rows": [{"kind": "UPSERT", "fields": [1, "a"]}]}, "'UPSERT' is not one of INSERT"),
        ({"schema": PEOPLE, "binary.vector.dimension": 9}, "not a multiple of 8"),
    ],
)
def test_wrong_options_say_what_is_wrong(options, message):
    problems = read_options(FakeSource.Options, options).problems
    assert any(message in str(problem) for problem in problems), [str(p) for p in problems]


@pytest.mark.parametrize(
    "dtype", ["map<boolean, int>", "map<tinyint, map<boolean, string>>", "map<array<boolean>, int>"]
)
def test_a_map_has_no_key_twice(dtype):
    source = make(FakeSource, schema={"fields": {"m": dtype}}, row__num=200, map__size=5)
    maps = column(source, "m").to_pylist()
    maps += [inner for value in maps for _, inner in value if isinstance(inner, list)]
    assert maps
    for entries in maps:
        assert 0 < len({repr(key) for key, _ in entries}) == len(entries) <= 5


def test_maps_of_many_different_keys_have_all_their_entries():
    source = make(FakeSource, schema={"fields": {"m": "map<bigint, int>"}}, row__num=200, map__size=3)
    assert {len(value) for value in column(source, "m").to_pylist()} == {3}
