"""The Ray that this process uses: joined where it runs already, or started for this process and ended with it."""

import os
import secrets
import shutil
import tempfile
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.connector import needs
from headrace.errors import ConfigError, Problem, told
from headrace.execution.lanes import NICENESS
from headrace.memory import MIB

NAMESPACE = "headrace"

OBJECTS_BYTES = 100 * MIB
"""Ray's store of objects, of which Ray wants 75 MiB at least. Only messages above 100 KB pass through it."""

LOOK_SECONDS = 1.0

MODE, TOKEN, TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"

TUNED = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A frozen machine is found in 9 s, not in 63.
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    # Workers keep to their memory themselves; Ray would end them for what other programs take.
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_worker_niceness": str(NICENESS),
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""For a Ray that is started here."""


@dataclass(frozen=True)
class RayNode:
    """A living node of Ray. memory: bytes that it gives to workers."""

    id: str
    machine: str
    cpus: float
    memory: int


class RayCluster:
    """address: of a Ray that runs; empty starts one on this machine. There is one at a time in a process.

    cpus, memory: what a Ray that is started here gives to workers, memory in bytes; all and Ray's own measure when
    None. Raises MissingExtra, and ConfigError where Ray cannot be joined or started.
    """

    def __init__(self, address: str = "", cpus: int | None = None, memory: int | None = None) -> None:
        environment = _environment(address, os.environ)
        self._address, self._folder = address, ""
        self._over = threading.Event()
        self._watcher: threading.Thread | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.environ |= environment  # Ray reads it when it is imported, and its processes inherit it
            self.ray: Any = needs("ray", "ray", "--runner ray")
            # Ray prints what happens to its workers, among a command's answers; jobs tell it in their own words
            needs("ray._private.worker", "ray", "--runner ray").print_to_stdstream = lambda *_, **__: None
            try:
                self._open(cpus, memory)
                self.nodes = self._living()
            except Exception as error:  # Ray raises errors of many kinds, also ValueError and RuntimeError
                self.close()
                raise ConfigError([_refusal(address, error)]) from error
        self._watcher = threading.Thread(target=self._watch, name="watch-nodes", daemon=True)
        self._watcher.start()

    def _open(self, cpus: int | None, memory: int | None) -> None:
        how = {"namespace": NAMESPACE, "log_to_driver": False, "configure_logging": False}
        if self._address:
            self.ray.init(address=self._address, **how)
            return
        self._folder = tempfile.mkdtemp(prefix="hr-")  # short, for the path of a socket has 107 bytes at most
        self.ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=0,
            object_store_memory=OBJECTS_BYTES,
            include_dashboard=False,
            _memory=memory,
            _temp_dir=self._folder,
            **how,
        )

    def free_cpus(self) -> float:
        """CPUs of the living nodes that no worker has."""
        return float(self.ray.available_resources().get("CPU", 0.0))

    def close(self) -> None:
        """Leave Ray, and end it where it was started here."""
        self._over.set()
        if self._watcher is not None:
            self._watcher.join()
        if self.ray.is_initialized():
            self.ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _living(self) -> tuple[RayNode, ...]:
        return tuple(
            RayNode(
                node["NodeID"],
                node["NodeManagerHostname"],
                node["Resources"].get("CPU", 0.0),
                int(node["Resources"].get("memory", 0)),
            )
            for node in self.ray.nodes()
            if node["Alive"]
        )

    def _watch(self) -> None:
        """While Ray's head is away, what was last seen of its nodes stays."""
        while not self._over.wait(LOOK_SECONDS):
            try:
                self.nodes = self._living()
            except Exception:
                continue


def _environment(address: str, given: Mapping[str, str]) -> dict[str, str]:
    """What Ray shall find in the environment: it never guesses whether tokens are asked for.

    Raises ConfigError where nobody says so of the Ray at this address.
    """
    if not address:
        return {**TUNED, MODE: "token", TOKEN: secrets.token_hex(32)}
    if MODE in given:
        return {}
    if given.get(TOKEN) or given.get(TOKEN_FILE):
        return {MODE: "token"}
    cure = f"set {TOKEN} or {TOKEN_FILE}, or {MODE}=disabled where it asks for none"
    raise ConfigError([Problem("--ray-address", f"nothing says what token the Ray at {address} wants", cure)])


def _refusal(address: str, error: Exception) -> Problem:
    text = " ".join(told(error).split())
    if not address:
        return Problem("--runner ray", f"Ray cannot be started: {text}")
    cure = "Ray, Python and Headrace are of the same release on all its nodes, and its token is in the environment"
    return Problem("--ray-address", f"the Ray at {address} cannot be joined: {text}", f"see that {cure}")
