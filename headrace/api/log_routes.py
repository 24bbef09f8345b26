"""Routes that show log files. The log files of all nodes keep to one place: each node lists those of its own home."""

import json
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from headrace.api import documents, models
from headrace.api.listener import Listener
from headrace.api.log_files import page
from headrace.api.looking import query_value
from headrace.api.problems import Json
from headrace.api.state import State
from headrace.logs import LOG_CUT, LOG_POSITION


def log_routes(routes: APIRouter, state: State, listener: Listener) -> None:
    """All of them, in the words of a listener."""
    logs = state.logs

    def file(name: str) -> Response:
        content = logs.read(name)
        return Response(status_code=400) if content is None else plain(content)

    def listing(request: Request, part: str = "") -> Response:
        found = [(f"{listener.url}/logs/{quote(name)}", name) for name in logs.names(part)]
        if query_value(request, "format").lower() == "json":
            return Json([{"node": listener.address, "logLink": link, "logName": name} for link, name in found])
        return html(page(found))

    page_or_list: dict[int | str, dict[str, Any]] = {
        200: {"model": list[models.LogAnswer], "content": {"text/html": {}}}
    }
    text: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/plain": {}}, "description": "The end of the file."},
        400: {"description": "There is no such file."},
    }
    how = {"parameters": [documents.query("format", {"enum": ["html", "json"], "default": "html"})]}

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

    after = {"parameters": [documents.query("after", {"type": "string"})]}

    @routes.get("/log/{name}", responses=text, openapi_extra=after)
    def one_log(request: Request, name: str) -> Response:
        """The content of a log file; with `after` what follows a position, from the rotated parts on."""
        if "after" not in request.query_params:
            return file(name)
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
