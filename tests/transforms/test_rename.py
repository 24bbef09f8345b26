"""FieldRename and TableRename: new names by rules."""

from dataclasses import replace

import pyarrow as pa
import pytest

from headrace.errors import ConfigError
from headrace.options import read_options
from headrace.rows import Batch, Column, ConstraintKey, PrimaryKey, TableSchema
from headrace.testing import TABLE, TransformContract, batch, make, task
from headrace.transforms.field_rename import FieldRenameTransform
from headrace.transforms.table_rename import TableRenameTransform

EVERY = {
    "fields": (FieldRenameTransform, {"prefix": "p_", "convert_case": "upper"}),
    "tables": (TableRenameTransform, {"suffix": "_s", "convert_case": "UPPER"}),
}


@pytest.mark.parametrize("name", EVERY)
class TestEvery(TransformContract):
    @pytest.fixture
    def transform(self, name):
        cls, options = EVERY[name]
        return make(cls, **options)


def field_names(*names, **options):
    transform = make(FieldRenameTransform, **options)
    table = TableSchema.from_arrow(pa.schema({name: pa.int32() for name in names}))
    rows = Batch(pa.RecordBatch.from_pylist([], table.arrow))
    found = transform.schema(table).names
    assert transform.apply(rows, task()).rows.schema.names == found
    return found


def rule(old, new, **more):
    return {"replacements_with_regex": [{"replace_from": old, "replace_to": new, **more}]}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["userId", "user_name"]),
        ({"convert_case": "UPPER"}, ["USERID", "USER_NAME"]),
        ({"convert_case": "lower", "prefix": "F_", "suffix": " _S "}, ["F_userid_S", "F_user_name_S"]),
        (rule("^user_?", "u"), ["uId", "uname"]),
        ({**rule("user", "Who"), "convert_case": "UPPER"}, ["WhoID", "Who_NAME"]),
        (rule("[ea]", "*"), ["us*rId", "us*r_n*m*"]),
        (rule("user", "x", is_regex=False), ["userId", "user_name"]),
        (rule("userId", "id", is_regex=False), ["id", "user_name"]),
        (rule("user_name", "$1"), ["userId", "$1"]),
    ],
)
def test_fields_are_renamed_by_the_rules(options, names):
    assert field_names("userId", "user_name", **options) == names


def test_the_last_rule_that_finds_something_holds():
    rules = [{"replace_from": "a", "replace_to": "1"}, {"replace_from": "b", "replace_to": "2"}]
    assert field_names("ab", "ac", replacements_with_regex=rules) == ["a2", "1c"]


def test_a_column_with_a_name_of_its_own_follows_no_other_rule():
    specific = [{"field_name": "a", "target_name": "first"}]
    assert field_names("a", "b", specific=specific, prefix="p_") == ["first", "p_b"]


def test_keys_follow_their_columns():
    key, index = PrimaryKey("pk", ("id",)), ConstraintKey("u", "UNIQUE_KEY", (("name", "ASC"),))
    table = replace(TABLE, primary_key=key, constraint_keys=(index,))
    renamed = make(FieldRenameTransform, prefix="p_").schema(table)
    assert renamed.primary_key == PrimaryKey("pk", ("p_id",))
    assert renamed.constraint_keys[0].columns == (("p_name", "ASC"),)


def test_two_columns_of_one_name_are_refused_before_anything_runs():
    table = TableSchema("t", (Column("a", pa.int32()), Column("A", pa.int32())))
    with pytest.raises(ConfigError, match="columns 'a', 'A' would all be called 'A'"):
        make(FieldRenameTransform, convert_case="UPPER").schema(table)


def test_a_wrong_pattern_is_a_problem_of_the_plan():
    [problem] = read_options(FieldRenameTransform.Options, rule("(", "")).problems
    assert "replacements_with_regex[0].replace_from: '(' is not a regular expression" in str(problem)


@pytest.mark.parametrize(
    ("options", "path", "renamed"),
    [
        ({"convert_case": "UPPER", "prefix": "cdc_"}, "db.user", "DB.cdc_USER"),
        ({**rule("user", "U"), "suffix": "_t"}, "db.s.user_1", "db.s.U_1_t"),
        ({"prefix": "x_"}, "t", "x_t"),
    ],
)
def test_tables_are_renamed_by_the_rules(options, path, renamed):
    transform = make(TableRenameTransform, **options)
    rows = batch((1, "a"))
    assert transform.schema(replace(TABLE, path=path)) == replace(TABLE, path=renamed)
    assert transform.apply(Batch(rows.rows, path), task()).table == renamed


def test_only_tables_that_match_are_renamed():
    transform = make(TableRenameTransform, prefix="p_", table_match_regex=r"db\.a")
    found = transform.tables([replace(TABLE, path=path) for path in ("db.a", "db.b")])
    assert [table.path for table in found] == ["db.p_a", "db.b"]


def test_two_tables_of_one_name_are_refused_before_anything_runs():
    tables = [replace(TABLE, path=path) for path in ("db.a1", "db.b", "db.a2")]
    with pytest.raises(ConfigError, match=r"tables db\.a1 and db\.a2 would both be called db\.a; .*TableMerge"):
        make(TableRenameTransform, **rule("[0-9]", "")).tables(tables)
