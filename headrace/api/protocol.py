"""HTTP as clients of SeaTunnel speak it, which is sometimes more than the standard allows."""

import re

import h11

from headrace.api.descriptors import SparingProtocol

IDLE_SECONDS = 3600
"""How long a connection may lie idle. SeaTunnel closes none: what a client keeps for its next poll is still open."""

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


class LenientProtocol(SparingProtocol):
    """Takes letters outside ASCII in a request line, which curl and Go send as they are, for their percent form; and
    goes on with HTTP/1.1 whatever a client would like to change to, as Java's asks for HTTP/2 in its first request."""

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if not data.isascii() and self.conn.their_state is h11.IDLE and b"\n" not in self.conn.trailing_data[0]:
            line, end, rest = data.partition(b"\n")
            data = _BEYOND_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line) + end + rest
        super().data_received(data)

    def _should_upgrade(self) -> bool:
        return False
