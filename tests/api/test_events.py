"""/events over a real socket: what listeners are told, and what they cost."""

import contextlib
import http.client
import json
import time

import psutil
import pytest

from tests.api.servers import job, wait_for


class Listener:
    """Reads events as a browser does."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.connection.request("GET", f"{server.base}/events")
        self.answer = self.connection.getresponse()

    def next(self, event):
        """The data of the next event of this name."""
        name = ""
        while line := self.answer.readline().decode():
            if line.startswith("event: "):
                name = line[7:].strip()
            elif line.startswith("data: ") and name == event:
                return json.loads(line[6:])
        return None

    def until(self, event, is_so):
        while not is_so(found := self.next(event)):
            assert found is not None
        return found


@pytest.fixture
def listen():
    with contextlib.ExitStack() as stack:

        def begin(server):
            one = Listener(server)
            stack.callback(one.connection.close)
            return one

        yield begin


def states(number, found):
    return [one["jobStatus"] for one in found if one["jobId"] == str(number)]


def test_a_listener_is_told_of_a_job_from_its_start_to_its_end(second, listen):
    one = listen(second)
    assert one.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    before = one.next("counts").get("FINISHED", 0)
    number = second.submit(job(3))
    found = one.until("jobs", lambda jobs: "FINISHED" in states(number, jobs))
    assert {j["sinkWriteCount"] for j in found if j["jobId"] == str(number)} == {"3"}
    one.until("counts", lambda counts: counts.get("FINISHED", 0) > before)


def test_a_listener_is_told_the_rows_of_a_running_job_as_they_grow(second, listen):
    one = listen(second)
    slow = job(5000)
    slow["source"][0] |= {"split.num": 50, "split.read-interval": 200}
    number = second.submit(slow)
    seen = []
    while len(seen) < 3:
        found = [j for j in one.next("jobs") if j["jobId"] == str(number) and int(j["sourceReceivedCount"])]
        seen += [(int(j["sourceReceivedCount"]), j["version"]) for j in found if j["jobStatus"] == "RUNNING"]
    assert seen[0][0] < seen[1][0] < seen[2][0]
    assert seen[0][1] < seen[1][1] < seen[2][1]
    second.ask("POST", "stop-job", {"jobId": number})
    second.wait(number)


def test_who_begins_to_listen_is_told_the_jobs_that_run(second, listen):
    number = second.submit(job(1, "STREAMING"))
    second.wait(number, "RUNNING")
    assert states(number, listen(second).next("jobs")) == ["RUNNING"]
    second.ask("POST", "stop-job", {"jobId": number})
    second.wait(number)


def test_nothing_is_sent_twice_while_nothing_changes(start, listen):
    server = start().second()
    one = listen(server)
    one.next("counts")
    number = server.submit(job(1))
    one.until("jobs", lambda jobs: "FINISHED" in states(number, jobs))
    one.connection.sock.settimeout(3)
    with pytest.raises(TimeoutError):
        one.until("jobs", lambda jobs: False)


def test_a_server_with_listeners_stops_at_once(start, listen):
    server = start()
    one = listen(server.second())
    one.next("counts")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 25
    assert one.next("jobs") is None
    assert "graceful shutdown exceeded" not in (server.home / "logs" / "headrace-server.log").read_text()


def test_listeners_that_leave_cost_nothing_more(start, listen):
    server = start()
    second = server.second()
    for one in [listen(second) for _ in range(20)]:
        one.next("counts")
        one.connection.close()
    process = psutil.Process(server.process.pid)
    wait_for(lambda: len([c for c in process.net_connections() if c.status == "ESTABLISHED"]) <= 5)
    assert second.ask("HEAD", "events").status == 200
