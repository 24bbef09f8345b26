"""What becomes of bad rows: `env.error_handler` and its variants (SeaTunnel page «Error Handling»).

A key that `transform_error_handler` or `sink_error_handler` leaves out has the value that `error_handler` gives it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pydantic import Field

from headrace.errors import Problem
from headrace.options import Choice, Options, read_options
from headrace.secrets import shown

DEFAULT_ERROR_TABLE = "error_table"

_NO_QUEUE = "bad rows are written by the task that finds them; there is no queue that could overflow"


class Stage(StrEnum):
    """Where a row can turn out to be bad."""

    SOURCE = "SOURCE"
    TRANSFORM = "TRANSFORM"
    SINK = "SINK"


BLOCKS = {
    Stage.SOURCE: "error_handler",
    Stage.TRANSFORM: "transform_error_handler",
    Stage.SINK: "sink_error_handler",
}
"""Stage → the block of env that is asked first; the others fall back to the first."""


class ErrorMode(Choice):
    """What happens to a bad row."""

    DISABLE = "DISABLE"
    LOG = "LOG"
    ROUTE = "ROUTE"


class OriginalFormat(Choice):
    """How the original row is written; both mean JSON that keeps every type, so that it can be replayed."""

    TEXT = "TEXT"
    JSON = "JSON"


class Overflow(Choice):
    """SeaTunnel's policies for its queue."""

    FAIL = "FAIL"
    DROP = "DROP"
    BLOCK = "BLOCK"


class ErrorHandlerOptions(Options):
    """One `error_handler` block."""

    mode: ErrorMode = Field(
        default=ErrorMode.DISABLE,
        description="DISABLE: the first bad row fails the job. LOG: rows and reasons go into the job's log. "
        "ROUTE: they go into a sink.",
    )
    max_error_records: int = Field(default=0, ge=0, description="More bad rows than this fail the job; 0: no limit.")
    max_error_ratio: float = Field(
        default=0.0, ge=0, le=1, description="A greater share of bad rows fails the job; 0: no limit."
    )
    max_error_ratio_min_records: int = Field(
        default=100, ge=0, description="The share counts only once so many rows were read."
    )
    include_original_data: bool | None = Field(
        default=None, description="Keep the row itself, which a replay needs; true with LOG, else false."
    )
    include_stacktrace: bool = Field(default=False, description="Keep where in the program the row was refused.")
    original_data_format: OriginalFormat = Field(
        default=OriginalFormat.TEXT, description="TEXT or JSON; both mean JSON that keeps every type."
    )
    original_data_max_length: int = Field(
        default=8192, ge=0, description="Characters of the row that are kept; 0: all. A row cut short has no replay."
    )
    queue_capacity: int | None = Field(default=None, ge=0, description=f"Accepted: {_NO_QUEUE}.")
    queue_overflow_policy: Overflow | None = Field(default=None, description=f"Accepted: {_NO_QUEUE}.")
    sink: dict[str, Any] | None = Field(
        default=None, description="For ROUTE: `plugin_name`, `error_table`, and the sink's own options."
    )

    @property
    def keeps_rows(self) -> bool:
        """Whether the row itself is kept beside its reason."""
        if self.include_original_data is None:
            return self.mode is ErrorMode.LOG
        return self.include_original_data


@dataclass(frozen=True)
class Limit:
    """How many bad rows are too many. block: of env, where it stands. stages: all that count for it together."""

    block: str
    records: int
    ratio: float
    min_records: int
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class ErrorHandler:
    """What becomes of the bad rows of one stage.

    block: of env, that gives the mode. plugin_name, error_table, sink: the error sink and its options, with ROUTE.
    sink_block: of env, where the sink stands; stages with the same one share it.
    """

    options: ErrorHandlerOptions
    block: str
    sink_block: str = ""
    plugin_name: str = ""
    error_table: str = DEFAULT_ERROR_TABLE
    sink: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ErrorHandlers:
    """The handlers of all stages that set bad rows aside, and their limits."""

    stages: Mapping[Stage, ErrorHandler]
    limits: tuple[Limit, ...] = ()


def is_error_handler(key: str) -> bool:
    """Whether a key of env belongs here."""
    return key.partition(".")[0] in BLOCKS.values()


def read_error_handlers(env: Mapping[str, Any], problems: list[Problem], warnings: list[Problem]) -> ErrorHandlers:
    """The handlers that an env block asks for; places of what is wrong begin at the block's name."""
    blocks = {name: _block(env, name, problems) for name in BLOCKS.values()}
    before = len(problems)
    for name, values in blocks.items():
        read = read_options(ErrorHandlerOptions, values)
        problems += [p.under(name) for p in read.problems]
        warnings += [p.under(name) for p in read.unknown]
        for key in ("queue_capacity", "queue_overflow_policy"):
            if key in values:
                warnings.append(Problem(f"{name}.{key}", "this key does nothing here", _NO_QUEUE))
    if len(problems) > before:
        return ErrorHandlers({})
    found: dict[Stage, ErrorHandler] = {}
    for stage, name in BLOCKS.items():
        handler = _handler(stage, blocks["error_handler"], blocks[name], problems)
        if handler is not None:
            found[stage] = handler
    return ErrorHandlers(found, tuple(_limits(found, blocks)))


def _block(env: Mapping[str, Any], name: str, problems: list[Problem]) -> dict[str, Any]:
    """A block of env; dotted keys (`error_handler.mode = LOG`) are part of it."""
    value = env.get(name, {})
    if not isinstance(value, Mapping):
        problems.append(Problem(name, f"must be a block, not {shown(name, value)}", f'write {name} {{ mode = "LOG" }}'))
        return {}
    found = dict(value)
    for key, item in env.items():
        if key.startswith(f"{name}."):
            _put(found, key[len(name) + 1 :].split("."), item)
    return found


def _put(values: dict[str, Any], path: list[str], item: Any) -> None:
    for key in path[:-1]:
        inner = values.get(key)
        values[key] = values = dict(inner) if isinstance(inner, Mapping) else {}
    values[path[-1]] = item


def _handler(
    stage: Stage, shared: Mapping[str, Any], own: Mapping[str, Any], problems: list[Problem]
) -> ErrorHandler | None:
    merged = {**shared, **own}
    sinks = [block.get("sink") for block in (shared, own)]
    if any(isinstance(sink, Mapping) for sink in sinks):
        merged["sink"] = {k: v for sink in sinks if isinstance(sink, Mapping) for k, v in sink.items()}
    options = read_options(ErrorHandlerOptions, merged).options
    if options is None or options.mode is ErrorMode.DISABLE:
        return None
    name = BLOCKS[stage]
    handler = ErrorHandler(options, name if "mode" in own else "error_handler")
    if options.mode is ErrorMode.LOG:
        return handler
    sink_block = name if own.get("sink") else "error_handler"
    values = dict(options.sink or {})
    plugin, table = values.pop("plugin_name", None), values.pop("error_table", None)
    if not plugin:
        place = f"{sink_block}.sink.plugin_name" if options.sink else f"{handler.block}.sink"
        cure = f'name a sink: {handler.block} {{ mode = "ROUTE", sink {{ plugin_name = "LocalFile", … }} }}'
        problem = Problem(place, "required option is missing: mode ROUTE needs a sink", cure)
        if problem not in problems:
            problems.append(problem)
        return None
    return replace(
        handler,
        sink_block=sink_block,
        plugin_name=str(plugin),
        error_table=str(table or DEFAULT_ERROR_TABLE),
        sink=values,
    )


def _limits(found: Mapping[Stage, ErrorHandler], blocks: Mapping[str, Mapping[str, Any]]) -> list[Limit]:
    """A stage that sets a limit of its own is counted by itself; the others are counted together."""
    keys = ("max_error_records", "max_error_ratio")
    groups: dict[str, list[Stage]] = {}
    for stage in found:
        own = BLOCKS[stage]
        groups.setdefault(own if any(k in blocks[own] for k in keys) else "error_handler", []).append(stage)
    limits = []
    for block, stages in groups.items():
        options = found[stages[0]].options
        if options.max_error_records or options.max_error_ratio:
            limits.append(
                Limit(
                    block,
                    options.max_error_records,
                    options.max_error_ratio,
                    options.max_error_ratio_min_records,
                    tuple(stages),
                )
            )
    return limits
