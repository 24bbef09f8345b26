"""/events over a real socket: what listeners are told, and what they cost."""

import contextlib
import http.client
import json
import random
import time
from types import SimpleNamespace

import psutil
import pytest

from headrace.api import answers, events
from headrace.jobs.outline import Outline
from headrace.jobs.record import JobRecord, JobText, Metrics
from headrace.jobs.status import JobStatus
from headrace.jobs.store import store_in
from tests.api.servers import job, wait_for


class Listener:
    """Reads events as a browser does, and keeps what they tell: the jobs as they are now, and the counts."""

    def __init__(self, server, last_id=""):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self.connection.request("GET", f"{server.base}/events", headers=headers)
        self.answer = self.connection.getresponse()
        self.last_id = last_id
        self.jobs, self.counts, self.told, self.bytes = {}, {}, [], 0

    def next(self):
        """The next event: its name and its data, which are taken in; None at the end."""
        found = {}
        while line := self.answer.readline():
            self.bytes += len(line)
            name, _, value = line.decode().rstrip("\n").partition(": ")
            found[name] = value
            if name or "data" not in found:
                continue
            event, data = found["event"], json.loads(found["data"])
            self.last_id = found.get("id", self.last_id)
            self._take(event, data)
            return event, data
        return None

    def _take(self, event, data):
        self.told.append((event, data))
        if event == "counts":
            self.counts = data
            return
        if event == "jobs":
            self.jobs = {}
        for change in data:
            self.jobs[change["jobId"]] = self.jobs.get(change["jobId"], {}) | change

    def until(self, is_so, seconds=120):
        deadline = time.monotonic() + seconds
        while not is_so():
            assert self.next() is not None
            assert time.monotonic() < deadline, self.told
        return self

    def status(self, number):
        return self.jobs.get(str(number), {}).get("jobStatus")


@pytest.fixture
def listen():
    with contextlib.ExitStack() as stack:

        def begin(server, last_id=""):
            one = Listener(server, last_id)
            stack.callback(one.connection.close)
            return one

        yield begin


def slow_job(rows=50_000, **env):
    found = job(rows, **env)
    found["source"][0] |= {"split.num": rows // 100, "split.read-interval": 100}
    return found


def stop(server, number):
    server.ask("POST", "stop-job", {"jobId": number})
    server.wait(number)


def test_a_listener_is_told_of_a_job_from_its_start_to_its_end(second, listen):
    one = listen(second)
    assert one.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    before = one.until(lambda: one.last_id).counts.get("FINISHED", 0)
    number = second.submit(job(3))
    one.until(lambda: one.status(number) == "FINISHED")
    assert one.jobs[str(number)]["sinkWriteCount"] == "3"
    one.until(lambda: one.counts.get("FINISHED", 0) > before)


def test_what_a_listener_has_put_together_is_what_the_list_shows(second, listen):
    one = listen(second)
    number = second.submit(slow_job())
    one.until(lambda: int(one.jobs.get(str(number), {}).get("sourceReceivedCount", 0)) > 1000)
    second.ask("POST", "stop-job", {"jobId": number})
    one.until(lambda: one.status(number) == "CANCELED")
    listed = {found["jobId"]: found for found in second.get("jobs?limit=1000").json["jobs"]}
    assert one.jobs[str(number)] == listed[str(number)]


def test_of_a_running_job_only_the_fields_that_changed_are_sent(second, listen):
    number = second.submit(slow_job())
    second.wait(number, "RUNNING")
    one = listen(second)
    one.until(lambda: one.status(number) == "RUNNING" and one.jobs[str(number)]["sourceReceivedCount"] != "0")
    seen = []
    while len(seen) < 4:
        event, data = one.next()
        seen += [found for found in data if found["jobId"] == str(number)] if event == "changes" else []
    stop(second, number)
    counts = [int(found["sourceReceivedCount"]) for found in seen if "sourceReceivedCount" in found]
    assert len(counts) > 1
    assert counts == sorted(set(counts))
    assert [found["version"] for found in seen] == sorted({found["version"] for found in seen})
    for found in seen:
        assert found.keys() <= {"jobId", "version", "sourceReceivedCount", "sinkWriteCount", "slowSide", "lag"}


def test_who_begins_to_listen_is_told_the_jobs_that_run_and_nothing_before(second, listen):
    number = second.submit(job(1, "STREAMING"))
    second.wait(number, "RUNNING")
    for _ in range(3):  # also right after others
        one = listen(second)
        assert one.next()[0] == "counts"
        event, jobs = one.next()
        assert event == "jobs"
        assert [found["jobStatus"] for found in jobs if found["jobId"] == str(number)] == ["RUNNING"]
        assert {"FINISHED", "CANCELED", "FAILED"}.isdisjoint(found["jobStatus"] for found in jobs)
    stop(second, number)


def test_who_comes_back_is_told_what_has_changed_meanwhile_and_no_more(second, listen):
    ended, running = second.submit(slow_job()), second.submit(slow_job())
    for number in (ended, running):
        second.wait(number, "RUNNING")
    one = listen(second)
    one.until(lambda: one.status(ended) == one.status(running) == "RUNNING")
    one.connection.close()
    stop(second, ended)
    new = second.submit(job(2))
    second.wait(new)
    again = listen(second, one.last_id)
    again.jobs = one.jobs
    again.until(lambda: again.status(ended) == "CANCELED" and again.status(new) == "FINISHED")
    assert "jobs" not in [event for event, _ in again.told]
    first = {found["jobId"]: found for event, found_jobs in again.told if event == "changes" for found in found_jobs}
    assert "jobName" in first[str(new)]
    assert "jobName" not in first[str(ended)]
    listed = {found["jobId"]: found for found in second.get("jobs?limit=1000").json["jobs"]}
    assert [again.jobs[str(number)] for number in (ended, new)] == [listed[str(number)] for number in (ended, new)]
    stop(second, running)


@pytest.mark.parametrize("last_id", ["00000000-1", "nonsense", "-1", "٣"])
def test_an_id_of_another_server_brings_the_whole_picture(second, listen, last_id):
    one = listen(second, last_id.encode().decode("latin-1"))
    one.until(lambda: one.last_id != last_id and one.told[-1:] and one.told[-1][0] == "jobs")
    epoch, _, number = one.last_id.partition("-")
    assert len(epoch) == 8
    later = listen(second, f"{epoch}-{int(number) + 1_000_000}")  # one that was not given yet
    later.until(lambda: later.told[-1:] and later.told[-1][0] == "jobs")


class Kept:
    """The jobs of a Changes as somebody knows them who is sent what has changed since a look that he chooses."""

    def __init__(self):
        self.number, self.jobs = None, {}

    def take(self, told):
        events = [
            dict(line.split(": ", 1) for line in part.splitlines()) for part in told.content.decode().split("\n\n")[:-1]
        ]
        for one in events:
            if one["event"] == "jobs":
                self.jobs = {}
            for change in json.loads(one["data"]) if one["event"] != "counts" else ():
                self.jobs[change["jobId"]] = self.jobs.get(change["jobId"], {}) | change
        self.number = told.number

    def running(self):
        return {number: found for number, found in self.jobs.items() if found["endedAt"] is None}


@pytest.mark.parametrize("remembered", [events.MOST_REMEMBERED, 2])
@pytest.mark.parametrize("seed", range(3))
def test_whoever_misses_looks_has_the_same_jobs_in_the_end_as_who_misses_none(tmp_path, monkeypatch, seed, remembered):
    monkeypatch.setattr(events, "MOST_REMEMBERED", remembered)
    chance = random.Random(seed)
    with contextlib.closing(store_in(tmp_path / "home")) as store:
        changes = events.Changes(SimpleNamespace(store=store))
        all_looks, few, rare = Kept(), Kept(), Kept()
        runs = {}
        for one in (all_looks, few, rare):
            one.take(changes.since(None))
        for look in range(60):
            for _ in range(chance.randrange(4)):
                number = chance.randrange(1, 8)
                change_a_job(store, runs, number, chance)
            changes.look()
            if all_looks.number != changes.last.number:
                all_looks.take(changes.last)
            for one, share in ((few, 0.3), (rare, 0.05)):
                if chance.random() < share or look == 59:
                    one.take(changes.since(one.number))
        expected = {str(r.job_id): answers.brief_job(r) for r in runs.values() if not r.status.is_end}
        for one in (all_looks, few, rare):
            assert one.running() == expected
        if remembered > 10:
            assert few.jobs == rare.jobs == all_looks.jobs


def change_a_job(store, runs, number, chance):
    """A job begins, moves rows, ends, or begins again."""
    record = runs.get(number)
    if record is None or (record.status.is_end and chance.random() < 0.3):
        run = 1 if record is None else record.run + 1
        record = JobRecord(number, run, f"job {number}", "BATCH", JobStatus.RUNNING, {}, Outline(()), time.time() + run)
        assert store.add(record, JobText("")).result()
        runs[number] = record
    elif not record.status.is_end:
        ends = chance.random() < 0.3
        values = {"status": JobStatus.FINISHED, "ended": time.time()} if ends else {}
        metrics = Metrics(slow_side=f"waits for the source {chance.randrange(100)}% of the time")
        runs[number] = store.change(record, metrics=metrics, **values).result()


def test_a_restored_job_is_told_whole_again(second, listen):
    number = second.submit(job(1, "STREAMING"))
    second.wait(number, "RUNNING")
    one = listen(second)
    one.until(lambda: one.status(number) == "RUNNING")
    second.ask("POST", "stop-job", {"jobId": number, "isStopWithSavePoint": True})
    one.until(lambda: one.status(number) == "SAVEPOINT_DONE")
    before = one.jobs[str(number)]["createdAt"]
    second.submit(job(1, "STREAMING"), jobId=number, isStartWithSavePoint="true")
    one.until(lambda: one.status(number) == "RUNNING")
    assert one.jobs[str(number)]["createdAt"] > before
    assert one.jobs[str(number)]["endedAt"] is None
    stop(second, number)


def test_nothing_is_sent_twice_while_nothing_changes(start, listen):
    server = start().second()
    one = listen(server)
    number = server.submit(job(1))
    one.until(lambda: one.status(number) == "FINISHED" and one.counts == {"FINISHED": 1})
    one.connection.sock.settimeout(3)
    with pytest.raises(TimeoutError):
        one.next()


def test_a_server_with_listeners_stops_at_once(start, listen):
    server = start()
    one = listen(server.second())
    one.next()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 25
    while one.next() is not None:
        pass
    assert "graceful shutdown exceeded" not in (server.home / "logs" / "headrace-server.log").read_text()


def test_listeners_that_leave_cost_nothing_more(start, listen):
    server = start()
    second = server.second()
    for one in [listen(second) for _ in range(20)]:
        one.next()
        one.connection.close()
    process = psutil.Process(server.process.pid)
    wait_for(lambda: len([c for c in process.net_connections() if c.status == "ESTABLISHED"]) <= 5)
    assert second.ask("HEAD", "events").status == 200
