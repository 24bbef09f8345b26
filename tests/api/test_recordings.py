"""Every recorded request of a real SeaTunnel, asked of us: status, keys, types, texts and forms must be the same."""

import re
from pathlib import Path

import pytest

from tests.api.compare import differences
from tests.api.replay import TRANSIENT, Replay, recordings, told
from tests.api.servers import Server, job

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


def cases(version):
    return [name for name in recordings(version) if not ABSENT.match(name) and name not in RAW]


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

OURS = re.compile(r"python_(gc|info)|headrace_")


def metrics_of(text):
    """Name → its labels as they are written, without their values; and `# TYPE` lines."""
    found, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            types[line.split()[2]] = line.split()[3]
        elif not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(\{.*\})? (\S+)", line).groups()
            assert re.fullmatch(r"-?\d+\.\d+(E-?\d+)?|NaN|[+-]Inf", value), line
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
