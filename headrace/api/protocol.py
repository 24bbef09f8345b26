"""HTTP as clients of SeaTunnel speak it, which is sometimes more than the standard allows."""

import asyncio
import re

import h11

from headrace.api.descriptors import SparingProtocol

IDLE_SECONDS = 3600
"""How long a connection may lie idle. SeaTunnel closes none: what a client keeps for its next poll is still open."""

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class LenientProtocol(SparingProtocol):
    """Takes letters outside ASCII in a request line, which curl and Go send as they are, for their percent form; and
    goes on with HTTP/1.1 whatever a client would like to change to, as Java's asks for HTTP/2 in its first request.

    A request that was begun must go on: its head is complete within `request_seconds`, and its body never pauses for as
    long; otherwise the connection is closed (RFC 9110, 15.5.9), since each one is an open file.
    """

    request_seconds = 60.0
    _giving_up: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if not data.isascii() and self.conn.their_state is h11.IDLE and b"\n" not in self.conn.trailing_data[0]:
            line, end, rest = data.partition(b"\n")
            data = _BEYOND_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line) + end + rest
        super().data_received(data)
        in_body = self.conn.their_state is h11.SEND_BODY
        if self._giving_up is not None and (in_body or not self._in_head()):
            self._giving_up.cancel()
            self._giving_up = None
        if self._giving_up is None and (in_body or self._in_head()):
            self._giving_up = self.loop.call_later(self.request_seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
        super().connection_lost(exc)

    def _in_head(self) -> bool:
        return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def _give_up(self) -> None:
        self._giving_up = None
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.SEND_BODY and self.flow.read_paused:  # it is we who do not read
            self._giving_up = self.loop.call_later(self.request_seconds, self._give_up)
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_TOO_SLOW)
        self.transport.close()

    def _should_upgrade(self) -> bool:
        return False


def protocol(request_seconds: float) -> type[LenientProtocol]:
    """The protocol with a limit on how long a request may take to arrive."""

    class Limited(LenientProtocol):
        pass

    Limited.request_seconds = request_seconds
    return Limited
