"""Routes that change something: submit, stop, tags; and the one that encodes the secrets of a job."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from headrace.api import answers, documents, models
from headrace.api.asked import Asked, posted
from headrace.api.body import file_of, list_of, long_of, need_blocks, object_of, text_of, truth
from headrace.api.listener import Listener
from headrace.api.operations import Order, Stop
from headrace.api.problems import BadRequest, Json
from headrace.api.state import State
from headrace.config.job import format_of
from headrace.errors import HeadraceError, Problem

_FORMATS = {"hocon": "hocon", "sql": "sql"}
_PARAMS = 'add "params": {"jobName": "…"}'


def changing_routes(routes: APIRouter, state: State, listener: Listener) -> None:
    """All of them, in the words of a listener."""
    submit_routes(routes, state, listener)
    stop_routes(routes, state, listener)
    _node_routes(routes, state, listener)


# ----------------------------------------------------------------------------------------------------------- submitting


def submit_routes(routes: APIRouter, state: State, listener: Listener) -> None:
    """submit-job, its upload, submit-jobs."""
    wire, operations = listener.wire, state.operations

    def take(order: Order) -> Response:
        taken = operations.submit(order)
        return Json(answers.submitted(taken.job_id, taken.name, wire))

    def checked(text: str, form: str) -> str:
        """The text of the job alone, with what SeaTunnel needs in it."""
        if form != "json":
            return text
        job, own = object_of(text, wire)
        need_blocks(job)
        return own

    @posted(
        routes,
        "/submit-job",
        responses={200: {"model": models.SubmitAnswer}},
        openapi_extra={
            "parameters": [*documents.SUBMIT_QUERY, documents.FORMAT],
            **documents.body("A job. With format=hocon or sql the text of such a job file.", documents.JOB),
        },
    )
    def submit_job(asked: Asked) -> Response:
        """Submit a job. Once this returns, the job survives a server crash."""
        params = listener.read_query(asked.query)
        form = _FORMATS.get(params.get("format", "").lower(), "json")
        return take(_order(checked(asked.text, form), form, params))

    @posted(
        routes,
        "/submit-job/upload",
        responses={200: {"model": models.SubmitAnswer}},
        openapi_extra={"parameters": [*documents.SUBMIT_QUERY], "requestBody": documents.UPLOAD},
    )
    def upload_job(asked: Asked) -> Response:
        """Take a job as a file, JSON, SQL or HOCON by the end of its name. SeaTunnel's v2 has it."""
        params = listener.read_query(asked.query)
        name, content = file_of(asked.body, asked.content_type, "config_file")
        form = format_of(Path(name))
        return take(_order(checked(text_of(content), form), form, params))

    def one_of_several(job: dict[str, Any]) -> Order | HeadraceError:
        try:
            return _order_of_several(job)
        except BadRequest as error:
            return error

    @posted(
        routes,
        "/submit-jobs",
        responses={200: {"model": list[models.JobId]}},
        openapi_extra=documents.body(
            "Jobs, each with `params`: jobId, jobName, isStartWithSavePoint.", {"type": "array"}
        ),
    )
    def submit_jobs(asked: Asked) -> Response:
        """Take several jobs, all or none: everything is checked before the first one is taken."""
        jobs = list_of(asked.text, "Json parse list exception!")
        taken = operations.submit_all([one_of_several(job) for job in jobs if isinstance(job, dict)])
        return Json([{"jobId": str(one.job_id), "jobName": one.name} for one in taken])


def _order(text: str, form: str, params: Mapping[str, str]) -> Order:
    job_id = long_of(params["jobId"]) if params.get("jobId") else None
    savepoint, strict = truth(params.get("isStartWithSavePoint", "")), truth(params.get("strict", ""))
    mode, source = params.get("restoreMode", ""), params.get("restoreSourceJobId", "")
    if not mode and not source:
        return Order(text, form, job_id, params.get("jobName"), savepoint, strict)
    if mode.upper() not in ("CHECKPOINT", "SAVEPOINT", ""):
        cure = "give CHECKPOINT or SAVEPOINT"
        text = f"there is no restoreMode {mode!r}"
        raise BadRequest(text, [Problem("restoreMode", text, cure)])
    number = long_of(source, "restoreSourceJobId") if source else job_id
    if job_id is not None and number != job_id:
        text = f"job {number} cannot go on as job {job_id}: what its targets hold is kept under its own id"
        cure = "leave jobId out, or give the same in both"
        raise BadRequest(f"{text}; {cure}", [Problem("restoreSourceJobId", text, cure)])
    return Order(text, form, number, params.get("jobName"), True, strict)


def _order_of_several(job: dict[str, Any]) -> Order:
    given = job.get("params")
    if not isinstance(given, dict):
        raise BadRequest("the job has no params", [Problem("params", "the job has no params", _PARAMS)])
    if not given:
        raise BadRequest("Invalid Params format in Params.", [Problem("params", "they are empty", _PARAMS)])
    need_blocks(job)
    text = json.dumps({key: value for key, value in job.items() if key != "params"})
    return _order(text, "json", {key: text_for(value) for key, value in given.items()})


# ------------------------------------------------------------------------------------------------------------- stopping


def stop_routes(routes: APIRouter, state: State, listener: Listener) -> None:
    """stop-job and stop-jobs."""
    operations = state.operations

    @posted(
        routes,
        "/stop-job",
        responses={200: {"model": models.JobId}},
        openapi_extra=documents.body("The job to stop.", documents.STOP),
    )
    def stop_job(asked: Asked) -> Response:
        """Ask for a job's end, at once or with a savepoint; nothing happens to one that is not running."""
        stop = _stop(object_of(asked.text, listener.wire)[0])
        operations.stop(stop)
        return Json({"jobId": str(stop.job_id)})

    @posted(
        routes,
        "/stop-jobs",
        responses={200: {"model": list[models.JobId]}},
        openapi_extra=documents.body("The jobs to stop.", {"type": "array", "items": documents.STOP}),
    )
    def stop_jobs(asked: Asked) -> Response:
        """Ask for the end of several jobs; none is stopped when one of the ids is wrong."""
        jobs = list_of(asked.text, "Json parse list exception!")
        stops = [_stop(job, f"[{index}].") for index, job in enumerate(jobs)]
        for stop in stops:
            operations.stop(stop)
        return Json([{"jobId": stop.job_id} for stop in stops])


def _stop(job: Any, place: str = "") -> Stop:
    if not isinstance(job, dict) or job.get("jobId") is None:
        raise BadRequest("jobId cannot be empty.", [Problem(f"{place}jobId", "the id is missing", "")])
    savepoint, force = truth(job.get("isStopWithSavePoint")), truth(job.get("force"))
    return Stop(long_of(job["jobId"], f"{place}jobId"), savepoint, force)


# ----------------------------------------------------------------------------------------------------- secrets and tags


def _node_routes(routes: APIRouter, state: State, listener: Listener) -> None:
    operations = state.operations

    @posted(
        routes,
        "/encrypt-config",
        responses={200: {"model": dict[str, Any]}},
        openapi_extra=documents.body("A job with env shade.identifier.", documents.JOB),
    )
    def encrypt(asked: Asked) -> Response:
        """The same job with its secrets encoded as env shade.identifier says."""
        return Json(operations.encrypted(object_of(asked.text, listener.wire)[0]))

    @posted(
        routes,
        "/update-tags",
        put=listener.name == "v1",
        responses={200: {"model": models.Done}},
        openapi_extra=documents.body("The node's attributes.", {"type": "object"}),
    )
    def update_tags(asked: Asked) -> Response:
        """Replace the attributes of this node."""
        tags, _ = object_of(asked.text, listener.wire)
        operations.set_tags({key: "" if value is None else text_for(value) for key, value in tags.items()})
        return Json({"status": "success", "message": "update node tags done."})

    @posted(
        routes,
        "/drain-node",
        responses={200: {"model": models.Drained}},
        openapi_extra=documents.body("The node, as host:port.", documents.DRAIN),
    )
    def drain_node(asked: Asked) -> Response:
        """Have a node of the cluster give its jobs to others and take none; with `undo` it takes jobs again."""
        order, _ = object_of(asked.text, listener.wire)
        node, drained = text_for(order.get("node", "")), not truth(order.get("undo"))
        left = operations.drain(node, drained=drained)
        return Json({"node": node, "drained": drained, "jobIds": [str(job_id) for job_id in left]})


def text_for(value: Any) -> str:
    """A value of JSON as the text that a user would have written for it."""
    return value if isinstance(value, str) else json.dumps(value)
