"""Every store passes the same contract: directories, a moto server, and a real S3 gateway."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind
from headrace.checkpoint.location import open_store
from headrace.checkpoint.store import FileStore, stored_histories
from headrace.connector import Split
from headrace.errors import CheckpointError, ConfigError, Replaced, StoreUnavailable
from tests.checkpoint.s3 import KEY, SECRET, Gateway, Imitation

CHECKPOINT = Checkpoint(
    7, 1, 1, 1, 3,
    CheckpointKind.SAVEPOINT,
    splits=(Split("a", 10, "t", ("b",), {"path": "ü"}), Split("b")),
    positions={"a": [1, "x"]},
    finished=frozenset({"b"}),
    states={"Sink[0]": {"t": [1, 2]}},
    committables={"Sink[0]": [{"file": "f"}]},
    counts={"Source[0]|t": {"rows": 5}},
    steps=("Source[0]-A", "Sink[0]-B"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def first_epoch_is_1(monkeypatch):
    """A job's first epoch is the time in seconds, so that it is newer than those of a deleted state."""
    monkeypatch.setattr("headrace.checkpoint.store.time", SimpleNamespace(time=lambda: 1.0))


class StoreContract:
    """Give a `store` that holds nothing, and `damage`, which replaces what is stored under a name."""

    def damage(self, store, change):
        """Change the bytes of the newest checkpoint of job 7."""
        name = store._names(7, None)[-1]
        store._blobs.put(name, change(store._blobs.get(name)[0]))

    def save(self, store, *numbers, retain=3, pipeline=1):
        for number in numbers:
            epoch = store.epoch(7, pipeline) or store.claim_epoch(7, pipeline)
            store.save(replace(CHECKPOINT, id=number, pipeline=pipeline, epoch=epoch), retain)

    def test_gives_back_what_was_saved(self, store):
        self.save(store, 3)
        assert store.latest(7, 1) == CHECKPOINT
        assert store.all(7) == [CHECKPOINT]

    def test_holds_nothing_at_first(self, store):
        assert (store.latest(7, 1), store.all(7), store.epoch(7, 1)) == (None, [], 0)

    def test_a_second_save_of_a_number_replaces_the_first(self, store):
        self.save(store, 3)
        store.save(replace(CHECKPOINT, counts={}), 3)
        assert [c.counts for c in store.all(7)] == [{}]

    def test_keeps_the_newest_checkpoints_of_each_pipeline(self, store):
        self.save(store, 0, 1, 2, 3, 4, retain=2)
        self.save(store, 9, retain=2, pipeline=11)
        assert [(c.pipeline, c.id) for c in store.all(7)] == [(1, 3), (1, 4), (11, 9)]
        assert [c.id for c in store.all(7, 1)] == [3, 4]

    def test_each_epoch_is_claimed_once(self, store):
        with ThreadPoolExecutor(8) as pool:
            claimed = list(pool.map(lambda _: store.claim_epoch(7, 1), range(16)))
        assert sorted(claimed) == list(range(1, 17))
        assert store.epoch(7, 1) == 16

    def test_an_epoch_after_a_deletion_is_newer_than_all_before(self, store, monkeypatch):
        before = [store.claim_epoch(7, 1) for _ in range(3)]
        store.delete(7)
        monkeypatch.setattr("headrace.checkpoint.store.time", SimpleNamespace(time=lambda: 10.0))
        assert store.claim_epoch(7, 1) > max(before)

    def test_an_epoch_that_cannot_be_read_is_named_with_its_cure(self, store):
        self.save(store, 3)
        for content in (b"", b"x", b"\xff", b"-1", b"9" * 30):
            store._blobs.put("7/1.epoch", content)
            with pytest.raises(CheckpointError, match="cannot read 7/1.epoch in .* or remove it once nothing runs"):
                store.epoch(7, 1)
        store._blobs.delete(["7/1.epoch"])
        assert store.claim_epoch(7, 1) == 2, "more than what is stored has, whatever the clock says"

    def test_refuses_a_checkpoint_of_an_older_epoch(self, store):
        self.save(store, 3)
        store.claim_epoch(7, 1)
        with pytest.raises(Replaced, match="epoch 1 was replaced by epoch 2"):
            store.save(replace(CHECKPOINT, id=4), retain=1)
        assert store.latest(7, 1) == CHECKPOINT

    def test_refuses_a_checkpoint_of_a_job_that_has_ended(self, store):
        self.save(store, 3)
        store.delete(7)
        with pytest.raises(Replaced, match="the job has ended"):
            store.save(replace(CHECKPOINT, id=4), retain=1)
        assert store.all(7) == []

    def test_whoever_was_taken_over_cannot_take_back(self, store):
        mine = store.claim_epoch(7, 1)
        assert store.claim_epoch(7, 1, mine) == mine + 1
        store.claim_epoch(7, 1)
        with pytest.raises(Replaced):
            store.claim_epoch(7, 1, mine + 1)

    def test_a_save_that_a_newer_epoch_overtakes_is_refused_or_found(self, store):
        """The checkpoint is put, then the epoch is looked at: a start that claims in between finds it."""
        store.claim_epoch(7, 1)
        put = store._blobs.put

        def overtaken(name, content):
            store.claim_epoch(7, 1)
            put(name, content)

        store._blobs.put = overtaken
        with pytest.raises(Replaced):
            store.save(CHECKPOINT, retain=3)
        store._blobs.put = put
        assert store.latest(7, 1) == CHECKPOINT, "the new start may have gone on from it already"
        store.save(replace(CHECKPOINT, id=2, epoch=2), retain=3)
        assert store.latest(7, 1).epoch == 2

    @pytest.mark.parametrize(
        "change",
        [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b.replace(b'"rows":5', b'"rows":6')],
        ids=["cut", "empty", "changed"],
    )
    def test_a_damaged_checkpoint_is_an_error_not_an_old_state(self, store, change):
        self.save(store, 2, 3)
        self.damage(store, change)
        with pytest.raises(CheckpointError, match="cannot read checkpoint 7/1-000001-000000000003.json"):
            store.latest(7, 1)

    def test_a_damaged_checkpoint_is_passed_over_where_that_is_asked_for(self, store):
        self.save(store, 2, 3)
        self.damage(store, lambda content: content[:-40])
        problems = []
        assert store.latest(7, 1, problems.append).id == 2
        assert ["checksum" in problem for problem in problems] == [True]

    def test_what_is_stored_is_shown_with_what_is_damaged(self, store):
        self.save(store, 2, 3)
        self.save(store, 9, pipeline=2)
        self.damage(store, lambda content: content[:-40])
        with pytest.raises(CheckpointError, match="checksum"):
            store.all(7)
        histories = stored_histories(store, 7)
        assert [(h.pipeline, e.id, e.status) for h in histories for e in h.of_status()] == [
            (1, 3, "COMPLETED"), (1, 2, "COMPLETED"), (2, 9, "FAILED"),
        ]  # fmt: skip
        assert "checksum" in histories[1].entries[9].reason
        assert histories[1].entries[9].triggered == 0, "nobody knows when"

    def test_is_not_passed_over_when_nothing_else_is_left(self, store):
        self.save(store, 3)
        self.damage(store, lambda content: content[:-40])
        with pytest.raises(CheckpointError, match="checksum"):
            store.latest(7, 1, lambda problem: None)

    def test_forgets_a_job_and_only_that(self, store):
        self.save(store, 3)
        store.claim_epoch(77, 1)
        store.delete(7)
        store.delete(8)
        assert (store.latest(7, 1), store.epoch(7, 1), store.epoch(77, 1)) == (None, 0, 1)

    def test_a_big_checkpoint_is_one_piece(self, store):
        splits = tuple(Split(f"split-{i:06d}", i, "table", data={"path": "x" * 100}) for i in range(40_000))
        store.claim_epoch(7, 1)
        store.save(replace(CHECKPOINT, splits=splits), 3)
        assert store.latest(7, 1).splits == splits


class TestFiles(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return open_store(str(tmp_path / "checkpoints"), tmp_path / "unused", {})

    def test_an_interrupted_save_leaves_the_one_before(self, store, monkeypatch):
        self.save(store, 3)
        monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StoreUnavailable, match="No space left on device"):
            store.save(replace(CHECKPOINT, id=4), retain=3)
        assert store.all(7) == [CHECKPOINT]

    def test_what_a_killed_save_left_is_not_seen(self, store, tmp_path):
        self.save(store, 3)
        (tmp_path / "checkpoints" / "7" / ".1-000001-000000000004.json.77.tmp").write_text("{")
        assert store.all(7) == [CHECKPOINT]
        store.delete(7)
        assert not (tmp_path / "checkpoints" / "7").exists()

    def test_the_newest_goes_last(self, store, monkeypatch):
        self.save(store, 3, 4, 11)
        gone = []
        monkeypatch.setattr(store._blobs, "delete", gone.extend)
        store.delete(7)
        numbers = [f"7/1-000001-{number:012d}.json" for number in (3, 4, 11)]
        assert gone == [*numbers, "7/1.epoch"]

    def test_leaves_the_files_of_others_alone(self, store, tmp_path):
        self.save(store, 3)
        theirs = tmp_path / "checkpoints" / "7" / "1753000000-abc-1-2.ser"
        theirs.write_text("SeaTunnel's")
        assert store.all(7) == [CHECKPOINT]
        store.delete(7)
        assert theirs.exists()

    def test_processes_that_claim_at_the_same_time_get_different_epochs(self, store, tmp_path):
        code = (
            "import sys, pathlib; from headrace.checkpoint.store import FileStore\n"
            "for _ in range(20): print(FileStore(pathlib.Path(sys.argv[1])).claim_epoch(7, 1))"
        )
        folder = str(tmp_path / "checkpoints")
        started = [
            subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True) for _ in range(3)
        ]
        claimed = [int(line) for process in started for line in process.communicate(timeout=60)[0].split()]
        assert sorted(claimed) == list(range(min(claimed), min(claimed) + 60))


class S3Contract(StoreContract):
    """Give an `endpoint` with a bucket called `bucket`."""

    @pytest.fixture
    def prefix(self, request):
        return f"s3://bucket/{request.node.name}".replace("[", "-").replace("]", "")

    @pytest.fixture
    def store(self, endpoint, prefix, tmp_path):
        options = {"endpoint": endpoint, "access_key": KEY, "secret_key": SECRET}
        return open_store(prefix, tmp_path, options)

    def test_wrong_keys_are_an_error_without_the_secret(self, endpoint, prefix, tmp_path):
        options = {"endpoint": endpoint, "access_key": KEY, "secret_key": "wrong-secret"}
        store = open_store(prefix, tmp_path, options)
        with pytest.raises(StoreUnavailable) as error:
            store.claim_epoch(7, 1)
        assert "wrong-secret" not in str(error.value)
        assert prefix in str(error.value)

    def test_a_bucket_that_is_not_there_is_an_error(self, endpoint, tmp_path):
        options = {"endpoint": endpoint, "access_key": KEY, "secret_key": SECRET}
        with pytest.raises(StoreUnavailable, match="no-such-bucket"):
            open_store("s3://no-such-bucket/x", tmp_path, options).claim_epoch(7, 1)

    def test_keys_come_from_the_environment_when_none_are_given(self, endpoint, prefix, tmp_path, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        assert open_store(prefix, tmp_path, {"endpoint": endpoint}).claim_epoch(7, 1) == 1


@pytest.fixture(scope="module")
def moto():
    running = Imitation().start()
    yield running.endpoint
    running.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    running = Gateway(tmp_path_factory.mktemp("s3")).start()
    yield running
    running.stop()


class TestMoto(S3Contract):
    """An imitation of S3 that starts in a second."""

    @pytest.fixture
    def endpoint(self, moto):
        return moto

    def test_wrong_keys_are_an_error_without_the_secret(self):
        """moto accepts every key."""


@pytest.mark.slow
@pytest.mark.service
class TestGateway(S3Contract):
    """A real one."""

    @pytest.fixture
    def endpoint(self, gateway):
        return gateway.endpoint

    def test_a_server_that_is_away_is_told_within_the_time_of_a_request(self, gateway, store):
        self.save(store, 3)
        gateway.stop()
        with pytest.raises(StoreUnavailable):
            store.save(replace(CHECKPOINT, id=4), retain=3)
        gateway.start()
        self.save(store, 5)
        assert [c.id for c in store.all(7)] == [3, 5]

    def test_a_server_that_hangs_is_given_up(self, gateway, store):
        self.save(store, 3)
        gateway.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            with pytest.raises(StoreUnavailable):
                store.latest(7, 1)
        finally:
            gateway.process.send_signal(signal.SIGCONT)
        assert time.monotonic() - began < 120
        assert store.latest(7, 1) == CHECKPOINT


@pytest.mark.parametrize(
    ("place", "options", "problem"),
    [
        ("ftp://host/x", {}, "is not a place for checkpoints"),
        ("s3://", {}, "is not a place for checkpoints"),
        ("s3://user:pass@bucket/x", {}, "is not a place for checkpoints"),
        ("gs://bucket/x", {"access_key": "k"}, "access_key: only for s3://"),
    ],
)
def test_a_place_that_cannot_be_is_refused(place, options, problem, tmp_path):
    with pytest.raises(ConfigError, match=problem):
        open_store(place, tmp_path, options)


def test_without_a_place_checkpoints_are_in_the_home(tmp_path):
    store = open_store(None, tmp_path / "checkpoints", {})
    store.claim_epoch(7, 1)
    store.save(CHECKPOINT, 3)
    assert FileStore(tmp_path / "checkpoints").latest(7, 1) == CHECKPOINT
    assert open_store(f"file://{tmp_path}/checkpoints", tmp_path, {}).latest(7, 1) == CHECKPOINT
