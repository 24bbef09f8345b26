"""Several ports in one process and one event loop: uvicorn's server for each, ended together."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import anyio.to_thread
import uvicorn

from headrace.api.descriptors import ACCEPTED_AT_ONCE, tell_once
from headrace.api.gate import App
from headrace.api.ports import WAITING_CONNECTIONS, Port
from headrace.api.protocol import IDLE_SECONDS, protocol
from headrace.api.state import Traffic


@dataclass(frozen=True)
class Served:
    """What answers on a port."""

    app: App
    port: Port


def serve_all(
    served: list[Served],
    traffic: Traffic,
    request_seconds: float,
    on_ready: Callable[[], None],
    on_end: Callable[[], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C. on_ready: called when all ports answer; on_end: in the loop, when they shall end,
    so that what streams for ever stops.
    """
    waiting = len(served)

    def ready() -> None:
        nonlocal waiting
        waiting -= 1
        if waiting == 0:
            on_ready()

    servers = [_Server(_Config(one, request_seconds), ready) for one in served]
    traffic.connections = lambda: [address for server in servers for address in server.clients()]

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(tell_once)
        limiter = anyio.to_thread.current_default_thread_limiter()
        traffic.waiting = lambda: limiter.statistics().tasks_waiting
        loop = asyncio.get_running_loop()
        with _signals(servers, lambda: loop.call_soon_threadsafe(on_end)):
            running = [
                asyncio.create_task(server.serve([one.port.socket]))
                for server, one in zip(servers, served, strict=True)
            ]
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*running)

    with asyncio.Runner(loop_factory=servers[0].config.get_loop_factory()) as runner:
        runner.run(run())


@contextmanager
def _signals(servers: "list[_Server]", on_end: Callable[[], object]) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the serving, not the process: what comes after it must still be done."""

    def end(number: int, frame: FrameType | None) -> None:
        for server in servers:
            server.handle_exit(number, frame)
        on_end()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Config(uvicorn.Config):
    def __init__(self, served: Served, request_seconds: float) -> None:
        super().__init__(
            served.app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            http=protocol(request_seconds),
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=5,
            backlog=ACCEPTED_AT_ONCE,
        )
        self._tls = served.port.tls

    def load(self) -> None:
        """See uvicorn, which makes a context of files only."""
        super().load()
        self.ssl = self._tls


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are taken once for all servers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        for one in sockets or ():
            one.listen(WAITING_CONNECTIONS)  # for the kernel; asyncio takes one number for both
        if self.started:
            self._on_ready()

    def clients(self) -> list[str]:
        """The address of each open connection's other end."""
        return [str((getattr(c, "client", None) or ("",))[0]) for c in list(self.server_state.connections)]
