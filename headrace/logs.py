"""Logs of jobs: one rotating file each under `<home>/logs`, and warnings on the terminal."""

import logging
import logging.handlers
from collections.abc import Callable
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
BACKUPS = 2


def job_log(home: Path, job_id: int) -> tuple[Callable[[str, str], None], Callable[[], None]]:
    """A function that writes (level, text) into the job's log file, and one that closes it."""
    folder = home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        folder / f"job-{job_id}.log", maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)-5s [{job_id}] %(message)s"))

    def write(level: str, text: str) -> None:
        number = logging.getLevelName(level.upper())
        handler.emit(logging.LogRecord("headrace.job", number, "", 0, text, None, None))

    return write, handler.close


def delete_job_log(home: Path, job_id: int) -> None:
    """Remove the log of a job, the parts that were rotated away, too."""
    file = home / "logs" / f"job-{job_id}.log"
    for part in (file, *(file.with_name(f"{file.name}.{number}") for number in range(1, BACKUPS + 1))):
        part.unlink(missing_ok=True)
