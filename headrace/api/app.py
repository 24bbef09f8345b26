"""The applications of the listeners: routes, what errors become, the OpenAPI document and its page."""

from collections.abc import Callable
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, RedirectResponse, Response

from headrace import __version__
from headrace.api import hazelcast, v1, v2
from headrace.api.encoding import TooLarge
from headrace.api.gate import Gate, too_large
from headrace.api.hazelcast_manners import HazelcastManners
from headrace.api.jetty_manners import JettyManners
from headrace.api.listener import Listener, first_listener, second_listener
from headrace.api.paths import nearest
from headrace.api.problems import Json, answer_to, failure
from headrace.api.state import State
from headrace.errors import HeadraceError, Problem, told

NotFound = Callable[[Request], Response]


def first_app(state: State, address: str) -> Gate:
    """REST v1 and Hazelcast's own endpoints over one state. address: host:port that is told others."""
    listener = first_listener(state.settings, address, HazelcastManners(state.settings))
    app = _application("v1", "")
    app.include_router(v1.router(state, listener))
    app.include_router(hazelcast.router(state))
    _pages(app, "")

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
    manners = JettyManners(base, [f"{base}{page}" for page in ("/", "/docs", "/openapi.json")])
    listener = second_listener(state.settings, address, manners, scheme)
    app = _application("v2", base)
    routes = v2.router(state, listener)
    manners.know(routes.routes)
    app.include_router(routes)
    page = _pages(app, base)

    @app.get(f"{base}/", include_in_schema=False)
    def start() -> Response:
        """The page of the server."""
        return page()

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


def _pages(app: FastAPI, base: str) -> Callable[[], Response]:
    content = files("headrace.api").joinpath("docs.html").read_text(encoding="utf-8")

    @app.get(f"{base}/docs", include_in_schema=False)
    def docs() -> Response:
        """The OpenAPI document as a page."""
        return HTMLResponse(content)

    return docs


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
