"""REST v1: the endpoints below /hazelcast/rest/maps. SeaTunnel pages «rest-api» (2.3.3) and «rest-api-v1»."""

from fastapi import APIRouter

from headrace.api import documents
from headrace.api.changing import changing_routes
from headrace.api.events import event_routes
from headrace.api.later import later_routes
from headrace.api.listener import Listener
from headrace.api.log_routes import log_routes
from headrace.api.looking import looking_routes
from headrace.api.own import own_routes
from headrace.api.state import State


def router(state: State, listener: Listener, *, alone: bool) -> APIRouter:
    """All routes of v1. alone: whether those that the page needs are here, too, since no v2 has them."""
    routes = APIRouter(prefix=listener.base, responses=documents.REFUSED, tags=["REST v1"])
    looking_routes(routes, state, listener)
    changing_routes(routes, state, listener)
    log_routes(routes, state, listener)
    if alone:
        later_routes(routes, state, listener)
        own_routes(routes, state, listener)
        event_routes(routes, state.broadcast)
    return routes
