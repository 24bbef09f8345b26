"""Checkpoints as SeaTunnel 2.3.13 shows them: `/jobs/checkpoints/:id` and its history."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.checkpoint.checkpoint import CheckpointKind
from headrace.checkpoint.history import COMPLETED, FAILED, IN_PROGRESS, Entry, History

STATUSES = (IN_PROGRESS, COMPLETED, FAILED)


def overview(job_id: int, histories: Sequence[History], now: float) -> dict[str, Any]:
    """The answer about a job; only its id when nothing is known of its checkpoints."""
    if not histories:
        return {"jobId": str(job_id)}
    pipelines = [_pipeline(history) for history in histories]
    return {"jobId": str(job_id), "updatedAt": int(now * 1000), "pipelines": pipelines}


def entries(
    histories: Sequence[History], pipeline: int | None = None, status: str | None = None, limit: int = 20
) -> list[dict[str, Any]]:
    """Checkpoints of a job's pipelines, newest first."""
    found = [(h.pipeline, entry) for h in histories if pipeline in (None, h.pipeline) for entry in h.of_status(status)]
    found.sort(key=lambda item: -item[1].triggered)
    return [{"pipelineId": number, "checkpoint": _checkpoint(entry)} for number, entry in found[:limit]]


def _pipeline(history: History) -> dict[str, Any]:
    done, failed = history.of_status(COMPLETED), history.of_status(FAILED)
    under_way = history.of_status(IN_PROGRESS)
    savepoints = [entry for entry in done if entry.kind is CheckpointKind.SAVEPOINT]
    return {
        "pipelineId": history.pipeline,
        "counts": {
            "triggered": history.triggered,
            "completed": history.completed,
            "failed": history.failed,
            "inProgress": len(under_way),
            "restored": history.restored,
        },
        "latestCompleted": _first(done),
        "latestFailed": _first(failed),
        "latestSavepoint": _first(savepoints),
        "inProgress": [_checkpoint(entry) for entry in under_way],
        "history": [
            {"pipelineId": history.pipeline, "checkpoint": _checkpoint(e)} for e in [*history.of_status()][:20]
        ],
    }


def _first(found: Sequence[Entry]) -> Mapping[str, Any]:
    return _checkpoint(found[0]) if found else {}


def _checkpoint(entry: Entry) -> dict[str, Any]:
    values: dict[str, Any] = {
        "checkpointId": entry.id,
        "checkpointType": str(entry.kind),
        "status": entry.status,
        "triggerTimestamp": int(entry.triggered * 1000),
    }
    if entry.completed is not None:
        values["completedTimestamp"] = int(entry.completed * 1000)
        values["durationMillis"] = max(0, int((entry.completed - entry.triggered) * 1000))
    if entry.status == COMPLETED:
        values["stateSize"] = entry.size
    if entry.reason:
        values["failureReason"] = entry.reason
    return values
