"""Paths of REST v1: SeaTunnel finds its endpoints by how a path begins, so `/overviewXYZ` is `/overview`."""

from collections.abc import Iterable
from difflib import get_close_matches

MAPS = "/hazelcast/rest/maps"

GET = (
    "jobs/checkpoints/history",
    "jobs/checkpoints",
    "running-jobs",
    "finished-jobs",
    "running-job",
    "job-info",
    "system-monitoring-information",
    "running-threads",
    "overview",
    "thread-dump",
    "get-all-log-name",
    "logs",
    "log",
)
POST = (
    "submit-jobs",
    "submit-job/upload",
    "submit-job",
    "stop-jobs",
    "stop-job",
    "encrypt-config",
    "update-tags",
    "drain-node",
)
_WITH_REST = ("jobs/checkpoints/history", "jobs/checkpoints", "finished-jobs", "running-job", "job-info", "logs", "log")

GROUPS = {
    "/hazelcast/rest/maps": "DATA",
    "/hazelcast/rest/queues": "DATA",
    "/hazelcast/rest/cluster": "CLUSTER_READ",
    "/hazelcast/rest/instance": "CLUSTER_READ",
    "/hazelcast/rest/log-level": "CLUSTER_READ",
    "/hazelcast/health": "HEALTH_CHECK",
}
"""How a path begins → the endpoint group of hazelcast.yaml that lets it answer."""


def route(method: str, path: str) -> str:
    """The path of the route that serves this one, or the path itself."""
    if not path.startswith(f"{MAPS}/"):
        return path
    name = path[len(MAPS) + 1 :]
    for endpoint in GET if method in ("GET", "HEAD") else POST if method in ("POST", "PUT") else GET + POST:
        if name.startswith(endpoint):
            rest = name[len(endpoint) :]
            if endpoint not in _WITH_REST:
                return f"{MAPS}/{endpoint}"
            last = rest.removesuffix("/").rpartition("/")[2] if "/" in rest else ""
            return f"{MAPS}/{endpoint}" + (f"/{last}" if last else "")
    return path


def group(method: str, path: str) -> str | None:
    """The endpoint group a path belongs to; None for a path outside all of them."""
    if path.startswith("/hazelcast/rest/log-level") and method in ("POST", "PUT"):
        return "CLUSTER_WRITE"
    return next((name for beginning, name in GROUPS.items() if path.startswith(beginning)), None)


def nearest(path: str, known: Iterable[str]) -> str:
    """The known path that is most like this one, with or without v1's prefix; empty when none is like it."""
    names = {_own_part(one): one for one in known}
    found = get_close_matches(_own_part(path)[:200], names, 1, 0.6)
    return names[found[0]] if found else ""


def _own_part(path: str) -> str:
    return path.removeprefix(MAPS).strip("/")
