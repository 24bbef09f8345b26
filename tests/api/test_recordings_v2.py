"""Every request recorded on v2 of a real SeaTunnel 2.3.13, asked of our v2: status, keys, types, texts and forms."""

import re

import pytest

from tests.api.compare import differences
from tests.api.replay import TRANSIENT, Replay, recordings, told
from tests.api.servers import Server

VERSION = "2.3.13/v2"
JSON = "application/json;charset=utf-8"

OTHER_STATUS = {
    "a user's mistake is 400, never 500": (
        400,
        r"C11-submit-name-broken-percent|C15-submit-same-id-after-end|C23b?-.*|C24-.*|C27-.*|C28-.*|C29-.*|C34-.*|C66-.*|"
        r"submit-(empty-object|null|whitespace|no-sink|source-object|sink-missing-option|unknown-(sink|transform)|"
        r"bad-field-type|env-bad-number|hocon-bad|jobs-object)|encrypt-config-empty-object|"
        r"upload-(empty|not-multipart|wrong-field)",
    ),
    "a start from a savepoint needs its id": (400, r"submit-savepoint-empty-id"),
    "the type of a body does not change what it says": (200, r"C30-submit-form-content-type"),
    "every id stops its job, every value is taken as text": (
        200,
        r"stop-jobs-small-number|stop-jobs-string|submit-jobs-number-param",
    ),
    "no record is broken": (
        200,
        r"job-info-no-slot|job-info-env-null|finished-jobs-env-null|finished-jobs-after-no-slot",
    ),
}
"""Where we differ on purpose: the reason → the status we answer, and the recordings."""

OTHER_TEXTS = {"submit-no-content-type": ".jobName: "}
"""A body without a type is UTF-8 here, and Latin-1 there."""

AUTH = {name for name in recordings(VERSION) if name.startswith("auth-")}
METRICS = {"C80-metrics", "openmetrics"}


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """A server of this module's own: the recordings of v1 use some of the same ids."""
    running = Server(tmp_path_factory.mktemp("second") / "home", ("--v1-wire", "2.3.13")).start()
    yield running.second()
    running.stop()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """As the recorded server with a context path and basic authentication."""
    env = {"HEADRACE_USER": "admin", "HEADRACE_PASSWORD": "secret", "HEADRACE_HTTP_CONTEXT_PATH": "seatunnel"}
    running = Server(tmp_path_factory.mktemp("guarded") / "home", env=env).start()
    yield running.second()
    running.stop()


def expected_status(name, recorded):
    for status, pattern in OTHER_STATUS.values():
        if re.fullmatch(pattern, name):
            return status
    return recorded


def check(server, name):
    replay = Replay(server, VERSION)
    if name.startswith("pending"):
        server.ask("POST", "update-tags", {})
        replay.with_checkpoints()
    theirs, ours = replay.run(name)
    status = expected_status(name, theirs["status"])
    assert ours.status == status, ours.content[:500]
    recorded, body = theirs["headers"].get("Content-Type"), theirs["body"]
    for header in ("WWW-Authenticate",):
        assert ours.headers.get(header.lower()) == theirs["headers"].get(header)
    if status != theirs["status"]:
        assert ours.headers["content-type"] == JSON
        assert status < 400 or (ours.json["status"] == "fail" and ours.json["message"] and ours.json["problems"])
        return
    if recorded and name != "root":
        assert ours.headers["content-type"] == recorded
    if body is None:
        assert ours.content == b""
    elif isinstance(body, dict | list):
        compare(replay, name, body, ours)
    elif recorded.startswith("text/html;charset=iso"):
        assert [
            m for m in re.findall(r"<title>.*?</title>|HTTP ERROR[^<]*", body) if m not in ours.content.decode()
        ] == []


def compare(replay, name, body, ours):
    first = body[0] if isinstance(body, list) and body else body
    if isinstance(body, dict) and "data" in body:
        assert set(ours.json) == {"data", "total"}
        assert type(ours.json["total"]) is int
        assert len(ours.json["data"]) <= len(body["data"])
        body, listed = body["data"], ours.json["data"]
        body, first = body[: len(listed)], body[0]
        for their_job, our_job in zip(body, listed, strict=True):  # other jobs of ours, in the same shape
            assert set(their_job) - set(our_job) == set()
        return
    jobs = isinstance(first, dict) and "jobStatus" in first
    path = recordings(VERSION)[name]["request"]["path"]
    answer = replay.listed(body, path.lstrip("/")) if jobs and isinstance(body, list) else ours.json
    if jobs and isinstance(body, dict) and body["jobStatus"] in TRANSIENT:
        tables = {key: {} for key in body["metrics"] if key.startswith("Table")}  # they are known a moment later
        body = {**body, "jobStatus": answer["jobStatus"], "metrics": body["metrics"] | tables}
        answer = {**answer, "metrics": answer["metrics"] | tables}
    found = [text for text in differences(body, answer) if not text.startswith(OTHER_TEXTS.get(name, "\0"))]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("name", sorted(recordings(VERSION).keys() - AUTH - METRICS))
def test_answers_as_v2_of_2_3_13(second, name):
    check(second, name)


@pytest.mark.parametrize("name", sorted(AUTH))
def test_asks_for_authentication_as_v2_of_2_3_13(guarded, name):
    check(guarded, name)


SAID = {
    "C11-submit-name-broken-percent": "Unable to parse URI query",
    "C15-submit-same-id-after-end": "The job id ",
    "C29-submit-no-schema": "ErrorCode:[API-06], ErrorDescription:[Factory initialize failed]",
    "submit-bad-field-type": "ErrorCode:[API-06], ErrorDescription:[Factory initialize failed]",
    "submit-source-object": "source: must be an array of plugins, not dict",  # the others speak of Java's classes
    "submit-env-bad-number": "env.job.retry.times: ",
    "submit-hocon-bad": "not HOCON: line 1, column 6: the bracket of line 1 is not closed",
    "upload-empty": "Request body is empty.",
}
"""Recording → what we begin with instead of the recorded words."""
MISTAKES = OTHER_STATUS["a user's mistake is 400, never 500"][1]


@pytest.mark.parametrize("name", [n for n in recordings(VERSION) if re.fullmatch(MISTAKES, n) and told(VERSION, n)])
def test_a_mistake_is_told_in_seatunnels_words_first(second, name):
    _, ours = Replay(second, VERSION).run(name)
    assert ours.status == 400
    assert ours.message.startswith(SAID.get(name, told(VERSION, name)))
    assert ours.json["problems"]
