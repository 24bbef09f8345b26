"""Logs of jobs: one rotating file each under `<home>/logs`, and warnings on the terminal; as text or as JSON."""

import json
import logging
import logging.handlers
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace.options import Choice
from headrace.texts import readable


class LogFormat(Choice):
    """How lines of logs look."""

    TEXT = "text"
    JSON = "json"


OF_JOB: ContextVar[str] = ContextVar("headrace_job_id", default="")
"""The job that this thread works for; set where a thread of a worker begins."""

_ENVIRONMENT = "HEADRACE_LOG_FORMAT"
"""Tells worker processes how they log; the setting log_format itself is read from it, too."""

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

    Where logs are JSON, stderr gets the same lines. Where the log cannot be written the job goes on without it; the
    terminal says so once.
    """
    folder = home / "logs"
    with suppress(OSError):  # writing into it fails, too
        folder.mkdir(parents=True, exist_ok=True)
    handler = _LogFile(log_path(home, job_id), maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8", delay=True)
    terminal = _json_terminal()
    handler.setFormatter(formatter(f"%(asctime)s %(levelname)-5s [{job_id}] %(message)s"))

    def write(level: str, text: str) -> None:
        number = logging.getLevelName(level.upper())
        record = logging.LogRecord("headrace.job", number, "", 0, text, None, None)
        record.job_id = job_id
        handler.emit(record)
        if terminal is not None and number >= terminal.level:
            terminal.handle(record)

    return write, handler.close


def formatter(pattern: str) -> logging.Formatter:
    """What makes the lines of this process's logs. pattern: of lines of text."""
    return JsonFormatter() if is_json() else ReadableFormatter(pattern)


def json_to_stderr(level: int | str) -> logging.Handler:
    """All that this process logs, warns of or fails with goes to stderr, one JSON object a line; the handler.

    level: of what libraries log. Workers of this process do so, too.
    """
    os.environ[_ENVIRONMENT] = LogFormat.JSON.value
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.setLevel(level)
    logging.getLogger().addHandler(handler)
    _catch_all()
    return handler


def is_json() -> bool:
    """Whether this process logs as JSON."""
    return _json_terminal() is not None


def tell_as_json(level: str, text: str) -> bool:
    """A line for the person at the terminal, whatever its level; False, and nothing said, where logs are not JSON."""
    terminal = _json_terminal()
    if terminal is not None:
        number = logging.getLevelName(level.upper())
        terminal.emit(logging.LogRecord("headrace.cli", number, "", 0, text, None, None))
    return terminal is not None


def _json_terminal() -> logging.Handler | None:
    handlers = (h for h in logging.getLogger().handlers if isinstance(h.formatter, JsonFormatter))
    return next((handler for handler in handlers if type(handler) is logging.StreamHandler), None)


def worker_logs() -> None:
    """Log as the process does that started this worker."""
    if os.environ.get(_ENVIRONMENT) == LogFormat.JSON.value:
        json_to_stderr(logging.WARNING)


def worker_environment() -> dict[str, str]:
    """What a worker finds in its environment that does not inherit this process's."""
    return {_ENVIRONMENT: os.environ[_ENVIRONMENT]} if _ENVIRONMENT in os.environ else {}


def _catch_all() -> None:
    """Warnings of Python, and errors that nobody caught, are lines of the log."""
    logging.captureWarnings(capture=True)
    log = logging.getLogger("headrace")

    def failed(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        log.critical("%s: %s", kind.__name__, error, exc_info=(kind, error, trace))

    def failed_in_thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None and not issubclass(told.exc_type, SystemExit):
            failed(told.exc_type, told.exc_value, told.exc_traceback)

    sys.excepthook = failed
    threading.excepthook = failed_in_thread


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message; jobId of a job's line, exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if job_id := getattr(record, "job_id", OF_JOB.get()):
            line["jobId"] = str(job_id)
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


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
