"""What other nodes of the cluster are asked for, so that every node answers for all of them."""

from collections.abc import Sequence

from fastapi import Request
from starlette.responses import Response

from headrace.api.listener import Listener
from headrace.api.problems import BadRequest
from headrace.cluster.peers import ANSWER_SECONDS, MEMBERS, Peers, Reply, Unanswered
from headrace.errors import Problem
from headrace.jobs.record import JobRecord, Node
from headrace.jobs.service import JobService


class Neighbours:
    """peers: None for a server of its own, which has no neighbours."""

    def __init__(self, service: JobService, peers: Peers | None) -> None:
        self._service, self._peers = service, peers

    def are_there(self, listener: Listener) -> bool:
        """Whether a request to this listener may be answered by other nodes, too."""
        return self._peers is not None and not listener.is_inner

    def others(self, listener: Listener) -> list[Node]:
        """The other living nodes that a request to this listener asks, too."""
        if not self.are_there(listener):
            return []
        return [node for node in self._service.nodes() if node.id != self._service.id]

    def ask_each(self, nodes: Sequence[Node], path: str) -> dict[str, Reply | Unanswered]:
        """What each of these nodes answers to a GET of a path, by address; how it failed to, where it did."""
        if self._peers is None:
            return {}
        return self._peers.ask_each([node.address for node in nodes], MEMBERS + path)

    def ask(
        self, node: Node, method: str, path: str, body: bytes | None = None, seconds: float = ANSWER_SECONDS
    ) -> Response:
        """What a node answers, as an answer of this one. Raises BadRequest, 503, when it does not answer."""
        if self._peers is None:
            raise AssertionError
        try:
            reply = self._peers.ask(node.address, method, MEMBERS + path, body, seconds)
        except Unanswered as error:
            raise unknown(str(error)) from error
        headers = {name: value for name, value in reply.headers.items() if name.lower().startswith("x-")}
        return Response(reply.content, reply.status, {**headers, "Content-Type": reply.content_type})

    def named(self, request: Request, listener: Listener) -> Node | None:
        """The other node that `?node=host:port` names; None for this one, or where none is named. Raises BadRequest."""
        name = request.query_params.get("node", "")
        if not name or listener.is_inner or name == self._service.settings.address:
            return None
        found = self.others(listener)
        for node in found:
            if node.address == name:
                return node
        known = ", ".join([self._service.settings.address, *(node.address for node in found)])
        text = f"there is no living node {name}"
        raise BadRequest(text, [Problem("node", text, f"there are {known}")], status=404)

    def owner(self, record: JobRecord | None, listener: Listener) -> Node | None:
        """The other living node that runs a job, or has run it last; None where this node knows most of it."""
        return None if record is None else owner_among(self.others(listener), record)


def owner_among(nodes: Sequence[Node], record: JobRecord) -> Node | None:
    """The one of the nodes that runs a job, or has run it last."""
    return next((node for node in nodes if node.id == record.owner), None)


def unknown(reason: str) -> BadRequest:
    """The answer to who asks for something that only a node knows which does not answer."""
    text = f"this cannot be known at the moment: {reason}"
    return BadRequest(text, [Problem("", text, "ask again, or ask that node")], status=503)
