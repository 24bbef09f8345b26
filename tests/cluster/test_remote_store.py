"""A store of jobs that another node serves: the same answers, also where some of them are lost on the way."""

import time
from types import SimpleNamespace

import pytest

from headrace.api.server import HEAD_SECONDS, _store
from headrace.errors import ConfigError, HeadraceError, JobStoreUnavailable, OtherRelease
from headrace.jobs.outline import Outline
from headrace.jobs.record import JobRecord, JobText, Node
from headrace.jobs.remote_store import RemoteStore, ServedStore
from headrace.jobs.seal import Seal
from headrace.jobs.status import JobStatus
from headrace.jobs.store import store_in
from headrace.server_settings import ServerSettings


def record(job_id, **values):
    given = {"name": "n", "mode": "BATCH", "status": JobStatus.CREATED, "env": {"a": [1, None]}, "outline": Outline(())}
    return JobRecord(job_id, 1, **{**given, "created": time.time(), "owner": "me", **values})


class Wire:
    """Between two nodes. lose: how many answers are lost from now on; cut: whether nothing arrives at all."""

    def __init__(self, served):
        self.served, self.lose, self.cut, self.sent = served, 0, False, []

    def __call__(self, content):
        if self.cut:
            raise HeadraceError("it is cut off")
        self.sent.append(content)
        answer = self.served.answer(content)
        if self.lose > 0:
            self.lose -= 1
            raise HeadraceError("the answer was lost")
        return answer


@pytest.fixture
def stores(tmp_path):
    seal = Seal.of_home(tmp_path)
    local = store_in(tmp_path, seal=seal)
    wire = Wire(ServedStore(local))
    remote = RemoteStore(wire, "head:5801", seal)
    yield local, remote, wire
    remote.close()
    local.close()


def test_what_is_written_through_it_is_read_alike_on_both_sides(stores):
    local, remote, _ = stores
    one = record(7, env={"text": "a\u00e4\U0001f600", "number": 2**62, "half": "\ud800"})
    assert remote.add(one, JobText("secret text", "hocon", {"a": "b"})).result()
    assert not remote.add(one, JobText("again")).result()
    assert remote.get(7) == local.get(7)
    assert remote.text(one) == local.text(one) == JobText("secret text", "hocon", {"a": "b"})
    assert remote.owner(7) == (1, "me", 1)
    changed = remote.change(one, status=JobStatus.SCHEDULED, started=1.5).result()
    assert changed.status is JobStatus.SCHEDULED
    assert remote.change(one, status=JobStatus.CANCELED).result() is None, "it is not what is stored any more"
    with pytest.raises(ValueError, match="cannot go from"):
        remote.change(one, status=JobStatus.FINISHED)
    assert remote.request(7, "cancel").result()
    assert remote.requests("me") == [(7, 1, "cancel")]
    assert remote.unfinished() == local.unfinished()
    assert remote.unfinished_keys() == local.unfinished_keys()
    remote.change(changed, status=JobStatus.FAILED, ended=2.0, error="e").result()
    assert remote.finished() == local.finished() == list(remote.runs([(7, 1)]))
    assert remote.finished_keys("FAILED") == local.finished_keys("FAILED") != []
    assert remote.counts() == {"FAILED": 1}
    assert remote.identity() == local.identity()
    assert remote.new_id() not in (7, 0)
    assert remote.forget(3.0).result() == {7: 1}
    assert remote.get(7) is None


def test_nodes_beat_drain_and_leave_through_it(stores):
    local, remote, _ = stores
    node = Node("a", "a:1", 1.0, 2.0, None, 3, {"zone": "x"}, "worker")
    remote.beat(node).result()
    assert remote.nodes() == local.nodes() == [node]
    assert remote.drain("a", drained=True).result()
    remote.beat(node).result()
    assert [one.drained for one in remote.nodes()] == [True], "a sign of life does not undo it"
    assert remote.leave("a").result() == 1


def test_a_write_whose_answer_is_lost_is_done_once(stores):
    local, remote, wire = stores
    wire.lose = 2
    assert remote.add(record(8), JobText("t")).result(), "the second try must not find the first one's record"
    assert len(wire.sent) == 3
    assert [one.job_id for one in local.unfinished()] == [8]


def test_writes_keep_their_order(stores):
    local, remote, _ = stores
    one = record(9)
    remote.add(one, JobText("t"))
    futures = [remote.change(one, metrics=one.metrics) for _ in range(50)]
    last = remote.change(one, status=JobStatus.SCHEDULED)
    assert all(future.result() is not None for future in futures)
    assert last.result() is not None
    assert local.get(9).version == 52


def test_what_cannot_be_asked_is_told_with_the_node_that_does_not_answer(stores):
    _, remote, wire = stores
    wire.cut = True
    with pytest.raises(HeadraceError, match="cannot read the store of jobs, which head:5801 serves: it is cut off"):
        remote.get(1)
    with pytest.raises(HeadraceError, match="cannot write to the store of jobs, which head:5801 serves"):
        remote.add(record(10), JobText("t")).result()
    wire.cut = False
    assert remote.get(10) is None


def test_only_what_may_mend_itself_is_told_as_away(stores):
    local, remote, wire = stores
    with pytest.raises(HeadraceError, match="cannot write to the store of jobs") as refused:
        remote.request(2**63, "cancel").result()
    assert not isinstance(refused.value, JobStoreUnavailable), "the same value is refused again"
    wire.cut = True
    with pytest.raises(JobStoreUnavailable):
        remote.request(1, "cancel").result()
    wire.cut = False
    with local._write_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs RENAME TO elsewhere")
    for store in (local, remote):
        with pytest.raises(JobStoreUnavailable):
            store.get(1)
        with pytest.raises(JobStoreUnavailable):
            store.request(1, "cancel").result()


def test_another_version_of_the_messages_is_refused_with_both(stores):
    _, remote, wire = stores
    remote._ask = lambda content: wire(content.replace(b'"version":1', b'"version":2'))
    for ask in (remote.counts, lambda: remote.request(1, "cancel").result(5)):  # none of them is tried again
        with pytest.raises(OtherRelease, match="head:5801: .* version 1 of the store's messages, and the other one 2"):
            ask()


def test_a_member_of_another_release_does_not_start_and_is_told_so_at_once(stores, tmp_path, monkeypatch):
    local, _, _ = stores
    monkeypatch.setattr("headrace.jobs.remote_store.VERSION", 2)
    asked = ServedStore(local).answer(b'{"version":1,"calls":[]}')
    peers = SimpleNamespace(ask=lambda *_: SimpleNamespace(status=200, content=asked))
    membership = SimpleNamespace(secret="s" * 32, head="head:5801", is_head=False)
    began = time.monotonic()
    with pytest.raises(ConfigError, match="run the same release of Headrace on both"):
        _store(ServerSettings(), membership, peers, tmp_path / "other")
    assert time.monotonic() - began < HEAD_SECONDS / 5, "it is not waited for, as a member that is not up yet is"
