"""Where a scheduler's commands find the server: the environment, SeaTunnel's hazelcast-client.yaml, or this host."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from headrace.addresses import joined
from headrace.client import Client
from headrace.errors import ConfigError, HeadraceError, Problem, Unavailable
from headrace.settings import CONFIG_FILES

DEFAULT_PORT = 5801
DEFAULT_INTERVAL = 60.0


def adopt_installation(environment: MutableMapping[str, str]) -> None:
    """Scripts in a SeaTunnel directory use its configuration and keep their state there, wherever called from.

    The scripts say where they lie by SEATUNNEL_HOME. What the environment names itself stays.
    """
    home = environment.get("SEATUNNEL_HOME")
    if home and any((Path(home) / "config" / name).is_file() for name in CONFIG_FILES):
        environment.setdefault("HEADRACE_HOME", str(Path(home) / ".headrace"))
        if not environment.get("HEADRACE_CONFIG"):
            environment.setdefault("SEATUNNEL_CONFIG", str(Path(home) / "config"))


def config_folder(environment: Mapping[str, str]) -> Path | None:
    """The configuration directory, when there is one."""
    place = Path(environment.get("HEADRACE_CONFIG") or environment.get("SEATUNNEL_CONFIG") or "config")
    return place if place.is_dir() else place.parent if place.is_file() else None


def addresses(environment: Mapping[str, str]) -> list[str]:
    """The servers to try, in order. HEADRACE_SERVER wins over hazelcast-client.yaml. Raises ConfigError."""
    if environment.get("HEADRACE_SERVER"):
        return [environment["HEADRACE_SERVER"]]
    folder = config_folder(environment)
    named = environment.get("HAZELCAST_CLIENT_CONFIG")
    file = Path(named) if named else folder / "hazelcast-client.yaml" if folder is not None else None
    if file is not None and (named or file.is_file()):
        network = _section(_section(_read(file), "hazelcast-client"), "network")
        members = network.get("cluster-members")
        if isinstance(members, str):
            members = [part for part in members.split(",") if part.strip()]
        if members is not None and members != []:
            return [_url(member, file) for member in (members if isinstance(members, list) else [members])]
    return [f"http://localhost:{DEFAULT_PORT}"]


def progress_interval(environment: Mapping[str, str]) -> float:
    """Seconds between two tables of a job's progress: print-job-metrics-info-interval of seatunnel.yaml, else 60."""
    folder = config_folder(environment)
    if folder is None or not (folder / "seatunnel.yaml").is_file():
        return DEFAULT_INTERVAL
    engine = _section(_section(_read(folder / "seatunnel.yaml"), "seatunnel"), "engine")
    given = engine.get("print-job-metrics-info-interval")
    return float(given) if isinstance(given, int | float) and given > 0 else DEFAULT_INTERVAL


class Cluster:
    """One of several servers: any of them answers for all jobs, so the first that can be reached is asked."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.addresses = addresses(environment)
        self._environment = environment

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of the first server that answers. Raises Unavailable, naming all that were tried."""
        reasons = []
        for address in self.addresses:
            client = Client(
                address,
                user=self._environment.get("HEADRACE_USER"),
                password=self._environment.get("HEADRACE_PASSWORD"),
                token=self._environment.get("HEADRACE_TOKEN"),
            )
            try:
                client.overview()
            except Unavailable as error:
                client.close()
                reasons.append(str(error))
                continue
            except HeadraceError:
                pass  # it answers, though not to this: a SeaTunnel 2.3.3 has no overview
            with client:
                yield client
            return
        raise Unavailable(
            "; ".join(reasons) + ". Start a server with seatunnel-cluster.sh, or name one in "
            "hazelcast-client.yaml (cluster-members) or HEADRACE_SERVER"
        )


def _url(member: Any, file: Path) -> str:
    """The address of a member as people write it. Raises ConfigError, naming file and key."""
    text = str(member).strip().removesuffix("/")
    scheme, slashes, rest = text.partition("://")
    if slashes and scheme.lower() in ("http", "https"):
        return f"{scheme.lower()}://{_with_port(rest)}" if _ADDRESS.fullmatch(rest) else _refuse(member, file)
    if isinstance(member, Mapping | list) or not (_ADDRESS.fullmatch(text) or _IPV6.fullmatch(text)):
        _refuse(member, file)
    return f"http://{_with_port(text)}"


_ADDRESS = re.compile(r"(?:[\w.-]*[A-Za-z_.-][\w.-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def _with_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    if port.isdigit() and host and (":" not in host or host.endswith("]")):
        return address
    return joined(address, DEFAULT_PORT)


def _refuse(member: Any, file: Path) -> NoReturn:
    place = "hazelcast-client.network.cluster-members"
    raise ConfigError([Problem(place, f"{member!r} is not an address", "write HOST:PORT", str(file))])


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError([Problem("", f"cannot read {str(file)!r}: {error}")]) from error
    return content if isinstance(content, dict) else {}
