"""Nodes of real clusters on this machine: each a server process with a port and a home of its own."""

import os
import signal
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.api.servers import Server
from tests.execution.runs import ENVIRONMENT

SECRET = "of the members of this test's cluster"


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def hazelcast(port: int, members: list[int]) -> str:
    network = {
        "port": {"port": port, "auto-increment": False},
        "join": {"tcp-ip": {"enabled": True, "member-list": [f"127.0.0.1:{member}" for member in members]}},
        "rest-api": {
            "enabled": True,
            "endpoint-groups": {group: {"enabled": True} for group in ("CLUSTER_WRITE", "DATA")},
        },
    }
    return yaml.safe_dump({"hazelcast": {"cluster-name": "seatunnel", "network": network}})


@dataclass
class Cluster:
    """A cluster below a folder. database: a PostgreSQL, or None where the first member serves its own store."""

    folder: Path
    count: int = 2
    database: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    nodes: list[Server] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ports = free_ports(self.count)
        (self.folder / "data").mkdir(parents=True, exist_ok=True)

    def start(self) -> "Cluster":
        for number in range(self.count):
            self.begin(number)
        return self

    def node(self, number: int, **env: str) -> Server:
        """A server that is not started yet."""
        given = {
            "PYTHONPATH": ENVIRONMENT["PYTHONPATH"],
            "HEADRACE_CLUSTER_SECRET": SECRET,
            "HEADRACE_CHECKPOINT_STORE": str(self.folder / "checkpoints"),
            "HEADRACE_WORKERS": "1",
            "HEADRACE_HTTP_ENABLED": "false",
            **({"HEADRACE_DATABASE": self.database} if self.database else {}),
            **self.env,
            **env,
        }
        files = {"hazelcast.yaml": hazelcast(self.ports[number], self.ports)}
        return Server(self.folder / f"node{number}", env=given, files=files)

    def begin(self, number: int, **env: str) -> Server:
        server = self.node(number, **env).start()
        self.nodes[number : number + 1] = [server]
        return server

    def stop(self) -> None:
        for node in self.nodes:
            signal_all(node, signal.SIGCONT)
            node.stop(signal.SIGKILL)

    def address(self, number: int) -> str:
        return f"localhost:{self.ports[number]}"


def signal_all(node: Server, number: int) -> None:
    """To a server and its workers, which share its process group."""
    with suppress(ProcessLookupError):
        os.killpg(node.process.pid, number)


def until(holds, seconds: float = 120) -> float:
    """Wait until something holds; the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds
        time.sleep(0.05)
    return time.monotonic() - began
