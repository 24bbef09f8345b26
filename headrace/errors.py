"""Every error raised on purpose. They keep their data in `args`, and go to other processes as data (`execution.wire`).

HeadraceError
├── ConfigError        the job file or a setting is wrong; nothing was started; .problems lists all of them
├── ConnectorError     an outside system or a plugin failed; .plugin, .table and .split say where
│   ├── Unavailable    cannot be reached now; the engine tries again
│   │   └── WorkerLost the worker that did it has ended; .guilty says whether this job is taken to be the cause
│   ├── Rejected       refused for good; trying again cannot help
│   ├── MissingExtra   a Python package is not installed; the text is the command that installs it
│   └── PluginFailed   a plugin raised what its contract does not name; the engine tries again
├── BadRow             a row cannot be read, changed or written; .table, .row, .column, .value
├── TooManyBadRows     more rows were set aside than the job allows
├── Undelivered        rows are lost, or the counts or checksums of a finished job do not balance
├── TablesFailed       tables failed while the others were delivered; .tables is table → cause
├── JobFailed          a job ended FAILED; the text is the cause
├── JobCanceled        a job was stopped before its end
├── StuckTask          a plugin's thread cannot be ended; .plugin and .thread name it
├── CheckpointError    saved state cannot be written, read, or used for this job
│   ├── StoreUnavailable  the place of checkpoints cannot be used now; the engine tries again
│   └── Replaced       another start of the pipeline has taken over
├── HomeUnusable       the directory of locks, logs and saved state cannot be written
├── JobStoreUnavailable  the store of jobs cannot be read or written now
├── OtherRelease       another node of the cluster runs a release that speaks otherwise
├── JobNotFound        no job has this id
├── JobExists          the id belongs to another job
├── NotEnoughSlots     no worker has room for the job
└── NotEnoughMemory    the job cannot run in the memory it may take
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a job file or a setting.

    place: the option's path, `source[0].FakeSource.row.num`; empty for the file as a whole.
    message: what is wrong, with the offending value.
    cure: what to do about it, often the likely right name; may be empty.
    file, line: where it is written; line counts from 1, 0 when unknown.
    code: what kind of problem, where a program must know: `unknown-plugin`, `options`, `seatunnel` for a message that
    is SeaTunnel's own sentence; else empty.
    """

    place: str
    message: str
    cure: str = ""
    file: str = ""
    line: int = 0
    code: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file and self.line else self.file
        text = ": ".join(part for part in (where, self.place, self.message) if part)
        return f"{text}{' ' if text.endswith('.') else '; '}{self.cure}" if self.cure else text

    def under(self, prefix: str) -> "Problem":
        """The same problem with its place below `prefix`."""
        return replace(self, place=".".join(part for part in (prefix, self.place) if part))


class HeadraceError(Exception):
    """Base of all errors below."""

    retryable = False


class ConfigError(HeadraceError):
    """The job file or a setting is wrong; nothing was started."""

    def __init__(self, problems: Sequence[Problem | str]) -> None:
        self.problems = [p if isinstance(p, Problem) else Problem("", p) for p in problems]
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class ConnectorError(HeadraceError):
    """An outside system or a plugin failed."""

    def __init__(self, message: str, plugin: str = "", table: str = "", split: str = "") -> None:
        super().__init__(message, plugin, table, split)
        self.message, self.plugin, self.table, self.split = message, plugin, table, split

    def __str__(self) -> str:
        where = [
            f"{word} {value}"
            for word, value in (("", self.plugin), ("table", self.table), ("split", self.split))
            if value
        ]
        return f"{', '.join(where).strip()}: {self.message}" if where else self.message


class Unavailable(ConnectorError):
    """The outside system cannot be reached now; the engine tries again."""

    retryable = True


class WorkerLost(Unavailable):
    """The worker process that did it has ended.

    guilty: whether this job is taken to be the cause. Where it is not, trying again costs none of its retries.
    """

    def __init__(self, message: str, guilty: bool = True) -> None:
        super().__init__(message)
        self.args, self.guilty = (message, guilty), guilty


class Rejected(ConnectorError):
    """The outside system refused the request or the data; trying again cannot help."""


class MissingExtra(ConnectorError):
    """A Python package is not installed."""


class PluginFailed(ConnectorError):
    """A plugin raised what its contract does not name; the engine tries again."""

    retryable = True


class BadRow(HeadraceError):
    """A row cannot be read, changed or written.

    row: its number in the batch, split or file, as the message says, counted from 1; 0 when unknown.
    """

    def __init__(self, message: str, table: str = "", row: int = 0, column: str = "", value: Any = None) -> None:
        super().__init__(message, table, row, column, value)
        self.message, self.table, self.row, self.column, self.value = message, table, row, column, value

    def __str__(self) -> str:
        where = [
            f"{word} {value}"
            for word, value in (("table", self.table), ("row", self.row), ("column", self.column))
            if value
        ]
        return f"{', '.join(where)}: {self.message}" if where else self.message


class TooManyBadRows(HeadraceError):
    """More rows were set aside than the job allows."""


class Undelivered(HeadraceError):
    """Rows that a checkpoint holds are lost, or the counts or checksums of a finished job do not balance."""


class TablesFailed(HeadraceError):
    """Tables of a job failed, the others were delivered. tables: table → why."""

    def __init__(self, tables: Mapping[str, HeadraceError]) -> None:
        super().__init__(dict(tables))
        self.tables = dict(tables)

    def __str__(self) -> str:
        causes = "; ".join(f"{table}: {error}" for table, error in self.tables.items())
        return (
            f"{causes}. The other tables were delivered, as multi_table.failure_policy says; a restore of the job goes "
            f"on with {', '.join(self.tables)} after the last commit"
        )


class JobFailed(HeadraceError):
    """A job ended FAILED; the text is the cause."""


class JobCanceled(HeadraceError):
    """A job was stopped before its end."""


class StuckTask(HeadraceError):
    """A plugin's thread cannot be ended; what it prepared will never be committed."""

    def __init__(self, message: str, plugin: str = "", thread: str = "") -> None:
        super().__init__(message, plugin, thread)
        self.message, self.plugin, self.thread = message, plugin, thread

    def __str__(self) -> str:
        return self.message


class CheckpointError(HeadraceError):
    """Saved state cannot be written, read, or used for this job."""


class HomeUnusable(HeadraceError):
    """The directory of locks, logs and saved state cannot be written."""


class StoreUnavailable(CheckpointError):
    """The place where checkpoints are kept is away, full or refuses; the engine tries again."""

    retryable = True


class Replaced(CheckpointError):
    """Another start of the pipeline has taken over: this one may change nothing any more (guarantee 9)."""


class JobStoreUnavailable(HeadraceError):
    """The store of jobs is away, full or refuses; whoever asked may ask again."""


class OtherRelease(HeadraceError):
    """Another node of the cluster runs a release that speaks otherwise; nothing but an upgrade changes that."""


class JobNotFound(HeadraceError):
    """No job has this id."""


class JobExists(HeadraceError):
    """The id belongs to another job."""


class NotEnoughSlots(HeadraceError):
    """No worker has room for the job."""


class NotEnoughMemory(HeadraceError):
    """The job cannot run in the memory it may take; the text names the minimum."""


_NAME = r"(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Warning|Interrupt|Exit)"
_CLASS = re.compile(rf"(?:\({_NAME}\)|{_NAME}:)\s*")


def told(error: BaseException) -> str:
    """What an error says to people: its own text, and the name of its class behind it where it is not ours.

    A text never begins with the name of a class, also where libraries write it there: `KeyError: 'x'` says less to who
    knows no Python than `'x' (KeyError)`.
    """
    if isinstance(error, HeadraceError):
        return str(error)
    name, text = type(error).__name__, str(error).strip()
    while match := _CLASS.match(text):
        text = text[match.end() :]
    return f"{text} ({name})" if text else f"an error without a text ({name})"


OWN_ERRORS: dict[str, type[HeadraceError]] = {
    name: cls for name, cls in list(globals().items()) if isinstance(cls, type) and issubclass(cls, HeadraceError)
}
"""All of the above by name."""


def own_error(error: HeadraceError) -> HeadraceError:
    """The error itself, or the one of ours that is most like it where a plugin has a class of its own."""
    cls = next(base for base in type(error).__mro__ if OWN_ERRORS.get(base.__name__) is base)
    if cls is type(error):
        return error
    text = str(error)
    made = Rejected(text) if cls in (HeadraceError, ConnectorError) else _of_class(cls, error)
    if made.retryable is error.retryable:
        return made
    return Unavailable(text) if error.retryable else Rejected(text)


def _of_class(cls: type[Any], error: Any) -> HeadraceError:
    made: HeadraceError
    try:
        if issubclass(cls, ConfigError):
            made = cls(error.problems)
        elif issubclass(cls, ConnectorError):
            made = cls(error.message, error.plugin, error.table, error.split)
        elif issubclass(cls, BadRow):
            made = cls(error.message, error.table, error.row, error.column, error.value)
        else:
            made = cls(str(error))
    except (AttributeError, TypeError):  # its class has not called its base
        return PluginFailed(str(error))
    return made
