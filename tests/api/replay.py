"""Asks a server of ours what was asked of a real SeaTunnel, and brings jobs into the state they had there."""

import contextlib
import itertools
import json
import os
import re
import sqlite3
import time
from functools import cache
from pathlib import Path

from tests.api.servers import job

RECORDINGS = Path(__file__).parents[1] / "recordings"

FRESH_IDS = itertools.count(os.getpid() * 1_000_000)


@cache
def recordings(version):
    return {file.stem: json.loads(file.read_text()) for file in sorted((RECORDINGS / version).glob("*.json"))}


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
        if "/jobs/checkpoints/" in path and body and (isinstance(body, list) or "pipelines" in body):
            return re.sub(r"/\d{9,}", f"/{self.with_checkpoints()}", path)
        if re.search(r"/logs/\d{9,}", path):
            number = self.fresh()
            self.server.submit(recordings(self.version)["C02-submit-plain"]["request"]["body"], jobId=number)
            self.server.wait(number)
            return re.sub(r"/\d{9,}", f"/{number}", path)
        if "job-" in path and path.endswith(".log"):
            number = self.fresh()
            self.server.submit(recordings(self.version)["C02-submit-plain"]["request"]["body"], jobId=number)
            self.server.wait(number)
            return re.sub(r"job-\d+", f"job-{number}", path)
        return path

    def with_checkpoints(self):
        """The id of a running job that has taken two checkpoints."""
        key = (self.server.port, "checkpoints", "RUNNING")
        if key not in JOBS:
            JOBS[key] = self.fresh()
            self.server.submit(job(100, "STREAMING", **{"checkpoint.interval": 100}), jobId=JOBS[key])
        deadline = time.monotonic() + 60
        while len(self.server.get(f"jobs/checkpoints/history/{JOBS[key]}?status=COMPLETED").json) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return JOBS[key]

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
