"""Whole jobs with MariaDB, also to and from PostgreSQL, with kills of the worker and of the database."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

import headrace
from tests.connectors import mysql
from tests.connectors.network import Line

pytestmark = [pytest.mark.service, pytest.mark.crash]

ROWS = 6000
SUM = "SELECT count(*), count(DISTINCT id), sum(crc32(concat(id, name))) FROM shop."


@pytest.fixture
def server():
    """A server that a test may kill."""
    if reason := mysql.why_not("mariadb"):
        pytest.skip(reason)
    found = mysql.new_server()
    found.query("CREATE DATABASE shop CHARACTER SET utf8mb4")
    found.query("CREATE TABLE shop.people (id bigint PRIMARY KEY, name varchar(99))")
    found.query("INSERT INTO shop.people VALUES " + ",".join(f"({i}, 'name {i}')" for i in range(ROWS)))
    yield found
    mysql.remove(found)


def copy(server, env="", port=0):
    url = replace(server, port=port or server.port).url("shop")
    return f"""env {{ job.mode = BATCH, parallelism = 2, {env} }}
    source {{ Jdbc {{ url = "{url}", user = tester, table_path = "shop.people", split.size = 1500 }} }}
    sink {{ Jdbc {{ url = "{url}", user = tester, table = copied, generate_sink_sql = true }} }}"""


def copied(server):
    there = server.query("SHOW TABLES IN shop LIKE 'copied'")
    return server.query("SELECT count(*) FROM shop.copied")[0][0] if there else 0


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


def test_every_row_is_there_once_after_the_database_was_killed(server, tmp_path):
    _, process = begun(server, tmp_path, "job.retry.times = 30, job.retry.interval.seconds = 1")
    server.kill()
    server.start()
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said.decode()
    assert server.query(f"{SUM}copied") == server.query(f"{SUM}people")


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
    assert server.query(f"{SUM}copied") == server.query(f"{SUM}people")


def test_two_hundred_tables_go_to_postgresql_and_back(store, shop):
    number = 200
    connection = store.server.connect(store.name)
    with connection.cursor() as cursor:
        for i in range(number):
            cursor.execute(
                f"CREATE TABLE t{i} (id int PRIMARY KEY, name varchar(20), at datetime(6), n bigint unsigned)"
            )
            cursor.execute(
                f"INSERT INTO t{i} VALUES (1, '🚰 {i}', '2024-02-29 12:00:00.5', {2**64 - 1}), (2, '', NULL, 0)"
            )
    connection.close()
    there = f"""env {{ job.mode = BATCH, parallelism = 2 }}
    source {{ Jdbc {{ url = "{store.url}", user = tester, table_path = "{store.name}.t\\\\d+", use_regex = true }} }}
    sink {{ Jdbc {{ url = "{shop.url}", user = tester, table = "public.${{table_name}}",
    generate_sink_sql = true }} }}"""
    assert headrace.run(there).status == "FINISHED"
    assert shop.query("SELECT count(*) FROM pg_tables WHERE tablename ~ '^t[0-9]+$'") == [(number,)]
    assert shop.query("SELECT id, name, at::text, n::text FROM t199 ORDER BY id") == [
        (1, "🚰 199", "2024-02-29 12:00:00.5", str(2**64 - 1)), (2, "", None, "0"),
    ]  # fmt: skip
    back = f"""env {{ job.mode = BATCH }}
    source {{ Jdbc {{ url = "{shop.url}", user = tester, table_path = "public.t199" }} }}
    sink {{ Jdbc {{ url = "{store.url}", user = tester, table = back, generate_sink_sql = true }} }}"""
    assert headrace.run(back).status == "FINISHED"
    assert store.query("SELECT * FROM back ORDER BY id") == store.query("SELECT * FROM t199 ORDER BY id")


def test_a_csv_file_is_loaded(store, tmp_path):
    (tmp_path / "people.csv").write_text('1,"it\'s"\n2,Łódź 🚰\n')
    job = f"""env {{ job.mode = BATCH }}
    source {{ LocalFile {{ path = "{tmp_path}/people.csv", file_format_type = csv,
        schema {{ fields {{ id = int, name = string }} }} }} }}
    sink {{ Jdbc {{ url = "{store.url}", user = tester, table = people, generate_sink_sql = true,
    primary_keys = [id] }} }}"""
    assert headrace.run(job).status == "FINISHED"
    assert store.query("SELECT * FROM people ORDER BY id") == [(1, "it's"), (2, "Łódź 🚰")]
