"""Which node of a cluster runs a job."""

import time
from collections.abc import Mapping, Sequence

from headrace.errors import NotEnoughSlots
from headrace.jobs.record import Node

TOLD_SECONDS = 2.0
"""After so long a node's own figures hold the jobs that it was given."""


class Placement:
    """Jobs go to the node with the fewest slots in use, those given in the last moments included, that has room.

    own: the service that places, which comes first among equals.
    """

    def __init__(self, own: str) -> None:
        self._own = own
        self._given: list[tuple[float, str, int]] = []

    def choose(self, nodes: Sequence[Node], slots: int, tags: Mapping[str, str]) -> str:
        """The id of the node for a job that needs so many slots, on a node with these tags. Raises NotEnoughSlots."""
        fit = [node for node in nodes if node.runs_jobs and _has(node, tags)]
        if not fit:
            raise NotEnoughSlots(_nobody(nodes, tags))
        large = [node for node in fit if node.slots is None or node.slots >= slots]
        if not large:
            most = max(node.slots or 0 for node in fit)
            raise NotEnoughSlots(f"the job needs {slots} slots, and no node has more than {most}")
        now = time.monotonic()
        self._given = [given for given in self._given if given[0] > now - TOLD_SECONDS]

        def rank(node: Node) -> tuple[bool, int, bool]:
            used = node.used + sum(count for _, given, count in self._given if given == node.id)
            return node.slots is not None and used + slots > node.slots, used, node.id != self._own

        chosen = min(large, key=rank).id
        self._given.append((now, chosen, slots))
        return chosen


def _has(node: Node, tags: Mapping[str, str]) -> bool:
    return all(node.tags.get(name) == value for name, value in tags.items())


def _nobody(nodes: Sequence[Node], tags: Mapping[str, str]) -> str:
    """Why no node may run a job."""
    told = "; ".join(f"{node.address} {_state(node)}" for node in nodes)
    wanted = ", ".join(f"{name}={value}" for name, value in tags.items())
    what = f"no node that runs jobs has the tags {wanted} of env.tag_filter" if tags else "no node runs jobs"
    return f"{what}: {told or 'none lives'}"


def _state(node: Node) -> str:
    if node.drained:
        return "is drained"
    if not node.runs_jobs:
        return "is only a master"
    return "has " + (", ".join(f"{name}={value}" for name, value in node.tags.items()) or "no tags")
