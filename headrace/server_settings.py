"""Settings of a server: SeaTunnel's own hazelcast.yaml and seatunnel.yaml, headrace.yaml, environment, command line."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator

from headrace.errors import ConfigError, Problem
from headrace.jobs.roles import Role
from headrace.options import Choice
from headrace.seatunnel_storage import storage_settings
from headrace.secrets import shown
from headrace.settings import PREFIX, RunnerName, Settings, leaves


class Wire(Choice):
    """Whose answers v1 gives where those of two releases exclude each other."""

    V2_3_3 = "2.3.3"
    V2_3_13 = "2.3.13"


class Strategy(Choice):
    """What happens to a job that finds no slots."""

    REJECT = "REJECT"
    WAIT = "WAIT"


class ServerSettings(Settings):
    """Beside those of every command: `name` is `HEADRACE_NAME` in the environment, and `name` in headrace.yaml."""

    runner: RunnerName = Field(
        default=RunnerName.PROCESSES, description="processes: one worker per core; embedded: threads of the server."
    )
    host: str = Field(
        default="127.0.0.1", description="The address to listen on; another than this one needs authentication."
    )
    public_address: str | None = Field(
        default=None,
        description="host or host:port under which others reach this server, told in links to logs; left out: `host`, "
        "or this machine's address where it listens on all.",
    )
    port: int = Field(default=5801, ge=0, le=65535, description="The port of REST v1; 0 takes a free one.")
    port_count: int = Field(default=100, ge=1, description="How many ports to try, from `port` on.")
    auto_increment: bool = Field(default=True, description="Whether to try the next port when one is taken.")
    http_enabled: bool = Field(default=True, description="Whether REST v2 and the page answer, on a port of their own.")
    http_port: int = Field(
        default=8080,
        ge=0,
        le=65535,
        description="The port of REST v2; 0 takes a free one, as `port` 0 does for both. Where nobody named it and it "
        "is taken, v1 goes on alone.",
    )
    http_dynamic_port: bool = Field(default=False, description="Whether to try the ports behind `http_port`.")
    http_port_range: int = Field(default=100, ge=1, description="How many ports to try then.")
    http_context_path: str = Field(default="", description="What the paths of REST v2 begin with, such as /seatunnel.")
    https_enabled: bool = Field(default=False, description="Whether REST v2 answers on a port for HTTPS, too.")
    https_port: int = Field(default=8443, ge=0, le=65535, description="That port.")
    key_store: Path | None = Field(
        default=None,
        description="PKCS12 or PEM file with its key and certificate; left out: `tls_certificate` and `tls_key`.",
    )
    key_store_password: SecretStr | None = Field(default=None, description="Password of the key store.")
    key_manager_password: SecretStr | None = Field(default=None, description="Password of its key, where another.")
    trust_store: Path | None = Field(
        default=None, description="PKCS12 or PEM file with certificates: clients must show one that they signed."
    )
    trust_store_password: SecretStr | None = Field(default=None, description="Password of the trust store.")
    rest_enabled: bool = Field(default=True, description="Whether REST v1 answers at all.")
    groups: dict[str, bool] = Field(
        default={"CLUSTER_READ": True, "CLUSTER_WRITE": True, "HEALTH_CHECK": True, "DATA": True},
        description="Hazelcast's endpoint groups: which of them answer.",
    )
    cluster_name: str = Field(default="seatunnel", description="The cluster's name.")
    tags: dict[str, str] = Field(default={}, description="Attributes of this node, by which overview filters.")
    v1_wire: Wire = Field(
        default=Wire.V2_3_3, description="Answers of 2.3.3 or of 2.3.13 where both exclude each other."
    )
    allow_remote: bool = Field(
        default=False, description="Listen on another address than 127.0.0.1 without authentication."
    )
    user: str | None = Field(default=None, description="Name for basic authentication.")
    password: SecretStr | None = Field(default=None, description="Password for basic authentication.")
    token: SecretStr | None = Field(default=None, description="Token for bearer authentication.")
    viewer_user: str | None = Field(default=None, description="Name of who may look and change nothing.")
    viewer_password: SecretStr | None = Field(default=None, description="Password of that one.")
    allowed_origins: list[str] = Field(
        default=[],
        description="Web pages that may ask, such as http://dashboard:3000, or `*` for all; left out: only those whose "
        "address is that of the request, as behind a proxy that keeps the Host.",
    )
    tls_certificate: Path | None = Field(default=None, description="PEM file with the certificate: serve HTTPS.")
    tls_key: Path | None = Field(default=None, description="PEM file with its key.")
    max_body: int = Field(default=10 * 1024 * 1024, gt=0, description="Bytes of a request's body, at most.")
    request_timeout: float = Field(
        default=60.0, gt=0, description="Seconds until the head of a request is there, or that its body may pause."
    )
    max_log: int = Field(default=64 * 1024 * 1024, gt=0, description="Bytes of a log's end that are answered.")
    database: str | None = Field(
        default=None, description="SQLAlchemy URL of the store; a file in `home` when left out."
    )
    history_minutes: int = Field(default=1440, gt=0, description="How long ended jobs are remembered.")
    delete_logs: bool = Field(default=True, description="Whether their logs go when they are no longer remembered.")
    strategy: Strategy = Field(default=Strategy.REJECT, description="WAIT or REJECT a job that finds no slots.")
    recover: str = Field(
        default="auto",
        pattern="^(auto|restart|fail)$",
        description="A job whose server died before its first checkpoint: auto starts it again where no row is written "
        "twice, restart always, fail never.",
    )
    members: list[str] = Field(
        default=[], description="host:port of the members of a cluster, the first of which is its head; see Cluster."
    )
    cluster_secret: SecretStr | None = Field(
        default=None, description="What all members share, of 16 characters at least: it proves them to each other."
    )
    members_certificates: Path | None = Field(
        default=None,
        description="PEM file with the certificates that signed those of the members; left out: `tls_certificate`.",
    )
    role: Role = Field(
        default=Role.BOTH,
        description="master: this member runs no jobs; worker: it is the master only where no other is left; left out: "
        "it does both.",
    )
    lease: float = Field(default=5.0, gt=0, description="Seconds without a sign of life after which a server is dead.")
    telemetry: bool = Field(default=False, description="Whether /hazelcast/rest/instance/metrics tells anything.")
    event_report_url: SecretStr | None = Field(
        default=None, description="http or https address that ends of jobs are posted to, see Monitoring."
    )
    event_report_headers: dict[str, SecretStr] = Field(default={}, description="Headers of these posts.")
    relative_paths: bool = Field(
        default=False,
        description="Whether jobs may name relative paths, which begin at the directory where the server was started.",
    )
    allowed_paths: list[Path] | None = Field(
        default=None,
        description="Directories jobs may use; left out: all but the system's, keys, and the server's own.",
    )
    allowed_hosts: list[str] | None = Field(default=None, description="Hosts jobs may connect to; left out: all.")
    jobs_use_own_keys: bool = Field(
        default=False,
        description="Whether jobs may use the keys for object stores that the environment, the files or the role of "
        "this machine give.",
    )
    allowed_plugins: list[str] | None = Field(
        default=None,
        description="Plugins jobs may use; left out, or with `*`: all that run no code of a job's own.",
    )

    @field_validator("event_report_url")
    @classmethod
    def _is_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(url.get_secret_value()) if url is not None else None
        if parts is not None and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("it must be a whole address, such as http://alerts.example.com:1024/event/report")
        return url

    @property
    def second_port(self) -> int:
        """The port of REST v2: a free one where v1 takes a free one and nobody named another."""
        return 0 if self.port == 0 and "http_port" not in self.model_fields_set else self.http_port

    @property
    def base_path(self) -> str:
        """What the paths of REST v2 begin with: empty, or with a slash before and none behind."""
        path = self.http_context_path.strip("/")
        return f"/{path}" if path else ""


_LISTS = {
    **dict.fromkeys(("allowed_paths", "allowed_hosts", "allowed_plugins"), os.pathsep),
    "allowed_origins": ",",
    "members": ",",
}
"""Settings that are lists → what stands between their values in the environment; addresses of pages hold colons."""

Conversion = tuple[str, Any]

_SEATUNNEL: dict[str, Conversion] = {
    "history-job-expire-minutes": ("history_minutes", None),
    "slot-service.slot-num": ("slots", None),
    "job-schedule-strategy": ("strategy", None),
    "checkpoint.interval": ("checkpoint_interval", 1000),
    "checkpoint.timeout": ("checkpoint_timeout", 1000),
    "checkpoint.storage.max-retained": ("checkpoint_retain", None),
    "telemetry.metric.enabled": ("telemetry", None),
    "telemetry.logs.scheduled-deletion-enable": ("delete_logs", None),
    "http.enable-http": ("http_enabled", None),
    "http.port": ("http_port", None),
    "http.enable-dynamic-port": ("http_dynamic_port", None),
    "http.port-range": ("http_port_range", None),
    "http.context-path": ("http_context_path", None),
    "http.enable-https": ("https_enabled", None),
    "http.https-port": ("https_port", None),
    "http.key-store-path": ("key_store", None),
    "http.key-store-password": ("key_store_password", None),
    "http.key-manager-password": ("key_manager_password", None),
    "http.trust-store-path": ("trust_store", None),
    "http.trust-store-password": ("trust_store_password", None),
    "http.enable-basic-auth": ("_basic_auth", None),
    "http.basic-auth-username": ("user", None),
    "http.basic-auth-password": ("password", None),
    "event-report-http.url": ("event_report_url", None),
    "rest.v1-wire": ("v1_wire", None),
}
"""Key below `seatunnel.engine` → our setting, and what its number is divided by (milliseconds there, seconds here)."""

_READ_ELSEWHERE = ("slot-service.dynamic-slot", "print-job-metrics-info-interval")
_STORAGE = "checkpoint.storage."
_HEADERS = "event-report-http.headers."

_NO_MEANING = {
    "backup-count": "state lives in the store of jobs, not in copies of maps",
    "queue-type": "tasks are fused: no queue lies between them",
    "print-execution-info-interval": "see overview",
    "job-metrics-backup-interval": "counts are stored every second",
    "task_execution_thread_share_mode": "each task has its own thread",
    "classloader-cache-mode": "there are no class loaders",
    "checkpoint.schema-change-timeout": "a schema change waits for no checkpoint",
    "checkpoint.min-pause": "set min-pause in the env of a job",
    "checkpoint.max-concurrent": "one checkpoint is taken at a time",
    "checkpoint.tolerable-failure": "see the setting checkpoint_patience",
    "jar-storage": "there are no jars",
    "http": "see the settings of REST v2",
    **dict.fromkeys(("enable-http", "port", "context-path"), "these keys lie below seatunnel.engine.http"),
    "slot-service": "slots have no classes of memory",
    "metalake": "no outside catalogue is asked",
    "coordinator-service": "jobs run on threads of their own",
    "job-metrics-partition-count": "counts are stored with their job",
    "network.join": "members find each other by network.join.tcp-ip.member-list, or through one PostgreSQL",
    "network.rest-api": "see the endpoint groups",
    "network.interfaces": "see the setting host",
    "network.failure-detector": "see the setting lease",
    "network.port.outbound-ports": "no ports are opened to other nodes",
    "properties": "they tune Hazelcast",
    "map": "there are no maps of Hazelcast",
    "jet": "they tune Hazelcast",
    **dict.fromkeys(("executor-service", "scheduled-executor-service", "ringbuffer"), "they tune Hazelcast"),
    **dict.fromkeys(("partition-group", "persistence", "hot-restart-persistence"), "state lives in the store of jobs"),
    **dict.fromkeys(("cp-subsystem", "split-brain-protection"), "the store of jobs decides who owns a job"),
    "user-code-deployment": "there are no jars",
    "serialization": "nothing of Java's is stored",
    "listeners": "there are no jars",
    "advanced-network": "see network",
    "lite-member": "see the setting role",
    "instance-name": "see cluster-name",
    "license-key": "no licence is needed",
    "metrics": "see telemetry.metric.enabled",
    "management-center": "there is none",
    "security": "see the settings user, password and token",
}
"""The beginning of a key that does nothing here → the reason, told once when the server starts."""


def load_server_settings(
    overrides: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> tuple[ServerSettings, list[Problem]]:
    """The settings in force, and a warning for each key that does nothing. Raises ConfigError with all problems.

    A later source wins: defaults, hazelcast.yaml and seatunnel.yaml, headrace.yaml, environment, overrides.
    """
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    folder, seatunnel, hazelcast = _files(given.get("config"), environment)
    warnings: list[Problem] = []
    values: dict[str, Any] = {}
    if hazelcast is not None:
        values |= _from_hazelcast(hazelcast, warnings)
    if seatunnel is not None:
        values |= _from_seatunnel(seatunnel, warnings)
    own = folder / "headrace.yaml" if folder is not None else None
    if own is not None and own.is_file():
        values |= _from_own(own)
    for name in ServerSettings.model_fields:
        if PREFIX + name.upper() in environment:
            text = environment[PREFIX + name.upper()]
            values[name] = [part for part in text.split(_LISTS[name]) if part] if name in _LISTS else text
    values |= given
    try:
        return ServerSettings.model_validate(values), warnings
    except ValidationError as error:
        raise ConfigError(
            [
                Problem(name, f"{e['msg']}, not {shown(name, e['input'])}")
                for e in error.errors()
                for name in [".".join(map(str, e["loc"]))]
            ]
        ) from error


def _files(config: str | Path | None, environment: Mapping[str, str]) -> tuple[Path | None, Path | None, Path | None]:
    """The configuration directory, seatunnel.yaml and hazelcast.yaml, as far as they are there."""
    named = config or environment.get("HEADRACE_CONFIG") or environment.get("SEATUNNEL_CONFIG")
    place = Path(named) if named else Path("config")
    if named and not place.exists():
        raise ConfigError(
            [Problem("config", f"there is no {str(place)!r}", "name SeaTunnel's configuration directory")]
        )
    folder = place if place.is_dir() else place.parent if place.is_file() else None
    seatunnel = place if place.is_file() else place / "seatunnel.yaml"
    hazelcast = Path(environment.get("HAZELCAST_CONFIG") or (folder or place) / "hazelcast.yaml")
    return folder, seatunnel if seatunnel.is_file() else None, hazelcast if hazelcast.is_file() else None


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError([Problem("config", f"cannot read {str(file)!r}: {error}")]) from error
    if not isinstance(content, dict):
        raise ConfigError([Problem("config", f"{str(file)!r} must hold keys and values")])
    return content


def _from_hazelcast(file: Path, warnings: list[Problem]) -> dict[str, Any]:
    root = _read(file).get("hazelcast") or {}
    groups = {"CLUSTER_READ": True, "HEALTH_CHECK": True, "CLUSTER_WRITE": False, "DATA": False}
    values: dict[str, Any] = {"rest_enabled": False, "groups": groups}
    joins = True
    for path, value in leaves(root):
        match path.split("."):
            case ["cluster-name"]:
                values["cluster_name"] = str(value)
            case ["network", "rest-api", "enabled"]:
                values["rest_enabled"] = value
            case ["network", "rest-api", "endpoint-groups", group, "enabled"]:
                groups[group] = bool(value)
            case ["network", "join", "tcp-ip", "enabled"]:
                joins = bool(value)
            case ["network", "join", "tcp-ip", "member-list" | "members"]:
                named = value.split(",") if isinstance(value, str) else value
                values["members"] = [str(member).strip() for member in named or ()]
            case ["network", "public-address"]:
                values["public_address"] = str(value)
            case ["network", "port", "port"] | ["network", "port"]:
                values["port"] = value
            case ["network", "port", "auto-increment"]:
                values["auto_increment"] = value
            case ["network", "port", "port-count"]:
                values["port_count"] = value
            case ["member-attributes", name] | ["member-attributes", name, "value"]:
                values.setdefault("tags", {})[name] = str(value)
            case ["member-attributes", _, "type"]:
                pass
            case _:
                warnings.append(_meaningless(path, file, ("cluster-name", "network.port.port", "member-attributes")))
    if not joins:
        values.pop("members", None)
    return values


def _from_seatunnel(file: Path, warnings: list[Problem]) -> dict[str, Any]:
    root = _read(file).get("seatunnel") or {}
    engine = root.get("engine") or {}
    for path, _ in leaves({name: value for name, value in root.items() if name != "engine"}):
        warnings.append(Problem(path, "unknown key", "SeaTunnel's keys lie below seatunnel.engine", str(file)))
    values: dict[str, Any] = {}
    found = dict(leaves(engine))
    storage = {path.removeprefix(_STORAGE): value for path, value in found.items() if path.startswith(_STORAGE)}
    stored, reasons = storage_settings(storage)
    values |= stored
    for path, reason in reasons.items():
        warnings.append(Problem(_STORAGE + path, "this key does nothing here", reason, str(file)))
    for path, value in found.items():
        if path in _SEATUNNEL:
            name, divisor = _SEATUNNEL[path]
            values[name] = value / divisor if divisor and isinstance(value, int | float) else value
        elif path.startswith(_HEADERS):
            values.setdefault("event_report_headers", {})[path.removeprefix(_HEADERS)] = str(value)
        elif path not in _READ_ELSEWHERE and not path.startswith(_STORAGE):
            warnings.append(_meaningless(path, file, tuple(_SEATUNNEL)))
    if found.get("slot-service.dynamic-slot", True):
        values.pop("slots", None)
    else:
        values.setdefault("slots", 2)
    if not values.pop("_basic_auth", False):
        values.pop("user", None)
        values.pop("password", None)
    return values


def _from_own(file: Path) -> dict[str, Any]:
    values = {str(key).replace("-", "_"): value for key, value in _read(file).items()}
    unknown = [key for key in values if key not in ServerSettings.model_fields]
    if unknown:
        known = list(ServerSettings.model_fields)
        raise ConfigError(
            [
                Problem(key, "unknown setting", f"did you mean {near[0]}?" if near else "", str(file))
                for key in unknown
                for near in [get_close_matches(key, known, 1)]
            ]
        )
    return values


def _meaningless(path: str, file: Path, known: tuple[str, ...]) -> Problem:
    for beginning, reason in sorted(_NO_MEANING.items(), key=lambda item: -len(item[0])):
        if path == beginning or path.startswith(f"{beginning}."):
            return Problem(path, "this key does nothing here", reason, str(file))
    near = get_close_matches(path, known, 1)
    return Problem(path, "unknown key", f"did you mean {near[0]}?" if near else "", str(file))
