"""Routes that show log files. Each node keeps those of its own home; in a cluster any node shows those of all."""

import json
import re
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from headrace.api import documents, models
from headrace.api.listener import Listener
from headrace.api.log_files import page
from headrace.api.looking import query_value
from headrace.api.neighbours import owner_among, unknown
from headrace.api.problems import BadRequest, Json
from headrace.api.state import State
from headrace.cluster.peers import Unanswered
from headrace.logs import LOG_CUT, LOG_POSITION

JOB_LOG = re.compile(r"job-(\d{1,19})\.log")


def log_routes(routes: APIRouter, state: State, listener: Listener) -> None:
    """All of them, in the words of a listener."""
    logs, neighbours = state.logs, state.neighbours

    def file(request: Request, name: str) -> Response:
        return elsewhere(request, name, f"/logs/{quote(name)}") or own_file(name)

    def own_file(name: str) -> Response:
        content = logs.read(name)
        return Response(status_code=400) if content is None else plain(content)

    def elsewhere(request: Request, name: str, path: str) -> Response | None:
        """A file of another node: that which was named, which runs its job, or has it where this one has none."""
        node = neighbours.named(request, listener)
        if node is not None:
            return neighbours.ask(node, "GET", path)
        if request.query_params.get("node"):
            return None
        others = neighbours.others(listener)
        job = JOB_LOG.match(name) if neighbours.are_there(listener) else None
        record = state.operations.job(int(job[1])) if job else None
        owner = None if record is None else owner_among(others, record)
        is_here = name in logs.names()
        if is_here and owner is None:
            return None
        silent = ""
        for other in sorted(others, key=lambda one: owner is None or one.id != owner.id):
            try:
                answer = neighbours.ask(other, "GET", path)
            except BadRequest as error:
                silent = str(error)
                continue
            if answer.status_code == 200:
                return answer
        if is_here:
            return None
        if record is not None and owner is None and record.owner != state.service.id:
            silent = silent or str(unknown("the node that ran the job does not live"))
        if silent:
            raise BadRequest(silent, status=503)
        return None

    def listing(request: Request, part: str = "") -> Response:
        found = [(listener.address, f"{listener.url}/logs/{quote(name)}", name) for name in logs.names(part)]
        replies = neighbours.ask_each(neighbours.others(listener), "/get-all-log-name")
        for address, reply in replies.items():
            if isinstance(reply, Unanswered):
                state.service.log("warning", f"the list of logs lacks those of {address}: {reply}")
                continue
            theirs = json.loads(reply.content) if reply.status == 200 else []
            where = f"?node={quote(address)}"
            found += [(address, f"{listener.url}/logs/{quote(n)}{where}", n) for n in theirs if part in n]
        if query_value(request, "format").lower() == "json":
            return Json([{"node": node, "logLink": link, "logName": name} for node, link, name in found])
        return html(page([(link, f"{node}-{name}" if replies else name) for node, link, name in found]))

    page_or_list: dict[int | str, dict[str, Any]] = {
        200: {"model": list[models.LogAnswer], "content": {"text/html": {}}}
    }
    text: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/plain": {}}, "description": "The end of the file."},
        400: {"description": "There is no such file."},
        **documents.NO_NODE,
    }
    how = {"parameters": [documents.query("format", {"enum": ["html", "json"], "default": "html"})]}

    @routes.get("/logs", responses=page_or_list, openapi_extra=how)
    def all_logs(request: Request) -> Response:
        """All log files: a page, or JSON with format=json."""
        return listing(request)

    @routes.get("/logs/{name}", responses={**text, 200: {"content": {"text/html": {}, "text/plain": {}}}})
    def log_or_job(request: Request, name: str) -> Response:
        """The content of a log file, or the files of a job."""
        return file(request, name) if ".log" in name else listing(request, name)

    @routes.get("/log", responses={200: {"content": {"text/html": {}}}})
    def own_logs() -> Response:
        """A page of this node's log files."""
        return html(page([(f"log/{quote(name)}", name) for name in logs.names()]))

    after = {"parameters": [documents.query("after", {"type": "string"}), documents.NODE]}

    @routes.get("/log/{name}", responses=text, openapi_extra=after)
    def one_log(request: Request, name: str) -> Response:
        """The content of a log file; with `after` what follows a position, from the rotated parts on."""
        after = request.query_params.get("after")
        found = elsewhere(request, name, f"/log/{quote(name)}" + ("" if after is None else f"?after={quote(after)}"))
        if found is not None:
            return found
        if after is None:
            return own_file(name)
        part = logs.part(name, query_value(request, "after"))
        if part is None:
            return Response(status_code=400)
        told = {LOG_POSITION: part.position, LOG_CUT: str(part.cut).lower()}
        return Response(part.content, headers={"Content-Type": "text/plain", **told})

    @routes.get("/get-all-log-name", responses={200: {"content": {listener.names_type: {}}}})
    def log_names() -> Response:
        """The names of this node's log files."""
        content = json.dumps(logs.names(), separators=(",", ":")).encode()
        return Response(content, headers={"Content-Type": listener.names_type})


def plain(content: bytes) -> Response:
    """A text, typed as SeaTunnel types it."""
    return Response(content, headers={"Content-Type": "text/plain"})


def html(text: str) -> Response:
    """A page, typed as SeaTunnel types it."""
    return HTMLResponse(text, headers={"Content-Type": "text/html; charset=UTF-8"})
