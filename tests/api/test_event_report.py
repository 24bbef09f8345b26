"""Ends of jobs posted to a listener that is there, down, slow, or answers 500."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headrace.api import event_report
from headrace.api.event_report import EventReport
from headrace.jobs.outline import Outline
from headrace.jobs.record import JobRecord
from headrace.jobs.status import JobStatus
from headrace.server_settings import load_server_settings

JOB = """
env { job.mode = BATCH, job.name = "told" }
source { FakeSource { row.num = 3, schema { fields { a = int } } } }
sink { Console {} }
"""
FAILS = """
env { job.mode = BATCH, job.name = "fails" }
source { LocalFile { path = "/nowhere/at/all.csv", file_format_type = csv, schema { fields { a = int } } } }
sink { Console {} }
"""


class Listener:
    """A real HTTP server. answer: status of each answer; delay: seconds before it."""

    def __init__(self, port=0):
        self.posts, self.headers, self.answer, self.delay = [], [], 200, 0.0
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                mine.headers.append(dict(self.headers))
                status = mine.answer
                time.sleep(mine.delay)
                if status == 200:
                    mine.posts.append(json.loads(content))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"http://127.0.0.1:{mine.port}/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def events(self):
        return [event for post in self.posts for event in post]

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def listener():
    one = Listener()
    yield one
    one.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(event_report, "FIRST_PAUSE_SECONDS", 0.05)


@pytest.fixture
def report(tmp_path):
    """Make reports of one home; what they log is in `report.said`."""
    made = []

    def begin(port, headers=None):
        made.append(EventReport(f"http://127.0.0.1:{port}/event?key=s3cret", headers or {}, tmp_path, begin.log))
        return made[-1]

    begin.said = []
    begin.log = lambda level, text: begin.said.append((level, text))
    yield begin
    for one in made:
        one.close()


def ended(number, status=JobStatus.FINISHED, error=""):
    times = {"created": 1.0, "started": 2.0, "ended": 3.5}
    return JobRecord(number, 1, f"job {number}", "BATCH", status, {}, Outline(()), error=error, **times)


def until(what, seconds=30):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_events_look_as_seatunnel_writes_them(listener, report):
    one = report(listener.port, {"Authorization": "Bearer x"})
    one.job_ended(ended(7), None)
    until(lambda: listener.events)
    event = {"jobId": "7", "jobName": "job 7", "jobStatus": "FINISHED", "createdTime": 3500, "eventType": "JOB_STATUS"}
    assert listener.posts == [[event]]
    assert listener.headers[0]["Authorization"] == "Bearer x"
    assert listener.headers[0]["Content-Type"] == "application/json"
    one.job_ended(ended(8, JobStatus.FAILED, "no such table"), None)
    until(lambda: len(listener.events) == 2)
    assert listener.events[1]["errorMsg"] == "no such table"


def test_a_job_that_was_left_to_another_server_is_not_told(listener, report):
    one = report(listener.port)
    one.job_ended(ended(7, JobStatus.RUNNING), None)
    one.job_ended(ended(8), None)
    until(lambda: listener.events)
    assert [event["jobId"] for event in listener.events] == ["8"]


@pytest.mark.parametrize("status", [500, 302, 404])
def test_what_is_not_answered_well_is_posted_again_together_and_told_once(listener, report, status):
    listener.answer = status
    one = report(listener.port)
    for number in range(5):
        one.job_ended(ended(number + 1), None)
    until(lambda: len(listener.headers) >= 3)
    assert one.waiting == 5
    listener.answer = 200
    until(lambda: len(listener.events) == 5)
    assert len(listener.posts) == 1
    until(lambda: len(report.said) == 2)
    assert f"HTTP {status}" in report.said[0][1]
    assert "s3cret" not in str(report.said)
    assert "answers again" in report.said[1][1]


def test_a_listener_that_is_down_gets_its_events_when_it_is_up(listener, report):
    listener.close()
    one = report(listener.port)
    one.job_ended(ended(7), None)
    until(lambda: report.said)
    again = Listener(listener.port)
    until(lambda: again.events)
    again.close()


def test_a_slow_listener_holds_up_nobody(listener, report, monkeypatch):
    monkeypatch.setattr(event_report, "TIMEOUT_SECONDS", 0.3)
    listener.delay = 5
    one = report(listener.port)
    began = time.monotonic()
    for number in range(1000):
        one.job_ended(ended(number + 1), None)
    assert time.monotonic() - began < 1
    until(lambda: report.said)
    assert "timed out" in report.said[0][1]


def test_too_many_events_push_out_the_oldest(listener, report, monkeypatch):
    monkeypatch.setattr(event_report, "CAPACITY", 10)
    listener.answer = 500
    one = report(listener.port)
    for number in range(25):
        one.job_ended(ended(number + 1), None)
    until(lambda: one.dropped == 15)
    listener.answer = 200
    until(lambda: len(listener.events) == 10)
    assert [event["jobId"] for event in listener.events] == [str(number) for number in range(16, 26)]


def test_what_waits_is_posted_after_a_restart(listener, report):
    listener.answer = 500
    one = report(listener.port)
    one.job_ended(ended(7), None)
    until(lambda: report.said)
    one.close()
    listener.answer = 200
    report(listener.port)
    until(lambda: listener.events)
    assert [event["jobId"] for event in listener.events] == ["7"]


def test_metadata_addresses_are_not_posted_to(start):
    server = start(files=_reports_to("http://169.254.169.254/latest"))
    server.ask("POST", "submit-job", JOB, query={"format": "hocon"})
    until(lambda: "may not connect to 169.254.169.254" in server._read())


def test_a_server_posts_the_ends_of_its_jobs(start, listener):
    server = start(files=_reports_to(f"http://127.0.0.1:{listener.port}/event/report"))
    for job in (JOB, FAILS):
        assert server.ask("POST", "submit-job", job, query={"format": "hocon"}).status == 200
    until(lambda: len(listener.events) == 2)
    found = {event["jobName"]: event for event in listener.events}
    assert found["told"]["jobStatus"] == "FINISHED"
    assert found["fails"]["jobStatus"] == "FAILED"
    assert "/nowhere/at/all.csv" in found["fails"]["errorMsg"]
    assert listener.headers[0]["X-Key"] == "1.5"


def _reports_to(url):
    report = f'{{url: "{url}", headers: {{X-Key: "1.5"}}}}'
    return {"seatunnel.yaml": f"seatunnel: {{engine: {{event-report-http: {report}}}}}"}


@pytest.mark.parametrize("url", ["alerts:1024", "ftp://a/b", "http://", "/event"])
def test_an_address_that_is_none_stops_the_start(tmp_path, url):
    from headrace.errors import ConfigError

    (tmp_path / "seatunnel.yaml").write_text(_reports_to(url)["seatunnel.yaml"])
    with pytest.raises(ConfigError, match="event_report_url.*whole address"):
        load_server_settings({"config": tmp_path}, {})
