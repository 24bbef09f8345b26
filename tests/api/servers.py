"""A real server process, and requests over a real socket."""

import contextlib
import copy
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

MAPS = "/hazelcast/rest/maps"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def message(self) -> str:
        return self.json["message"]


@dataclass
class Server:
    """Started on a free port. `env` and `files` (name → text in its configuration directory) are its settings."""

    home: Path
    arguments: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    port: int = 0
    said: str = ""
    base: str = MAPS

    def start(self) -> "Server":
        config = self.home.parent / f"{self.home.name}-config"
        config.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            (config / name).write_text(text)
        port = () if "hazelcast.yaml" in self.files or "--port" in self.arguments else ("--port", "0")
        command = [sys.executable, "-m", "headrace", "server", "--home", str(self.home), "--config", str(config)]
        with open(self.home.parent / f"{self.home.name}.err", "w") as errors:
            self.process = subprocess.Popen(
                [*command, *port, *self.arguments],
                stderr=errors,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **self.env},
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not (found := re.search(r"answers on (https?)://[^/]*:(\d+)/", self._read())):
            assert time.monotonic() < deadline, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.02)
        self.port = int(found[2])
        return self

    def second(self) -> "Server":
        """The same server, asked by REST v2."""
        found = re.search(r" and (https?)://[^/]*:(\d+)(/\S*)", self.said)
        assert found, self.said
        view = copy.copy(self)
        view.port, view.base = int(found[2]), found[3].rstrip("/")
        return view

    def _read(self) -> str:
        self.said = (self.home.parent / f"{self.home.name}.err").read_text()
        return self.said

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | dict | list | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
    ) -> Answer:
        """One request; a path that is not absolute is below the base of the API."""
        path = path if path.startswith("/") else f"{self.base}/{path}"
        content = json.dumps(body).encode() if isinstance(body, dict | list) else body
        content = content.encode() if isinstance(content, str) else content
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            asked = path + (f"?{urlencode(query)}" if query else "")
            chunked = content is not None and not isinstance(content, bytes)
            connection.request(method, asked, content, headers or {}, encode_chunked=chunked)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def submit(self, job: dict | str, **query: Any) -> int:
        answer = self.ask("POST", "submit-job", job, query=query)
        assert answer.status == 200, answer.content
        return int(answer.json["jobId"])

    def wait(self, job_id: int, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        """The job when it is in one of the states; in an end state when none is named."""
        wanted = statuses or ("FINISHED", "FAILED", "CANCELED", "SAVEPOINT_DONE")
        deadline = time.monotonic() + seconds
        while True:
            job = self.get(f"job-info/{job_id}").json
            if job.get("jobStatus") in wanted:
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.01)


def wait_for(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Until something is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


FORM = "multipart/form-data; boundary=part"


def form(name: str, content: str, part: str = "config_file") -> bytes:
    """The body of a form with one file, as curl -F sends it under the type FORM."""
    head = f'Content-Disposition: form-data; name="{part}"; filename="{name}"\r\nContent-Type: application/octet-stream'
    return f"--part\r\n{head}\r\n\r\n{content}\r\n--part--\r\n".encode()


def job(rows: int = 100, mode: str = "BATCH", name: str | None = "NAME", **env: Any) -> dict[str, Any]:
    """FakeSource to Console, as in the cases of the contract."""
    fields = {"name": "string", "age": "int", "card": "int"}
    return {
        "env": {**({"job.name": name} if name else {}), "job.mode": mode, **env},
        "source": [
            {
                "plugin_name": "FakeSource",
                "result_table_name": "fake",
                "row.num": rows,
                "schema": {"fields": fields},
            }
        ],
        "transform": [],
        "sink": [{"plugin_name": "Console", "source_table_name": ["fake"]}],
    }
