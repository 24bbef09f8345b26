"""Settings of this installation: from the command line, the environment, or their defaults. One table, documented."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, ValidationError

from headrace.errors import ConfigError, Problem
from headrace.logs import LogFormat
from headrace.memory import parse_size
from headrace.options import Choice, Options
from headrace.seatunnel_storage import storage_settings
from headrace.secrets import shown

PREFIX = "HEADRACE_"


Size = Annotated[int, BeforeValidator(lambda value: parse_size(str(value)))]
"""Bytes, written as people do."""


class RunnerName(Choice):
    """Where tasks run."""

    EMBEDDED = "embedded"
    PROCESSES = "processes"
    RAY = "ray"


class Settings(Options):
    """Every setting `name` is read from the environment variable `HEADRACE_NAME`; a command's option wins over it."""

    home: Path = Field(default=Path(".headrace"), description="Where checkpoints, locks and logs are kept.")
    config: Path | None = Field(
        default=None, description="Directory of hazelcast.yaml and seatunnel.yaml, for a server."
    )
    runner: RunnerName = Field(
        default=RunnerName.EMBEDDED,
        description="embedded: threads of this process; processes: one worker per core; ray: workers on a Ray cluster.",
    )
    ray_address: str | None = Field(
        default=None,
        description="host:port of a Ray that runs, for `runner` ray; left out: it is started for this process.",
    )
    workers: int | None = Field(default=None, gt=0, description="Worker processes; the number of cores when left out.")
    memory: Size | None = Field(
        default=None,
        description="Memory limit for all processes together: 512M, 2G, or 50% of what the machine or container "
        "allows; default: half of that.",
    )
    slots: int | None = Field(default=None, gt=0, description="Fixed slots of this node; any number when left out.")
    checkpoint_interval: float = Field(
        default=30.0, gt=0, description="Seconds between checkpoints of a STREAMING job that does not say."
    )
    checkpoint_timeout: float = Field(default=60.0, gt=0, description="Seconds a checkpoint may take.")
    checkpoint_retain: int = Field(default=3, gt=0, description="Checkpoints kept for each pipeline.")
    checkpoint_patience: float = Field(
        default=300.0, gt=0, description="Seconds that saving a checkpoint may keep failing before the job fails."
    )
    checkpoint_store: str | None = Field(
        default=None,
        description="Where checkpoints are kept: a directory, s3://bucket/prefix, gs://… or az://…; by default in the "
        "home.",
    )
    checkpoint_endpoint: str | None = Field(
        default=None, description="Address of an S3 server other than Amazon's, such as http://minio:9000."
    )
    checkpoint_region: str | None = Field(default=None, description="Region of the S3 bucket.")
    checkpoint_access_key: SecretStr | None = Field(
        default=None, description="Key of the S3 bucket; the environment's (AWS_…) or the machine's role when left out."
    )
    checkpoint_secret_key: SecretStr | None = Field(default=None, description="Secret of that key.")
    checkpoint_path_style: bool = Field(
        default=True, description="Whether the bucket stands in the path; else in the host's name."
    )
    log_level: str = Field(default="WARNING", description="DEBUG, INFO, WARNING or ERROR, for the terminal.")

    log_format: LogFormat = Field(
        default=LogFormat.TEXT, description="text, or json: one JSON object a line, in logs and on the terminal."
    )

    def store_options(self) -> dict[str, str | None]:
        """What checkpoint.location.open_store wants to know, secrets in plain text."""
        keys = {"access_key": self.checkpoint_access_key, "secret_key": self.checkpoint_secret_key}
        return {
            "endpoint": self.checkpoint_endpoint,
            "region": self.checkpoint_region,
            "path_style": None if self.checkpoint_path_style else "false",
            **{name: secret.get_secret_value() if secret else None for name, secret in keys.items()},
        }


def home_of(overrides: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Path:
    """The home, where the other settings may be wrong."""
    environment = os.environ if environment is None else environment
    return Path(overrides.get("home") or environment.get(f"{PREFIX}HOME") or Settings.model_fields["home"].default)


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    on_warning: Callable[[Problem], None] = lambda problem: None,
) -> Settings:
    """The settings in force. overrides: what the command line gives; None means not given. Raises ConfigError.

    on_warning: gets what a seatunnel.yaml wants of the store of checkpoints and does not get. That file (of
    `config`, of SEATUNNEL_CONFIG, or in ./config) comes before the defaults and behind all else.
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
    values = {**_seatunnel_yaml(Path(named or "config"), needed=named is not None, on_warning=on_warning), **values}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            [
                Problem(_named(name, given), _told(item["msg"], shown(name, item["input"])))
                for item in error.errors()
                for name in [str(item["loc"][0])]
            ]
        ) from error


def _named(name: str, given: Mapping[str, Any]) -> str:
    """The setting as it was written: the command's option, or the variable of the environment."""
    return f"--{name.replace('_', '-')}" if name in given else PREFIX + name.upper()


def _told(message: str, value: str) -> str:
    """A problem with the value, which a message of ours names itself."""
    ours = message.removeprefix("Value error, ")
    return ours if ours != message and value in ours else f"{ours}, not {value}"


CONFIG_FILES = ("seatunnel.yaml", "hazelcast.yaml", "hazelcast-client.yaml", "headrace.yaml")
"""What makes a directory one of SeaTunnel's configuration; any of them may be missing."""

_YAML_KEYS = {
    ("checkpoint", "interval"): ("checkpoint_interval", 1000),
    ("checkpoint", "timeout"): ("checkpoint_timeout", 1000),
    ("checkpoint", "storage", "max-retained"): ("checkpoint_retain", 1),
}
"""Path below `seatunnel.engine` → our setting, and what its number is divided by (milliseconds there, seconds here)."""


def _seatunnel_yaml(place: Path, *, needed: bool, on_warning: Callable[[Problem], None]) -> dict[str, Any]:
    """What a seatunnel.yaml says of our settings; a directory may hold none, and other files of configuration."""
    file = place / "seatunnel.yaml" if place.is_dir() else place
    if not file.is_file():
        if needed and not any((place / name).is_file() for name in CONFIG_FILES):
            names = f"{', '.join(CONFIG_FILES[:-1])} or {CONFIG_FILES[-1]}"
            text = f"{str(place)!r} holds no {names}" if place.is_dir() else f"there is no {str(place)!r}"
            raise ConfigError([Problem("config", text, "name SeaTunnel's configuration directory")])
        return {}
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError([Problem("config", f"cannot read {str(file)!r}: {error}")]) from error
    found: dict[str, Any] = {}
    for path, (name, divisor) in _YAML_KEYS.items():
        value = _below(content, path)
        if isinstance(value, int | float):
            found[name] = value / divisor if divisor != 1 else value
    if _below(content, ("slot-service", "dynamic-slot")) is False:
        found["slots"] = _below(content, ("slot-service", "slot-num")) or 2
    storage = _below(content, ("checkpoint", "storage"))
    values, reasons = storage_settings(dict(leaves(storage)) if isinstance(storage, dict) else {})
    for key, reason in reasons.items():
        on_warning(Problem(f"checkpoint.storage.{key}", "this key does nothing here", reason, str(file)))
    return found | values


def _below(content: Any, path: tuple[str, ...]) -> Any:
    for key in ("seatunnel", "engine", *path):
        content = content.get(key) if isinstance(content, dict) else None
    return content


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key → value of everything that is not a mapping itself."""
    for key, value in values.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value
