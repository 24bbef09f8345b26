"""Which tables of a stream a transform changes, and with which options."""

from dataclasses import replace

import pytest

from headrace.errors import ConfigError
from headrace.options import read_options
from headrace.rows import Batch, PrimaryKey
from headrace.testing import TABLE, batch, make, task
from headrace.transforms.copy import CopyTransform
from headrace.transforms.filter import FilterTransform
from headrace.transforms.table_rename import TableRenameTransform

PEOPLE = batch((1, "ann"))


def columns(path, **options):
    """The columns a table has afterwards; its rows have them, too."""
    transform = make(CopyTransform, **options)
    names = transform.schema(replace(TABLE, path=path)).names
    assert transform.apply(Batch(PEOPLE.rows, path), task()).rows.schema.names == names
    return names[2:]


def own(path, **options):
    return {"table_path": path, **options}


def test_tables_match_by_their_whole_path_and_single_ones_have_their_own_options():
    options = {"fields": {"x": "id"}, "table_match_regex": r"db\..*"}
    options["table_transform"] = [own("db.special", fields={"y": "name"})]
    assert columns("db.a", **options) == ["x"]
    assert columns("other.db.a", **options) == []
    assert columns("db.special", **options) == ["y"]


def test_a_table_that_does_not_match_passes_without_a_copy():
    rows = Batch(PEOPLE.rows, "other")
    assert make(CopyTransform, fields={"x": "id"}, table_match_regex="db.*").apply(rows, task()) is rows


def test_outer_options_do_not_hold_for_a_single_table():
    transform = make(TableRenameTransform, prefix="p_", table_transform=[own("db.people", suffix="_s")])
    assert transform.schema(TABLE).path == "db.people_s"


def test_without_outer_options_only_single_tables_are_changed():
    options = {"table_transform": [own("db.a", fields={"x": "id"})]}
    assert columns("db.a", **options) == ["x"]
    assert columns("db.b", **options) == []


def test_outer_options_may_only_be_missing_as_a_whole():
    values = {"include_fields": ["id"], "exclude_fields": ["id"], "table_transform": [own("t", include_fields=["id"])]}
    assert "not both" in str(read_options(FilterTransform.Options, values).problems[0])
    assert "is needed" in str(read_options(CopyTransform.Options, {"table_transform": []}).problems[0])


@pytest.mark.parametrize(("mode", "names"), [("FIRST_MATCH", ["x"]), ("all_match", ["x", "y"])])
def test_several_entries_for_one_table(mode, names):
    entries = [own("t", src_field="id", dest_field="x"), own("t", src_field="x", dest_field="y")]
    if mode == "FIRST_MATCH":
        entries[1]["src_field"] = "nothing"
    assert columns("t", table_transform=entries, rule_match_mode=mode) == names


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([own("t", fields={"x": "id"})] * 2, "table_transform[1].table_path: table t is named twice"),
        ([{"fields": {"x": "id"}}], "table_transform[0].table_path: required option is missing"),
        ([own("t", fields=3)], "table_transform[0].fields: Input should be a valid dictionary"),
    ],
)
def test_wrong_entries_are_problems_of_the_plan(entries, problem):
    with pytest.raises(ConfigError) as error:
        make(CopyTransform, table_transform=entries)
    assert str(error.value).startswith(problem)


def test_a_wrong_column_of_a_single_table_says_which_entry_names_it():
    transform = make(CopyTransform, table_transform=[own("db.people", fields={"x": "nme"})])
    with pytest.raises(ConfigError, match=r"^table_transform\[0\]\.fields: .*'nme'; did you mean 'name'"):
        transform.schema(TABLE)


def test_a_wrong_pattern_of_tables_is_a_problem_of_the_plan():
    [problem] = read_options(CopyTransform.Options, {"fields": {"a": "b"}, "table_match_regex": "("}).problems
    assert str(problem).startswith("table_match_regex: '(' is not a regular expression")


def test_keys_stay_with_the_table():
    table = replace(TABLE, primary_key=PrimaryKey("pk", ("id",)))
    assert make(CopyTransform, fields={"x": "id"}).schema(table).primary_key == table.primary_key
