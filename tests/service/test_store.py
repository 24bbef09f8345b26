import sqlite3
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from headrace.errors import HeadraceError
from headrace.execution.progress import Counts
from headrace.jobs.leases import Leases
from headrace.jobs.outline import Line, Outline, Part
from headrace.jobs.record import JobRecord, JobText, Metrics, Node
from headrace.jobs.status import JobStatus
from headrace.jobs.store import store_in

PART = Part(1, "source", 0, "FakeSource", "fake", (), (2,), ("a.b", "ü.ß"), "m:C")
SINK = Part(2, "sink", 0, "LocalFile", "", ("fake",), (), ("a.b",), "m:D", commits=True)
OUTLINE = Outline((Line(1, 3, (PART, SINK)),))
METRICS = Metrics({(1, "a.b"): Counts(7, 70), (2, "ü.ß"): Counts(3, committed=2)}, 1.5, 2.5, 4, 1, "waits")


def record(**values):
    given = {
        "job_id": 1,
        "run": 1,
        "name": "ein Auftrag 测试",
        "mode": "BATCH",
        "status": JobStatus.CREATED,
        "env": {"job.mode": "BATCH", "list": ["x", 1], "map": {"k": None}},
        "outline": OUTLINE,
        "created": 1000.0,
        "owner": "me",
    }
    return JobRecord(**{**given, **values})


record.text = JobText('{"password": "s3cret-value"}', "json", {"a": "b"})


@pytest.fixture
def store(tmp_path):
    found = store_in(tmp_path)
    yield found
    found.close()


def test_gives_back_what_was_added(store):
    assert store.add(record(metrics=METRICS), record.text).result() is True
    assert store.get(1) == record(metrics=METRICS)
    assert store.text(record()) == record.text
    assert store.get(2) is None


def test_a_run_is_added_once(store):
    assert store.add(record(), record.text).result() is True
    assert store.add(record(name="other"), record.text).result() is False
    assert store.get(1).name == record().name


def test_the_last_run_of_an_id_counts(store):
    store.add(record(status=JobStatus.FINISHED), record.text).result()
    store.add(record(run=2, name="again"), record.text).result()
    assert store.get(1).name == "again"


def test_the_version_counts_every_change_whoever_holds_an_older_record(store):
    store.add(record(), record.text).result()
    for status in (JobStatus.SCHEDULED, JobStatus.RUNNING):
        store.change(store.get(1), status=status).result()
    held = store.get(1)
    for seconds in range(3):
        store.change(held, metrics=Metrics(checkpoints=seconds)).result()
    assert store.request(1, "savepoint").result() is True
    assert store.get(1).version == record().version + 6
    assert store.unfinished_keys() == [(1, 1, record().version + 6)]


def test_says_who_owns_the_last_run(store):
    assert store.owner(1) is None
    store.add(record(status=JobStatus.FINISHED), record.text).result()
    store.add(record(run=2, owner="other", epoch=3), record.text).result()
    assert store.owner(1) == (2, "other", 3)


def test_stores_that_begin_together_make_one_schema(tmp_path):
    stores, errors = [], []

    def begin():
        try:
            stores.append(store_in(tmp_path))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    added = [store.add(record(job_id=number), record.text).result() for number, store in enumerate(stores, 1)]
    assert (errors, added) == ([], [True] * 8)
    for store in stores:
        store.close()


def test_a_change_is_made_only_to_what_it_was_made_for(store):
    store.add(record(), record.text).result()
    first = store.change(record(), status=JobStatus.SCHEDULED).result()
    assert (first.status, first.version) == (JobStatus.SCHEDULED, 2)
    assert store.change(record(), status=JobStatus.CANCELED).result() is None
    taken = store.change(first, owner="other", epoch=2).result()
    assert store.change(first, status=JobStatus.RUNNING).result() is None
    assert store.change(taken, status=JobStatus.RUNNING).result() == store.get(1)


def test_of_many_changes_at_once_one_is_made(tmp_path):
    stores = [store_in(tmp_path) for _ in range(4)]
    stores[0].add(record(), record.text).result()
    won = []

    def try_it(store, number):
        changes = [store.change(record(), owner=f"owner-{number}", epoch=2) for _ in range(20)]
        won.extend(number for change in changes if change.result() is not None)

    threads = [threading.Thread(target=try_it, args=(store, n)) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert stores[3].get(1).owner == f"owner-{won[0]}"
    for store in stores:
        store.close()


def test_an_end_drops_the_text(store):
    store.add(record(), record.text).result()
    store.change(record(), status=JobStatus.CANCELED, ended=5.0).result()
    with pytest.raises(HeadraceError, match="the text of job 1 is gone"):
        store.text(record())


def test_no_secret_is_readable_in_the_files(store, tmp_path):
    store.add(record(), record.text).result()
    for file in tmp_path.iterdir():
        assert b"s3cret-value" not in file.read_bytes()
    assert (tmp_path / "store.key").stat().st_mode & 0o077 == 0


def test_a_text_of_another_key_says_so(tmp_path):
    first = store_in(tmp_path)
    first.add(record(), record.text).result()
    first.close()
    (tmp_path / "store.key").unlink()
    second = store_in(tmp_path)
    with pytest.raises(HeadraceError, match="stored with another key"):
        second.text(record())
    second.close()


def test_lists_in_their_order(store):
    for number, (status, ended) in enumerate(
        [("FINISHED", 30.0), ("RUNNING", None), ("FAILED", 10.0), ("FINISHED", 20.0), ("PENDING", None)], 1
    ):
        store.add(record(job_id=number, status=JobStatus(status), ended=ended), record.text).result()
    assert [r.job_id for r in store.unfinished()] == [2, 5]
    assert [key[0] for key in store.finished_keys()] == [1, 4, 3]
    assert [key[0] for key in store.finished_keys("FINISHED", since=25.0)] == [1]
    assert [key[0] for key in store.finished_keys("RUNNING")] == []
    assert store.counts() == {"FINISHED": 2, "RUNNING": 1, "FAILED": 1, "PENDING": 1}
    assert store.forget(before=15.0).result() == {3: 1}
    assert store.get(3) is None
    assert {r.job_id for r in store.runs([(1, 1), (4, 1), (9, 1)])} == {1, 4}


def test_a_job_is_forgotten_with_its_last_run(store):
    for run, ended in ((1, 10.0), (2, 20.0), (3, 30.0)):
        store.add(record(run=run, status=JobStatus.FINISHED, ended=ended), record.text).result()
    assert store.forget(before=25.0).result() == {}
    assert store.get(1).run == 3
    store.add(record(run=4, status=JobStatus.RUNNING), record.text).result()
    assert store.forget(before=40.0).result() == {}
    store.add(record(job_id=2, run=1, status=JobStatus.FAILED, ended=5.0), record.text).result()
    assert store.forget(before=40.0).result() == {2: 1}


def test_requests_reach_the_owner(store):
    store.add(record(status=JobStatus.RUNNING), record.text).result()
    assert store.request(1, "savepoint").result() is True
    assert store.requests("me") == [(1, 1, "savepoint")]
    assert store.requests("other") == []
    assert store.request(1, "cancel").result() is True
    assert store.request(1, "savepoint").result() is False  # who cancels, means it
    assert store.requests("me") == [(1, 1, "cancel")]
    assert store.request(99, "cancel").result() is False


def test_ids_are_new_increasing_and_small(store):
    ids = [store.new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
    assert ids[-1] < 2**53


def test_a_node_lives_while_it_says_so(store):
    store.beat(Node("a", "h:1", 1.0, 100.0, None, 0, {"tag": "x"})).result()
    store.beat(Node("b", "h:2", 0.5, 50.0, 4, 1, {})).result()
    store.beat(Node("b", "h:2", 0.5, 60.0, 4, 2, {})).result()
    assert [node.id for node in Leases(5).living(store.nodes(), 55.0, 0.0)] == ["b", "a"]
    assert [node.id for node in Leases(5).living(store.nodes(), 61.0, 0.0)] == ["a"]
    store.leave("a").result()
    assert [node.id for node in store.nodes()] == ["b"]


def test_what_was_answered_survives_a_kill(tmp_path):
    program = """
import os, sys
from pathlib import Path
from headrace.jobs.store import store_in
from tests.service.test_store import record
store = store_in(Path(sys.argv[1]))
assert store.add(record(), record.text).result()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=60)
    store = store_in(tmp_path)
    assert store.get(1) == record()
    store.close()


def test_a_store_that_cannot_be_written_says_so(store, tmp_path):
    lock = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    lock.execute("DROP TABLE nodes")
    lock.close()
    with pytest.raises(HeadraceError, match="cannot write to the store of jobs"):
        store.beat(Node("a", "h:1", 1.0, 100.0, None, 0, {})).result()
    assert store.add(record(), record.text).result() is True


def test_writes_that_come_together_share_a_commit(store):
    futures = [store.add(record(job_id=number), record.text) for number in range(1, 400)]
    started = time.monotonic()
    assert all(future.result() for future in futures)
    assert time.monotonic() - started < 30
    assert list(map(partial(getattr, store.get(399)), ["job_id"])) == [399]
