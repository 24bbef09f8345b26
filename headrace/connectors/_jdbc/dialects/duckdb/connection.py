"""Reaching DuckDB: what a URL means, waiting for a file that others use, and nothing that could use another file."""

import contextlib
import os
import re
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.connector import needs
from headrace.connectors._jdbc.dialect import Login
from headrace.errors import Rejected, Unavailable

POLL_SECONDS = 0.05
"""Between two looks at a file that another process holds: DuckDB itself does not wait."""

_CONFIG = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
"""The same for every connection: those of one process to one file share its engine, and must agree."""

_NAMES = ("threads", "memory_limit")
"""The parameters a URL may have. None that loads code, names other files or gives up durability."""

_TURNS: dict[str, threading.Lock] = defaultdict(threading.Lock)
"""Who writes a file in this process."""

_WRITTEN: set[str] = set()
"""Files that this process has written. It reads them by connections that could write as well: one process can have a
file open in one way only, and a reader would keep the writers of its own job waiting for ever."""


@dataclass(frozen=True)
class DuckdbSettings:
    """How to open a file. patience: seconds to wait while others use it."""

    path: str
    patience: float = 30.0
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The file."""
        return self.path

    @property
    def real(self) -> str:
        """The same for all names of a file."""
        return os.path.realpath(self.path)

    @property
    def database(self) -> str:
        """What DuckDB calls it."""
        return Path(self.path).name.partition(".")[0]

    def exists(self) -> bool:
        """Whether there is such a file."""
        return os.path.exists(self.path)


def settings_of(login: Login) -> DuckdbSettings:
    """See Dialect.settings."""
    place, wrong = login.url.place, []
    if not place or place.startswith((":memory:", "//", "md:", "motherduck:")):
        wrong.append(
            "url: name a file, such as jdbc:duckdb:/data/shop.duckdb; a database in memory has no rows to move"
        )
    for name, value in login.parameters.items():
        if name not in _NAMES:
            wrong.append(f"url: DuckDB's parameter {name} is not allowed; possible: {', '.join(_NAMES)}")
        elif not re.fullmatch(r"[1-9]\d{0,3}" if name == "threads" else r"[1-9]\d*\s?(KB|MB|GB|KiB|MiB|GiB)", value):
            wrong.append(f"url: {name} cannot be {value!r}; write threads=4, memory_limit=512MB")
    if wrong:
        raise ValueError("; ".join(wrong))
    return DuckdbSettings(place, login.patience, dict(login.parameters))


def connect(settings: DuckdbSettings, *, write: bool, memory: int | None = None) -> Any:
    """Open the file, and wait while others use it. memory: bytes that it may take. Raises Unavailable, Rejected."""
    driver, deadline = needs("duckdb", "duckdb", "Jdbc"), time.monotonic() + settings.patience
    if write:
        _WRITTEN.add(settings.real)
    while True:
        writes = write or settings.real in _WRITTEN
        try:
            connection = driver.connect(settings.path, read_only=not writes, config=_CONFIG)
        except driver.Error as error:
            waiting = _waiting(str(error), writes)
            if waiting is None:
                raise Rejected(f"cannot open {settings.shown}: {_first_line(error)}; {_cure(error)}") from error
            if time.monotonic() >= deadline:
                text = f"cannot open {settings.shown}: {waiting} for {settings.patience:g} s"
                raise Unavailable(f"{text}; end it, or raise connection_check_timeout_sec") from error
            time.sleep(POLL_SECONDS)
            continue
        _set_up(driver, connection, settings, memory)
        return connection


def _set_up(driver: Any, connection: Any, settings: DuckdbSettings, memory: int | None) -> None:
    """What holds for the engine is set by the first connection, then locked; the others find it so."""
    options = {"memory_limit": f"{memory // 2 >> 20}MiB"} if memory is not None else {}
    connection.execute("SET TimeZone = 'UTC'")
    with contextlib.suppress(driver.InvalidInputException):
        for name, value in {**options, **settings.options}.items():
            connection.execute(f"SET {name} = '{value}'")


def _waiting(text: str, writes: bool) -> str | None:
    """Who holds the file; None where the error is another."""
    if found := re.search(r"Conflicting lock is held in (.+?) \(PID (\d+)\)", text):
        return f"process {found[2]} ({found[1]}) has it open"
    if "Could not set lock" in text:
        return "another process has it open"
    if "different configuration" in text:
        what = "reads it" if writes else "has it open otherwise"
        return f"this process itself {what}, and a file is read or written, not both,"
    return None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(": ")[2] or str(error)


def _cure(error: Exception) -> str:
    if "not a valid DuckDB" in str(error):
        return "name a file of DuckDB, or one that is not there yet"
    return "check the name, the owner and the mode of the file and its directory"


@contextlib.contextmanager
def turn_to_write(settings: DuckdbSettings) -> Iterator[None]:
    """One of this process at a time. Raises Unavailable."""
    turn = _TURNS[settings.real]
    if not turn.acquire(timeout=settings.patience):
        raise Unavailable(
            f"cannot write {settings.shown}: another task has written there for {settings.patience:g} s; raise "
            "connection_check_timeout_sec"
        )
    try:
        yield
    finally:
        turn.release()


class FileSnapshot:
    """Keeps a file open for reading, so that no other process writes there, as long as the object lives."""

    number, is_shared = "", True

    def __init__(self, settings: DuckdbSettings) -> None:
        self._connection = connect(settings, write=False)
        weakref.finalize(self, self._connection.close)

    @classmethod
    def of(cls, settings: DuckdbSettings) -> "FileSnapshot | None":
        """None where this process also writes the file: the tasks then read states of different moments."""
        return None if settings.real in _WRITTEN else cls(settings)
