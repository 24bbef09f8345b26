"""seatunnel-cluster.sh and stop-seatunnel-cluster.sh: a server in the foreground or behind, and its end.

`python -m headrace.cli.seatunnel.node` is the server's own process. Its command line says that a script started it,
from which installation, and for which cluster: that is how the other script finds it, and nothing else.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from headrace.cli.output import print_error
from headrace.cli.seatunnel import USAGE_EXIT
from headrace.cli.seatunnel.members import adopt_installation, config_folder
from headrace.errors import HeadraceError
from headrace.server_settings import load_server_settings

MODULE = "headrace.cli.seatunnel.node"
HYBRID = "master_and_worker"
START_SECONDS = 60.0
STOP_SECONDS = 60.0


@dataclass(frozen=True)
class _Role:
    """hazelcast: its file in the configuration directory. name: of its files below the home directory."""

    hazelcast: str
    name: str


ROLES = {
    HYBRID: _Role("hazelcast.yaml", "seatunnel-server"),
    "master": _Role("hazelcast-master.yaml", "seatunnel-engine-master"),
    "worker": _Role("hazelcast-worker.yaml", "seatunnel-engine-worker"),
}

_START_USAGE = """\
Usage: seatunnel-cluster.sh [options]
  Options:
    -d, --daemon
      run behind; its output goes to logs/*.out below the home directory
    -r, --role VALUE
      master or worker: which of hazelcast-master.yaml and hazelcast-worker.yaml is read instead of hazelcast.yaml
    -cn, --cluster VALUE
      the cluster's name
    -h, --help
      show this text"""

_STOP_USAGE = """\
Usage: stop-seatunnel-cluster.sh [options]
  Options:
    -cn, --cluster VALUE
      the name of the cluster to stop (default: the servers started without a name)
    -h, --help
      show this text"""


@dataclass
class _Start:
    daemon: bool = False
    role: str = HYBRID
    cluster: str = ""
    help: bool = False


# ---------------------------------------------------------------------------------------------------------------- start


def start(given: Sequence[str]) -> int:
    """seatunnel-cluster.sh: in the foreground it becomes the server; the exit code."""
    asked = _parse(given)
    if asked.help:
        print(_START_USAGE)
        return USAGE_EXIT
    if asked.role not in ROLES:
        print(f"Unknown node role: {asked.role}")
        return 1
    adopt_installation(os.environ)
    missing = _choose_hazelcast_file(ROLES[asked.role])
    if missing is not None:
        print(f"Error: File {missing} does not exist.")
        return 1
    print(f"start {asked.role} node", flush=True)
    command = [sys.executable, "-m", MODULE, "-r", asked.role, *(("-cn", asked.cluster) if asked.cluster else ())]
    if not asked.daemon:
        os.execv(sys.executable, command)
    return _start_behind(command, ROLES[asked.role])


def _parse(given: Sequence[str]) -> _Start:
    """What SeaTunnel does not know, and options for a JVM, change nothing."""
    found, rest = _Start(), list(given)
    while rest:
        match rest.pop(0):
            case "-d" | "--daemon":
                found.daemon = True
            case "-h" | "--help":
                found.help = True
            case "-r" | "--role":
                found.role = rest.pop(0) if rest else ""
            case "-cn" | "--cluster":
                found.cluster = rest.pop(0) if rest else ""
    return found


def _choose_hazelcast_file(role: _Role) -> Path | None:
    """Name the role's file to the server by HAZELCAST_CONFIG; the file if it is needed and missing.

    Without a configuration directory the defaults hold; hazelcast.yaml may be missing from one.
    """
    folder = config_folder(os.environ)
    named = os.environ.get("HAZELCAST_CONFIG")
    if not named and folder is None:
        return None
    file = Path(named) if named else (folder or Path()) / role.hazelcast
    if file.is_file():
        os.environ["HAZELCAST_CONFIG"] = str(file)
        return None
    return file if named or role is not ROLES[HYBRID] else None


def _start_behind(command: list[str], role: _Role) -> int:
    """Start a process of its own session, and wait until it answers or has ended."""
    try:
        home = load_server_settings()[0].home.resolve()
    except HeadraceError as error:
        print_error(error)
        return 1
    output, pid_file = home / "logs" / f"{role.name}.out", home / f"{role.name}.pid"
    output.parent.mkdir(parents=True, exist_ok=True)
    with open(output, "w") as stream:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while _pid_in(pid_file) != server.pid and time.monotonic() < deadline:
        if server.poll() is not None:
            print(f"the server has ended; {output} says why:\n{output.read_text()}", file=sys.stderr)
            return 1
        time.sleep(0.05)
    server.returncode = 0  # it goes on without us: Popen shall not complain about that
    return 0


def _pid_in(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


# ------------------------------------------------------------------------------------------------- the server's process


def serve(given: Sequence[str]) -> int:
    """Serve until stopped; a file with the process's id lies in the home directory while it answers."""
    asked = _parse(given)
    try:
        role = asked.role if asked.role != HYBRID else None
        settings, warnings = load_server_settings({"cluster_name": asked.cluster or None, "role": role})
        pid_file = settings.home.resolve() / f"{ROLES[asked.role].name}.pid"

        def ready(sentence: str) -> None:
            print(sentence, file=sys.stderr, flush=True)
            pid_file.write_text(f"{os.getpid()}\n")

        from headrace.api import server

        try:
            server.serve(settings, warnings, on_ready=ready)
        finally:
            if _pid_in(pid_file) == os.getpid():
                pid_file.unlink()
    except HeadraceError as error:
        print_error(error)
        return 1
    return 0


# ----------------------------------------------------------------------------------------------------------------- stop


def stop(given: Sequence[str]) -> int:
    """stop-seatunnel-cluster.sh: end this user's servers of one cluster on this host; the exit code."""
    cluster = ""
    match list(given):
        case []:
            pass
        case ["-cn" | "--cluster", name, *_]:
            cluster = name
        case ["-h" | "--help", *_]:
            print(_STOP_USAGE)
            return 0
        case [other, *_]:
            print(f"Unknown option: {other}, please use [-h | --help] to show options")
            return 0
    servers = _servers(cluster)
    if not servers:
        name = cluster or "seatunnel_default_cluster"
        print(f"{name} is not running. Please check the correct name of the running cluster.")
        return 0
    for server in servers:
        server.terminate()
    _, alive = psutil.wait_procs(servers, STOP_SECONDS)
    for server in alive:
        print(f"process {server.pid} has not ended after {STOP_SECONDS:.0f} s", file=sys.stderr)
    return 1 if alive else 0


def _servers(cluster: str) -> list[psutil.Process]:
    """Processes of this user that this installation's seatunnel-cluster.sh started for the cluster."""
    found = []
    for process in psutil.process_iter(["cmdline", "uids"]):
        match process.info["cmdline"] or []:
            case [python, "-m", module, *given] if module == MODULE and _is_ours(python):
                if process.info["uids"].real == os.getuid() and _parse(given).cluster == cluster:
                    found.append(process)
    return found


def _is_ours(python: str) -> bool:
    return Path(python).parent == Path(sys.executable).parent


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
