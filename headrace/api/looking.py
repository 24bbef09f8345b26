"""Routes that look: jobs, checkpoints, figures of the cluster and of this node."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from headrace.api import answers, checkpoints, documents, models
from headrace.api.body import long_of
from headrace.api.listener import Listener
from headrace.api.problems import BadRequest, Json
from headrace.api.state import State
from headrace.api.threads import running_threads, thread_dump
from headrace.cluster.peers import Reply, Unanswered
from headrace.errors import Problem
from headrace.jobs.record import Node

T = TypeVar("T")


def looking_routes(routes: APIRouter, state: State, listener: Listener) -> None:
    """All of them, in the words of a listener."""
    _jobs(routes, state, listener)
    _one_job(routes, state, listener)
    _figures(routes, state, listener)
    _checkpoints(routes, state, listener)


# ----------------------------------------------------------------------------------------------------------------- jobs


def _jobs(routes: APIRouter, state: State, listener: Listener) -> None:
    wire, operations = listener.wire, state.operations
    how = {"parameters": [*documents.PAGES]} if listener.pages else None

    @routes.get("/running-jobs", responses={200: {"model": models.JobList}}, openapi_extra=how)
    def running_jobs(request: Request) -> Response:
        """All jobs that have not ended, on all nodes."""
        records = operations.running()
        chosen = page_of(records, _query(request, listener))
        shown = [state.shown(partial(answers.running_job, record, wire), record.job_id) for record in chosen]
        found = [job for job in shown if job is not None]
        return Json({"data": found, "total": len(records)} if isinstance(chosen, Page) else found)

    def finished(request: Request, status: str | None) -> Response:
        keys = operations.ended(None if status is None else status.upper())
        chosen = page_of(keys, _query(request, listener))
        content = state.finished_jobs(chosen, wire)
        return Json(b'{"data":%b,"total":%d}' % (content, len(keys)) if isinstance(chosen, Page) else content)

    @routes.get("/finished-jobs", responses={200: {"model": models.JobList}}, openapi_extra=how)
    def all_finished_jobs(request: Request) -> Response:
        """All jobs that have ended, the newest first."""
        return finished(request, None)

    @routes.get("/finished-jobs/{status:path}", responses={200: {"model": models.JobList}}, openapi_extra=how)
    def finished_jobs(request: Request, status: str) -> Response:
        """Jobs that ended in one state; none for a state that does not exist."""
        return finished(request, status or None)


class Page(list[T]):
    """Part of a list that was asked for by its number."""


def page_of(found: Sequence[T], query: Mapping[str, str]) -> Sequence[T]:
    """The page that a query asks for, or the whole list without one. Raises BadRequest. SeaTunnel 2.3.13, #9951."""
    if "page" not in query:
        return found
    page, rows = long_of(query["page"], "page"), long_of(query.get("rows") or "10", "rows")
    if page < 1:
        raise BadRequest("Page number must be greater than 0", [Problem("page", f"it is {page}", "count from 1")])
    if rows < 1:
        raise BadRequest("Rows must be greater than 0", [Problem("rows", f"it is {rows}", "give 1 or more")])
    pages = max(1, -(-len(found) // rows))
    if page > pages:
        problem = Problem("page", f"there are {pages} pages of {rows}", f"ask for one from 1 to {pages}")
        raise BadRequest("Page number exceeds total pages", [problem])
    return Page(found[(page - 1) * rows : page * rows])


def _query(request: Request, listener: Listener) -> Mapping[str, str]:
    return listener.read_query(request.url.query) if listener.pages else {}


def _one_job(routes: APIRouter, state: State, listener: Listener) -> None:
    wire, operations = listener.wire, state.operations

    def one_job(job_id: str, *, running: bool) -> Response:
        number = long_of(job_id)
        record = operations.job(number)
        if record is None:
            return Json(answers.unknown_job(number, wire, running=running))
        answer = answers.job(record, wire)
        if listener.pages and not record.status.is_end:
            restored = {history.pipeline: history.restored for history in operations.histories(number)}
            answer["diagnostics"] = answers.diagnostics(record, restored, time.time())
        return Json(answer)

    @routes.get("/running-job/{job_id:path}", responses={200: {"model": models.JobAnswer}})
    def running_job(request: Request, job_id: str) -> Response:
        """One job, also when it has ended."""
        return one_job(job_id, running=True) if job_id else no_job(request)

    @routes.get("/job-info/{job_id:path}", responses={200: {"model": models.JobAnswer}})
    def job_info(request: Request, job_id: str) -> Response:
        """One job, running or ended."""
        return one_job(job_id, running=False) if job_id else no_job(request)

    @routes.get("/running-job", responses={400: {"model": models.Failure}}, include_in_schema=False)
    @routes.get("/job-info", responses={400: {"model": models.Failure}}, include_in_schema=False)
    def no_job(request: Request) -> Response:
        """The id is missing."""
        cure = f"ask for {listener.base}/job-info/ID"
        raise BadRequest(listener.no_id(request.scope["asked_path"]), [Problem("", "the job id is missing", cure)])


# -------------------------------------------------------------------------------------------------------------- figures


def _figures(routes: APIRouter, state: State, listener: Listener) -> None:
    operations = state.operations

    @routes.get("/overview", responses={200: {"model": dict[str, str]}})
    def overview(request: Request) -> Response:
        """Figures of the cluster; a query filters the nodes by their attributes."""
        return Json(answers.overview(operations.overview(listener.read_tags(request.url.query))))

    @routes.get("/system-monitoring-information", responses={200: {"model": list[dict[str, str]]}})
    def monitoring() -> Response:
        """Memory, load and queues of every node; the page on monitoring says what each key means."""
        nodes = operations.nodes()
        found = state.neighbours.ask_each(state.neighbours.others(listener), "/system-monitoring-information")
        own = state.service.id
        return Json(
            [
                state.monitor.values(node, master=node is nodes[0])
                if node.id == own
                else monitored(node, found[node.address], master=node is nodes[0])
                for node in nodes
                if node.id == own or node.address in found
            ]
        )

    how = {"parameters": [documents.NODE]}

    dumped: dict[int | str, dict[str, Any]] = {**documents.NO_NODE, 200: {"model": list[models.ThreadAnswer]}}

    @routes.get("/thread-dump", responses=dumped, openapi_extra=how)
    def dump(request: Request) -> Response:
        """The stacks of this node's threads, or of those of the one that `node` names."""
        node = state.neighbours.named(request, listener)
        return Json(thread_dump()) if node is None else state.neighbours.ask(node, "GET", "/thread-dump")

    named: dict[int | str, dict[str, Any]] = {**documents.NO_NODE, 200: {"model": list[dict[str, str]]}}

    @routes.get("/running-threads", responses=named, openapi_extra=how)
    def threads(request: Request) -> Response:
        """The names of this node's threads, or of those of the one that `node` names."""
        node = state.neighbours.named(request, listener)
        return Json(running_threads()) if node is None else state.neighbours.ask(node, "GET", "/running-threads")


def monitored(node: Node, reply: Reply | Unanswered, *, master: bool) -> dict[str, str]:
    """What another node measures of itself; where it does not answer, why nothing is known."""
    host, _, port = node.address.rpartition(":")
    named = {"isMaster": str(master).lower(), "host": host, "port": port}
    if isinstance(reply, Unanswered) or reply.status != 200:
        return {**named, "unknown": str(reply) if isinstance(reply, Unanswered) else f"it answered {reply.status}"}
    (found,) = orjson.loads(reply.content)
    return {**found, **named}


# ---------------------------------------------------------------------------------------------------------- checkpoints


def _checkpoints(routes: APIRouter, state: State, listener: Listener) -> None:
    operations = state.operations

    @routes.get("/jobs/checkpoints", include_in_schema=False)
    @routes.get("/jobs/checkpoints/history", include_in_schema=False)
    def no_checkpoints() -> Response:
        """The id is missing."""
        raise BadRequest("The jobId must not be empty.", [Problem("", "the job id is missing", "add it to the path")])

    parameters = [
        documents.query("pipelineId", {"type": "integer"}),
        documents.query("status", {"enum": list(checkpoints.STATUSES)}),
        documents.query("limit", {"type": "integer", "default": 20}),
    ]

    @routes.get(
        "/jobs/checkpoints/history/{job_id:path}",
        responses={200: {"model": list[dict[str, Any]]}},
        openapi_extra={"parameters": parameters},
    )
    def checkpoint_history(request: Request, job_id: str) -> Response:
        """The checkpoints of a job, newest first; pipelineId, status and limit (20) choose among them."""
        if not job_id:
            return no_checkpoints()
        query = request.query_params
        pipeline, status = query.get("pipelineId", ""), query.get("status", "")
        if status and status not in checkpoints.STATUSES:
            text = f"No enum constant org.apache.seatunnel.engine.core.checkpoint.CheckpointStatus.{status}"
            cure = f"ask for one of {', '.join(checkpoints.STATUSES)}"
            raise BadRequest(text, [Problem("status", f"{status!r} is not a status of a checkpoint", cure)])
        limit = max(long_of(query.get("limit") or "20", "limit"), 0)
        number = long_of(pipeline, "pipelineId") if pipeline else None
        other = state.neighbours.owner(operations.job(long_of(job_id)), listener)
        if other is not None:
            return state.neighbours.ask(other, "GET", f"/jobs/checkpoints/history/{long_of(job_id)}?{query}")
        found = operations.histories(long_of(job_id))
        return Json(checkpoints.entries(found, number, status or None, limit))

    @routes.get("/jobs/checkpoints/{job_id:path}", responses={200: {"model": dict[str, Any]}})
    def job_checkpoints(job_id: str) -> Response:
        """The checkpoints of a job's pipelines: counts, the newest ones, those under way, the last twenty."""
        if not job_id:
            return no_checkpoints()
        number = long_of(job_id)
        other = state.neighbours.owner(operations.job(number), listener)
        if other is not None:
            return state.neighbours.ask(other, "GET", f"/jobs/checkpoints/{number}")
        return Json(checkpoints.overview(number, operations.histories(number), time.time()))


def query_value(request: Request, name: str) -> str:
    """The last value of a query parameter, or an empty text."""
    return request.query_params.get(name, "")
