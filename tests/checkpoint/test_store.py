import os
import threading
from dataclasses import replace

import pytest

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind
from headrace.checkpoint.store import FileStore
from headrace.connector import Split
from headrace.errors import CheckpointError

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


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "checkpoints")


def test_gives_back_what_was_saved(store):
    store.save(CHECKPOINT, retain=3)
    assert store.latest(7, 1) == CHECKPOINT


def test_keeps_the_newest_checkpoints_of_each_pipeline(store):
    for number in range(5):
        store.save(replace(CHECKPOINT, id=number), retain=2)
    store.save(replace(CHECKPOINT, id=9, pipeline=11), retain=2)
    assert [(c.pipeline, c.id) for c in store.all(7)] == [(1, 3), (1, 4), (11, 9)]
    assert [c.id for c in store.all(7, 1)] == [3, 4]


def test_counts_epochs_over_all_processes_that_claim_one(store):
    claimed = []
    threads = [threading.Thread(target=lambda: claimed.append(store.claim_epoch(7, 1))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(1, 21))


def test_refuses_a_checkpoint_of_an_older_epoch(store):
    for _ in range(2):
        store.claim_epoch(7, 1)
    with pytest.raises(CheckpointError, match="epoch 1 was replaced by epoch 2"):
        store.save(CHECKPOINT, retain=1)


def test_an_interrupted_save_leaves_the_one_before(store, monkeypatch):
    store.save(CHECKPOINT, retain=3)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
    with pytest.raises(CheckpointError, match="No space left on device"):
        store.save(replace(CHECKPOINT, id=4), retain=3)
    assert store.latest(7, 1) == CHECKPOINT


def test_a_broken_file_is_an_error_not_an_old_state(store, tmp_path):
    store.save(CHECKPOINT, retain=3)
    (tmp_path / "checkpoints" / "7" / "1-000000000004.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot read checkpoint"):
        store.latest(7, 1)


def test_forgets_a_job(store):
    store.save(CHECKPOINT, retain=3)
    store.delete(7)
    assert store.latest(7, 1) is None
