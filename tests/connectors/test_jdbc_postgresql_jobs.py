"""Whole jobs from PostgreSQL to PostgreSQL, with kills of the worker and of the database."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

import headrace
from tests.connectors import postgresql
from tests.connectors.network import Line

pytestmark = [pytest.mark.service, pytest.mark.crash]

ROWS = 6000
SUM = "SELECT count(*), count(DISTINCT id), md5(string_agg(id || name, ',' ORDER BY id)) FROM "


@pytest.fixture
def server():
    """A server that a test may kill."""
    if "15" not in postgresql.programs():
        pytest.skip("PostgreSQL 15 is not installed: scripts/test does it")
    found = postgresql.new_server("15")
    found.query("CREATE TABLE people (id bigint PRIMARY KEY, name text)")
    found.query(f"INSERT INTO people SELECT i, 'name ' || i FROM generate_series(1, {ROWS}) i")
    yield found
    postgresql.remove(found)


def copy(server, env="", port=0):
    url = replace(server, port=port or server.port).url("postgres")
    return f"""env {{ job.mode = BATCH, parallelism = 2, {env} }}
    source {{ Jdbc {{ url = "{url}", user = tester, table_path = "public.people", split.size = 1500 }} }}
    sink {{ Jdbc {{ url = "{url}", user = tester, table = copied, generate_sink_sql = true }} }}"""


def copied(server):
    there = server.query("SELECT to_regclass('copied') IS NOT NULL")[0][0]
    return server.query("SELECT count(*) FROM copied")[0][0] if there else 0


def begun(server, tmp_path, env, port=0):
    """A job that has delivered some of its rows, as a process."""
    job = tmp_path / "job.conf"
    job.write_text(copy(server, f"checkpoint.interval = 200, read_limit.rows_per_second = 1500, {env}", port))
    command = [sys.executable, "-m", "headrace", "run", str(job), "--home", str(tmp_path / "home")]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while not copied(server) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if not 0 < copied(server) < ROWS:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"the job was not met in its middle: {process.communicate()[0].decode()}")
    return command, process


def test_a_copy_is_equal(server):
    assert headrace.run(copy(server)).status == "FINISHED"
    assert server.query(f"{SUM} copied") == server.query(f"{SUM} people")


def test_every_row_is_there_once_after_the_database_was_killed(server, tmp_path):
    _, process = begun(server, tmp_path, "job.retry.times = 30, job.retry.interval.seconds = 1")
    server.kill()
    server.start()
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said.decode()
    assert server.query(f"{SUM} copied") == server.query(f"{SUM} people")


def test_every_row_is_there_once_after_the_network_was_cut(server, tmp_path):
    line = Line(server.port)
    try:
        retries = "job.retry.times = 30, job.retry.interval.seconds = 1"
        _, process = begun(server, tmp_path, retries, line.port)
        assert line.cut() >= 2
        time.sleep(0.5)  # an attempt to go on meets the cut
        line.mend()
        said, _ = process.communicate(timeout=240)
    finally:
        line.close()
    assert process.returncode == 0, said.decode()
    assert server.query(f"{SUM}copied") == server.query(f"{SUM}people")


def test_every_row_is_there_once_after_the_job_was_killed(server, tmp_path):
    command, process = begun(server, tmp_path, "")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    again = subprocess.run([*command, "--restore"], capture_output=True, text=True, timeout=240)
    assert again.returncode == 0, again.stderr
    assert server.query(f"{SUM} copied") == server.query(f"{SUM} people")


def test_a_job_does_not_empty_the_table_it_reads(server):
    job = copy(server).replace("table = copied", "table = people, data_save_mode = DROP_DATA")
    assert headrace.run(job).status == "FAILED"
    assert server.query("SELECT count(*) FROM people") == [(ROWS,)]
