"""Sets of splits are stored once; checkpoints carry what changed."""

import json
from dataclasses import replace

import pytest

from headrace.checkpoint.checkpoint import Checkpoint
from headrace.checkpoint.coordinator import Ack, CheckpointSettings, Coordinator, Save
from headrace.checkpoint.finished import FinishedMarks
from headrace.checkpoint.store import FileStore
from headrace.connector import Share, Split
from headrace.errors import CheckpointError

MANY = 20_000
SPLITS = tuple(
    Split(f"t:/data/part-{n:06d}.csv", 1 << 20, "t", data={"path": f"/data/{n}", "ü": n}) for n in range(MANY)
)


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path)


def first(store, splits):
    return Checkpoint(7, 1, 1, store.claim_epoch(7, 1), 0, splits=splits)


def sets(folder):
    return sorted(folder.rglob("*.splits"))


def test_few_splits_stand_in_the_checkpoint_itself(store, tmp_path):
    base = first(store, (Split("a", after=("b",), share=Share("x", only="t", start=[1])), Split("b", data={"k": [1]})))
    store.save(base, 3)
    assert sets(tmp_path) == []
    assert store.latest(7, 1) == base


def test_many_splits_are_stored_once_and_checkpoints_stay_small(store, tmp_path):
    base = first(store, SPLITS)
    store.save(base, 3)
    coordinator, found = Coordinator(base, 2, CheckpointSettings(interval=1), 0, tells_ends=False), []
    for number in range(1, 11):
        done = frozenset(split.id for split in SPLITS[number * 1000 - 1000 : number * 1000])
        coordinator.tick(number * 2)
        coordinator.acked(0, number, Ack({split: [9, 0] for split in done}, done), number * 2)
        [save] = coordinator.acked(1, number, Ack({SPLITS[-1].id: [number, 0]}), number * 2)
        assert isinstance(save, Save)
        found.append(store.save(save.checkpoint, 3))
        coordinator.saved(number, number * 2)
    assert max(found) < 1000
    assert len(sets(tmp_path)) == 1
    again = FileStore(tmp_path).latest(7, 1)
    assert again == save.checkpoint
    assert set(again.finished) == {split.id for split in SPLITS[:10_000]}


def test_splits_that_appear_later_are_stored_beside_those_that_are(store, tmp_path):
    base = first(store, SPLITS[:500])
    for count in (500, 550, 700, 701):
        base = replace(base, id=base.id + 1, splits=(*base.splits, *SPLITS[len(base.splits) : count]))
        store.save(base, 10)
    assert len(sets(tmp_path)) == 2
    assert [len(checkpoint.splits) for checkpoint in FileStore(tmp_path).all(7)] == [500, 550, 700, 701]
    assert FileStore(tmp_path).latest(7, 1).splits == SPLITS[:701]


@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_a_damaged_set_is_named(store, tmp_path, damage):
    store.save(first(store, SPLITS[:500]), 3)
    [file] = sets(tmp_path)
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(content[:100] if damage == "cut" else content[:-20] + bytes(20))
    with pytest.raises(CheckpointError, match=f"its splits, {file.name}, are"):
        FileStore(tmp_path).latest(7, 1)


def test_a_start_stores_its_set_again_whatever_was_removed_since(store, tmp_path):
    store.save(first(store, SPLITS[:500]), 3)
    FileStore(tmp_path).delete(7)
    assert sets(tmp_path) == []
    store.save(first(store, SPLITS[:500]), 3)
    assert FileStore(tmp_path).latest(7, 1).splits == SPLITS[:500]


def test_names_that_are_not_utf_8_are_stored(store, tmp_path):
    odd = tuple(replace(split, id=split.id + "\udcff", data={"path": "\udc80\n"}) for split in SPLITS[:200])
    store.save(first(store, odd), 3)
    assert FileStore(tmp_path).latest(7, 1).splits == odd


def test_checkpoints_of_older_versions_are_read(store, tmp_path):
    base = replace(first(store, SPLITS[:500]), finished=frozenset({SPLITS[3].id}), positions={SPLITS[3].id: 1})
    old = base.to_json()
    assert (len(old["splits"]), old["finished"]) == (500, [SPLITS[3].id])
    assert Checkpoint.from_json(json.loads(json.dumps(old))) == base


def test_finished_splits_are_a_set():
    marks = FinishedMarks(SPLITS[:5], (SPLITS[1].id, "unknown"))
    before = marks.now()
    marks.extend(SPLITS[4:7])
    marks.add(SPLITS[6].id)
    assert (len(before), len(marks.now()), len(marks.splits)) == (1, 2, 7)
    assert before == {SPLITS[1].id}
    assert SPLITS[6].id in marks.now()
    assert SPLITS[6].id not in before
    assert marks.now().spans() == [[1, 2], [6, 7]]
    assert marks.now() | {"x"} == {SPLITS[1].id, SPLITS[6].id, "x"}
