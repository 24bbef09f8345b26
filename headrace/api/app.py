"""The applications of the listeners: routes, what errors become, the OpenAPI document and its page."""

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response

from headrace import __version__
from headrace.api import hazelcast, member_routes, v1, v2
from headrace.api.encoding import TooLarge
from headrace.api.gate import Gate, too_large
from headrace.api.hazelcast_manners import HazelcastManners
from headrace.api.jetty_manners import JettyManners
from headrace.api.listener import Listener, first_listener, second_listener
from headrace.api.page import Page
from headrace.api.paths import MAPS, nearest
from headrace.api.problems import Json, answer_to, failure
from headrace.api.state import State
from headrace.errors import HeadraceError, Problem, told
from headrace.jobs.remote_store import ServedStore

NotFound = Callable[[Request], Response]


def first_app(state: State, address: str, *, alone: bool, store: ServedStore | None = None) -> Gate:
    """REST v1 and Hazelcast's own endpoints over one state. address: host:port that is told others.

    alone: whether no other port shows the page; then this one does, and answers what it asks for. store: that which
    other members of the cluster use, where this server has it.
    """
    page = Page("", {"api": f"{MAPS.removeprefix('/')}/", "document": "openapi.json"})
    listener = first_listener(state.settings, address, HazelcastManners(state.settings, page, is_start=alone))
    app = _application("v1", "")
    app.include_router(v1.router(state, listener, alone=alone))
    app.include_router(hazelcast.router(state))
    if state.settings.cluster_secret is not None:
        app.include_router(member_routes.router(state, listener, store))
    _docs(app, "", page)

    @app.get("/", include_in_schema=False)
    def start(request: Request) -> Response:
        """A browser is shown the page; for other clients there is nothing here, as in SeaTunnel's v1."""
        if "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        return RedirectResponse("/docs")

    def not_found(request: Request) -> Response:
        asked = request.scope.get("asked_path", request.url.path)
        known = {path.split("/{")[0] for path in app.openapi()["paths"]} | {"/docs", "/openapi.json"}
        near = nearest(asked, sorted(known))
        cure = f"did you mean {near}?" if near else "all paths are listed at /docs"
        return failure(f"there is no {asked}; {cure}", [Problem(asked, "there is no such path", cure)], status=404)

    return _finished(app, state, listener, not_found)


def second_app(state: State, address: str, scheme: str) -> Gate:
    """REST v2 over the same state."""
    base = state.settings.base_path
    page = Page(base, {"api": "", "document": "openapi.json"})
    manners = JettyManners(base, page, [f"{base}{path}" for path in ("/docs", "/openapi.json")])
    listener = second_listener(state.settings, address, manners, scheme)
    app = _application("v2", base)
    routes = v2.router(state, listener)
    manners.know(routes.routes)
    app.include_router(routes)
    _docs(app, base, page)

    def not_found(request: Request) -> Response:
        asked = request.scope.get("asked_path", request.url.path)
        return manners.not_found(asked, request.headers.get("accept", ""))

    return _finished(app, state, listener, not_found)


def _application(name: str, base: str) -> FastAPI:
    return FastAPI(
        title="Headrace",
        version=__version__,
        description=f"Apache SeaTunnel's REST API {name}, answered by Headrace.",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{base}/openapi.json",
        redirect_slashes=False,
    )


def _docs(app: FastAPI, base: str, page: Page) -> None:
    @app.get(f"{base}/docs", include_in_schema=False)
    def docs() -> Response:
        """The page, with nothing but the OpenAPI document."""
        return page.first(only="api")


def _finished(app: FastAPI, state: State, listener: Listener, not_found: NotFound) -> Gate:
    _document(app)
    _errors(app, state, listener, not_found)
    return Gate(app, state, listener, app.openapi)


def _document(app: FastAPI) -> None:
    """What the framework says of answers, put right: a request that is wrong is always 400, never 422."""
    for route in app.openapi()["paths"].values():
        for operation in route.values():
            operation["responses"].pop("422", None)
            done = operation["responses"].get("200", {})
            if done.get("description") == "Successful Response":
                done["description"] = "Done."


def _errors(app: FastAPI, state: State, listener: Listener, not_found: NotFound) -> None:
    @app.exception_handler(HeadraceError)
    def ours(request: Request, error: HeadraceError) -> Json:
        return answer_to(error, listener.wire)

    @app.exception_handler(RecursionError)
    def deep(request: Request, error: RecursionError) -> Json:
        return failure("the job is nested too deeply", [Problem("", "it is nested too deeply", "nest fewer levels")])

    @app.exception_handler(TooLarge)
    def large(request: Request, error: TooLarge) -> Json:
        return too_large(error.limit)

    @app.exception_handler(ClientDisconnect)
    def gone(request: Request, error: ClientDisconnect) -> Response:
        state.service.log("info", f"{request.method} {request.url.path}: the client went away within its body")
        return Response(status_code=400)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Json:
        problems = [Problem(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors()]
        return failure(str(problems[0]), problems)

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> Response:
        if error.status_code != 404:
            return failure(str(error.detail), status=error.status_code)
        return not_found(request)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Json:
        state.service.log("error", f"{request.method} {request.url.path}: {told(error)}")
        return failure(f"the server cannot answer, its log says where: {told(error)}", status=500)
