"""The `env` block: how a job runs. One field for each key that does something here (SeaTunnel page «JobEnvConfig»)."""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, Field, field_validator

from headrace.errors import Problem
from headrace.options import Choice, Options

NO_MEANING = {
    "jars": "there is no Java class path; plugins are Python packages",
    "custom_parameters": "it only reaches Java plugins",
    "savemode.execute.location": "save modes always run where the job runs",
    "tag_filter": "it chooses nodes of a cluster; this job runs on one",
    "metalake_enabled": "Gravitino is not asked for connection secrets",
    "metalake_type": "Gravitino is not asked for connection secrets",
    "metalake_url": "Gravitino is not asked for connection secrets",
    "sink.flush.interval": "sinks flush at every checkpoint",
    "checkpoint.retain-after-job-cancelled": "a canceled job keeps nothing; stop it with a savepoint instead",
}
"""Keys of SeaTunnel that have no counterpart, with the reason a user is told."""

FOREIGN = {"flink": ("flink.", "execution."), "spark": ("spark.",), "OpenLineage": ("openlineage_",)}
"""Engine → how the keys begin that only it reads."""

_OWN = ("execution.parallelism", "execution.checkpoint.interval", "execution.checkpoint.timeout")


class JobMode(Choice):
    """Whether a job ends by itself."""

    BATCH = "BATCH"
    STREAMING = "STREAMING"


class Verify(Choice):
    """What the delivery report proves."""

    NONE = "none"
    COUNTS = "counts"
    CHECKSUM = "checksum"
    TARGET = "target"


class FailurePolicy(Choice):
    """What a failing table of a multi-table job does to the others."""

    FAIL_FAST = "FAIL_FAST"
    CONTINUE_OTHER_TABLES = "CONTINUE_OTHER_TABLES"


class ErrorMode(Choice):
    """What happens to a row that cannot be read, changed or written."""

    DISABLE = "DISABLE"
    LOG = "LOG"
    ROUTE = "ROUTE"


class ErrorHandler(Options):
    """Where bad rows go, and how many may."""

    mode: ErrorMode = Field(
        default=ErrorMode.DISABLE, description="DISABLE fails at the first bad row, LOG counts them, ROUTE writes them."
    )
    max_error_ratio: float = Field(default=0.0, ge=0, le=1, description="Share of bad rows allowed; 0 is unlimited.")
    max_error_ratio_min_records: int = Field(default=100, ge=0, description="Rows before the share is looked at.")
    max_error_records: int = Field(default=0, ge=0, description="Bad rows allowed; 0 is unlimited.")
    queue_capacity: int = Field(
        default=10_000, gt=0, description="Accepted for SeaTunnel's sake: rows never queue here."
    )
    queue_overflow_policy: str = Field(
        default="FAIL", description="Accepted for SeaTunnel's sake: rows never queue here."
    )
    include_original_data: bool = Field(default=False, description="Keep the row itself, as text.")
    include_stacktrace: bool = Field(default=False, description="Keep the stack trace of the error.")
    original_data_format: str = Field(default="TEXT", description="TEXT or JSON.")
    original_data_max_length: int = Field(default=8192, gt=0, description="Characters of a row that are kept.")
    sink: dict[str, Any] | None = Field(
        default=None, description="The sink of mode ROUTE: plugin_name and its options."
    )


class Env(Options):
    """The `env` block of a job."""

    job_mode: JobMode = Field(
        default=JobMode.BATCH, validation_alias="job.mode", description="BATCH ends, STREAMING runs on."
    )
    job_name: str = Field(default="SeaTunnel_Job", validation_alias="job.name", description="The job's name.")
    parallelism: int = Field(
        default=1,
        gt=0,
        validation_alias=AliasChoices("parallelism", "execution.parallelism"),
        description="Tasks of each pipeline; a source's own parallelism wins.",
    )
    checkpoint_interval: int | None = Field(
        default=None,
        gt=0,
        validation_alias=AliasChoices("checkpoint.interval", "execution.checkpoint.interval"),
        description="Milliseconds between checkpoints. A BATCH job without it commits once, at its end.",
    )
    checkpoint_timeout: int | None = Field(
        default=None,
        gt=0,
        validation_alias=AliasChoices("checkpoint.timeout", "execution.checkpoint.timeout"),
        description="Milliseconds a checkpoint may take.",
    )
    min_pause: int = Field(
        default=-1,
        validation_alias=AliasChoices("min-pause", "checkpoint.min-pause"),
        description="Milliseconds between the end of a checkpoint and the next.",
    )
    read_limit_rows_per_second: int | None = Field(
        default=None, gt=0, validation_alias="read_limit.rows_per_second", description="Rows per second and task."
    )
    read_limit_bytes_per_second: int | None = Field(
        default=None, gt=0, validation_alias="read_limit.bytes_per_second", description="Bytes per second and task."
    )
    job_retry_times: int = Field(
        default=3, ge=0, validation_alias="job.retry.times", description="Restarts of a failing pipeline."
    )
    job_retry_interval_seconds: int = Field(
        default=3, ge=0, validation_alias="job.retry.interval.seconds", description="Seconds before each restart."
    )
    shade_identifier: str = Field(
        default="default", validation_alias="shade.identifier", description="How secrets in this file are encrypted."
    )
    failure_policy: FailurePolicy = Field(
        default=FailurePolicy.FAIL_FAST,
        validation_alias="multi_table.failure_policy",
        description="CONTINUE_OTHER_TABLES delivers the other tables when one fails; the job still ends FAILED.",
    )
    verify: Verify = Field(
        default=Verify.COUNTS, description="none, counts, checksum or target: what the report proves."
    )
    memory: str | None = Field(default=None, description="Memory of the job above its idle size, such as 512M.")
    error_handler: ErrorHandler = Field(default=ErrorHandler(), description="Bad rows of every stage.")
    transform_error_handler: ErrorHandler | None = Field(default=None, description="Bad rows of transforms.")
    sink_error_handler: ErrorHandler | None = Field(default=None, description="Bad rows of sinks.")

    @field_validator("memory")
    @classmethod
    def _check_memory(cls, value: str | None) -> str | None:
        if value is not None:
            parse_bytes(value)
        return value


def parse_bytes(text: str) -> int:
    """`512M`, `2G`, `1048576` in bytes; K, M, G, T are powers of 1024. Raises ValueError."""
    units = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
    number = text.strip().upper().removesuffix("IB").removesuffix("B")
    unit = number[-1:] if number[-1:] in units and number[-1:] else ""
    try:
        return int(float(number.removesuffix(unit)) * units[unit])
    except ValueError:
        raise ValueError(f"{text!r} is no amount of memory; write it as 512M or 2G") from None


def meaningless(raw: Mapping[str, Any]) -> list[Problem]:
    """A warning for each key of SeaTunnel that does nothing here; the keys of one other engine share one."""
    found = [Problem(f"env.{key}", "this key does nothing here", NO_MEANING[key]) for key in raw if key in NO_MEANING]
    for engine, prefix in FOREIGN.items():
        keys = [key for key in raw if key == engine or (key.startswith(prefix) and key not in _OWN)]
        if keys:
            more = f" (and {', '.join(keys[1:])})" if len(keys) > 1 else ""
            found.append(Problem(f"env.{keys[0]}", f"this key{more} does nothing here", f"it speaks to {engine}"))
    return found


def is_meaningless(key: str) -> bool:
    """Whether `meaningless` names the key."""
    return bool(meaningless({key: None}))
