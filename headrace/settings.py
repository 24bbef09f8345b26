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
    """The settings in force. overrides: what the command line gives; None means not given. Raises ConfigError.

    A seatunnel.yaml (of `config`, of SEATUNNEL_CONFIG, or in ./config) comes before the defaults and behind all else.
    """
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    values: dict[str, Any] = {
        name: environment[PREFIX + name.upper()]
        for name in Settings.model_fields
        if PREFIX + name.upper() in environment
    }
    values |= given
    named = values.get("config") or environment.get("SEATUNNEL_CONFIG")
    values = {**_seatunnel_yaml(Path(named or "config"), needed=named is not None), **values}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            [
                Problem(PREFIX + str(item["loc"][0]).upper(), f"{item['msg']}, not {item['input']!r}")
                for item in error.errors()
            ]
        ) from error


_YAML_KEYS = {
    ("checkpoint", "interval"): ("checkpoint_interval", 1000),
    ("checkpoint", "timeout"): ("checkpoint_timeout", 1000),
    ("checkpoint", "storage", "max-retained"): ("checkpoint_retain", 1),
}
"""Path below `seatunnel.engine` → our setting, and what its number is divided by (milliseconds there, seconds here)."""


def _seatunnel_yaml(place: Path, *, needed: bool) -> dict[str, Any]:
    """What a seatunnel.yaml says of our settings; a directory may hold none unless it was named."""
    file = place / "seatunnel.yaml" if place.is_dir() else place
    if not file.is_file():
        if needed:
            raise ConfigError(
                [Problem("config", f"there is no {str(file)!r}", "name SeaTunnel's configuration directory")]
            )
        return {}
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError([Problem("config", f"cannot read {str(file)!r}: {error}")]) from error
    found: dict[str, Any] = {}
    for path, (name, divisor) in _YAML_KEYS.items():
        value: Any = content
        for key in ("seatunnel", "engine", *path):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int | float):
            found[name] = value / divisor if divisor != 1 else value
    return found
