import pytest

from headrace.config.job import parse_job
from headrace.errors import NotEnoughMemory
from headrace.execution.budget import LEAST_BYTES, Budget, check_budget
from headrace.memory import MIB
from headrace.plan.plan import make_plan

GIB = 1024 * MIB


def plan(parallelism=1):
    return make_plan(parse_job(f"env {{ parallelism = {parallelism} }}\nsource {{ {FAKE} }}\nsink {{ Console {{}} }}"))


FAKE = "FakeSource { schema { fields { id = int } } }"


def test_what_is_left_beside_the_idle_process_is_divided_among_its_tasks():
    budget = Budget(1000 * MIB, lambda: 200 * MIB)
    first = budget.join()
    assert first.bytes == 800 * MIB
    second = budget.join()
    assert (first.bytes, second.bytes) == (400 * MIB, 400 * MIB)
    budget.leave(second)
    assert first.bytes == 800 * MIB


def test_the_first_of_several_tasks_takes_no_more_than_its_share():
    budget = Budget(1000 * MIB, lambda: 200 * MIB)
    assert budget.join(8).bytes == 100 * MIB


def test_batches_queues_and_writers_fit_into_a_share_together():
    share = Budget(300 * MIB, lambda: 100 * MIB).join(4)
    assert share.batch_bytes < share.in_flight
    assert share.in_flight + 10 * share.held_bytes(10) <= share.bytes // 2


def test_a_big_budget_changes_nothing():
    share = Budget(100 * GIB, lambda: GIB).join()
    assert (share.batch_bytes, share.in_flight) == (16 * MIB, 64 * MIB)


def test_a_process_is_tight_before_it_is_full(monkeypatch):
    monkeypatch.setattr("headrace.execution.budget.MEASURE_SECONDS", 0.0)
    held = [100 * MIB]
    share = Budget(400 * MIB, lambda: held[0]).join()
    assert not share.is_tight()
    held[0] = 350 * MIB
    assert share.is_tight()
    held[0] = 150 * MIB
    assert not share.is_tight()


def test_the_minimum_counts_every_task_where_it_runs():
    least = 100 * MIB + 4 * LEAST_BYTES
    check_budget(plan(4), least, 100 * MIB, 1)
    with pytest.raises(NotEnoughMemory, match=r"4 tasks and the processes around need 169 MiB; raise --memory"):
        check_budget(plan(4), least - 1, 100 * MIB, 1)
    with pytest.raises(NotEnoughMemory, match=r"a task .* need 121 MiB; raise --memory to that$"):
        check_budget(plan(), 0, 100 * MIB, 1)
    with pytest.raises(NotEnoughMemory, match="or lower env.parallelism, or take fewer workers"):
        check_budget(plan(4), 0, 100 * MIB, 2)


def test_a_plugin_says_what_it_needs(monkeypatch):
    job = plan()
    monkeypatch.setattr(type(job.pipelines[0].source.instance), "memory_bytes", 200 * MIB)
    with pytest.raises(NotEnoughMemory, match="need 208 MiB"):
        check_budget(job, 0, 0, 1)
