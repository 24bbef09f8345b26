"""What only Headrace answers on v2: checks of a job text, plugins with their options, rates of past jobs."""

import time
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from headrace.api import documents, models
from headrace.api.asked import Asked, posted
from headrace.api.body import long_of
from headrace.api.dag import job_dag
from headrace.api.job_files import JobFile
from headrace.api.listener import Listener
from headrace.api.option_rules import KINDS, plugin, plugins
from headrace.api.problems import BadRequest, Json, problem_json
from headrace.api.rates import Point
from headrace.api.state import State
from headrace.cluster.peers import Reply
from headrace.errors import Problem
from headrace.jobs.record import JobRecord, JobText
from headrace.jobs.service import CheckedJob
from headrace.plan.render import render
from headrace.rows import TableSchema, type_name
from headrace.secrets import MASK

_FORMATS = ("json", "hocon", "sql")

REPLAY_SECONDS = 3600.0
"""How long another node may take to send in what it has set aside."""

_NO_JOB: dict[int | str, dict[str, Any]] = {404: {"model": models.Failure, "description": "There is no such job."}}


def own_routes(routes: APIRouter, state: State, listener: Listener) -> None:
    """All of them."""
    _check(routes, state, listener)
    _preview(routes, state, listener)
    _replay(routes, state, listener)
    _plugin_routes(routes)
    _rates(routes, state, listener)
    _files(routes, state, listener)
    _who(routes, listener)


# ---------------------------------------------------------------------------------------------------------------- check


def _check(routes: APIRouter, state: State, listener: Listener) -> None:
    @posted(
        routes,
        "/check",
        responses={200: {"model": models.CheckAnswer}},
        openapi_extra={
            "parameters": [documents.FORMAT],
            **documents.body("A job text that need not be right.", documents.JOB),
        },
    )
    def check(asked: Asked) -> Response:
        """All that is wrong with a job text, with place and line, and its plan; nothing is taken."""
        return Json(_checked(state.operations.check(asked.text, _format(asked, listener))))


def _format(asked: Asked, listener: Listener) -> str:
    form = listener.read_query(asked.query).get("format", "json").lower()
    if form not in _FORMATS:
        text = f"there is no format {form!r}"
        raise BadRequest(text, [Problem("format", text, f"give one of {', '.join(_FORMATS)}")])
    return form


def _checked(found: CheckedJob) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "valid": not found.problems,
        "problems": [problem_json(problem) for problem in found.problems],
        "plan": None,
    }
    if found.plan is not None and found.outline is not None:
        tables = {str(step): [_table(table) for table in of] for step, of in found.tables.items()}
        answer["plan"] = {
            "text": render(found.plan, {step: list(of) for step, of in found.tables.items()}),
            "jobDag": job_dag(0, {}, found.outline),
            "tables": tables,
            "slots": found.outline.slots(),
        }
    return answer


def _table(table: TableSchema) -> dict[str, Any]:
    return {"path": table.path, "columns": [{"name": c.name, "type": type_name(c.type)} for c in table.columns]}


# --------------------------------------------------------------------------------------------------- preview and replay


def _preview(routes: APIRouter, state: State, listener: Listener) -> None:
    @posted(
        routes,
        "/preview",
        responses={200: {"model": models.PreviewAnswer}},
        openapi_extra={"parameters": [documents.FORMAT], **documents.body("A job.", documents.JOB)},
    )
    def preview(asked: Asked) -> Response:
        """The first rows of each table as they would reach the sinks, within 20 seconds; nothing is written."""
        return Json({"tables": state.operations.preview(asked.text, _format(asked, listener))})


def _replay(routes: APIRouter, state: State, listener: Listener) -> None:
    @routes.post(
        "/replay/{job_id}",
        responses={200: {"model": models.ReplayAnswer}, **_NO_JOB},
        openapi_extra={"parameters": [documents.FORMAT], **documents.body("The job, where it has secrets.", {})},
    )
    async def replay(job_id: str, request: Request) -> Response:
        """Send in the rows that a job has set aside and that were not replayed yet; what became of them.

        The body is the job's text, or empty: then it is what the server keeps of it.
        """
        asked = Asked(await request.body(), request.url.query, request.headers.get("content-type", ""))
        return await run_in_threadpool(_replayed, job_id, asked)

    def _replayed(job_id: str, asked: Asked) -> Response:
        record = _record(state, job_id)
        other = state.neighbours.owner(record, listener)
        if other is not None:
            path = f"/replay/{record.job_id}?{asked.query}"
            return state.neighbours.ask(other, "POST", path, asked.body, seconds=REPLAY_SECONDS)
        given = JobText(asked.text, _format(asked, listener)) if asked.body.strip() else _known_text(state, record)
        found = state.operations.replay(record, given)
        names = ("replayed", "setAsideAgain", "kept", "said")
        return Json({"jobId": str(record.job_id), **{name: found[name] for name in names}})


def _known_text(state: State, record: JobRecord) -> JobText:
    """What a job was submitted as. Raises BadRequest where the server does not know it any more."""
    if not record.status.is_end:
        return state.operations.text_of(record)
    file = state.job_files.of(record)
    if file is None or MASK in file.text:
        why = "its secrets are not kept" if file else "its file is not kept"
        cure = "send its text as the body, or call `headrace replay` with the file"
        raise BadRequest(f"job {record.job_id} cannot be replayed: {why}", [Problem("", why, cure)])
    return JobText(file.text, file.format)


# -------------------------------------------------------------------------------------------------------------- plugins


def _plugin_routes(routes: APIRouter) -> None:
    @routes.get("/plugins", responses={200: {"model": list[dict[str, Any]]}})
    def all_plugins() -> Response:
        """Every source, transform and sink: name, kinds, what it does."""
        return Json(plugins())

    none: dict[int | str, dict[str, Any]] = {404: {"model": models.Failure, "description": "There is no such plugin."}}

    @routes.get("/plugins/{kind}/{name}", responses={200: {"model": dict[str, Any]}, **none})
    def one_plugin(kind: str, name: str) -> Response:
        """One plugin with its options as JSON schema."""
        return Json(plugin(kind, name))


# ---------------------------------------------------------------------------------------------------------------- rates


def _rates(routes: APIRouter, state: State, listener: Listener) -> None:
    @routes.get("/rates", responses={200: {"model": list[dict[str, float]]}})
    def cluster_rates() -> Response:
        """Rows and bytes a second of this node's jobs in the last hour, every five seconds."""
        return Json(state.rates.cluster())

    @routes.get("/rates/{job_id}", responses={200: {"model": models.RatesAnswer}, **_NO_JOB})
    def job_rates(job_id: str) -> Response:
        """Totals of a job over its life, running or ended, up to 120 of them."""
        record = _record(state, job_id)
        other = state.neighbours.owner(record, listener)
        if other is not None:
            return state.neighbours.ask(other, "GET", f"/rates/{record.job_id}")
        points = state.rates.of(*record.key)
        return Json({"jobId": str(record.job_id), "points": [_point(p) for p in (*points, *_last(record, points))]})


def _record(state: State, job_id: str) -> JobRecord:
    """The last run of a job. Raises BadRequest, 404, when there is none."""
    number = long_of(job_id)
    record = state.operations.job(number)
    if record is None:
        text = f"there is no job {number}"
        raise BadRequest(text, [Problem("jobId", text, "see /jobs")], status=404)
    return record


def _last(record: JobRecord, points: Sequence[Point]) -> list[Point]:
    """The end of a job that has ended, and the beginning of one that was too short to be sampled."""
    if not record.status.is_end:
        return []
    kinds = {part.step: part.kind for part in record.outline.parts()}
    of = {kind: [c for (step, _), c in record.metrics.counts.items() if kinds.get(step) == kind] for kind in KINDS}
    end = Point(
        record.ended or time.time(),
        sum(c.rows for c in of["source"]),
        sum(c.rows - c.rejected for c in of["sink"]),
        sum(c.bytes for c in of["source"]),
        sum(c.bytes for c in of["sink"]),
        sum(c.rejected for counts in of.values() for c in counts),
    )
    return [end] if points else [Point(record.started or record.created), end]


def _point(point: Point) -> dict[str, Any]:
    return {
        "time": int(point.time * 1000),
        "read": point.read,
        "written": point.written,
        "readBytes": point.read_bytes,
        "writtenBytes": point.written_bytes,
        "rejected": point.rejected,
    }


# ---------------------------------------------------------------------------------------------------------------- files


def _files(routes: APIRouter, state: State, listener: Listener) -> None:
    @routes.get("/job-files/{job_id}", responses={200: {"model": models.JobFiles}, **_NO_JOB})
    def job_file(job_id: str) -> Response:
        """The file of a job as it was taken, secrets masked, and that of the run before it, where they are kept."""
        record = _record(state, job_id)
        files = state.job_files
        others = state.neighbours.others(listener) if files.of(record) is None else []
        for reply in state.neighbours.ask_each(others, f"/job-files/{record.job_id}").values():
            if isinstance(reply, Reply) and reply.status == 200 and orjson.loads(reply.content)["file"] is not None:
                return Json(reply.content)  # who took the job has kept its file
        answer = {"jobId": str(record.job_id), "file": _file(files.of(record)), "before": _file(files.before(record))}
        return Json(answer)


def _file(file: JobFile | None) -> dict[str, Any] | None:
    if file is None:
        return None
    return {
        "jobId": str(file.job_id),
        "run": file.run,
        "format": file.format,
        "text": file.text,
        "takenAt": int(file.taken * 1000),
    }


# ------------------------------------------------------------------------------------------------------------------ who


def _who(routes: APIRouter, listener: Listener) -> None:
    @routes.get("/whoami", responses={200: {"model": models.Who}})
    def whoami(request: Request) -> Response:
        """What whoever asks may do, and whether this server asks for a login at all."""
        guard = listener.guard
        role = guard.role(request.headers.get("authorization", ""))
        return Json({"role": role, "login": not guard.is_open})
