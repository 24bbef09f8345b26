from headrace.api.checkpoints import entries, overview
from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind
from headrace.checkpoint.history import REMEMBERED, History


def checkpoint(number, kind=CheckpointKind.CHECKPOINT):
    return Checkpoint(7, 1, 1, 1, number, kind, triggered=10.0, completed=10.5)


def test_a_checkpoint_that_is_given_up_is_shown_with_its_reason():
    history = History(1)
    history.began(1, CheckpointKind.CHECKPOINT, 5.0)
    history.gave_up(1, "the disk is full", 6.0)
    (pipeline,) = overview(7, [history], 10)["pipelines"]
    assert pipeline["counts"] == {"triggered": 1, "completed": 0, "failed": 1, "inProgress": 0, "restored": 0}
    assert pipeline["latestFailed"] == {
        "checkpointId": 1,
        "checkpointType": "checkpoint",
        "status": "FAILED",
        "triggerTimestamp": 5000,
        "completedTimestamp": 6000,
        "durationMillis": 1000,
        "failureReason": "the disk is full",
    }


def test_what_is_under_way_is_shown_and_given_up_with_its_start():
    history = History(1)
    history.began(1, CheckpointKind.SAVEPOINT, 5.0)
    (pipeline,) = overview(7, [history], 10)["pipelines"]
    assert [found["status"] for found in pipeline["inProgress"]] == ["IN_PROGRESS"]
    history.stopped("the worker died", 6.0)
    assert [found["checkpoint"]["status"] for found in entries([history])] == ["FAILED"]


def test_remembers_the_newest_and_counts_all():
    history = History(1)
    for number in range(REMEMBERED + 5):
        history.began(number + 1, CheckpointKind.CHECKPOINT, 5.0)
        history.done(checkpoint(number + 1), 9)
    assert (history.completed, len(history.entries)) == (REMEMBERED + 5, REMEMBERED)
    assert history.of_status()[0].id == REMEMBERED + 5


def test_the_record_of_the_splits_is_no_checkpoint():
    history = History.of_stored(1, [(checkpoint(0, CheckpointKind.START), 5), (checkpoint(1), 6)])
    assert [entry.id for entry in history.of_status()] == [1]
