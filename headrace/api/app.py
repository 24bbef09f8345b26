"""The application: routes, what errors become, the OpenAPI document and its page."""

from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, RedirectResponse, Response

from headrace import __version__
from headrace.api import hazelcast, v1
from headrace.api.encoding import TooLarge
from headrace.api.gate import App, Gate, too_large
from headrace.api.paths import nearest
from headrace.api.problems import Json, answer_to, failure
from headrace.api.security import Guard
from headrace.api.state import State
from headrace.errors import HeadraceError, Problem, told


def make_app(state: State) -> App:
    """The application over one state, behind its gate."""
    app = FastAPI(
        title="Headrace",
        version=__version__,
        description="Apache SeaTunnel's REST API v1, answered by Headrace.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.include_router(v1.router(state))
    app.include_router(hazelcast.router(state))
    page = files("headrace.api").joinpath("docs.html").read_text(encoding="utf-8")

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        """The OpenAPI document as a page."""
        return HTMLResponse(page)

    @app.get("/", include_in_schema=False)
    def start(request: Request) -> Response:
        """A browser is shown the page; for other clients there is nothing here, as in SeaTunnel's v1."""
        if "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        return RedirectResponse("/docs")

    _document(app)
    _errors(app, state)
    return Gate(app, state, Guard(state.settings))


def _document(app: FastAPI) -> None:
    """What the framework says of answers, put right: a request that is wrong is always 400, never 422."""
    for route in app.openapi()["paths"].values():
        for operation in route.values():
            operation["responses"].pop("422", None)
            done = operation["responses"].get("200", {})
            if done.get("description") == "Successful Response":
                done["description"] = "Done."


def _errors(app: FastAPI, state: State) -> None:
    @app.exception_handler(HeadraceError)
    def ours(request: Request, error: HeadraceError) -> Json:
        return answer_to(error, state.wire)

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
    def not_found(request: Request, error: HTTPException) -> Json:
        asked = request.scope.get("asked_path", request.url.path)
        if error.status_code != 404:
            return failure(str(error.detail), status=error.status_code)
        known = {path.split("/{")[0] for path in app.openapi()["paths"]} | {"/docs", "/openapi.json"}
        near = nearest(asked, sorted(known))
        cure = f"did you mean {near}?" if near else "all paths are listed at /docs"
        return failure(f"there is no {asked}; {cure}", [Problem(asked, "there is no such path", cure)], status=404)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Json:
        state.service.log("error", f"{request.method} {request.url.path}: {told(error)}")
        return failure(f"the server cannot answer, its log says where: {told(error)}", status=500)
