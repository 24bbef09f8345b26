"""The server: a port, the service of jobs behind it, and an orderly end."""

import asyncio
import logging
import logging.handlers
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio.to_thread
import uvicorn

from headrace import __version__
from headrace.addresses import joined
from headrace.api.app import make_app
from headrace.api.descriptors import ACCEPTED_AT_ONCE, tell_once
from headrace.api.protocol import IDLE_SECONDS, protocol
from headrace.api.security import check_listening
from headrace.api.state import State
from headrace.checkpoint.location import open_store
from headrace.config.ciphers import KEY_FILE
from headrace.errors import ConfigError, Problem
from headrace.execution.local import make_runner
from headrace.execution.master import JobSettings
from headrace.execution.owner import beginning_in
from headrace.execution.processes import ProcessesRunner
from headrace.jobs.permissions import Permissions
from headrace.jobs.service import JobService, ServiceSettings
from headrace.jobs.store import store_in
from headrace.logs import BACKUPS, MAX_BYTES, ReadableFormatter
from headrace.server_settings import ServerSettings, Strategy, Wire

LOG = logging.getLogger("headrace")

OPEN_FILES = 65_536

WAITING_CONNECTIONS = 1024
"""Connections that the kernel keeps until they are accepted."""


def serve(settings: ServerSettings, warnings: list[Problem], on_ready: Callable[[str], None] = print) -> None:
    """Serve until SIGTERM or Ctrl-C. Jobs that run then are gone on with when a server of this home starts again.

    on_ready: called with one sentence when requests are answered. Raises ConfigError or NotEnoughMemory when it cannot
    start.
    """
    check_listening(settings)
    _allow_many_connections()
    runner = make_runner(settings.runner, settings.workers, settings.memory)
    runner.check(None)
    checkpoints = open_store(settings.checkpoint_store, settings.home / "checkpoints", settings.store_options())
    listening = listen(settings)
    home = settings.home.resolve()
    close_log = _open_log(settings)
    port = listening.getsockname()[1]
    for warning in warnings:
        LOG.warning("%s", warning)
    if isinstance(runner, ProcessesRunner):
        runner.warm_up()
    store = store_in(home, settings.database)
    service = JobService(
        home, store, runner, _service_settings(settings, told_address(settings, port)), _log, checkpoints
    )
    workers = runner.pids if isinstance(runner, ProcessesRunner) else list
    state = State(service, settings, lambda: len(workers()))
    server = _Server(settings, state, lambda: on_ready(_sentence(settings, joined(settings.host, port))))
    try:
        server.run(sockets=[listening])
    finally:
        LOG.info("the server stops; its running jobs go on when it starts again")
        service.close()
        store.close()
        state.monitor.close()
        close_log()


def _allow_many_connections() -> None:
    """Each connection is an open file, and may lie idle for long: as many as this user may have, as Java takes them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(settings: ServerSettings) -> socket.socket:
    """A socket on the first free port. Raises ConfigError, naming the ports that were tried."""
    count = settings.port_count if settings.auto_increment and settings.port else 1
    ports = range(settings.port, min(settings.port + count, 65536))
    reason = ""
    for port in ports:
        try:
            family = socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM)[0]
            # with its protocol named, asyncio sends small answers at once (TCP_NODELAY) on the connections it accepts
            found = socket.socket(family[0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(family[4])
            found.listen(WAITING_CONNECTIONS)
        except OSError as error:
            reason = error.strerror or str(error)
            with suppress(UnboundLocalError):
                found.close()
            continue
        return found
    tried = f"port {ports[0]}" if len(ports) == 1 else f"the ports {ports[0]} to {ports[-1]}"
    cure = "choose another with port" + ("" if settings.auto_increment else ", or set auto-increment: true")
    raise ConfigError([Problem("port", f"cannot listen on {settings.host}, {tried}: {reason}", cure)])


def told_address(settings: ServerSettings, port: int) -> str:
    """host:port by which others find this server: one that listens on all addresses has none of its own."""
    told = settings.public_address
    if told and told.rpartition(":")[2].isdigit() and (told.count(":") == 1 or told.startswith("[")):
        return told
    host = told or settings.host
    if host == "127.0.0.1":
        host = "localhost"
    elif host in ("0.0.0.0", "::"):
        host = _outward_address() or "localhost"
    return joined(host, port)


def _outward_address() -> str:
    """This machine's address on the way to others; empty without a network. Nothing is sent."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # RFC 5737: an address for documentation
        return str(probe.getsockname()[0])
    return ""


class _Server(uvicorn.Server):
    """uvicorn, told of the state and telling when it answers."""

    def __init__(self, settings: ServerSettings, state: State, on_ready: Callable[[], None]) -> None:
        tls = settings.tls_certificate is not None
        super().__init__(
            uvicorn.Config(
                make_app(state),
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                lifespan="off",
                http=protocol(settings.request_timeout),
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=5,
                backlog=ACCEPTED_AT_ONCE,
                ssl_certfile=str(settings.tls_certificate) if tls else None,
                ssl_keyfile=str(settings.tls_key) if tls else None,
            )
        )
        self._on_ready, self._traffic = on_ready, state.traffic
        state.traffic.connections = self._clients

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C end the serving, not the process: what comes after it must still be done."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        limiter = anyio.to_thread.current_default_thread_limiter()
        self._traffic.waiting = lambda: limiter.statistics().tasks_waiting
        asyncio.get_running_loop().set_exception_handler(tell_once)
        await super().startup(sockets)
        for one in sockets or ():
            one.listen(WAITING_CONNECTIONS)  # for the kernel; asyncio takes one number for both
        if self.started:
            self._on_ready()

    def _clients(self) -> list[str]:
        return [str((getattr(c, "client", None) or ("",))[0]) for c in list(self.server_state.connections)]


def _service_settings(settings: ServerSettings, address: str) -> ServiceSettings:
    return ServiceSettings(
        default_name="SeaTunnel" if settings.v1_wire is Wire.V2_3_3 else "SeaTunnel_Job",
        slots=settings.slots,
        wait=settings.strategy is Strategy.WAIT,
        history=settings.history_minutes * 60.0,
        delete_logs=settings.delete_logs,
        lease=settings.lease,
        recover=settings.recover,
        address=address,
        tags=settings.tags,
        job=JobSettings(
            default_interval=settings.checkpoint_interval,
            checkpoint_timeout=settings.checkpoint_timeout,
            retain=settings.checkpoint_retain,
            patience=settings.checkpoint_patience,
        ),
        permissions=Permissions(
            paths=None if settings.allowed_paths is None else tuple(settings.allowed_paths),
            denied=tuple(_own_places(settings)),
            hosts=None if settings.allowed_hosts is None else tuple(settings.allowed_hosts),
            plugins=None if settings.allowed_plugins is None else tuple(settings.allowed_plugins),
        ),
    )


def _own_places(settings: ServerSettings) -> Iterator[Path]:
    """Files and directories that are the server's, not its jobs'."""
    given = (settings.home, settings.config, settings.tls_key, settings.tls_certificate, os.environ.get(KEY_FILE))
    yield from (Path(place) for place in given if place)
    if settings.checkpoint_store and "://" not in settings.checkpoint_store:
        yield Path(settings.checkpoint_store)
    if settings.database and settings.database.startswith("sqlite:///"):
        yield Path(settings.database.removeprefix("sqlite:///").partition("?")[0])


def _open_log(settings: ServerSettings) -> Callable[[], None]:
    """The server's own log, beside those of the jobs; warnings also go to the terminal. Raises ConfigError."""
    folder = settings.home / "logs"
    with beginning_in(settings.home):
        folder.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            folder / "headrace-server.log", maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8"
        )
    file.setFormatter(ReadableFormatter("%(asctime)s %(levelname)-5s [%(name)s] %(message)s"))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(settings.log_level)
    terminal.setFormatter(ReadableFormatter("%(levelname)s: %(message)s"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(file)
    root.addHandler(terminal)

    def close() -> None:
        for handler in (file, terminal):
            root.removeHandler(handler)
        file.close()

    return close


def _log(level: str, text: str) -> None:
    LOG.log(logging.getLevelName(level.upper()), "%s", text)


def _sentence(settings: ServerSettings, address: str) -> str:
    scheme = "https" if settings.tls_certificate is not None else "http"
    return (
        f"Headrace {__version__} answers on {scheme}://{address}/hazelcast/rest/maps/ "
        f"(all paths: {scheme}://{address}/docs)"
    )
