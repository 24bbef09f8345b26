"""The server: its ports, the service of jobs behind it, and an orderly end."""

import logging
import logging.handlers
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from headrace import __version__
from headrace.addresses import joined
from headrace.api.app import first_app, second_app
from headrace.api.ports import Port, first_port, second_ports, told_address
from headrace.api.security import check_listening
from headrace.api.serving import Served, serve_all
from headrace.api.state import State
from headrace.checkpoint.location import open_store
from headrace.cluster.membership import Membership, membership_of
from headrace.cluster.peers import MEMBERS, Peers
from headrace.cluster.proof import Proof
from headrace.cluster.secret import member_token, seal_of
from headrace.config.ciphers import KEY_FILE
from headrace.errors import ConfigError, HeadraceError, OtherRelease, Problem
from headrace.execution.local import make_runner
from headrace.execution.master import JobSettings
from headrace.execution.owner import beginning_in
from headrace.execution.processes import ProcessesRunner
from headrace.jobs.permissions import Permissions
from headrace.jobs.remote_store import AnyStore, RemoteStore, ServedStore
from headrace.jobs.service import JobService, ServiceSettings
from headrace.jobs.store import JobStore, store_in
from headrace.logs import BACKUPS, MAX_BYTES, LogFormat, formatter, json_to_stderr
from headrace.reach import guard
from headrace.server_settings import ServerSettings, Strategy, Wire
from headrace.settings import RunnerName

LOG = logging.getLogger("headrace")

OPEN_FILES = 65_536

HEAD_SECONDS = 60.0
"""How long a member waits for the one that serves the store of jobs: those of a cluster start in any order."""

HEAD_LOOK_SECONDS = 0.5


def serve(settings: ServerSettings, warnings: list[Problem], on_ready: Callable[[str], None] = print) -> None:
    """Serve until SIGTERM or Ctrl-C. Jobs that run then are gone on with when a server of this home starts again.

    on_ready: called with one sentence when requests are answered. Raises ConfigError or NotEnoughMemory when it cannot
    start.
    """
    check_listening(settings)
    _allow_many_connections()
    guard(settings.allowed_hosts, own_keys=settings.jobs_use_own_keys)
    if settings.runner is RunnerName.RAY:
        cure = "take processes; several servers share their jobs as a cluster without Ray, see Cluster"
        raise ConfigError([Problem("runner", "ray runs the tasks of `headrace run` alone, not a server's", cure)])
    runner = make_runner(settings.runner, settings.workers, settings.memory)
    runner.check(None)
    checkpoints = open_store(settings.checkpoint_store, settings.home / "checkpoints", settings.store_options())
    first = first_port(settings)
    membership = membership_of(settings, first.number)
    second, problems = second_ports(settings)
    home = settings.home.resolve()
    close_log = _open_log(settings)
    for warning in [*warnings, *problems]:
        LOG.warning("%s", warning)
    if isinstance(runner, ProcessesRunner):
        runner.warm_up()
    address = told_address(settings, first.number)
    peers = None if membership is None else _peers(settings, membership)
    store = _store(settings, membership, peers, home)
    serves = (
        ServedStore(store) if membership is not None and membership.is_head and isinstance(store, JobStore) else None
    )
    about = _service_settings(settings, address, cluster=membership is not None)
    service = JobService(home, store, runner, about, _log, checkpoints)
    proof = Proof(service, checkpoints.marks)
    workers = runner.pids if isinstance(runner, ProcessesRunner) else list
    state = State(service, settings, workers, peers)
    served = [Served(first_app(state, address, alone=not second, store=serves), first)]
    served += [Served(second_app(state, told_address(settings, p.number), p.scheme), p) for p in second]
    try:
        if membership is not None:
            proof.begin()
        serve_all(
            served,
            state.traffic,
            settings.request_timeout,
            on_ready=lambda: on_ready(_sentence(settings, first, second)),
            on_end=state.broadcast.end,
        )
    finally:
        LOG.info("the server stops; its running jobs go on when it starts again")
        proof.close()
        state.close()
        service.close()
        store.close()
        if peers is not None:
            peers.close()
        close_log()


def _peers(settings: ServerSettings, membership: Membership) -> Peers:
    certificates = settings.members_certificates or settings.tls_certificate
    return Peers(member_token(membership.secret), certificates)


def _store(settings: ServerSettings, membership: Membership | None, peers: Peers | None, home: Path) -> AnyStore:
    """The store of jobs: this server's own, a database, or that of the cluster's first member, once it answers.

    Raises ConfigError when that member does not, or speaks otherwise.
    """
    if membership is None or peers is None:
        return store_in(home, settings.database)
    seal = seal_of(membership.secret)
    if not membership.head or membership.is_head:
        if membership.is_head:
            LOG.info("this member serves the store of jobs to the others: it is the one that must not be lost")
        return store_in(home, settings.database, seal)
    head = membership.head

    def ask(content: bytes) -> bytes:
        reply = peers.ask(head, "POST", f"{MEMBERS}/store", content)
        if reply.status != 200:
            raise HeadraceError(f"{head} answered {reply.status}; its cluster_secret may be another")
        return reply.content

    home.mkdir(parents=True, exist_ok=True)
    store = RemoteStore(ask, head, seal)
    deadline = time.monotonic() + HEAD_SECONDS
    while True:
        try:
            store.identity()
        except OtherRelease as error:
            store.close()
            raise ConfigError([Problem("members", str(error))]) from error
        except HeadraceError as error:
            if time.monotonic() > deadline:
                store.close()
                cure = "start the first member of the list, or name one PostgreSQL with database on all members"
                raise ConfigError([Problem("members", str(error), cure)]) from error
            time.sleep(HEAD_LOOK_SECONDS)
        else:
            return store


def _allow_many_connections() -> None:
    """Each connection is an open file, and may lie idle for long: as many as this user may have, as Java takes them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _service_settings(settings: ServerSettings, address: str, *, cluster: bool) -> ServiceSettings:
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
        role=settings.role,
        cluster=cluster,
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
            relative=settings.relative_paths,
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
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    if settings.log_format is LogFormat.JSON:
        terminal = json_to_stderr(settings.log_level)
    else:
        terminal = logging.StreamHandler(sys.stderr)
        terminal.setLevel(settings.log_level)
        terminal.setFormatter(formatter("%(levelname)s: %(message)s"))
        root.addHandler(terminal)
    file.setFormatter(formatter("%(asctime)s %(levelname)-5s [%(name)s] %(message)s"))
    root.addHandler(file)

    def close() -> None:
        for handler in (file, terminal):
            root.removeHandler(handler)
        file.close()

    return close


def _log(level: str, text: str) -> None:
    LOG.log(logging.getLevelName(level.upper()), "%s", text)


def _sentence(settings: ServerSettings, first: Port, second: list[Port]) -> str:
    one = f"{first.scheme}://{joined(settings.host, first.number)}"
    others = [f"{port.scheme}://{joined(settings.host, port.number)}{settings.base_path}/" for port in second]
    and_v2 = "".join(f" and {other}" for other in others)
    return f"Headrace {__version__} answers on {one}/hazelcast/rest/maps/{and_v2} (all paths: {one}/docs)"
