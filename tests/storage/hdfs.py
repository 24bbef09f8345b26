"""HDFS from its released jars: a NameNode and a DataNode on free ports of this machine."""

import fcntl
import getpass
import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from headrace.storage.hadoop import HdfsPlace
from headrace.storage.hdfs import server_of
from tests.storage.sshd import free_port, wait_for

VERSION = "3.4.2"
USER = "tester"

_JARS = ("hadoop-hdfs", "hadoop-hdfs-client", "hadoop-common")
_MAIN = "org.apache.hadoop.hdfs.server"
_JVM = [
    *(
        "java",
        "-Xmx256m",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "--add-opens",
        "java.base/java.lang=ALL-UNNAMED",
    ),
    *("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",),
]

BLOCK_BYTES = 4 << 20
"""Bytes of a block, so that files of a few MiB have several."""


def why_not() -> str:
    """Why it cannot be started; empty when it can."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not installed: scripts/test does it" if missing else ""


def jars() -> Path:
    """The folder of the jars, which Maven fetches once into the user's cache: 65 MB."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace-tests" / f"hdfs-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / "lib").exists():
            wanted = [("org.apache.hadoop", name, VERSION) for name in _JARS] + [
                ("org.slf4j", "slf4j-simple", "1.7.36")
            ]
            wanted_xml = "".join(
                f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>"
                "</dependency>"
                for group, name, version in wanted
            )
            (cache / "pom.xml").write_text(
                "<project><modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>hdfs</artifactId>"
                f"<version>1</version><dependencies>{wanted_xml}</dependencies></project>"
            )
            shutil.rmtree(cache / "new", ignore_errors=True)
            command = ["mvn", "-q", "-B", "-f", str(cache / "pom.xml"), "dependency:copy-dependencies"]
            more = [f"-DoutputDirectory={cache / 'new'}", "-DincludeScope=runtime"]
            subprocess.run([*command, *more], check=True, timeout=600)
            for one in (cache / "new").glob("slf4j-reload4j*"):
                one.unlink()  # two bindings complain
            (cache / "new").rename(cache / "lib")
    return cache / "lib"


@dataclass
class Hdfs:
    """One cluster. Its DataNode can be killed and started again on the same ports and files."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="headrace-hdfs-")))
    rpc: int = field(default_factory=free_port)
    web: int = field(default_factory=free_port)
    data: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def make(self) -> "Hdfs":
        conf = self.folder / "conf"
        for name in ("hdfs", "datanode"):
            (conf / "webapps" / name).mkdir(parents=True)  # the jars have none
        data = {f"dfs.datanode.{name}address": f"127.0.0.1:{free_port()}" for name in ("http.", "ipc.")}
        data["dfs.datanode.address"] = f"127.0.0.1:{self.data}"
        core = {"fs.defaultFS": f"hdfs://127.0.0.1:{self.rpc}", "hadoop.tmp.dir": str(self.folder / "data")}
        core["hadoop.security.groups.cache.background.reload"] = "false"
        site = {
            "dfs.namenode.http-address": f"127.0.0.1:{self.web}",
            "dfs.replication": "1",
            "dfs.blocksize": str(BLOCK_BYTES),
            "dfs.datanode.hostname": "127.0.0.1",
            "dfs.namenode.safemode.extension": "0",
            "dfs.heartbeat.interval": "1",
            "dfs.datanode.du.reserved": "0",
            "dfs.namenode.redundancy.considerLoad": "false",
            "dfs.client.block.write.locateFollowingBlock.initial.delay.ms": "10",
            **data,
        }
        for name, values in (("core", core), ("hdfs", site)):
            lines = "".join(f"<property><name>{k}</name><value>{v}</value></property>" for k, v in values.items())
            (conf / f"{name}-site.xml").write_text(f"<configuration>{lines}</configuration>")
        subprocess.run(
            self._command("namenode.NameNode", "-format", "-nonInteractive"), check=True, capture_output=True
        )
        return self

    def _command(self, main: str, *arguments: str) -> list[str]:
        return [*_JVM, "-cp", f"{self.folder / 'conf'}:{jars()}/*", f"{_MAIN}.{main}", *arguments]

    def start(self) -> "Hdfs":
        """And wait until a DataNode has reported."""
        for main in ("namenode.NameNode", "datanode.DataNode"):
            if main not in self.processes:
                with open(self.folder / f"{main}.log", "ab") as log:
                    self.processes[main] = subprocess.Popen(
                        self._command(main), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
                    )
        wait_for(self.data, self.processes["datanode.DataNode"])
        deadline = time.monotonic() + 120
        while self._living() < 1:
            assert time.monotonic() < deadline, "no DataNode"
            for process in self.processes.values():
                assert process.poll() is None, (self.folder / "namenode.NameNode.log").read_text()[-2000:]
            time.sleep(0.1)
        return self

    def _living(self) -> int:
        query = "Hadoop:service=NameNode,name=FSNamesystemState"
        try:
            with urlopen(f"http://127.0.0.1:{self.web}/jmx?qry={query}", timeout=10) as answer:
                [found] = json.load(answer)["beans"]
        except (OSError, ValueError):
            return 0
        return found["NumLiveDataNodes"] if found["FSState"] == "Operational" else 0

    def make_home(self) -> str:
        """A folder in which USER may do everything."""
        server_of(self.place(user=self.owner)).make_folder("/home")
        self.set_mode("/home", 0o777)
        return "/home"

    def break_lines(self) -> None:
        """Kill the DataNode, and start it again."""
        self.stop("datanode.DataNode")
        self.start()

    def set_quota(self, path: str, size: int) -> None:
        """The bytes that a folder may take; whole blocks count."""
        query = f"op=SETQUOTA&storagespacequota={size}&user.name={self.owner}"
        deadline = time.monotonic() + 60
        while True:
            try:
                urlopen(
                    Request(f"http://127.0.0.1:{self.web}/webhdfs/v1{path}?{query}", method="PUT"), timeout=30
                ).close()
                return
            except HTTPError:  # as long as the NameNode is in safe mode
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def set_mode(self, path: str, mode: int) -> None:
        owner = server_of(self.place(user=self.owner))
        owner._ask("write", path, lambda client: client.set_permission(path, mode))

    @property
    def owner(self) -> str:
        """Who may do everything: who has started it."""
        return getpass.getuser()

    def place(self, scheme: str = "hdfs", user: str = USER) -> HdfsPlace:
        port = self.rpc if scheme == "hdfs" else self.web
        return HdfsPlace(f"{scheme}://127.0.0.1:{port}", user)

    def stop(self, *names: str) -> None:
        """Kill all of it, or what is named."""
        for name in names or list(self.processes):
            process = self.processes.pop(name)
            process.kill()
            process.wait()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
