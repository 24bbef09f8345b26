"""Every recorded request of a real SeaTunnel, asked of us: status, keys, types, texts and forms must be the same."""

import contextlib
import itertools
import json
import os
import re
import sqlite3
import time
from functools import cache
from pathlib import Path

import pytest

from tests.api.compare import differences
from tests.api.servers import Server, job

RECORDINGS = Path(__file__).parents[1] / "recordings"

OTHER_STATUS = {
    "unknown paths are 404 with a JSON body, and there is no map store behind them": (
        404,
        r"C82-unknown-name|unknown-name.*|other-path|root|double-slash|later-.*|pending-jobs.*|unknown-map-key.*",
    ),
    "DELETE, OPTIONS and PATCH are not allowed, nor is a write to a job": (
        405,
        r"C84-.*|options-running-jobs|patch-running-jobs|post-running-job",
    ),
    "a user's mistake is 400, never 500": (
        400,
        r"C23b?-.*|C24-.*|C27-.*|C28-.*|C29-.*|C34-.*|C37-.*|C38-.*|C39-.*|C66-.*|C69-.*|submit-unknown-(sink|transform)|"
        r"submit-sink-missing-option|submit-bad-field-type|submit-empty-object|submit-no-sink|submit-null|"
        r"submit-whitespace|submit-source-object|submit-no-content-length|submit-env-bad-number|running-job-no-slash|"
        r"job-info-no-slash|running-job-too-large|job-info-too-large|submit-jobs-object|encrypt-config-empty-object|"
        r"submit-hocon-bad|update-tags-no-content-length|overview-duplicate-tag",
    ),
    "the id is optional, as the page says": (200, r"C02-submit-without-job-id|submit-job-name-only"),
    "every id stops its job, every value is taken as text": (
        200,
        r"stop-jobs-small-number|stop-jobs-string|submit-jobs-number-param",
    ),
    "names of logs are looked up, never joined into a path": (400, r"log-traversal.*"),
    "no record is broken": (
        200,
        r"job-info-no-slot|job-info-env-null|finished-jobs-env-null|finished-jobs-after-no-slot",
    ),
    "a lone question mark cannot be seen behind an HTTP library": (200, r"C10-submit-lone-question-mark"),
}
"""Where we differ on purpose: the reason → the status we answer, and the recordings."""

LATER_ONLY = {"C15-submit-same-id-after-end": 400}
"""2.3.13 answers 500 to a mistake."""

OTHER_TEXTS = {
    "C01-submit-name-utf8": {".jobName": "param_test测试"},
    "C11-submit-name-percent": {".jobName": "a b"},  # the query is decoded, as later releases do
    "C11-submit-name-plus": {".jobName": "a b"},
    "C12-submit-name-SeaTunnel": {".jobName": "NAME"},  # env job.name is honoured, as later releases do
    "C13-submit-id-no-name": {".jobName": "NAME"},
    "C05-submit-savepoint-no-id": {".message": "Please provide jobId when start with save point."},
}
"""Texts of 2.3.3 that the design replaces by the later ones."""

LOGGERS = {"hz-rest-log-level"}
"""The loggers are our own."""

ABSENT = re.compile(r"^absent-")
RAW = {"submit-name-raw-utf8"}
"""Bytes that an HTTP client of today does not send."""


FRESH_IDS = itertools.count(os.getpid() * 1_000_000)


@cache
def recordings(version):
    return {file.stem: json.loads(file.read_text()) for file in sorted((RECORDINGS / version).glob("*.json"))}


def cases(version):
    return [name for name in recordings(version) if not ABSENT.match(name) and name not in RAW]


def told(version, name):
    """The first paragraph of a recorded message; empty without one."""
    body = recordings(version)[name]["response"]["body"]
    return (body.get("message") or "").partition("\n\n")[0] if isinstance(body, dict) else ""


class Replay:
    """Asks one server; jobs are submitted when a recorded answer speaks of them."""

    def __init__(self, server, version):
        self.server, self.version = server, version

    def run(self, name):
        record = recordings(self.version)[name]
        request, theirs = record["request"], record["response"]
        path = self.prepare(name, request["path"], theirs["body"])
        headers = {k: v for k, v in (request.get("headers") or {}).items() if k.lower() != "content-length"}
        return theirs, self.server.ask(request["method"], path, request.get("body"), headers)

    def prepare(self, name, path, body):
        """The path with an id that does here what the recorded one did there."""
        if re.search(r"submit-job\w*\?", path) and "jobId=" in path:
            return self.own_id(name, path)
        if isinstance(body, dict) and "jobStatus" in body:
            return re.sub(r"/\d{9,}", f"/{self.job(body)}", path)
        if "job-" in path and path.endswith(".log"):
            number = self.fresh()
            self.server.submit(recordings(self.version)["C02-submit-plain"]["request"]["body"], jobId=number)
            self.server.wait(number)
            return re.sub(r"job-\d+", f"job-{number}", path)
        return path

    def listed(self, theirs, path):
        """Of our list those elements that the recorded ones speak of, in their order."""
        ids = [str(self.job(element)) for element in theirs]
        ours = {element["jobId"]: element for element in self.server.get(path).json}
        return [ours[number] for number in ids]

    def own_id(self, name, path):
        """Ids are honoured here: one that 2.3.3 replaced, and used again, is made new for each request."""
        if re.search(r"C07|C08|C14|C15|abc|too-large|empty-id", name):
            if "C14-" in name:
                return self.again(path, running=True)
            if "C15" in name:
                return self.again(path, running=False)
            return path
        return re.sub(r"jobId=\d+", f"jobId={self.fresh()}", path)

    def fresh(self):
        return next(FRESH_IDS)

    def again(self, path, *, running):
        number = self.fresh()
        name = "submit-streaming" if running else "C02-submit-plain"
        first = recordings(self.version).get(name) or recordings(self.version)["C88-submit-with-name-and-id"]
        self.server.submit(first["request"]["body"], jobId=number)
        if not running:
            self.server.wait(number)
        return re.sub(r"jobId=\d+", f"jobId={number}", path)

    def job(self, told):
        """The id of a job as the recorded one is: submitted alike and brought into its state."""
        name, status = told["jobName"], TRANSIENT.get(told["jobStatus"], told["jobStatus"])
        if (self.server.port, name, status) in JOBS:
            return JOBS[self.server.port, name, status]
        number = self.fresh()
        query = {}
        if name == "restored":
            self.server.submit(self.submission("stream_a", told)[0], jobId=number, jobName="stream_a")
            self.stop(number, savepoint=True)
            query = {"isStartWithSavePoint": "true"}
        elif told.get("isStartWithSavePoint"):
            query = {"isStartWithSavePoint": "true"}
        body, form = self.submission(name, told)
        self.server.submit(self.with_databases(body, status), jobId=number, jobName=name, **query, **form)
        if status in ("CANCELED", "SAVEPOINT_DONE"):
            self.stop(number, savepoint=status == "SAVEPOINT_DONE")
        self.server.wait(number, status, *(["FINISHED"] if status == "RUNNING" else []))
        if status == "RUNNING" and name != "fails":
            self.wait_for_rows(number)
        JOBS[self.server.port, name, status] = number
        return number

    def wait_for_rows(self, number):
        deadline = time.monotonic() + 30
        while self.server.get(f"job-info/{number}").json["metrics"]["sinkWriteCount"] == "0":
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self, number, *, savepoint):
        self.server.wait(number, "RUNNING")
        self.server.ask("POST", "stop-job", {"jobId": number, "isStopWithSavePoint": savepoint})
        self.server.wait(number)

    def with_databases(self, body, status):
        """The body with databases of ours for the recorded ones; what was seen running runs for half a minute."""
        text = json.dumps(body) if isinstance(body, dict) else body
        folder = self.server.home.parent / "databases"
        if "jdbc:sqlite:" not in text:
            return body
        folder.mkdir(exist_ok=True)
        if not (people := folder / "t.db").exists():
            with contextlib.closing(sqlite3.connect(people)) as database, database:
                database.execute("create table people (name text)")
                database.executemany("insert into people values (?)", [(f"name{i}",) for i in range(7)])
        text = text.replace("/opt/seatunnel/t.db", str(people))
        if status == "RUNNING":
            with contextlib.closing(sqlite3.connect(folder / "x.db")) as database:
                database.execute("create table if not exists t (name text, age int, card int)")
            text = text.replace("/nonexistent/x.db", str(folder / "x.db"))
            slowly = '"row.num": 10, "split.num": 10, "split.read-interval": 3000'
            text = text.replace('"row.num": 10', slowly)
        return json.loads(text) if isinstance(body, dict) else text

    def submission(self, name, told):
        """(body, query) of the recorded submit of this name; else a job with the recorded env."""
        for record in recordings(self.version).values():
            body = record["response"]["body"]
            if isinstance(body, dict) and body.get("jobName") == name and "jobStatus" not in body:
                found = re.search(r"format=(\w+)", record["request"]["path"])
                return record["request"]["body"], {"format": found[1]} if found else {}
        env = told["jobDag"]["envOptions"] if "envOptions" in told["jobDag"] else told["envOptions"]
        streaming = told["jobStatus"] != "FINISHED"
        return job(100, **{"mode": "STREAMING"} if streaming else {}, name=None) | {"env": env}, {}


JOBS = {}
TRANSIENT = {"SCHEDULED": "RUNNING", "CANCELING": "RUNNING", "DOING_SAVEPOINT": "RUNNING"}
"""States that pass too quickly here to be asked for: a running job looks the same but for this one word."""


def expected_status(name, recorded):
    for status, pattern in OTHER_STATUS.values():
        if re.fullmatch(pattern, name):
            return status
    return LATER_ONLY.get(name, recorded) if recorded == 500 else recorded


def check(server, version, name):
    replay = Replay(server, version)
    theirs, ours = replay.run(name)
    status = expected_status(name, theirs["status"])
    assert ours.status == status, ours.content[:500]
    if status != theirs["status"]:
        assert status < 400 or ours.content == b"" or ours.json["status"] == "fail"
        return
    recorded, body = theirs["headers"].get("Content-Type"), theirs["body"]
    if recorded:
        assert ours.headers["content-type"] == recorded
    if body is None:
        assert ours.content == b""
    elif isinstance(body, dict | list) and name not in LOGGERS:
        told = body if isinstance(body, list) else [body]
        jobs = bool(told) and isinstance(told[0], dict) and "jobStatus" in told[0]
        answer = (
            replay.listed(body, recordings(version)[name]["request"]["path"]) if jobs and body is told else ours.json
        )
        if jobs and body is not told and body["jobStatus"] in TRANSIENT:
            body = {**body, "jobStatus": answer["jobStatus"]}
        found = differences(body, answer)
        assert [text for text in found if not expected_text(name, text)] == [], "\n".join(found)


def expected_text(name, difference):
    return any(
        difference.startswith(f"{path}: ") and repr(text) in difference
        for path, text in OTHER_TEXTS.get(name, {}).items()
    )


@pytest.mark.parametrize("name", cases("2.3.3"))
def test_answers_as_2_3_3(server, name):
    check(server, "2.3.3", name)


@pytest.mark.parametrize("name", cases("2.3.13"))
def test_answers_as_2_3_13(later_server, name):
    check(later_server, "2.3.13", name)


MISTAKES = next(names for reason, (_, names) in OTHER_STATUS.items() if "mistake" in reason)
NOT_SAID = {
    "C29-submit-no-schema": "ErrorCode:[API-06], ErrorDescription:[Factory initialize failed]",  # 2.3.3: API-01
    "submit-bad-field-type": "ErrorCode:[API-06], ErrorDescription:[Factory initialize failed]",
    "submit-source-object": "source: must be an array of plugins, not dict",  # the others speak of Java's classes
    "submit-env-bad-number": "env.job.retry.times: ",
    "submit-hocon-bad": "not HOCON: line 1, column 6: the bracket of line 1 is not closed",
}
"""Recording → what we begin with instead of the recorded words."""


@pytest.mark.parametrize(
    ("version", "name"),
    [(v, n) for v in ("2.3.3", "2.3.13") for n in cases(v) if re.fullmatch(MISTAKES, n) and told(v, n)],
)
def test_a_mistake_is_told_in_seatunnels_words_first(request, version, name):
    server = request.getfixturevalue("server" if version == "2.3.3" else "later_server")
    _, ours = Replay(server, version).run(name)
    assert ours.status == 400
    assert ours.message.startswith(NOT_SAID.get(name, told(version, name)))
    assert ours.json["problems"]


# -------------------------------------------------------------------------------------------------------------- metrics

NO_COUNTERPART = {
    "jvm_buffer_pool_used_buffers",
    "jvm_classes_loaded_total",
    "jvm_classes_unloaded_total",
    "jvm_memory_bytes_init",
    "jvm_memory_objects_pending_finalization",
    "jvm_memory_pool_allocated_bytes_created",
    "jvm_memory_pool_allocated_bytes_total",
    "jvm_memory_pool_bytes_committed",
    "jvm_memory_pool_bytes_init",
    "jvm_memory_pool_bytes_max",
    "jvm_memory_pool_bytes_used",
    "jvm_memory_pool_collection_committed_bytes",
    "jvm_memory_pool_collection_init_bytes",
    "jvm_memory_pool_collection_max_bytes",
    "jvm_memory_pool_collection_used_bytes",
    "jvm_threads_deadlocked",
    "jvm_threads_deadlocked_monitor",
    "jvm_threads_started_total",
}
"""Metrics of the JVM that Python has nothing to measure for; docs/monitoring.md names them."""

OURS = re.compile(r"python_(gc|info)")


def metrics_of(text):
    """Name → its labels as they are written, without their values; and `# TYPE` lines."""
    found, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            types[line.split()[2]] = line.split()[3]
        elif not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(\{.*\})? (\S+)", line).groups()
            assert re.fullmatch(r"-?\d+\.\d+(E-?\d+)?|NaN", value), line
            found.setdefault(name, set()).add(re.sub(r'"([^"\\]|\\.)*"', '""', labels or ""))
    return found, types


@pytest.fixture(scope="module")
def watched_server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("watched") / "home", env={"HEADRACE_TELEMETRY": "true"}).start()
    yield running
    running.stop()


@pytest.mark.parametrize("name", ["C80-metrics", "openmetrics"])
def test_metrics_have_the_recorded_names_labels_and_forms(watched_server, name):
    record = recordings("2.3.13")[name]
    theirs, their_types = metrics_of(record["response"]["body"])
    ours, our_types = metrics_of(watched_server.get(record["request"]["path"]).content.decode())
    assert {metric: ours.get(metric) for metric in theirs.keys() - NO_COUNTERPART} == {
        metric: labels for metric, labels in theirs.items() if metric not in NO_COUNTERPART
    }
    assert {metric for metric in ours if metric not in theirs and not OURS.match(metric)} == set()
    assert {k: v for k, v in our_types.items() if not OURS.match(k)}.items() <= their_types.items()
    assert record["response"]["headers"]["Content-Type"] == "text/plain"


def test_jobs_are_counted_by_the_recorded_types(watched_server):
    watched_server.wait(watched_server.submit(job(1)))
    path = recordings("2.3.13")["C80-metrics"]["request"]["path"]
    types = [
        re.findall(r'job_count\{cluster="[^"]*",type="(\w+)",\}', text)
        for text in (recordings("2.3.13")["C80-metrics"]["response"]["body"], watched_server.get(path).content.decode())
    ]
    assert types[0] == types[1]
    assert 'job_count{cluster="seatunnel",type="finished",} 1.0' in watched_server.get(path).content.decode()


def test_the_page_on_monitoring_names_every_metric():
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()
    theirs, _ = metrics_of(recordings("2.3.13")["C80-metrics"]["response"]["body"])
    missing = [name for name in theirs if f"`{name}`" not in page and not name.startswith("jvm_memory_pool_")]
    assert missing == []
