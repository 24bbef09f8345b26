"""REST v2: the same requests under a context path on a port of its own, and those that later releases added.

SeaTunnel pages «rest-api-v2» of 2.3.13 and 3.x.
"""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from headrace.api import documents
from headrace.api.changing import changing_routes
from headrace.api.events import event_routes
from headrace.api.hazelcast import exposition
from headrace.api.later import later_routes
from headrace.api.listener import Listener
from headrace.api.log_routes import log_routes
from headrace.api.looking import looking_routes
from headrace.api.own import own_routes
from headrace.api.state import State


def router(state: State, listener: Listener) -> APIRouter:
    """All routes of v2."""
    routes = APIRouter(prefix=listener.base, responses=documents.REFUSED, tags=["REST v2"])
    looking_routes(routes, state, listener)
    changing_routes(routes, state, listener)
    log_routes(routes, state, listener)
    later_routes(routes, state, listener)
    own_routes(routes, state, listener)
    event_routes(routes, state.broadcast)
    _metrics(routes, state)
    return routes


def _metrics(routes: APIRouter, state: State) -> None:
    text: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}}}}

    @routes.get("/metrics", responses=text)
    def metrics() -> Response:
        """Metrics for Prometheus; empty unless telemetry is on."""
        return exposition(state, openmetrics=False)

    @routes.get("/openmetrics", responses=text)
    def openmetrics() -> Response:
        """The same in OpenMetrics' format."""
        return exposition(state, openmetrics=True)
