"""Which services live, by what this one sees of them: the clocks of machines differ, and jump."""

import time
from collections.abc import Sequence

from headrace.jobs.record import Node
from headrace.jobs.roles import Role

LONGEST = 60.0
"""Seconds that a lease counts at most: a clock that was put back since makes it seem to last for hours."""


_LAST = {Role.WORKER.value: 1, Role.JOINING.value: 2}


class Leases:
    """A service whose sign of life changes is alive, however late it says it is; one that says nothing new has as much
    time as its lease had left when it was last seen to change.

    lease: seconds that count for those whose clock is behind this one's.
    """

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._seen: dict[str, tuple[float, float]] = {}

    def living(self, nodes: Sequence[Node], wall: float, clock: float) -> list[Node]:
        """Those whose lease holds, the oldest first, but workers and who is joining last: the first one is the master.

        wall: seconds since 1970. clock: seconds that only ever go forward.
        """
        seen = {node.id: self._look(node, wall, clock) for node in nodes}
        self._seen = seen
        alive = [node for node in nodes if seen[node.id][1] > clock]
        return sorted(alive, key=lambda node: (_LAST.get(node.role, 0), node.started, node.id))

    def living_now(self, nodes: Sequence[Node]) -> list[Node]:
        """The same at this moment."""
        return self.living(nodes, time.time(), time.monotonic())

    def _look(self, node: Node, wall: float, clock: float) -> tuple[float, float]:
        """What the node said last, and until when that counts."""
        expires, until = self._seen.get(node.id, (None, 0.0))
        if expires == node.expires:
            return node.expires, until
        left = min(node.expires - wall, LONGEST)
        if left <= 0 and expires is not None:
            left = self._lease
        return node.expires, clock + left
