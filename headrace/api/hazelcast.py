"""Hazelcast's own endpoints, which operators and load balancers ask: health, cluster, log levels, metrics."""

import logging
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from headrace import __version__
from headrace.api.problems import BadRequest, Json
from headrace.api.state import State
from headrace.errors import Problem
from headrace.jobs.roles import Role

LOGGERS = ("headrace", "headrace.job", "uvicorn")
_LEVELS = {"TRACE": "DEBUG", "DEBUG": "DEBUG", "INFO": "INFO", "WARN": "WARNING", "ERROR": "ERROR", "OFF": "CRITICAL"}


_NO_VALUE: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such value."},
    503: {"description": "Jobs cannot be taken now, such as on a full disk."},
}


def router(state: State) -> APIRouter:
    """All routes over one state."""
    routes = APIRouter(prefix="/hazelcast", tags=["Hazelcast"])
    _health(routes, state)
    _cluster(routes, state)
    return routes


def _health(routes: APIRouter, state: State) -> None:
    values: dict[str, Any] = {"node-state": '"ACTIVE"', "cluster-state": '"ACTIVE"', "migration-queue-size": "0"}

    @routes.get("/health")
    def health() -> Response:
        """Whether this node and its cluster work."""
        count = len(state.service.nodes())
        return Json(
            {
                "nodeState": "ACTIVE",
                "clusterState": "ACTIVE",
                "clusterSafe": True,
                "migrationQueueSize": 0,
                "clusterSize": count,
            }
        )

    @routes.get("/health/{name}", responses=_NO_VALUE)
    def one_value(name: str) -> Response:
        """One of node-state, cluster-state, migration-queue-size, cluster-size, cluster-safe, ready."""
        if name in ("cluster-safe", "ready"):
            if reason := state.service.unready():
                raise BadRequest(f"this server cannot take jobs now: {reason}", status=503)
            return Response(status_code=200)
        if name == "cluster-size":
            return Json(str(len(state.service.nodes())).encode())
        if name in values:
            return Json(values[name].encode())
        raise BadRequest(f"there is no value {name!r}", status=404)


def _cluster(routes: APIRouter, state: State) -> None:
    @routes.get("/rest/cluster")
    def cluster() -> Response:
        """The nodes, the master first."""
        members = []
        for node in state.service.nodes():
            host, _, port = node.address.rpartition(":")
            uuid = f"{node.id[:8]}-{node.id[8:12]}-{node.id[12:16]}-{node.id[16:20]}-{node.id[20:]}"
            members.append(
                {
                    "address": f"[{host.strip('[]')}]:{port}",
                    "liteMember": node.role == Role.WORKER,
                    "localMember": node.id == state.service.id,
                    "uuid": uuid,
                    "memberVersion": __version__,
                }
            )
        count = len(state.traffic.connections())
        return Json({"members": members, "connectionCount": count, "allConnectionCount": count})

    @routes.get("/rest/instance")
    def instance() -> Response:
        """The node's name."""
        return Json({"name": "main"})

    text: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}}}}

    @routes.get("/rest/instance/metrics", responses=text)
    def metrics() -> Response:
        """Metrics for Prometheus; empty unless telemetry is on."""
        return exposition(state, openmetrics=False)

    @routes.get("/rest/instance/openmetrics", responses=text)
    def openmetrics() -> Response:
        """The same in OpenMetrics' format."""
        return exposition(state, openmetrics=True)

    @routes.get("/rest/log-level")
    def log_levels() -> Response:
        """Logger → level."""
        names = {"root": logging.getLogger(), **{name: logging.getLogger(name) for name in LOGGERS}}
        return Json({name: logging.getLevelName(logger.getEffectiveLevel()) for name, logger in names.items()})

    @routes.post(
        "/rest/log-level",
        responses={400: {"description": "The body is wrong."}, 403: {"description": "The cluster's name is wrong."}},
    )
    async def set_log_level(request: Request) -> Response:
        """Change a level. Body: cluster name, password, logger, level, with & between them."""
        parts = (await request.body()).decode("utf-8", "replace").split("&")
        if len(parts) != 4 or parts[3].strip().upper() not in _LEVELS:
            problem = Problem("", "the body is not cluster&password&logger&LEVEL", f"levels: {', '.join(_LEVELS)}")
            raise BadRequest("Invalid log level request.", [problem])
        if parts[0] != state.settings.cluster_name:
            raise BadRequest("unauthenticated", status=403)
        if parts[2] in ("root", *LOGGERS):  # others, such as those of Java's packages, are not here
            logging.getLogger(None if parts[2] == "root" else parts[2]).setLevel(_LEVELS[parts[3].strip().upper()])
        return Json({"status": "SUCCESS"})


def exposition(state: State, *, openmetrics: bool) -> Response:
    """The metrics as an answer."""
    content = state.telemetry.text(openmetrics=openmetrics) if state.telemetry is not None else b""
    return Response(content, headers={"Content-Type": "text/plain"})
