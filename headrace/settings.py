"""Settings of this installation: from the command line, the environment, or their defaults. One table, documented."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from headrace.errors import ConfigError, Problem
from headrace.options import Choice, Options

PREFIX = "HEADRACE_"


class RunnerName(Choice):
    """Where tasks run."""

    EMBEDDED = "embedded"
    PROCESSES = "processes"


class Settings(Options):
    """Every setting `name` is read from the environment variable `HEADRACE_NAME`; a command's option wins over it."""

    home: Path = Field(default=Path(".headrace"), description="Where checkpoints, locks and logs are kept.")
    config: Path | None = Field(
        default=None, description="Directory of hazelcast.yaml and seatunnel.yaml, for a server."
    )
    runner: RunnerName = Field(
        default=RunnerName.EMBEDDED, description="embedded: threads of this process; processes: one worker per core."
    )
    workers: int | None = Field(default=None, gt=0, description="Worker processes; the number of cores when left out.")
    checkpoint_interval: float = Field(
        default=30.0, gt=0, description="Seconds between checkpoints of a STREAMING job that does not say."
    )
    checkpoint_timeout: float = Field(default=60.0, gt=0, description="Seconds a checkpoint may take.")
    checkpoint_retain: int = Field(default=3, gt=0, description="Checkpoints kept for each pipeline.")
    checkpoint_patience: float = Field(
        default=300.0, gt=0, description="Seconds that saving a checkpoint may keep failing before the job fails."
    )
    log_level: str = Field(default="WARNING", description="DEBUG, INFO, WARNING or ERROR, for the terminal.")


def load_settings(overrides: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. overrides: what the command line gives; None means not given. Raises ConfigError."""
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {
        name: environment[PREFIX + name.upper()]
        for name in Settings.model_fields
        if PREFIX + name.upper() in environment
    }
    values |= {name: value for name, value in (overrides or {}).items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            [
                Problem(PREFIX + str(item["loc"][0]).upper(), f"{item['msg']}, not {item['input']!r}")
                for item in error.errors()
            ]
        ) from error
