"""Open files run out where many clients keep connections: some are kept back for checkpoints, logs and the store."""

import asyncio
import errno
import logging
import resource
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

LOG = logging.getLogger("headrace")

RESERVE = 256
"""Descriptors that connections leave alone; half of them where the process may have fewer than twice as many."""

ACCEPTED_AT_ONCE = 64
"""asyncio accepts so many connections before it asks whether there is room for the first."""

TOLD_SECONDS = 60.0

FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\nContent-Length: 72\r\n\r\n"
    b'{"status":"fail","message":"too many connections are open; ask later"}\r\n'
)


class SparingProtocol(H11Protocol):
    """Where descriptors become scarce a new connection takes the place of the one that is idle for the longest time;
    where none is idle it is answered 503."""

    _told = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self.used = time.monotonic()
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.fileno() >= _for_connections():  # the lowest free number is given
            self._tell()
            self._make_room()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        self.used = time.monotonic()
        super().on_response_complete()

    def _make_room(self) -> None:
        others: list[Any] = [one for one in self.connections if one is not self and one.transport is not None]
        idle = [one for one in others if one.cycle is not None and one.cycle.response_complete]
        if idle:
            min(idle, key=lambda one: one.used).transport.close()
        else:
            self.transport.write(FULL)
            self.transport.close()

    @classmethod
    def _tell(cls) -> None:
        now = time.monotonic()
        if not SparingProtocol._told or now - SparingProtocol._told >= TOLD_SECONDS:
            SparingProtocol._told = now
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            LOG.warning(
                "connections use all but the last of the %d files that this process may open: idle ones are closed, "
                "and where none is idle new ones are answered 503; raise ulimit -n, or let clients close theirs",
                soft,
            )


def _for_connections() -> int:
    """The first descriptor that no connection may keep."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft - min(RESERVE, soft // 2)


def tell_once(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A handler for asyncio: it meets a lack of descriptors a thousand times a second, and says so once a minute."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        SparingProtocol._tell()
    else:
        loop.default_exception_handler(context)
