"""REST v1: the endpoints below /hazelcast/rest/maps. SeaTunnel pages «rest-api» (2.3.3) and «rest-api-v1»."""

import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from headrace.api import answers, checkpoints, models
from headrace.api.body import file_of, list_of, long_of, need_blocks, object_of, query_of, text_of, truth
from headrace.api.log_files import page
from headrace.api.paths import MAPS
from headrace.api.problems import MISTAKES, BadRequest, Json, all_of
from headrace.api.state import State
from headrace.api.threads import running_threads, thread_dump
from headrace.config.job import format_of
from headrace.config.shade import encrypt_config
from headrace.errors import HeadraceError, Problem
from headrace.jobs.service import PreparedJob, Submission
from headrace.jobs.status import JobStatus
from headrace.logs import LOG_CUT, LOG_POSITION

MAX_TAGS = 20_000
"""Characters of a node's attributes, which are stored every second."""

_FORMATS = {"hocon": "hocon", "sql": "sql"}

_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": models.Failure, "description": "The request is wrong; `problems` lists everything."},
    401: {"description": "Authentication is needed."},
    403: {"model": models.Failure, "description": "A page of another address asks."},
    413: {"model": models.Failure, "description": "The body is too large."},
}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _body(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"description": description, "required": True, "content": content}}


_JOB_BODY = {
    "type": "object",
    "required": ["env", "source", "sink"],
    "properties": {
        "env": {"type": "object"},
        "source": {"type": "array", "items": {"type": "object"}},
        "transform": {"type": "array", "items": {"type": "object"}},
        "sink": {"type": "array", "items": {"type": "object"}},
    },
}
_UPLOAD_BODY = {
    "description": "The job file, as `config_file`.",
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["config_file"],
                "properties": {"config_file": {"type": "string", "format": "binary"}},
            }
        }
    },
}
_SUBMIT_QUERY = (
    _query("jobId", {"type": "integer", "minimum": 1}),
    _query("jobName", {"type": "string"}),
    _query("isStartWithSavePoint", {"type": "boolean"}),
    _query("strict", {"type": "boolean"}),
)
_PARAMS = 'add "params": {"jobName": "…"}'
_STOP_BODY = {
    "type": "object",
    "required": ["jobId"],
    "properties": {"jobId": {"type": ["integer", "string"]}, "isStopWithSavePoint": {"type": "boolean"}},
}


def router(state: State) -> APIRouter:
    """All routes of v1 over one state."""
    routes = APIRouter(prefix=MAPS, responses=_REFUSED, tags=["REST v1"])
    _reading(routes, state)
    checkpoint_routes(routes, state)
    _changing(routes, state)
    _logs(routes, state)
    return routes


# -------------------------------------------------------------------------------------------------------------- reading


def _reading(routes: APIRouter, state: State) -> None:
    service, wire = state.service, state.wire

    @routes.get("/running-jobs", responses={200: {"model": list[models.JobAnswer]}})
    def running_jobs() -> Response:
        """All jobs that have not ended, on all nodes."""
        shown = [state.shown(partial(answers.running_job, record, wire), record.job_id) for record in service.jobs()]
        return Json([job for job in shown if job is not None])

    def one_job(request: Request, job_id: str, *, running: bool) -> Response:
        number = long_of(job_id + (f"?{request.url.query}" if request.url.query else ""))
        record = service.job(number)
        return Json(answers.unknown_job(number, wire, running=running) if record is None else answers.job(record, wire))

    @routes.get("/running-job/{job_id}", responses={200: {"model": models.JobAnswer}})
    def running_job(request: Request, job_id: str) -> Response:
        """One job, also when it has ended."""
        return one_job(request, job_id, running=True)

    @routes.get("/job-info/{job_id}", responses={200: {"model": models.JobAnswer}})
    def job_info(request: Request, job_id: str) -> Response:
        """One job, running or ended."""
        return one_job(request, job_id, running=False)

    @routes.get("/running-job", responses={400: {"model": models.Failure}}, include_in_schema=False)
    @routes.get("/job-info", responses={400: {"model": models.Failure}}, include_in_schema=False)
    def no_job(request: Request) -> Response:
        """The id is missing."""
        raise BadRequest(
            f'For input string: "{request.scope["asked_path"].removesuffix("/")}"',
            [Problem("", "the job id is missing", f"ask for {MAPS}/running-job/ID")],
        )

    @routes.get("/finished-jobs", responses={200: {"model": list[models.JobAnswer]}})
    def all_finished_jobs() -> Response:
        """All jobs that have ended, the newest first."""
        return Json(state.finished_jobs(None))

    @routes.get("/finished-jobs/{status}", responses={200: {"model": list[models.JobAnswer]}})
    def finished_jobs(request: Request, status: str) -> Response:
        """Jobs that ended in one state; none for a state that does not exist."""
        known = {s.value for s in JobStatus}
        if request.url.query or status.upper() not in known:
            return Json([])
        return Json(state.finished_jobs(status.upper()))

    @routes.get("/overview", responses={200: {"model": dict[str, str]}})
    def overview(request: Request) -> Response:
        """Figures of the cluster; a query filters the nodes by their attributes."""
        tags: dict[str, str] = {}
        for part in request.url.query.split("&") if request.url.query else ():
            name, _, value = part.partition("=")
            if name in tags:
                text = f"Duplicate key {name} (attempted merging values {tags[name]} and {value})"
                raise BadRequest(text, [Problem(name, "the attribute is given twice", "ask for one value")])
            tags[name] = value
        return Json(answers.overview(service.overview(tags)))

    @routes.get("/system-monitoring-information", responses={200: {"model": list[dict[str, str]]}})
    def monitoring() -> Response:
        """Memory, load and queues of this node; the page on monitoring says what each key means."""
        nodes = service.nodes()
        mine = next(node for node in nodes if node.id == service.id)
        return Json([state.monitor.values(mine, master=nodes[0].id == mine.id)])

    @routes.get("/thread-dump", responses={200: {"model": list[models.ThreadAnswer]}})
    def dump() -> Response:
        """The stacks of this node's threads."""
        return Json(thread_dump())

    @routes.get("/running-threads", responses={200: {"model": list[dict[str, str]]}})
    def threads() -> Response:
        """The names of this node's threads."""
        return Json(running_threads())


# ---------------------------------------------------------------------------------------------------------- checkpoints


def checkpoint_routes(routes: APIRouter, state: State) -> None:
    """Routes of SeaTunnel's v2 that v1 answers, too."""
    service = state.service

    @routes.get("/jobs/checkpoints", include_in_schema=False)
    @routes.get("/jobs/checkpoints/history", include_in_schema=False)
    def no_checkpoints() -> Response:
        """The id is missing."""
        raise BadRequest("The jobId must not be empty.", [Problem("", "the job id is missing", "add it to the path")])

    @routes.get("/jobs/checkpoints/{job_id}", responses={200: {"model": dict[str, Any]}})
    def job_checkpoints(job_id: str) -> Response:
        """The checkpoints of a job's pipelines: counts, the newest ones, those under way, the last twenty."""
        number = long_of(job_id)
        return Json(checkpoints.overview(number, service.histories(number), time.time()))

    @routes.get(
        "/jobs/checkpoints/history/{job_id}",
        responses={200: {"model": list[dict[str, Any]]}},
        openapi_extra={
            "parameters": [
                _query("pipelineId", {"type": "integer"}),
                _query("status", {"enum": list(checkpoints.STATUSES)}),
                _query("limit", {"type": "integer", "default": 20}),
            ]
        },
    )
    def checkpoint_history(request: Request, job_id: str) -> Response:
        """The checkpoints of a job, newest first; pipelineId, status and limit (20) choose among them."""
        pipeline, status = query_value(request, "pipelineId"), query_value(request, "status")
        if status and status not in checkpoints.STATUSES:
            text = f"No enum constant org.apache.seatunnel.engine.core.checkpoint.CheckpointStatus.{status}"
            cure = f"ask for one of {', '.join(checkpoints.STATUSES)}"
            raise BadRequest(text, [Problem("status", f"{status!r} is no status of a checkpoint", cure)])
        limit = long_of(query_value(request, "limit") or "20", "limit")
        found = service.histories(long_of(job_id))
        return Json(
            checkpoints.entries(
                found, long_of(pipeline, "pipelineId") if pipeline else None, status or None, max(limit, 0)
            )
        )


# ------------------------------------------------------------------------------------------------------------- changing


def _changing(routes: APIRouter, state: State) -> None:
    service, wire = state.service, state.wire

    def submission(job: PreparedJob, params: Mapping[str, str]) -> Submission:
        savepoint = truth(params.get("isStartWithSavePoint", ""))
        job_id = long_of(params["jobId"]) if params.get("jobId") else None
        if savepoint and job_id is None:
            text = "Please provide jobId when start with save point."
            raise BadRequest(text, [Problem("jobId", text, "give the id of the job that was saved")])
        if job_id is not None and job_id < 1:
            raise BadRequest(
                f'For input string: "{params["jobId"]}"',
                [Problem("jobId", f"{job_id} is no id of a job", "give one from 1 to 9223372036854775807")],
            )
        return Submission(job, job_id, params.get("jobName"), savepoint)

    def one_of_several(job: dict[str, Any], others: Sequence[Submission]) -> Submission:
        given = job.get("params")
        if not isinstance(given, dict):
            raise BadRequest("the job has no params", [Problem("params", "the job has no params", _PARAMS)])
        if not given:
            raise BadRequest("Invalid Params format in Params.", [Problem("params", "they are empty", _PARAMS)])
        need_blocks(job)
        text = json.dumps({key: value for key, value in job.items() if key != "params"})
        params = {key: _text(value) for key, value in given.items()}
        found = submission(service.prepare(text, format="json", strict=truth(params.get("strict", ""))), params)
        if found.job_id is not None:
            if found.job_id in [other.job_id for other in others]:
                text = f"the jobId {found.job_id} is that of another job in the list"
                raise BadRequest(text, [Problem("params.jobId", text, "give every job an id of its own, or none")])
            service.check_id(found.job_id, savepoint=found.savepoint)
        return found

    def checked(text: str) -> str:
        job, own = object_of(text, wire)
        need_blocks(job)
        return own

    def take(text: str, form: str, params: Mapping[str, str]) -> Response:
        strict = truth(params.get("strict", ""))
        job = service.prepare(checked(text) if form == "json" else text, format=form, strict=strict)
        (taken,) = service.submit_all([submission(job, params)])
        return Json(answers.submitted(taken.job_id, taken.name, wire))

    @routes.post(
        "/submit-job",
        responses={200: {"model": models.SubmitAnswer}},
        openapi_extra={
            "parameters": [*_SUBMIT_QUERY, _query("format", {"enum": ["json", "hocon", "sql"]})],
            **_body("A job. With format=hocon or sql the text of such a job file.", _JOB_BODY),
        },
    )
    async def submit_job(request: Request) -> Response:
        """Take a job; it runs when this was answered, whatever happens to the server."""
        body = await request.body()

        def work() -> Response:
            params = query_of(request.url.query)
            return take(text_of(body), _FORMATS.get(params.get("format", "").lower(), "json"), params)

        return await run_in_threadpool(work)

    @routes.post(
        "/submit-job/upload",
        responses={200: {"model": models.SubmitAnswer}},
        openapi_extra={"parameters": [*_SUBMIT_QUERY], "requestBody": _UPLOAD_BODY},
    )
    async def upload_job(request: Request) -> Response:
        """Take a job as a file, JSON, SQL or HOCON by the end of its name. SeaTunnel's v2 has it."""
        body = await request.body()

        def work() -> Response:
            params = query_of(request.url.query)
            name, content = file_of(body, request.headers.get("content-type", ""), "config_file")
            return take(text_of(content), format_of(Path(name)), params)

        return await run_in_threadpool(work)

    @routes.post(
        "/submit-jobs",
        responses={200: {"model": list[models.JobId]}},
        openapi_extra=_body("Jobs, each with `params`: jobId, jobName, isStartWithSavePoint.", {"type": "array"}),
    )
    async def submit_jobs(request: Request) -> Response:
        """Take several jobs, all or none: everything is checked before the first one is taken."""
        body = await request.body()

        def work() -> Response:
            ready: list[Submission] = []
            wrong: dict[str, HeadraceError] = {}
            for number, job in enumerate(list_of(text_of(body), "Json parse list exception!")):
                try:
                    ready += [one_of_several(job, ready)] if isinstance(job, dict) else []
                except MISTAKES as error:
                    wrong[f"[{number}]"] = error
            if wrong:
                raise all_of(wrong, wire)
            taken = service.submit_all(ready)
            return Json([{"jobId": str(one.job_id), "jobName": one.name} for one in taken])

        return await run_in_threadpool(work)

    def stop(job: Any, place: str = "") -> int:
        if not isinstance(job, dict) or job.get("jobId") is None:
            raise BadRequest("jobId cannot be empty.", [Problem(f"{place}jobId", "the id is missing", "")])
        return long_of(job["jobId"], f"{place}jobId")

    @routes.post(
        "/stop-job", responses={200: {"model": models.JobId}}, openapi_extra=_body("The job to stop.", _STOP_BODY)
    )
    async def stop_job(request: Request) -> Response:
        """Ask for a job's end, at once or with a savepoint; nothing happens to one that is not running."""
        body = await request.body()

        def work() -> Response:
            job, _ = object_of(text_of(body), wire)
            number = stop(job)
            service.stop(number, savepoint=truth(job.get("isStopWithSavePoint")))
            return Json({"jobId": str(number)})

        return await run_in_threadpool(work)

    @routes.post(
        "/stop-jobs",
        responses={200: {"model": list[models.JobId]}},
        openapi_extra=_body("The jobs to stop.", {"type": "array", "items": _STOP_BODY}),
    )
    async def stop_jobs(request: Request) -> Response:
        """Ask for the end of several jobs; none is stopped when one of the ids is wrong."""
        body = await request.body()

        def work() -> Response:
            jobs = list_of(text_of(body), "Json parse list exception!")
            numbers = [stop(job, f"[{index}].") for index, job in enumerate(jobs)]
            for number, job in zip(numbers, jobs, strict=True):
                service.stop(number, savepoint=truth(job.get("isStopWithSavePoint")))
            return Json([{"jobId": number} for number in numbers])

        return await run_in_threadpool(work)

    @routes.post(
        "/encrypt-config",
        responses={200: {"model": dict[str, Any]}},
        openapi_extra=_body("A job with env shade.identifier.", _JOB_BODY),
    )
    async def encrypt(request: Request) -> Response:
        """The same job with its secrets encoded as env shade.identifier says."""
        body = await request.body()

        def work() -> Response:
            job, _ = object_of(text_of(body), wire)
            for kind in ("source", "sink"):
                if not isinstance(job.get(kind), list):
                    text, cure = f"the job has no {kind!r}", f'add "{kind}": [{{"plugin_name": …}}]'
                    raise BadRequest(f"{kind}: {text}", [Problem(kind, text, cure)])
            return Json(encrypt_config(job))

        return await run_in_threadpool(work)

    tags_route: dict[str, Any] = {
        "responses": {200: {"model": models.Done}},
        "openapi_extra": _body("The node's attributes.", {"type": "object"}),
    }

    @routes.put("/update-tags", **tags_route)
    @routes.post("/update-tags", **tags_route)
    async def update_tags(request: Request) -> Response:
        """Replace the attributes of this node."""
        body = await request.body()

        def work() -> Response:
            tags, _ = object_of(text_of(body), wire)
            texts = {key: "" if value is None else _text(value) for key, value in tags.items()}
            if sum(map(len, (*texts, *texts.values()))) > MAX_TAGS:
                text = f"the attributes have more than {MAX_TAGS} characters"
                raise BadRequest(text, [Problem("", text, "send fewer or shorter ones")])
            service.set_tags(texts)
            return Json({"status": "success", "message": "update node tags done."})

        return await run_in_threadpool(work)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# ----------------------------------------------------------------------------------------------------------------- logs


def _logs(routes: APIRouter, state: State) -> None:
    logs, address = state.logs, state.service.settings
    scheme = "http" if state.settings.tls_certificate is None else "https"

    def file(name: str) -> Response:
        content = logs.read(name)
        return Response(status_code=400) if content is None else plain(content)

    def listing(request: Request, part: str = "") -> Response:
        """The log files of all nodes keep to one place: each node lists those of its own home."""
        found = [(f"{scheme}://{address.address}{MAPS}/logs/{quote(name)}", name) for name in logs.names(part)]
        if query_value(request, "format").lower() == "json":
            return Json([{"node": address.address, "logLink": link, "logName": name} for link, name in found])
        return html(page(found))

    page_or_list: dict[int | str, dict[str, Any]] = {
        200: {"model": list[models.LogAnswer], "content": {"text/html": {}}}
    }
    text: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/plain": {}}, "description": "The end of the file."},
        400: {"description": "There is no such file."},
    }

    how = {"parameters": [_query("format", {"enum": ["html", "json"], "default": "html"})]}

    @routes.get("/logs", responses=page_or_list, openapi_extra=how)
    def all_logs(request: Request) -> Response:
        """All log files: a page, or JSON with format=json."""
        return listing(request)

    @routes.get("/logs/{name}", responses={**text, 200: {"content": {"text/html": {}, "text/plain": {}}}})
    def log_or_job(request: Request, name: str) -> Response:
        """The content of a log file, or the files of a job."""
        return file(name) if ".log" in name else listing(request, name)

    @routes.get("/log", responses={200: {"content": {"text/html": {}}}})
    def own_logs() -> Response:
        """A page of this node's log files."""
        return html(page([(f"log/{quote(name)}", name) for name in logs.names()]))

    @routes.get("/log/{name}", responses=text, openapi_extra={"parameters": [_query("after", {"type": "string"})]})
    def one_log(request: Request, name: str) -> Response:
        """The content of a log file; with `after` what follows a position, from the rotated parts on."""
        if "after" not in request.query_params:
            return file(name)
        part = logs.part(name, query_value(request, "after"))
        if part is None:
            return Response(status_code=400)
        told = {LOG_POSITION: part.position, LOG_CUT: str(part.cut).lower()}
        return Response(part.content, headers={"Content-Type": "text/plain", **told})

    @routes.get("/get-all-log-name", responses={200: {"content": {"text/plain": {}}}})
    def log_names() -> Response:
        """The names of this node's log files."""
        return plain(json.dumps(logs.names(), separators=(",", ":")).encode())


def plain(content: bytes) -> Response:
    """A text, typed as SeaTunnel types it."""
    return Response(content, headers={"Content-Type": "text/plain"})


def html(text: str) -> Response:
    """A page, typed as SeaTunnel types it."""
    return HTMLResponse(text, headers={"Content-Type": "text/html; charset=UTF-8"})


def query_value(request: Request, name: str) -> str:
    """The last value of a query parameter, or an empty text."""
    return request.query_params.get(name, "")
