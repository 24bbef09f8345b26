"""What the routes answer about jobs. The only place, with its neighbours, where names are written in camelCase."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from headrace import __version__
from headrace.api.dag import job_dag
from headrace.api.metrics import metrics
from headrace.javatext import java_double
from headrace.jobs.record import JobRecord
from headrace.jobs.service import Overview
from headrace.jobs.status import JobStatus
from headrace.server_settings import Wire


def running_job(record: JobRecord, wire: Wire) -> dict[str, Any]:
    """A job that has not ended. SeaTunnel page «rest-api»: running-jobs."""
    env = env_options(record.env, wire)
    plugins = dict.fromkeys(part.code for part in record.outline.parts())
    return {
        "jobId": str(record.job_id),
        "jobName": record.name,
        "jobStatus": record.status.value,
        "envOptions": env,
        "createTime": time_text(record.created),
        "startTime": None if record.status is JobStatus.PENDING else time_text(record.started or record.created),
        "jobDag": job_dag(record.job_id, env, record.outline),
        "pluginJarsUrls": [{"jarPath": f"python:{code}"} for code in plugins],
        "isStartWithSavePoint": record.from_savepoint,
        "metrics": metrics(record, wire),
    }


def finished_job(record: JobRecord, wire: Wire) -> dict[str, Any]:
    """A job that has ended. SeaTunnel page «rest-api-v1»: finished-jobs."""
    return {
        "jobId": str(record.job_id),
        "jobName": record.name,
        "jobStatus": record.status.value,
        "errorMsg": record.error or None,
        "createTime": time_text(record.created),
        "startTime": time_text(record.started or record.created),
        "finishTime": time_text(record.ended or record.created),
        "jobDag": job_dag(record.job_id, env_options(record.env, wire), record.outline),
        "pluginJarsUrls": [],
        "metrics": metrics(record, wire),
    }


def job(record: JobRecord, wire: Wire) -> dict[str, Any]:
    """A job in either form, with what SeaTunnel does not tell.

    Which side it waits for and why a savepoint failed, in words; its delivery report; what its file was warned of.
    """
    answer = finished_job(record, wire) if record.status.is_end else running_job(record, wire)
    if record.error:
        answer["errorMsg"] = record.error
    if record.metrics.slow_side:
        answer["slowSide"] = record.metrics.slow_side
    if record.metrics.report is not None:
        answer["deliveryReport"] = record.metrics.report
    if record.outline.warnings:
        answer["warnings"] = list(record.outline.warnings)
    return answer


def brief_job(record: JobRecord) -> dict[str, Any]:
    """A job without its plan: what a list shows."""
    parts = {part.step: part.kind for part in record.outline.parts()}
    rows = {"source": 0, "sink": 0}
    for (step, _), counts in record.metrics.counts.items():
        if parts.get(step) in rows:
            rows[parts[step]] += counts.rows - (counts.rejected if parts[step] == "sink" else 0)
    return {
        "jobId": str(record.job_id),
        "jobName": record.name,
        "jobStatus": record.status.value,
        "jobMode": record.mode,
        "createTime": time_text(record.created),
        "startTime": time_text(record.started or record.created),
        "finishTime": time_text(record.ended) if record.ended else None,
        "errorMsg": record.error or None,
        "sourceReceivedCount": str(rows["source"]),
        "sinkWriteCount": str(rows["sink"]),
        "slowSide": record.metrics.slow_side,
        "lag": None if record.status.is_end else record.metrics.lag,
        "createdAt": int(record.created * 1000),
        "startedAt": int((record.started or record.created) * 1000),
        "endedAt": int(record.ended * 1000) if record.ended else None,
        "version": record.version,
    }


def diagnostics(record: JobRecord, restored: Mapping[int, int], now: float) -> dict[str, Any]:
    """How often a running job was restored. restored: pipeline → how often. SeaTunnel 3, #11982."""
    states = {"CREATED": record.created} | ({"RUNNING": record.started} if record.started else {})
    times = {name: int(seconds * 1000) for name, seconds in states.items()}
    retries = str(record.env.get("job.retry.times", 3))
    pipelines = [
        {
            "pipelineId": line.id,
            "pipelineStatus": record.status.value,
            "restoreCount": restored.get(line.id, 0),
            "maxRestoreCount": int(retries) if retries.isdigit() else 3,
            "stateTimestamps": times,
        }
        for line in record.outline.lines
    ]
    return {
        "jobId": str(record.job_id),
        "generatedAt": int(now * 1000),
        "stateTimestamps": times,
        "pipelines": pipelines,
        "totalPipelineRestoreCount": record.metrics.restarts,
    }


def unknown_job(job_id: int, wire: Wire, *, running: bool) -> dict[str, str]:
    """The answer about an id that no job has."""
    return {} if running and wire is Wire.V2_3_3 else {"jobId": str(job_id)}


def submitted(job_id: int, name: str, wire: Wire) -> dict[str, Any]:
    """A job was taken: its id is a number in 2.3.3, a text later."""
    return {"jobId": job_id if wire is Wire.V2_3_3 else str(job_id), "jobName": name}


def overview(figures: Overview) -> dict[str, str]:
    """SeaTunnel page «rest-api-v1»: overview."""
    counts = figures.counts
    running = sum(count for status, count in counts.items() if not JobStatus(status).is_end)
    return {
        "projectVersion": __version__,
        "gitCommitAbbrev": "unknown",
        "totalSlot": str(figures.slots),
        "unassignedSlot": str(figures.free),
        "runningJobs": str(running),
        "finishedJobs": str(counts.get(JobStatus.FINISHED, 0)),
        "failedJobs": str(counts.get(JobStatus.FAILED, 0)),
        "pendingJobs": str(counts.get(JobStatus.PENDING, 0)),
        "cancelledJobs": str(counts.get(JobStatus.CANCELED, 0)),
        "workers": str(figures.workers),
    }


def env_options(env: Mapping[str, Any], wire: Wire) -> dict[str, str]:
    """The `env` block as texts: 2.3.3 spreads nested keys and writes lists as JSON, later ones print as Java does."""
    if wire is Wire.V2_3_3:
        return dict(_spread(env))
    return {key: _java(value) for key, value in env.items()}


def _spread(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _spread(value, f"{above}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{above}{key}", orjson.dumps([_java(item) for item in value]).decode()
        else:
            yield f"{above}{key}", _java(value)


def _java(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return java_double(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_java(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_java, value)) + "]"
    return "null" if value is None else str(value)


def time_text(seconds: float) -> str:
    """SeaTunnel's form of a time, in the server's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
