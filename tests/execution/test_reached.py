"""Positions between and within batches, and how a restart finds the rows again that are through."""

import json

import pyarrow as pa
import pytest

from headrace.connector import Batch
from headrace.errors import Rejected
from headrace.execution.reached import Reached


def batch(*numbers, **more):
    return Batch(pa.RecordBatch.from_pydict({"n": pa.array(numbers, pa.int64()), **more}), "t")


def saved(reached):
    return json.loads(json.dumps(reached.take()[0]))


def stopped(numbers, through, position=None, **more):
    """The saved position after `through` rows of one batch."""
    reached = Reached()
    reached.begin("s", position)
    reached.part("s", batch(*numbers, **more), through)
    return saved(reached)["s"]


def read_again(position, *batches):
    """The rows that are not through, and the positions after each batch."""
    reached, left, positions = Reached(), [], []
    positions.append(reached.begin("s", position))
    for after, rows in enumerate(batches, 100):
        left += rows.slice(reached.through("s", rows)).rows.column("n").to_pylist()
        reached.done("s", after)
        positions.append(saved(reached)["s"])
    reached.end("s")
    return left, positions


def test_between_batches_a_position_is_the_sources_own():
    reached = Reached()
    assert reached.begin("s", [3, "ü"]) == [3, "ü"]
    assert reached.take() == ({}, [])
    assert reached.through("s", batch(1, 2)) == 0
    reached.part("s", batch(1, 2), 1)
    reached.done("s", [5, "ü"])
    assert saved(reached) == {"s": [5, "ü"]}


def test_a_barrier_is_told_only_what_moved_since_the_one_before():
    reached = Reached()
    for split in ("a", "b"):
        reached.begin(split, None)
        reached.done(split, 1)
    assert reached.take() == ({"a": 1, "b": 1}, [])
    reached.done("b", 2)
    reached.end("a")
    assert reached.take() == ({"b": 2}, ["a"])
    assert reached.take() == ({}, [])


@pytest.mark.parametrize("position", [None, 0, 7, {"file": "a", "at": 3}])
def test_within_a_batch_the_rows_that_are_through_are_left_out_again(position):
    here = stopped([1, 2, 3, 4], 3, position)
    left, positions = read_again(here, batch(1, 2, 3, 4), batch(5))
    assert (left, positions) == ([4, 5], [position, 100, 101])


def test_a_restart_may_cut_the_rows_into_other_batches():
    here = stopped([1, 2, 3, 4, 5], 4, 7)
    left, positions = read_again(here, batch(1), batch(2, 3), batch(4, 5), batch(6))
    assert left == [5, 6]
    assert positions[-2:] == [102, 103]
    left, _ = read_again(positions[1], batch(2, 3), batch(4, 5), batch(6))  # a checkpoint after the first of them
    assert left == [5, 6]
    left, _ = read_again(positions[2], batch(4), batch(5, 6))
    assert left == [5, 6]


def test_within_a_batch_that_begins_with_rows_that_are_through():
    reached, rows = Reached(), batch(1, 2, 3, 4)
    reached.begin("s", stopped([1, 2, 3, 4], 2, 7))
    assert reached.through("s", rows) == 2
    reached.part("s", rows, 3)
    left, _ = read_again(saved(reached)["s"], rows)
    assert left == [4]


def test_other_rows_than_those_that_are_through_are_refused():
    here = stopped([1, 2, 3, 4], 3, 7)
    with pytest.raises(Rejected, match="split s: the rows after the saved position are not those"):
        read_again(here, batch(1, 9, 3, 4))


def test_fewer_rows_than_are_through_are_refused():
    here = stopped([1, 2, 3, 4], 3, 7)
    with pytest.raises(Rejected, match="are 2 fewer than those"):
        read_again(here, batch(1))


def test_a_table_may_have_more_columns_since():
    here = stopped([1, 2, 3], 2, 7)
    more = batch(1, 2, 3, name=pa.array(["a", "b", "c"]))
    assert read_again(here, more)[0] == [3]


def test_values_without_a_checksum_are_counted_only():
    odd = pa.array([None] * 3, pa.month_day_nano_interval())
    here = stopped([1, 2, 3], 2, 7, odd=odd)
    assert read_again(here, batch(1, 2, 3, odd=odd))[0] == [3]
