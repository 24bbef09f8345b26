"""The `env` block: how a job runs. One field for each key that does something here (SeaTunnel page «JobEnvConfig»)."""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, Field

from headrace.errors import Problem
from headrace.options import Choice, Options

NO_MEANING = {
    "jars": "there is no Java class path; plugins are Python packages",
    "custom_parameters": "it only reaches Java plugins",
    "savemode.execute.location": "save modes always run where the job runs",
    "metalake_enabled": "Gravitino is not asked for connection secrets",
    "metalake_type": "Gravitino is not asked for connection secrets",
    "metalake_url": "Gravitino is not asked for connection secrets",
    "sink.flush.interval": "sinks flush at every checkpoint",
}
"""Keys of SeaTunnel that have no counterpart, with the reason a user is told."""

FOREIGN = {"flink": ("flink.", "execution."), "spark": ("spark.",), "OpenLineage": ("openlineage_",)}
"""Engine → how the keys begin that only it reads."""

_OWN = ("execution.parallelism", "execution.checkpoint.interval", "execution.checkpoint.timeout")


class JobMode(Choice):
    """Whether a job ends by itself."""

    BATCH = "BATCH"
    STREAMING = "STREAMING"


class Recover(Choice):
    """What becomes of a job whose server died."""

    AUTO = "auto"
    RESTART = "restart"
    FAIL = "fail"


class Verify(Choice):
    """How far the delivery of rows is proved."""

    COUNT = "count"
    CHECKSUM = "checksum"
    TARGET = "target"


class FailurePolicy(Choice):
    """What one table that fails means for the others of a job."""

    FAIL_FAST = "FAIL_FAST"
    CONTINUE_OTHER_TABLES = "CONTINUE_OTHER_TABLES"


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
    retain_after_cancel: bool = Field(
        default=False,
        validation_alias="checkpoint.retain-after-job-cancelled",
        description="A canceled job keeps its checkpoints, so that it can be restored.",
    )
    read_limit_rows_per_second: int | None = Field(
        default=None, gt=0, validation_alias="read_limit.rows_per_second", description="Rows per second and task."
    )
    read_limit_bytes_per_second: int | None = Field(
        default=None, gt=0, validation_alias="read_limit.bytes_per_second", description="Bytes per second and task."
    )
    job_retry_times: int = Field(
        default=3,
        ge=0,
        validation_alias="job.retry.times",
        description="Restarts of a failing pipeline, counted since its last checkpoint.",
    )
    job_retry_interval_seconds: int = Field(
        default=3, ge=0, validation_alias="job.retry.interval.seconds", description="Seconds before each restart."
    )
    failure_policy: FailurePolicy = Field(
        default=FailurePolicy.FAIL_FAST,
        validation_alias="multi_table.failure_policy",
        description="FAIL_FAST: a table that fails stops the job. CONTINUE_OTHER_TABLES: the others are delivered, and "
        "then the job ends FAILED and names it.",
    )
    shade_identifier: str = Field(
        default="default",
        validation_alias="shade.identifier",
        description="How the secrets of this file are encrypted: base64, aes, or the cipher of a package.",
    )
    shade_options: list[str] = Field(
        default_factory=list,
        validation_alias="shade.options",
        description="More options of sources and sinks that are secrets.",
    )
    shade_properties: dict[str, Any] = Field(
        default_factory=dict, validation_alias="shade.properties", description="What the cipher of a package needs."
    )
    tag_filter: dict[str, Any] = Field(
        default_factory=dict,
        description="Attributes that a server must have to run the job; `headrace run` does not look at them.",
    )
    recover: Recover | None = Field(
        default=None,
        description="When its server died without a checkpoint: auto starts it again where no row is written twice, "
        "restart always, fail never.",
    )
    verify: Verify = Field(
        default=Verify.COUNT,
        description="What the delivery report rests on: count counts rows, checksum also sums up what is in them, "
        "target also reads the target back.",
    )


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
