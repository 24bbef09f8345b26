"""What fails outside: workers that are frozen, sinks that never return, full disks, a store that is away."""

import os
import signal
import sqlite3
import subprocess

import pytest

from headrace.checkpoint.store import FileStore
from headrace.errors import Unavailable
from headrace.execution.processes import ProcessesRunner
from tests.checkpoint.s3 import KEY, SECRET, Gateway, Imitation
from tests.execution.runs import PROBE, Run, ids

pytestmark = pytest.mark.job

JOB = """
env {{ job.mode = BATCH, checkpoint.interval = 200, checkpoint.timeout = 1500, job.retry.interval.seconds = 0
  job.retry.times = 5, {env} }}
source {{ Paced {{ rows = {rows}, seconds = 0.01 }} }}
sink {{ {sink} }}"""


def files(folder, plugin="LocalFile", options=""):
    return f'{plugin} {{ path = "{folder}/out.d", tmp_path = "{folder}/tmp", file_format_type = csv, {options} }}'


def table(folder):
    return f'Jdbc {{ url = "jdbc:sqlite:{folder}/target.db", table = people, generate_sink_sql = true }}'


def delivered(folder):
    if (folder / "target.db").exists():
        connection = sqlite3.connect(folder / "target.db")
        try:
            return sorted(row[0] for row in connection.execute("SELECT id FROM people"))
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()
    return ids(folder / "out.d")


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(*arguments, rows=300, source="Paced {", sink=None, env="", **settings):
        text = JOB.format(rows=rows, sink=sink or files(tmp_path), env=env).replace("Paced {", source)
        running.append(Run(tmp_path, text, *arguments, **settings))
        return running[-1]

    yield begin
    for run in running:
        run.kill()


@pytest.mark.parametrize("sink", [files, table], ids=["staged", "transactional"])
def test_a_frozen_worker_is_replaced_and_every_row_is_there_once(start, tmp_path, sink):
    run = start("--runner", "processes", sink=sink(tmp_path), HEADRACE_WORKERS="1")
    run.until(lambda: len(delivered(tmp_path)) > 20)
    (frozen,) = run.workers()
    os.kill(frozen.pid, signal.SIGSTOP)
    result = run.end()
    assert result["status"] == "FINISHED", run.said
    assert "restarts (1 of 5)" in run.said
    assert not frozen.is_running()
    assert delivered(tmp_path) == list(range(1, 301))


def test_a_frozen_worker_is_found_without_checkpoints(start, tmp_path):
    """By its missing heartbeats; here the process that watches is told to lose patience after six."""
    (tmp_path / "sitecustomize.py").write_text(
        "from headrace.execution.processes import ProcessesRunner\n"
        "ProcessesRunner.__init__.__defaults__ = (None, None, None, 6)\n"
    )
    text = JOB.format(rows=200, sink=files(tmp_path), env="").replace("checkpoint.interval = 200,", "")
    path = os.pathsep.join([str(tmp_path), str(PROBE)])
    run = Run(tmp_path, text, "--runner", "processes", HEADRACE_WORKERS="1", PYTHONPATH=path)
    try:
        run.until(lambda: run.workers() and any(file.is_file() for file in (tmp_path / "tmp").rglob("*")))
        (frozen,) = run.workers()
        os.kill(frozen.pid, signal.SIGSTOP)
        assert run.end()["status"] == "FINISHED", run.said
        assert "restarts (1 of 5)" in run.said
        assert delivered(tmp_path) == list(range(1, 201))
    finally:
        run.kill()


@pytest.mark.parametrize("where", ["write", "prepare_commit", "commit"])
def test_a_sink_that_never_returns_is_replaced_and_every_row_is_there_once(start, tmp_path, where):
    sink = files(tmp_path, "HangingFile", f'hang_in = {where}, flag = "{tmp_path}/flag"')
    env = "checkpoint.timeout = 500"
    run = start("--runner", "processes", sink=sink, env=env, HEADRACE_WORKERS="1")
    run.until(lambda: len(delivered(tmp_path)) > 20)
    (tmp_path / "flag").touch()
    result = run.end()
    assert not (tmp_path / "flag").exists()
    assert result["status"] == "FINISHED", run.said
    assert "restarts (1 of 5)" in run.said
    assert delivered(tmp_path) == list(range(1, 301))


@pytest.mark.parametrize("where", ["write", "prepare_commit"])
def test_embedded_a_sink_that_never_returns_fails_the_job_by_name(start, tmp_path, where):
    sink = files(tmp_path, "HangingFile", f'hang_in = {where}, flag = "{tmp_path}/flag"')
    run = start(sink=sink)
    run.until(lambda: len(delivered(tmp_path)) > 20)
    (tmp_path / "flag").touch()
    result = run.end()
    assert (result["status"], run.process.returncode) == ("FAILED", 1)
    assert "it is stuck in one of" in result["error"]
    assert "HangingFile" in result["error"]
    before = delivered(tmp_path)
    assert before == list(range(1, len(before) + 1))


def fill(file):
    with open(file, "wb", buffering=0) as filling:
        while True:
            filling.write(bytes(4096))


def test_a_full_disk_stops_no_job_and_the_next_checkpoint_is_saved(start, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        run = start(rows=400, HEADRACE_CHECKPOINT_STORE=str(disk / "checkpoints"))
        run.until(lambda: len(delivered(tmp_path)) > 20)
        with pytest.raises(OSError, match="No space left"):
            fill(disk / "filling")
        run.until(lambda: "was not taken: cannot use the checkpoint directory" in run.said)
        assert "No space left on device" in run.said
        held = len(delivered(tmp_path))
        (disk / "filling").unlink()
        run.until(lambda: len(delivered(tmp_path)) > held)
        assert run.end()["status"] == "FINISHED", run.said
        assert "restarts" not in run.said
        assert delivered(tmp_path) == list(range(1, 401))
    finally:
        run.kill()
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.service
@pytest.mark.parametrize(
    ("server", "sink"),
    [
        (Imitation, files),
        pytest.param(Gateway, files, marks=pytest.mark.slow),
        pytest.param(Gateway, table, marks=pytest.mark.slow),
    ],
)
def test_a_store_that_is_away_stops_no_job(start, tmp_path, server, sink):
    """While it is away a worker is killed, too: the restart waits for the store."""
    gateway = server(tmp_path / "s3").start()
    try:
        run = start(
            "--runner",
            "processes",
            rows=1000,
            sink=sink(tmp_path),
            HEADRACE_WORKERS="1",
            HEADRACE_CHECKPOINT_STORE="s3://bucket/jobs",
            HEADRACE_CHECKPOINT_ENDPOINT=gateway.endpoint,
            HEADRACE_CHECKPOINT_ACCESS_KEY=KEY,
            HEADRACE_CHECKPOINT_SECRET_KEY=SECRET,
        )
        run.until(lambda: len(delivered(tmp_path)) > 20)
        gateway.stop()
        run.until(lambda: "was not taken: cannot use the checkpoint store s3://bucket/jobs" in run.said)
        run.workers()[0].kill()
        run.until(lambda: "it is tried again" in run.said)
        gateway.start()
        assert run.end()["status"] == "FINISHED", run.said
        assert "restarts (1 of 5)" in run.said
        assert delivered(tmp_path) == list(range(1, 1001))
        assert SECRET not in run.said
    finally:
        gateway.stop()


def test_a_damaged_checkpoint_is_named_where_an_older_one_would_show_rows_twice(start, tmp_path):
    run = start("--job-id", "7")
    run.until(lambda: len(delivered(tmp_path)) > 50)
    run.kill()
    newest = max((tmp_path / "home" / "checkpoints" / "7").glob("*.json"))
    newest.write_bytes(newest.read_bytes()[:-10])
    again = start("--job-id", "7", "--restore")
    result = again.end()
    assert result["status"] == "FAILED"
    assert f"cannot read checkpoint 7/{newest.name}" in result["error"]


def test_with_a_transactional_sink_a_damaged_checkpoint_does_not_matter(start, tmp_path):
    run = start("--job-id", "7", sink=table(tmp_path))
    run.until(lambda: len(delivered(tmp_path)) > 50)
    run.kill()
    newest = max((tmp_path / "home" / "checkpoints" / "7").glob("*.json"))
    newest.write_bytes(newest.read_bytes()[:-10])
    again = start("--job-id", "7", "--restore", sink=table(tmp_path))
    assert again.end()["status"] == "FINISHED", again.said
    assert delivered(tmp_path) == list(range(1, 301))


def test_positions_that_vanished_from_the_target_are_an_error(start, tmp_path):
    run = start("--job-id", "7", sink=table(tmp_path))
    run.until(lambda: FileStore(tmp_path / "home" / "checkpoints").latest(7, 1) and len(delivered(tmp_path)) > 50)
    run.kill()
    with sqlite3.connect(tmp_path / "target.db") as connection:
        connection.execute("DELETE FROM headrace_positions")
    connection.close()
    again = start("--job-id", "7", "--restore", sink=table(tmp_path))
    result = again.end()
    assert result["status"] == "FAILED"
    assert "the target no longer holds the positions of job 7" in result["error"]


def test_workers_that_were_ended_are_not_started_again():
    runner = ProcessesRunner(1)
    runner.close()
    with pytest.raises(Unavailable, match="the worker processes were ended"):
        runner.attach("1.1", None, 1, print)
    runner.warm_up()
    assert runner.pids() == []


@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_a_source_hears_of_the_last_checkpoint_before_the_job_ends(start, tmp_path, runner):
    run = start("--runner", runner, rows=20, source=f'Hearing {{ heard = "{tmp_path}/heard",')
    assert run.end()["status"] == "FINISHED", run.said
    assert (tmp_path / "heard").read_text().split()[-1] == "20"


def test_a_source_that_never_returns_when_it_is_told_does_not_hold_the_job(start, tmp_path):
    run = start(rows=5, source=f'Hearing {{ never_returns = true, heard = "{tmp_path}/heard",')
    assert run.end()["status"] == "FINISHED", run.said
    assert "Source[0]-Hearing was not told of the checkpoint" in run.said
