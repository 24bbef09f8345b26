"""Whole jobs into and out of SQLite, killed in the middle."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress

import pytest

import headrace
from headrace.checkpoint.store import FileStore
from headrace.config.job import parse_job
from headrace.errors import Replaced
from headrace.execution.embedded import EmbeddedRunner
from headrace.execution.local import LocalJob, make_runner
from headrace.execution.master import JobMaster
from headrace.plan.plan import make_plan
from tests.connectors.jdbc import query

ROWS = 3000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture
def numbers(tmp_path):
    """A file with a table of numbers."""
    query(tmp_path / "numbers.db", "CREATE TABLE n (id INTEGER PRIMARY KEY, name TEXT)")
    query(tmp_path / "numbers.db", "INSERT INTO n VALUES (?, ?)", [(i, f"name {i}") for i in range(ROWS)])
    return tmp_path / "numbers.db"


def copy(numbers, path, env="", sink=""):
    return f"""
    env {{ job.mode = BATCH, parallelism = 2, job.retry.interval.seconds = 0, {env} }}
    source {{ Jdbc {{ url = "jdbc:sqlite:{numbers}", table_path = n, split.size = 500 }} }}
    sink {{ Jdbc {{ url = "jdbc:sqlite:{path}", generate_sink_sql = true, primary_keys = [], {sink} }} }}"""


def copied(path):
    """How many rows are there, and whether each is there once."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path)) as connection:
        rows = [row[0] for row in connection.execute("SELECT id FROM n")]
        assert len(set(rows)) == len(rows), "rows are there twice"
        return len(rows)
    return 0


@pytest.mark.job
def test_many_tables_are_copied_with_their_keys(tmp_path, path):
    text = """
    env { job.mode = BATCH, parallelism = 2 }
    source { FakeSource { plugin_output = fake, row.num = 50, auto.increment.enabled = true
      table-names = [db.a, db.b, db.c], schema { columns = [{ name = id, type = bigint }, { name = s, type = string }]
      primaryKey { name = pk, columnNames = [id] } } } }
    sink { Jdbc { url = "jdbc:sqlite:%s", driver = "org.sqlite.JDBC", generate_sink_sql = true
      database = main, table = "x_${table_name}", primary_keys = ["${primary_key}"] } }"""
    assert headrace.run(text % path).status == "FINISHED"
    names = query(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    assert names == [("x_a",), ("x_b",), ("x_c",)]
    assert query(path, "SELECT count(*), count(DISTINCT id) FROM x_b") == [(100, 100)]


@pytest.mark.job
def test_a_file_is_copied_into_itself_while_checkpoints_are_taken(numbers):
    text = copy(numbers, numbers, "checkpoint.interval = 50, read_limit.rows_per_second = 4000", 'table = "m"')
    assert headrace.run(text).status == "FINISHED"
    assert query(numbers, "SELECT count(*), count(DISTINCT id) FROM m") == [(ROWS, ROWS)]


def killed_in_the_middle(tmp_path, path, job, runner):
    """Run the job as a command and kill all its processes once some of its rows are there and saved, but not all."""
    command = [sys.executable, "-m", "headrace", "run", str(job), "--home", str(tmp_path / "home"), "--runner", runner]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60

    def is_saved():
        folder = tmp_path / "home" / "checkpoints"
        ids = [int(job.name) for job in folder.glob("[0-9]*")]
        return any(saved.positions for job_id in ids for saved in FileStore(folder).all(job_id))

    while not (copied(path) and is_saved()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < copied(path) < ROWS, "the job was not killed in its middle"
    return command


@pytest.mark.crash
@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_after_a_kill_every_row_is_there_once(tmp_path, numbers, path, runner):
    job = tmp_path / "job.conf"
    job.write_text(copy(numbers, path, "checkpoint.interval = 100, read_limit.rows_per_second = 1000"))
    command = killed_in_the_middle(tmp_path, path, job, runner)
    again = subprocess.run([*command, "--restore"], capture_output=True, text=True, timeout=60)
    assert again.returncode == 0, again.stderr
    assert copied(path) == ROWS
    assert query(path, "SELECT name FROM sqlite_master WHERE type = 'table'") == [("n",)]


@pytest.mark.crash
@pytest.mark.job
def test_a_start_that_was_frozen_while_the_job_ended_elsewhere_moves_nothing(tmp_path, numbers, path):
    """By then the target has forgotten the job, and would take its start for the first one."""

    class Dying(FileStore):
        def save(self, checkpoint, retain):
            super().save(checkpoint, retain)
            raise Replaced("killed after the splits were saved")

    class Freezing(FileStore):
        def latest(self, job_id, pipeline, skip_broken=None):
            found = super().latest(job_id, pipeline, skip_broken)
            elsewhere = master(FileStore)
            assert elsewhere.run().status == "FINISHED"
            elsewhere.forget()
            return found

    def master(store):
        plan = make_plan(parse_job(copy(numbers, path)))
        return JobMaster(plan, EmbeddedRunner(), store(tmp_path / "checkpoints"), job_id=7, restore=True)

    master(Dying).run()
    result = master(Freezing).run()
    assert result.status == "FAILED"
    assert "was replaced" in str(result.error)
    assert copied(path) == ROWS


def test_a_target_that_lost_its_positions_is_not_filled_a_second_time(tmp_path, numbers, path):
    job = tmp_path / "job.conf"
    job.write_text(copy(numbers, path, "checkpoint.interval = 100, read_limit.rows_per_second = 1000"))
    command = killed_in_the_middle(tmp_path, path, job, "embedded")
    before = copied(path)
    query(path, "DROP TABLE headrace_positions")
    again = subprocess.run([*command, "--restore"], capture_output=True, text=True, timeout=60)
    assert again.returncode == 1
    assert "the target no longer holds the positions of job" in again.stderr
    assert copied(path) == before


@pytest.mark.crash
def test_a_new_run_of_the_same_id_reads_everything_again(tmp_path, numbers, path):
    job = tmp_path / "job.conf"
    job.write_text(copy(numbers, path, "checkpoint.interval = 100, read_limit.rows_per_second = 1000"))
    killed_in_the_middle(tmp_path, path, job, "embedded")
    [(job_id,)] = query(path, "SELECT job_id FROM headrace_epochs")
    plan = make_plan(parse_job(copy(numbers, path, sink="data_save_mode = DROP_DATA"), file=str(job)))
    result = LocalJob(plan, tmp_path / "home", runner=make_runner("embedded", 2), job_id=job_id).run()
    assert result.status == "FINISHED"
    assert copied(path) == ROWS


@pytest.mark.job
def test_a_database_that_stays_locked_fails_the_job_with_the_cure(numbers, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        text = copy(numbers, f"{path}?busy_timeout=50", "job.retry.times = 1")
        result = headrace.run(text)
    assert result.status == "FAILED"
    assert "another program has locked it for 0.05 s; end its transaction" in str(result.error)


@pytest.mark.parametrize("tasks", [1, 3])
def test_what_a_file_cannot_promise_to_several_tasks_is_told(tmp_path, tasks):
    file = tmp_path / "shop.db"
    job = f"""
    env {{ job.mode = BATCH, parallelism = {tasks} }}
    source {{ Jdbc {{ url = "jdbc:sqlite:{file}", table_path = people }} }}
    sink {{ Jdbc {{ url = "jdbc:sqlite:{file}", table = copy, generate_sink_sql = true }} }}
    """
    told = [warning.message for warning in make_plan(parse_job(job)).warnings]
    assert [text.partition(":")[0] for text in told] == [
        "SQLite gives 3 tasks no common state of the file",
        "SQLite lets one connection write at a time",
    ][: tasks - 1]
