"""What members of a cluster ask each other: the store of jobs where this node serves it, and what it alone knows."""

from dataclasses import replace

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from headrace.api.asked import Asked, posted
from headrace.api.later import later_routes
from headrace.api.listener import Listener
from headrace.api.log_routes import log_routes
from headrace.api.looking import looking_routes
from headrace.api.own import own_routes
from headrace.api.problems import BadRequest, Json
from headrace.api.state import State
from headrace.cluster.peers import MEMBERS
from headrace.jobs.remote_store import ServedStore


def router(state: State, listener: Listener, store: ServedStore | None) -> APIRouter:
    """All of them. store: None where another node serves it, or a database."""

    def only_members(request: Request) -> None:
        if not listener.guard.is_member(request.headers.get("authorization", "")):
            raise BadRequest("only members of the cluster may ask this", status=403)

    routes = APIRouter(prefix=MEMBERS, include_in_schema=False, dependencies=[Depends(only_members)])
    inner = replace(listener, base=MEMBERS, is_inner=True)
    looking_routes(routes, state, inner)
    log_routes(routes, state, inner)
    later_routes(routes, state, inner)
    own_routes(routes, state, inner)

    @posted(routes, "/store")
    def ask_store(asked: Asked) -> Response:
        """One request of a RemoteStore."""
        if store is None:
            raise BadRequest("this node does not serve the store of jobs", status=404)
        return Json(store.answer(asked.body))

    return routes
