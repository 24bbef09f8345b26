from dataclasses import replace

import pyarrow as pa
import pytest

from headrace.checkpoint.checkpoint import Checkpoint
from headrace.checkpoint.fit import changed_wiring, check_fit, columns_of
from headrace.connector import Split
from headrace.errors import CheckpointError
from headrace.rows import TableSchema

STEPS = ("Source[0]-Jdbc", "Transform[0]-Sql", "Sink[0]-Assert")
COLUMNS = columns_of([TableSchema.from_arrow(pa.schema({"id": pa.int64(), "name": pa.string()}), "people")])
SAVED = Checkpoint(
    7, 1, 1, 1, 3, splits=(Split("a", table="people"),), states={"Sink[0]-Assert": {}}, steps=STEPS, columns=COLUMNS
)


def problem(saved=SAVED, steps=STEPS, columns=COLUMNS):
    with pytest.raises(CheckpointError, match="the saved state of job 7 does not fit the job file") as error:
        check_fit(saved, steps, columns)
    return str(error.value)


def test_the_same_job_fits():
    check_fit(SAVED, STEPS, COLUMNS)


def test_more_tables_and_columns_and_other_transforms_fit():
    more = {"people": {**COLUMNS["people"], "age": "int32"}, "towns": {"id": "int64"}}
    check_fit(SAVED, (STEPS[0], "Transform[0]-Filter", STEPS[2]), more)


def test_a_plugin_that_holds_state_must_be_in_its_place():
    assert "it holds the state of Sink[0]-Assert, the job has" in problem(steps=(*STEPS[:2], "Sink[0]-Console"))


def test_a_column_that_is_gone_is_named():
    assert "table people had the column name, and has id" in problem(columns={"people": {"id": "int64"}})


def test_a_column_of_another_type_is_named():
    changed = {"people": {"id": "string", "name": "string"}}
    assert "in table people id was int64 and is string" in problem(columns=changed)


def test_a_table_that_is_gone_is_named_unless_it_was_read_to_its_end():
    other = {"towns": {"id": "int64"}}
    assert "table people was not read to its end, and the source gives only towns" in problem(columns=other)
    check_fit(replace(SAVED, finished=frozenset({"a"})), STEPS, other)


def test_other_ways_of_the_rows_are_told_where_rows_went_before():
    saved = replace(SAVED, wiring=("a → b", "env.verify = count"))
    assert changed_wiring(saved, ("a → b, c", "env.verify = count")) == "", "no row went any way"
    counted = replace(saved, counts={"a|people": {"rows": 1}})
    assert changed_wiring(counted, saved.wiring) == ""
    assert "it had a → b, and has a → b, c. A new sink" in changed_wiring(counted, ("a → b, c", "env.verify = count"))


def test_counts_from_before_a_change_are_kept_apart():
    counted = replace(SAVED, wiring=("a → b",), counts={"a|people": {"rows": 2}}, before={"a|people": {"rows": 1}})
    assert counted.rewired(STEPS, ("a → b",)) == counted
    changed = counted.rewired(STEPS, ("a → c",))
    assert (changed.counts, changed.before) == ({}, {"a|people": {"rows": 3}})
    assert changed.counts_in_all() == counted.counts_in_all() == {"a|people": {"rows": 3}}


def test_all_problems_are_told_at_once():
    found = problem(steps=("Source[0]-Fake", *STEPS[1:]), columns={"people": {"id": "string"}})
    assert "state of Source[0]-Jdbc" in found
    assert "had the column name" in found
    assert "id was int64" in found
