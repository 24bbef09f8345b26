"""How big slices become: never long for slow rows, whole batches for rows that cost nothing."""

import pytest

from headrace.connector import JobContext, TaskContext
from headrace.execution.pace import Pace, PacedContext, Paces

BATCH = 65_536


def played(cost, slices=200, pace=None):
    """(rows, seconds) of each slice of batches of BATCH rows, where `cost` tells the seconds of so many rows."""
    pace, found = pace or Pace(), []
    for _ in range(slices):
        rows = min(pace.rows, BATCH)
        found.append((rows, cost(rows)))
        pace.took(*found[-1])
    return found


@pytest.mark.parametrize("row_seconds", [1e-9, 1e-6, 5e-6])
def test_rows_that_cost_nothing_are_whole_batches_after_a_few_slices(row_seconds):
    rows = [rows for rows, _ in played(lambda rows: 0.0002 + rows * row_seconds)]
    assert rows[:5] == [1, 16, 256, 4096, BATCH]
    assert set(rows[5:]) == {BATCH}


@pytest.mark.parametrize("row_seconds", [0.0001, 0.001, 0.01, 0.1])
def test_a_slice_of_slow_rows_takes_about_half_a_second(row_seconds):
    seconds = [seconds for _, seconds in played(lambda rows: 0.001 + rows * row_seconds)]
    assert max(seconds) < 1.2
    assert sum(seconds[20:]) / len(seconds[20:]) > 0.3, "slices are not smaller than they must be"


def test_the_slowest_rows_come_alone_but_for_a_look_now_and_then():
    found = played(lambda rows: 3.0 * rows)
    assert found[0][0] == 1
    assert {rows for rows, _ in found} == {1, 2}
    assert sum(rows == 2 for rows, _ in found) < 20


def test_what_a_call_costs_by_itself_is_not_paid_for_each_row():
    found = played(lambda rows: 0.9 + rows * 1e-6)
    assert [rows for rows, _ in found[8:]] == [BATCH] * (len(found) - 8)


def test_rows_may_take_as_long_as_what_a_call_costs_by_itself():
    found = played(lambda rows: 1.0 + rows * 0.01)
    assert max(seconds for _, seconds in found) < 4.5
    assert sum(rows for rows, _ in found) > 0.4 * sum(seconds for _, seconds in found) / 0.01


def test_rows_that_a_service_takes_together_stay_together_while_that_takes_seconds():
    fast = played(lambda rows: 0.5 + rows * 0.005, pace=Pace(together=400))
    assert min(rows for rows, _ in fast[10:]) >= 400
    slow = played(lambda rows: 0.5 + rows * 1.0, pace=Pace(together=400))
    assert max(seconds for _, seconds in slow) < 12


def test_one_slow_slice_is_made_up_for_at_once():
    pace = Pace()
    played(lambda rows: rows * 1e-7, 10, pace)
    pace.took(BATCH, 20.0)
    assert [rows for rows, _ in played(lambda rows: rows * 1e-7, 12, pace)][-1] == BATCH


def test_the_end_of_a_batch_does_not_make_the_next_slices_small():
    pace = Pace()
    played(lambda rows: rows * 1e-7, 10, pace)
    pace.took(3, 0.001)
    assert pace.rows >= BATCH


def test_a_source_is_told_of_the_slowest_rows_it_reads():
    paces = Paces()
    context = PacedContext.of(TaskContext(JobContext(1), batch_rows=5_000), paces, "")
    assert context.batch_rows == 1
    paces.of("fast").rows, paces.of("slow").rows = 100_000, 7
    assert context.batch_rows == 7
    assert PacedContext.of(context, paces, "fast").batch_rows == 7, "what it was told when it was made is the most"
    assert PacedContext.of(TaskContext(JobContext(1), batch_rows=5_000), paces, "fast").batch_rows == 5_000
