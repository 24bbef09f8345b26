"""Commands of headrace that a server runs for who asks, each in a process of its own that is ended when it is late."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from headrace.api.job_files import digest
from headrace.errors import HeadraceError, Unavailable
from headrace.jobs.record import JobText

AT_ONCE = 2
"""Commands that run side by side."""

PREVIEW_SECONDS = 20.0
REPLAY_SECONDS = 300.0
END_SECONDS = 10.0
"""What a command gets to end by itself after SIGTERM."""

PREVIEW_ROWS = 20
LONGEST_CELL = 200
"""Characters of a cell that is shown; what is cut ends with `…`."""

_SUFFIXES = {"hocon": ".conf", "json": ".json", "sql": ".sql"}


class Commands:
    """Runs them. home: of the server. A process of a guarded server is guarded as its workers are."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / "commands"
        self._room = threading.Semaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._files: set[Path] = set()
        self._running: set[subprocess.Popen[str]] = set()

    def close(self) -> None:
        """End those that run; a replay goes on when it is asked for again."""
        for process in list(self._running):
            process.terminate()

    def preview(self, job: JobText) -> list[dict[str, Any]]:
        """The first rows of each table as they would reach the sinks of a job. Raises HeadraceError."""
        found = self._run(job, "preview", ["--rows", str(PREVIEW_ROWS)], PREVIEW_SECONDS)
        if "tables" not in found:
            raise HeadraceError("; ".join(problem["message"] for problem in found["problems"]))
        tables = [dict(table) for table in found["tables"]]
        for table in tables:
            table["rows"] = [[_cut(cell) for cell in row] for row in table["rows"]]
        return tables

    def replay(self, job: JobText, name: str) -> dict[str, Any]:
        """Send in the bad rows of a job; what became of them. Raises HeadraceError.

        name: of the job: a replay that was ended is gone on with by the next one of the same name.
        """
        return self._run(job, "replay", ["--home", str(self._home), "--quiet"], REPLAY_SECONDS, name)

    def _run(self, job: JobText, command: str, options: Sequence[str], seconds: float, name: str = "") -> Any:
        if not self._room.acquire(blocking=False):
            raise Unavailable(f"{AT_ONCE} previews or replays are under way; ask again when one has ended")
        try:
            with self._file(job, name) as file:
                given = [f"-i{key}={value}" for key, value in (job.variables or {}).items()]
                arguments = [sys.executable, "-m", "headrace", command, str(file), "--json", *options, *given]
                return self._answer(arguments, command, seconds)
        finally:
            self._room.release()

    @contextmanager
    def _file(self, job: JobText, name: str) -> Iterator[Path]:
        """The job file, which may hold secrets, for as long as the command runs."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = digest(name) if name else os.urandom(8).hex()
        file = self._folder / f"{known}{_SUFFIXES[job.format]}"
        with self._lock:
            if file in self._files:
                raise Unavailable("a replay of this job is under way; ask again when it has ended")
            self._files.add(file)
        try:
            file.unlink(missing_ok=True)  # left behind by a server that was killed
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
                handle.write(job.text)
            yield file
        finally:
            file.unlink(missing_ok=True)
            self._files.discard(file)

    def _answer(self, arguments: Sequence[str], command: str, seconds: float) -> Any:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._running.add(process)
        try:
            said, complained = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"the {command} took longer than {seconds:.0f} s and was ended") from None
        finally:
            self._end(process)
        with suppress(ValueError):
            found = json.loads(said.splitlines()[-1] if said else "")
            if isinstance(found, Mapping):
                return {**found, "said": _lines(complained)}
        raise HeadraceError("; ".join(_lines(complained)) or f"the {command} ended with code {process.returncode}")

    def _end(self, process: "subprocess.Popen[str]") -> None:
        process.terminate()
        try:
            process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        self._running.discard(process)


def _cut(cell: str | None) -> str | None:
    return cell if cell is None or len(cell) <= LONGEST_CELL else f"{cell[: LONGEST_CELL - 1]}…"


def _lines(complained: str) -> list[str]:
    """What a command said on stderr, without the words that begin its lines."""
    lines = [line.strip().removeprefix("error: ").removeprefix("warning: ") for line in complained.splitlines()]
    return [line for line in lines if line]
