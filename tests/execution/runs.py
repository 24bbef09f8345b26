"""`headrace run` as a process of its own, with the plugins of the probe package."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

PROBE = Path(__file__).parent / "probe"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROBE), os.environ.get("PYTHONPATH", "")])}


class Run:
    """A job file in a process; `folder` holds its file, home and output."""

    def __init__(self, folder: Path, job: str, *arguments: str, **env: str) -> None:
        self.folder = folder
        (folder / "job.conf").write_text(job)
        command = [sys.executable, "-m", "headrace", "run", str(folder / "job.conf"), "--home", str(folder / "home")]
        with open(folder / "out", "ab") as out, open(folder / "err", "ab") as err:
            self.process = subprocess.Popen(
                [*command, "--json", *arguments],
                stdout=out,
                stderr=err,
                env={**ENVIRONMENT, **env},
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return (self.folder / "err").read_text()

    def workers(self) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if any("worker_process" in part for part in child.cmdline()):
                    found.append(child)
        return found

    def until(self, holds: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.02)

    def end(self, seconds: float = 120) -> dict:
        """Its result."""
        self.process.wait(seconds)
        return json.loads((self.folder / "out").read_text().splitlines()[-1])

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def ids(folder: Path) -> list[int]:
    """The first column of all files."""
    files = [f for f in folder.rglob("*") if f.is_file() and ".headrace-staging" not in f.parts]
    return sorted(int(line.split(",")[0]) for file in files for line in file.read_text().split())
