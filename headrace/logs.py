"""Logs of jobs: one rotating file each under `<home>/logs`, and warnings on the terminal."""

import logging
import logging.handlers
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from headrace.texts import readable

MAX_BYTES = 10 * 1024 * 1024
BACKUPS = 2

LOG_POSITION = "X-Headrace-Log-Position"
"""Header of a part of a log over REST: where the next one begins."""

LOG_CUT = "X-Headrace-Log-Cut"
"""Likewise: whether what lay before the part was rotated away."""


def log_path(home: Path, job_id: int) -> Path:
    """The log of a job."""
    return home / "logs" / f"job-{job_id}.log"


def job_log(home: Path, job_id: int) -> tuple[Callable[[str, str], None], Callable[[], None]]:
    """A function that writes (level, text) into the job's log file, and one that closes it.

    Where the log cannot be written the job goes on without it; the terminal says so once.
    """
    folder = home / "logs"
    with suppress(OSError):  # writing into it fails, too
        folder.mkdir(parents=True, exist_ok=True)
    handler = _LogFile(log_path(home, job_id), maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8", delay=True)
    handler.setFormatter(ReadableFormatter(f"%(asctime)s %(levelname)-5s [{job_id}] %(message)s"))

    def write(level: str, text: str) -> None:
        number = logging.getLevelName(level.upper())
        handler.emit(logging.LogRecord("headrace.job", number, "", 0, text, None, None))

    return write, handler.close


class ReadableFormatter(logging.Formatter):
    """What comes from outside cannot take over the terminal that a log is read in, nor make its writing fail."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        return readable(super().format(record))


class _LogFile(logging.handlers.RotatingFileHandler):
    _told = False

    def close(self) -> None:
        try:
            super().close()
        except OSError:  # what was not written yet finds no room
            self._tell()

    def handleError(self, record: logging.LogRecord) -> None:
        self._tell()

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            print(f"warning: cannot write the log {self.baseFilename}: {sys.exc_info()[1]}", file=sys.stderr)


def delete_job_log(home: Path, job_id: int) -> None:
    """Remove the log of a job, the parts that were rotated away, too."""
    file = log_path(home, job_id)
    for part in (file, *(file.with_name(f"{file.name}.{number}") for number in range(1, BACKUPS + 1))):
        part.unlink(missing_ok=True)
