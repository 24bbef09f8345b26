"""Transforms of columns and rows, and what all transforms share."""

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadRow, ConfigError, Rejected
from headrace.options import read_options
from headrace.rows import Batch, Column, PrimaryKey, TableSchema
from headrace.testing import TABLE, ListRejects, TransformContract, batch, make, task
from headrace.transforms.copy import CopyTransform
from headrace.transforms.field_mapper import FieldMapperTransform
from headrace.transforms.filter import FilterTransform
from headrace.transforms.filter_row_kind import FilterRowKindTransform
from headrace.transforms.json_path import JsonPathTransform
from headrace.transforms.replace import ReplaceTransform
from headrace.transforms.row_kind_extractor import RowKindExtractorTransform
from headrace.transforms.split import SplitTransform

EVERY = {
    "Copy": (CopyTransform, {"fields": {"id2": "id", "name2": "name"}}),
    "FieldMapper": (FieldMapperTransform, {"field_mapper": {"name": "n", "id": "i"}}),
    "Filter": (FilterTransform, {"include_fields": ["name"]}),
    "FilterRowKind": (FilterRowKindTransform, {"exclude_kinds": ["DELETE"]}),
    "Replace": (ReplaceTransform, {"replace_field": "name", "pattern": "a", "replacement": "b"}),
    "ReplaceRegex": (
        ReplaceTransform,
        {"replace_field": "name", "pattern": "(n+)", "replacement": "<$1>", "is_regex": True},
    ),
    "Split": (SplitTransform, {"split_field": "name", "separator": " ", "output_fields": ["x", "y"]}),
    "RowKindExtractor": (RowKindExtractorTransform, {}),
    "JsonPath": (
        JsonPathTransform,
        {"columns": [{"src_field": "name", "path": "$.a", "dest_field": "a", "column_error_handle_way": "SKIP"}]},
    ),
}


@pytest.mark.parametrize("name", EVERY)
class TestEveryTransform(TransformContract):
    @pytest.fixture
    def transform(self, name):
        cls, options = EVERY[name]
        return make(cls, **options)


def apply(cls, rows, rejects=None, **options):
    """Rows out as tuples; the promised schema is checked on the way."""
    transform = make(cls, **options)
    out = transform.apply(rows, task(rejects=rejects) if rejects else task())
    promised = transform.schema(
        TABLE if rows.table == TABLE.path else TableSchema.from_arrow(rows.rows.schema, rows.table)
    )
    assert out.rows.schema.names == promised.names
    return [tuple(row.values()) for row in out.rows.to_pylist()]


PEOPLE = batch((1, "ann b"), (2, None))


def test_copy_appends():
    assert apply(CopyTransform, PEOPLE, fields={"x": "id"}) == [(1, "ann b", 1), (2, None, 2)]
    assert apply(CopyTransform, PEOPLE, src_field="id", dest_field="x") == [(1, "ann b", 1), (2, None, 2)]


def test_field_mapper_selects_orders_renames_and_takes_keys_along():
    assert apply(FieldMapperTransform, PEOPLE, field_mapper={"name": "n", "id": "i"}) == [("ann b", 1), (None, 2)]
    table = TableSchema("t", (Column("id", pa.int64()), Column("name", pa.string())), PrimaryKey("pk", ("id",)))
    assert make(FieldMapperTransform, field_mapper={"id": "key"}).schema(table).primary_key == PrimaryKey(
        "pk", ("key",)
    )
    assert make(FieldMapperTransform, field_mapper={"name": "n"}).schema(table).primary_key is None


def test_filter_keeps_or_drops_columns_in_their_order():
    assert apply(FilterTransform, PEOPLE, fields=["name", "id"]) == [(1, "ann b"), (2, None)]
    assert apply(FilterTransform, PEOPLE, exclude_fields=["id"]) == [("ann b",), (None,)]


def test_filter_row_kind_keeps_or_drops_kinds():
    rows = Batch(batch((1, "a"), (2, "b"), (3, "c")).rows, TABLE.path, pa.array([0, 3, 2], pa.uint8()))
    assert apply(FilterRowKindTransform, rows, exclude_kinds=["DELETE"]) == [(1, "a"), (3, "c")]
    assert apply(FilterRowKindTransform, rows, include_kinds=["delete"]) == [(2, "b")]
    assert apply(FilterRowKindTransform, PEOPLE, exclude_kinds=["INSERT"]) == []
    assert len(apply(FilterRowKindTransform, PEOPLE, include_kinds=["INSERT"])) == 2


def test_row_kind_extractor_writes_kinds_and_makes_inserts():
    rows = Batch(PEOPLE.rows, TABLE.path, pa.array([1, 3], pa.uint8()))
    assert [row[2] for row in apply(RowKindExtractorTransform, rows)] == ["-U", "-D"]
    assert [row[2] for row in apply(RowKindExtractorTransform, rows, transform_type="full")] == [
        "UPDATE_BEFORE",
        "DELETE",
    ]
    assert make(RowKindExtractorTransform).apply(rows, task()).kinds is None


def test_replace_takes_texts_and_regular_expressions():
    options = {"replace_field": "name", "replacement": "<$1>"}
    assert apply(ReplaceTransform, PEOPLE, pattern="n", **options)[0][1] == "a<$1><$1> b"
    assert apply(ReplaceTransform, PEOPLE, pattern="(n)", is_regex=True, **options)[0][1] == "a<n><n> b"
    assert (
        apply(ReplaceTransform, PEOPLE, pattern="(n)", is_regex=True, replace_first=True, **options)[0][1] == "a<n>n b"
    )


@given(st.text(max_size=12), st.text(min_size=1, max_size=3), st.text(max_size=3))
def test_replacing_a_text_is_what_python_does(text, pattern, replacement):
    [(_, found)] = apply(
        ReplaceTransform, batch((1, text)), replace_field="name", pattern=pattern, replacement=replacement
    )
    assert found == text.replace(pattern, replacement)


@pytest.mark.parametrize("is_regex", [False, True])
def test_an_empty_pattern_is_found_before_each_character_and_at_the_end(is_regex):
    options = {"replace_field": "name", "pattern": "", "replacement": "-", "is_regex": is_regex}
    assert apply(ReplaceTransform, batch((1, "ab"), (2, ""), (3, None)), **options) == [
        (1, "-a-b-"),
        (2, "-"),
        (3, None),
    ]


@pytest.mark.parametrize("pattern", ["a", ""])
def test_texts_that_grow_beyond_the_memory_are_refused_before_they_are_made(pattern):
    rows = batch(*[(n, "a" * 1000) for n in range(1000)])
    with pytest.raises(Rejected, match="the text that is made of one batch takes"):
        apply(ReplaceTransform, rows, replace_field="name", pattern=pattern, replacement="b" * 10_000)


def test_numbers_keep_their_digits_where_the_new_column_has_room_for_them():
    document = '{"big": 12345678901234567890123, "price": 1.10, "all": {"p": 1.10}, "e": 1e3}'
    columns = [
        {"src_field": "name", "path": "$.big", "dest_field": "exact", "dest_type": "decimal(30, 0)"},
        {"src_field": "name", "path": "$.price", "dest_field": "price"},
        {"src_field": "name", "path": "$.all", "dest_field": "all"},
        {"src_field": "name", "path": "$.e", "dest_field": "e"},
    ]
    [row] = apply(JsonPathTransform, batch((1, document)), columns=columns)
    assert row[2:] == (Decimal(12345678901234567890123), "1.10", '{"p":1.10}', "1000.0")


def test_split_leaves_the_rest_in_the_last_part():
    rows = batch((1, "a,b,c"), (2, "a"), (3, None))
    found = apply(SplitTransform, rows, split_field="name", separator=",", output_fields=["x", "y"])
    assert [row[2:] for row in found] == [("a", "b,c"), ("a", None), (None, None)]


def test_split_reads_java_and_takes_groups_for_no_parts():
    found = apply(
        SplitTransform, batch((1, "a;b1c")), split_field="name", separator=r"(;)|\p{Digit}", output_fields=[*"xyz"]
    )
    assert [row[2:] for row in found] == [("a", "b", "c")]


def test_a_new_column_takes_the_place_of_one_with_its_name():
    assert apply(CopyTransform, PEOPLE, fields={"id": "name", "x": "id"}) == [("ann b", "ann b", 1), (None, None, 2)]
    found = apply(SplitTransform, batch((1, "a,b")), split_field="name", separator=",", output_fields=["name", "rest"])
    assert found == [(1, "a", "b")]


def test_field_mapper_refuses_one_name_for_two_columns():
    with pytest.raises(ConfigError, match="columns 'id', 'name' would all be called 'x'"):
        make(FieldMapperTransform, field_mapper={"id": "x", "name": "x"}).schema(TABLE)


def paths(*columns, **options):
    return {"columns": [{"src_field": "name", "dest_field": f"c{i}", **c} for i, c in enumerate(columns)], **options}


@pytest.mark.parametrize(
    ("path", "dtype", "value"),
    [
        ("$.a.b[1]", "int", 2),
        ("$['a']['b'][-1]", "bigint", 3),
        ("$.a.b", "array<int>", [1, 2, 3]),
        ("$.a", "string", '{"b":[1,2,3]}'),
        ("$.a.b[*]", "string", "[1,2,3]"),
        ("$..x", "array<string>", ["deep"]),
        ("$.d", "decimal(4, 2)", None),
        ("$.t", "timestamp", None),
    ],
)
def test_json_path_takes_and_converts(path, dtype, value):
    text = '{"a": {"b": [1, 2, 3]}, "d": 1.5, "t": "2024-01-02 03:04:05", "e": {"x": "deep"}}'
    [row] = apply(JsonPathTransform, batch((1, text)), **paths({"path": path, "dest_type": dtype}))
    assert row[2] == value if value is not None else row[2] is not None


def test_json_path_takes_several_values_of_one_column_with_lists():
    text = batch((1, '{"a": 5, "b": "x"}'))
    several = {"path": ["$.a", "$.b"], "dest_field": ["a", "b"]}
    assert apply(JsonPathTransform, text, **paths({**several, "dest_type": ["int", "string"]})) == [
        (1, text_of(text), 5, "x")
    ]
    assert apply(JsonPathTransform, text, **paths(several)) == [(1, text_of(text), "5", "x")]
    assert apply(JsonPathTransform, text, **paths({"path": ["$.a"], "dest_field": ["a"]})) == [(1, text_of(text), "5")]


def text_of(rows):
    return rows.rows.column("name")[0].as_py()


@pytest.mark.parametrize("path", ["$[1]", "$[-1]", "$.b"])
def test_json_path_finds_a_field_of_a_row_by_position_as_seatunnel_does_and_by_name(path):
    dtype = pa.struct([("a", pa.int32()), ("b", pa.string())])
    rows = pa.RecordBatch.from_pydict({"name": pa.array([{"a": 1, "b": "x"}], dtype)})
    table = TableSchema.from_arrow(rows.schema, "db.people")
    transform = make(JsonPathTransform, **paths({"path": path}))
    transform.schema(table)
    assert transform.apply(Batch(rows, "db.people"), task()).rows.column("c0").to_pylist() == ["x"]


def test_json_path_errors_fail_skip_the_value_or_the_row():
    rows = batch((1, '{"a": 1}'), (2, "{}"), (3, None))
    with pytest.raises(BadRow, match=r"row 2.*column c0: there is nothing at \$\.a"):
        apply(JsonPathTransform, rows, **paths({"path": "$.a"}))
    skipped = apply(JsonPathTransform, rows, **paths({"path": "$.a", "column_error_handle_way": "SKIP"}))
    assert [row[2] for row in skipped] == ["1", None, None]
    assert [
        row[0] for row in apply(JsonPathTransform, rows, **paths({"path": "$.a"}, row_error_handle_way="SKIP"))
    ] == [1, 3]
    rejects = ListRejects()
    assert [row[0] for row in apply(JsonPathTransform, rows, rejects, **paths({"path": "$.a"}))] == [1, 3]
    assert rejects.found[0][1] == {"id": 2, "name": "{}"}


def test_a_text_that_is_no_json_is_named():
    with pytest.raises(BadRow, match="no JSON"):
        apply(JsonPathTransform, batch((1, "{")), **paths({"path": "$.a"}))


@pytest.mark.parametrize(
    ("cls", "options", "place"),
    [
        (CopyTransform, {"fields": {"x": "nme"}}, "fields"),
        (FieldMapperTransform, {"field_mapper": {"nme": "x"}}, "field_mapper"),
        (FilterTransform, {"include_fields": ["nme"]}, "include_fields"),
        (ReplaceTransform, {"replace_field": "nme", "pattern": "a", "replacement": "b"}, "replace_field"),
        (SplitTransform, {"split_field": "nme", "separator": ",", "output_fields": ["x"]}, "split_field"),
        (
            JsonPathTransform,
            {"columns": [{"src_field": "nme", "path": "$", "dest_field": "x"}]},
            "columns[0].src_field",
        ),
    ],
)
def test_a_wrong_column_is_named_with_the_nearest_before_anything_runs(cls, options, place):
    with pytest.raises(ConfigError) as error:
        make(cls, **options).schema(TABLE)
    assert str(error.value) == f"{place}: table db.people has no column 'nme'; did you mean 'name'?"


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (CopyTransform, {}, "fields is needed"),
        (FilterTransform, {}, "one of include_fields and exclude_fields"),
        (FilterRowKindTransform, {"include_kinds": ["NOPE"]}, "'NOPE' is not one of"),
        (
            ReplaceTransform,
            {"replace_field": "a", "pattern": "(", "replacement": "", "is_regex": True},
            "not a regular expression",
        ),
        (SplitTransform, {"split_field": "a", "separator": "(", "output_fields": ["x"]}, "not a regular expression"),
        (JsonPathTransform, {"columns": [{"src_field": "a", "path": "a", "dest_field": "x"}]}, "must begin with $"),
        (
            JsonPathTransform,
            {"columns": [{"src_field": "a", "path": "$.a", "dest_field": "x", "dest_type": "no"}]},
            "unknown type",
        ),
        (
            JsonPathTransform,
            {"columns": [{"src_field": "a", "path": ["$.a", "$.b"], "dest_field": ["x"]}]},
            "there are 2 path, 1 dest_field and 0 dest_type; each new column needs one of each",
        ),
    ],
)
def test_wrong_options_say_what_is_wrong(cls, options, message):
    assert any(message in str(p) for p in read_options(cls.Options, options).problems)
