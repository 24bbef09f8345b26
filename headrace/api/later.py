"""What later releases answer on v2: lists without plans, workers, why a job waits, figures of running jobs."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from headrace.api import answers, documents, models, realtime
from headrace.api.body import long_of, truth
from headrace.api.listener import Listener
from headrace.api.option_rules import KINDS, option_rule
from headrace.api.problems import BadRequest, Json
from headrace.api.state import Ended, State
from headrace.cluster.peers import Reply
from headrace.errors import Problem
from headrace.jobs.record import JobRecord, Node
from headrace.jobs.status import JobStatus

MOST_JOBS = 1000
"""Elements of one answer to `/jobs`."""


def later_routes(routes: APIRouter, state: State, listener: Listener) -> None:
    """All of them."""
    _pending(routes, state, listener)
    _lists(routes, state)
    _plugins(routes)
    _realtime(routes, state, listener)


# -------------------------------------------------------------------------------------------------------------- waiting


def _pending(routes: APIRouter, state: State, listener: Listener) -> None:
    operations = state.operations

    def workers() -> list[dict[str, Any]]:
        running: dict[str, list[int]] = {}
        for record in operations.running():
            if record.status is not JobStatus.PENDING:
                running.setdefault(record.owner, []).append(record.job_id)
        return [_worker(node, running.get(node.id, [])) for node in operations.nodes()]

    @routes.get(
        "/pending-jobs",
        responses={200: {"model": dict[str, Any]}},
        openapi_extra={
            "parameters": [
                documents.query("jobId", {"type": "integer"}),
                documents.query("limit", {"type": "integer", "minimum": 0}),
                documents.query("pretty", {"type": "boolean"}),
            ]
        },
    )
    def pending_jobs(request: Request) -> Response:
        """The jobs that wait for slots, with what they wait for, and the slots there are."""
        query, pretty = request.query_params, truth(request.query_params.get("pretty", ""))
        waiting = operations.pending()
        asked = waiting
        if query.get("jobId"):
            number = long_of(query["jobId"])
            asked = [record for record in waiting if record.job_id == number]
        elif query.get("limit"):
            asked = waiting[: max(0, long_of(query["limit"], "limit"))]
        answer = _queue(waiting, asked, workers(), "WAIT" if state.service.settings.wait else "REJECT", pretty=pretty)
        return Json(orjson.dumps(answer, option=orjson.OPT_INDENT_2)) if pretty else Json(answer)

    @routes.get("/resource/workers", responses={200: {"model": dict[str, Any]}})
    def resource_workers() -> Response:
        """The slots and attributes of every node; SeaTunnel 3."""
        found = workers()
        mine = state.monitor.resources()
        measured = {_bracketed(state.service.settings.address): mine}
        for address, reply in state.neighbours.ask_each(state.neighbours.others(listener), "/resource/workers").items():
            if isinstance(reply, Reply) and reply.status == 200:
                theirs = {worker["address"]: worker for worker in orjson.loads(reply.content)["workers"]}
                own = theirs.get(_bracketed(address), {})
                measured[_bracketed(address)] = {name: own[name] for name in mine if name in own}
        for worker in found:
            worker |= {"usedSlots": worker["totalSlots"] - worker["freeSlots"]}
            worker |= measured.get(worker["address"], {})
        return Json({"available": True, "collectedAt": int(time.time() * 1000), "workers": found})


def _queue(
    waiting: Sequence[JobRecord],
    asked: Sequence[JobRecord],
    workers: list[dict[str, Any]],
    strategy: str,
    *,
    pretty: bool,
) -> dict[str, Any]:
    def moment(seconds: float) -> Any:
        return answers.time_text(seconds) if pretty else int(seconds * 1000)

    total, free = (sum(worker[name] for worker in workers) for name in ("totalSlots", "freeSlots"))
    blocking = [number for worker in workers for number in worker["runningJobIds"]]
    jobs = [_waiting_job(record, free, blocking, moment) for record in asked]
    return {
        "queueSummary": {
            "size": len(waiting),
            "scheduleStrategy": strategy,
            "oldestEnqueueTimestamp": moment(waiting[0].created if waiting else 0.0),
            "newestEnqueueTimestamp": moment(waiting[-1].created if waiting else 0.0),
            "lackingTaskGroups": sum(job["lackingTaskGroups"] for job in jobs),
        },
        "clusterSnapshot": {
            "totalSlots": total,
            "freeSlots": free,
            "assignedSlots": total - free,
            "workerCount": len(workers),
            "workers": workers,
        },
        "pendingJobs": jobs,
    }


def _waiting_job(record: JobRecord, free: int, blocking: list[int], moment: Any) -> dict[str, Any]:
    needed, now = record.outline.slots(), time.time()
    lacking = max(0, needed - free)
    if lacking:
        reason, text = "RESOURCE_NOT_ENOUGH", f"the job needs {needed} slots, and {free} are free"
    else:
        reason, text = "REQUEST_FAILED", f"{free} slots are free, and a job that was there before waits for more"
    return {
        "jobId": record.job_id,
        "jobName": record.name,
        "pendingSourceState": "RESTORE" if record.restore else "SUBMIT",
        "jobStatus": record.status.value,
        "enqueueTimestamp": moment(record.created),
        "checkTime": moment(now),
        "waitDurationMs": int((now - record.created) * 1000),
        "totalTaskGroups": needed,
        "allocatedTaskGroups": 0,
        "lackingTaskGroups": lacking,
        "failureReason": reason,
        "failureMessage": record.error or text,
        "tagFilter": {},
        "blockingJobIds": blocking,
    }


def _worker(node: Node, running: list[int]) -> dict[str, Any]:
    total = node.used if node.slots is None else node.slots
    return {
        "address": _bracketed(node.address),
        "tags": dict(node.tags),
        "totalSlots": total,
        "freeSlots": 0 if node.slots is None else node.slots - node.used,
        "dynamicSlot": node.slots is None,
        "runningJobIds": running,
    }


def _bracketed(address: str) -> str:
    """An address as Hazelcast writes it: `[localhost]:5801`."""
    host, _, port = address.rpartition(":")
    return f"[{host.strip('[]')}]:{port}"


# ---------------------------------------------------------------------------------------------------------------- lists


def _lists(routes: APIRouter, state: State) -> None:
    operations = state.operations

    @routes.get("/running-jobs/summary", responses={200: {"model": dict[str, Any]}})
    def running_summary() -> Response:
        """The jobs that have not ended, without their plans, and how many there are in each state."""
        records = operations.running()
        counts: dict[str, int] = {}
        for record in records:
            counts[record.status.value] = counts.get(record.status.value, 0) + 1
        shown = [state.shown(partial(answers.brief_job, record), record.job_id) for record in records]
        return Json({"total": len(records), "byStatus": counts, "jobs": [job for job in shown if job is not None]})

    @routes.get(
        "/jobs",
        responses={200: {"model": models.BriefJobs}},
        openapi_extra={
            "parameters": [
                documents.query("status", {"type": "string"}),
                documents.query("start", {"type": "integer", "description": "Created since, in ms since 1970."}),
                documents.query("cursor", {"type": "string", "description": "`nextCursor` of the answer before."}),
                documents.query("limit", {"type": "integer", "minimum": 1, "maximum": MOST_JOBS, "default": 100}),
            ]
        },
    )
    def jobs(request: Request) -> Response:
        """Jobs of all states without their plans: those that run, then those that have ended, the newest first."""
        query = request.query_params
        status, limit = query.get("status", "").upper(), long_of(query.get("limit") or "100", "limit")
        if not 1 <= limit <= MOST_JOBS:
            text = f"limit is {limit}"
            raise BadRequest(text, [Problem("limit", text, f"give one from 1 to {MOST_JOBS}")])
        since = long_of(query["start"], "start") if query.get("start") else None
        skipped = long_of(query["cursor"], "cursor") if query.get("cursor") else 0
        live = {r.key: r for r in reversed(operations.running()) if not status or r.status.value == status}
        keys: list[Ended] = [*((r.job_id, r.run, r.version) for r in live.values()), *operations.ended(status or None)]
        found: list[bytes] = []
        at = max(skipped, 0)
        while at < len(keys) and len(found) < limit:
            part = keys[at : at + limit - len(found)]
            at += len(part)
            ended = state.brief_jobs([key for key in part if key[:2] not in live])
            jobs = (_brief(state, live[key[:2]]) if key[:2] in live else ended.get(key) for key in part)
            shown = (job for job in jobs if job is not None)
            found += [job for job in shown if since is None or orjson.loads(job)["createdAt"] >= since]
        cursor = f'"{at}"' if at < len(keys) else "null"
        return Json(b'{"jobs":[%b],"nextCursor":%b,"total":%d}' % (b",".join(found), cursor.encode(), len(keys)))


# -------------------------------------------------------------------------------------------------------------- plugins


def _brief(state: State, record: JobRecord) -> bytes | None:
    job = state.shown(partial(answers.brief_job, record), record.job_id)
    return None if job is None else orjson.dumps(job)


def _plugins(routes: APIRouter) -> None:
    kind = {"enum": list(KINDS)}

    @routes.get(
        "/option-rules",
        responses={200: {"model": dict[str, Any]}},
        openapi_extra={
            "parameters": [documents.query("type", kind), documents.query("plugin", {"type": "string"})],
        },
    )
    def option_rules(request: Request) -> Response:
        """The options of a plugin as SeaTunnel 3 tells them; see also /plugins."""
        return Json(option_rule(request.query_params.get("type", ""), request.query_params.get("plugin", "")))


# ----------------------------------------------------------------------------------------------------------------- live


def _realtime(routes: APIRouter, state: State, listener: Listener) -> None:
    how: dict[str, Any] = {
        "responses": {
            200: {"model": dict[str, Any]},
            404: {"model": models.Failure, "description": "There is no such job."},
        },
        "openapi_extra": {"parameters": [documents.query("windowMs", {"type": "integer", "minimum": 1})]},
    }

    def elsewhere(request: Request, job_id: str, part: str) -> Response | None:
        """The answer of the node that runs the job; None where this one does."""
        number = long_of(job_id)
        other = state.neighbours.owner(state.operations.job(number), listener)
        path = f"/metrics/realtime/jobs/{number}/{part}?{request.query_params}"
        return None if other is None else state.neighbours.ask(other, "GET", path)

    def series(request: Request, job_id: str) -> realtime.Series:
        record = state.operations.job(long_of(job_id))
        if record is None:  # one that has ended meanwhile is no fault of who looks at it: its last samples are kept
            text = f"there is no job {job_id}"
            raise BadRequest(text, [Problem("jobId", text, "see /jobs")], status=404)
        asked = request.query_params.get("windowMs")
        span = min(long_of(asked, "windowMs") if asked else realtime.WINDOW_MS, realtime.LONGEST_MS)
        return realtime.Series(record.outline, state.rates.of(*record.key), max(span, 1))

    @routes.get("/metrics/realtime/jobs", responses={200: {"model": dict[str, Any]}})
    def realtime_jobs() -> Response:
        """Which jobs of this node are sampled."""
        return Json({"jobs": realtime.jobs(state.rates.running())})

    @routes.get("/metrics/realtime/jobs/{job_id}/vertices", **how)
    def realtime_vertices(request: Request, job_id: str) -> Response:
        """How busy each source, transform and sink of a running job was, in steps of five seconds."""
        return elsewhere(request, job_id, "vertices") or Json(series(request, job_id).vertices())

    @routes.get("/metrics/realtime/jobs/{job_id}/edges", **how)
    def realtime_edges(request: Request, job_id: str) -> Response:
        """How long readers of a running job waited for room, in steps of five seconds."""
        return elsewhere(request, job_id, "edges") or Json(series(request, job_id).edges())
