"""The kill matrix of databases: worker, job or database killed early, in the middle, late; every row is there once.

Each job upserts into one table and appends to another, so that rows that come twice are seen in both ways.
"""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.connectors import mysql, postgresql

pytestmark = [pytest.mark.service, pytest.mark.crash, pytest.mark.slow]

ROWS = 20_000

SUMS = {
    "postgresql": "SELECT count(*), count(DISTINCT id), sum(hashtext(id || name)) FROM {table}",
    "mariadb": "SELECT count(*), count(DISTINCT id), sum(crc32(concat(id, name))) FROM {table}",
}


class _Place:
    """A server of its own, with a table `people` and the two that a job fills."""

    def __init__(self, kind):
        self.kind = kind
        is_mysql = kind == "mariadb"
        self.server = mysql.new_server() if is_mysql else postgresql.new_server("15")
        self.database = "shop"
        self.server.query("CREATE DATABASE shop")
        self.query("CREATE TABLE people (id bigint PRIMARY KEY, name varchar(99))")
        self.query("CREATE TABLE appended (id bigint, name varchar(99))")
        self.query("CREATE TABLE upserted (id bigint PRIMARY KEY, name varchar(99))")
        self.query("INSERT INTO people VALUES " + ",".join(f"({i}, 'name {i}')" for i in range(ROWS)))

    def query(self, sql):
        return self.server.query(sql, database=self.database)

    def sums(self, table):
        return self.query(SUMS[self.kind].format(table=table))

    def remove(self):
        (mysql if self.kind == "mariadb" else postgresql).remove(self.server)

    def job(self, table):
        url, keys = self.server.url("shop"), "id" if table == "upserted" else ""
        path = "shop.people" if self.kind == "mariadb" else "public.people"
        return f"""env {{ job.mode = BATCH, parallelism = 2, checkpoint.interval = 200, job.retry.times = 60
          job.retry.interval.seconds = 1, read_limit.rows_per_second = 2500 }}
        source {{ Jdbc {{ url = "{url}", user = tester, table_path = "{path}", split.size = 1000 }} }}
        sink {{ Jdbc {{ url = "{url}", user = tester, table = {table}, generate_sink_sql = true
          primary_keys = [{keys}] }} }}"""


@pytest.fixture(params=["postgresql", "mariadb"])
def place(request):
    if request.param == "mariadb" and (reason := mysql.why_not("mariadb")):
        pytest.skip(reason)
    if request.param == "postgresql" and "15" not in postgresql.programs():
        pytest.skip("PostgreSQL 15 is not installed: scripts/test does it")
    found = _Place(request.param)
    yield found
    found.remove()


def kill_worker(place, process, command):
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(max(workers, key=lambda worker: sum(worker.cpu_times()[:2])).pid, signal.SIGKILL)
    return process


def kill_job(place, process, command):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return subprocess.Popen(
        [*command, "--restore"], start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def kill_database(place, process, command):
    place.server.kill()
    place.server.start()
    return process


def kill_database_and_job(place, process, command):
    place.server.kill()
    found = kill_job(place, process, command)  # it begins while the database is away
    time.sleep(1)
    place.server.start()
    return found


VICTIMS = [kill_worker, kill_job, kill_database, kill_database_and_job]


@pytest.mark.parametrize("victim", VICTIMS, ids=lambda victim: victim.__name__)
@pytest.mark.parametrize("share", [0.01, 0.4, 0.8], ids=["early", "middle", "late"])
@pytest.mark.parametrize("table", ["appended", "upserted"])
def test_every_row_is_there_once(place, victim, share, table, tmp_path):
    job = tmp_path / "job.conf"
    job.write_text(place.job(table))
    command = [
        sys.executable,
        "-m",
        "headrace",
        "run",
        str(job),
        "--home",
        str(tmp_path / "home"),
        "--runner",
        "processes",
    ]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 120
        while place.query(f"SELECT count(*) FROM {table}")[0][0] < ROWS * share:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()[0].decode()
            time.sleep(0.02)
        assert place.query(f"SELECT count(*) FROM {table}")[0][0] < ROWS, "the job was over too early"
        process = victim(place, process, command)
        said, _ = process.communicate(timeout=240)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 0, said.decode()
    assert place.sums(table) == place.sums("people")
