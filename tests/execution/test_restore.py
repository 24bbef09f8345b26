"""Jobs that are saved and gone on with, as commands and over REST; big files that resume in their middle."""

import signal
import sqlite3
import time
from contextlib import closing

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from headrace.checkpoint.store import FileStore
from tests.api.servers import Server
from tests.execution.runs import Run, ids

pytestmark = pytest.mark.job

FAKE = """FakeSource {{ row.num = {rows}, split.num = 8, auto.increment.enabled = true,
  schema {{ table = t, fields {{ {fields} }} }} }}"""
FIELDS = "id = bigint, name = string"


def text(folder, env, rows=800, fields=FIELDS):
    source = FAKE.format(rows=rows, fields=fields)
    sink = f'LocalFile {{ path = "{folder}/out.d", tmp_path = "{folder}/tmp", file_format_type = csv }}'
    return f"env {{ {env} }}\nsource {{ {source} }}\nsink {{ {sink} }}"


SLOW = "job.mode = BATCH, checkpoint.interval = 100, read_limit.rows_per_second = 300"
FAST = "job.mode = BATCH, parallelism = 3"


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(job, *arguments, **env):
        running.append(Run(tmp_path, job, *arguments, **env))
        return running[-1]

    yield begin
    for run in running:
        run.kill()


@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_sigterm_saves_a_job_and_restore_goes_on_at_another_parallelism(start, tmp_path, runner):
    run = start(text(tmp_path, SLOW), "--runner", runner)
    run.until(lambda: len(ids(tmp_path / "out.d")) > 100)
    run.process.send_signal(signal.SIGTERM)
    result = run.end()
    assert (result["status"], run.process.returncode) == ("SAVEPOINT_DONE", 130)
    assert f"is saved; go on with --restore --job-id {result['jobId']}" in run.said
    saved = ids(tmp_path / "out.d")
    assert 100 < len(saved) < 800
    again = start(text(tmp_path, FAST), "--restore", "--runner", runner).end()
    assert (again["status"], again["jobId"], again["rowsWritten"]) == ("FINISHED", result["jobId"], 800)
    assert ids(tmp_path / "out.d") == list(range(1, 801))


def test_sigterm_ends_a_job_that_takes_no_checkpoints(start, tmp_path):
    run = start(text(tmp_path, "job.mode = BATCH, read_limit.rows_per_second = 300"))
    run.until(lambda: [file for file in (tmp_path / "tmp").rglob("*") if file.is_file()])
    run.process.send_signal(signal.SIGTERM)
    assert (run.end()["status"], run.process.returncode) == ("CANCELED", 130)
    assert "canceling; uncommitted rows are discarded" in run.said
    assert ids(tmp_path / "out.d") == []


def test_a_job_without_an_id_of_its_own_is_restored_by_the_id(start, tmp_path):
    run = start(text(tmp_path, SLOW), "--job-id", "77")
    run.until(lambda: len(ids(tmp_path / "out.d")) > 100)
    run.kill()
    again = start(text(tmp_path, FAST), "--restore", "--job-id", "77").end()
    assert (again["status"], again["jobId"], again["rowsWritten"]) == ("FINISHED", 77, 800)
    assert ids(tmp_path / "out.d") == list(range(1, 801))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("id = bigint", "table t had the column name, and has id"),
        ("id = bigint, name = int", "in table t name was string and is int32"),
    ],
)
def test_a_changed_schema_does_not_take_the_saved_state(start, tmp_path, fields, problem):
    run = start(text(tmp_path, SLOW))
    run.until(lambda: len(ids(tmp_path / "out.d")) > 100)
    run.process.send_signal(signal.SIGTERM)
    run.end()
    result = start(text(tmp_path, FAST, fields=fields), "--restore").end()
    assert result["status"] == "FAILED"
    assert problem in result["error"]
    assert start(text(tmp_path, FAST), "--restore").end()["status"] == "FINISHED", "the state is still there"
    assert ids(tmp_path / "out.d") == list(range(1, 801))


def test_sigterm_keeps_the_last_checkpoint_where_no_savepoint_can_be_taken(start, tmp_path):
    run = start(text(tmp_path, SLOW))
    run.until(lambda: len(ids(tmp_path / "out.d")) > 100)
    store = tmp_path / "home" / "checkpoints"
    store.rename(tmp_path / "away")
    store.touch()
    run.process.send_signal(signal.SIGTERM)
    run.process.wait(60)
    assert run.process.returncode == 130
    assert "no savepoint was taken" in run.said
    store.unlink()
    (tmp_path / "away").rename(store)
    assert start(text(tmp_path, FAST), "--restore").end()["status"] == "FINISHED"
    assert ids(tmp_path / "out.d") == list(range(1, 801))


@pytest.mark.parametrize("kept", [True, False])
def test_a_canceled_job_keeps_its_checkpoints_where_it_says_so(start, tmp_path, kept):
    run = start(text(tmp_path, f"{SLOW}, checkpoint.retain-after-job-cancelled = {str(kept).lower()}"))
    run.until(lambda: len(ids(tmp_path / "out.d")) > 100)
    run.process.send_signal(signal.SIGINT)
    assert run.end()["status"] == "CANCELED"
    shown = ids(tmp_path / "out.d")
    again = start(text(tmp_path, FAST), "--restore")
    assert again.end()["status"] == "FINISHED"
    assert ("has no saved state: it starts from the beginning" in again.said) is not kept
    assert ids(tmp_path / "out.d") == (list(range(1, 801)) if kept else sorted([*range(1, 2401), *shown]))


@pytest.mark.parametrize("named", [(), ("--job-id", "7")], ids=["last", "named"])
def test_a_finished_run_is_not_restored(start, tmp_path, named):
    job = text(tmp_path, "job.mode = BATCH")
    assert start(job, *named).end()["status"] == "FINISHED"
    again = start(job, "--restore", *named)
    again.process.wait(60)
    assert again.process.returncode == 1
    assert "is FINISHED, all its rows are delivered; run it without --restore to move them again" in again.said
    assert ids(tmp_path / "out.d") == list(range(1, 801))


AT_THE_END = {
    "before the end is recorded": ("headrace.execution.local", "LocalJob._keep", 1),
    "before the state goes": ("headrace.execution.master", "JobMaster.forget", 1),
    "while the state goes": ("pathlib", "Path.unlink", 2),
    "after the state went": ("headrace.execution.owner", "JobLock.close", 1),
}
"""Where a process is killed after all rows were delivered: a module, a function there, the number of its call."""

KILLED = """
import importlib, os, signal, sys
module, name, times = {!r}
calls = []
def trap(real):
    def trapped(*arguments, **more):
        calls.append(name != "Path.unlink" or "checkpoints" in str(arguments[0]))
        if sum(calls) == times and calls[-1]:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **more)
    return trapped
if sys.argv[1:2] != ["-c"] and "worker_process" not in " ".join(sys.orig_argv):
    place, function = name.split(".")
    owner = getattr(importlib.import_module(module), place)
    setattr(owner, function, trap(getattr(owner, function)))
"""


@pytest.mark.parametrize("moment", AT_THE_END)
@pytest.mark.parametrize("target", ["files", "table"])
def test_a_kill_after_the_last_row_moves_none_again(start, tmp_path, moment, target):
    job = text(tmp_path, "job.mode = BATCH")
    if target == "table":
        sink = f'Jdbc {{ url = "jdbc:sqlite:{tmp_path}/x.db", table = t, generate_sink_sql = true }}'
        job = f"{job[: job.index('sink {')]}sink {{ {sink} }}"
    (tmp_path / "sitecustomize.py").write_text(KILLED.format(AT_THE_END[moment]))
    run = start(job, PYTHONPATH=str(tmp_path))
    run.process.wait(60)
    assert run.process.returncode == -signal.SIGKILL, run.said
    again = start(job, "--restore")
    again.process.wait(60)
    recorded = "is FINISHED, all its rows are delivered" in again.said
    assert (again.process.returncode, recorded) == ((0, False) if moment == "before the end is recorded" else (1, True))
    if target == "files":
        assert ids(tmp_path / "out.d") == list(range(1, 801))
    else:
        with closing(sqlite3.connect(tmp_path / "x.db")) as database:
            assert database.execute("SELECT count(*), count(DISTINCT id) FROM t").fetchone() == (800, 800)


# ----------------------------------------------------------------------------------------------------------- over REST


@pytest.fixture
def server(tmp_path):
    running = Server(tmp_path / "home").start()
    yield running
    running.stop(signal.SIGKILL)


def as_json(folder, rows=800, **env):
    schema = {"table": "t", "fields": {"id": "bigint", "name": "string"}}
    source = {
        "plugin_name": "FakeSource", "row.num": rows, "split.num": 8, "auto.increment.enabled": True, "schema": schema,
    }  # fmt: skip
    sink = {
        "plugin_name": "LocalFile",
        "path": f"{folder}/out.d",
        "tmp_path": f"{folder}/tmp",
        "file_format_type": "csv",
    }
    return {"env": {"job.mode": "BATCH", **env}, "source": [source], "sink": [sink]}


LIMITED = {"checkpoint.interval": 100, "read_limit.rows_per_second": 300}


def until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_is_stopped_with_a_savepoint_and_goes_on_over_rest(server, tmp_path):
    job_id = server.submit(as_json(tmp_path, **LIMITED))
    until(lambda: len(ids(tmp_path / "out.d")) > 100)
    server.ask("POST", "stop-job", {"jobId": job_id, "isStopWithSavePoint": True})
    assert server.wait(job_id)["jobStatus"] == "SAVEPOINT_DONE"
    assert 100 < len(ids(tmp_path / "out.d")) < 800
    again = server.submit(as_json(tmp_path, parallelism=3), jobId=job_id, isStartWithSavePoint="true")
    assert again == job_id
    found = server.wait(job_id, "FINISHED", "FAILED")
    assert found["jobStatus"] == "FINISHED", found
    assert (int(found["metrics"]["SourceReceivedCount"]), int(found["metrics"]["SinkWriteCount"])) == (800, 800)
    assert ids(tmp_path / "out.d") == list(range(1, 801))


def test_a_failed_savepoint_leaves_the_job_running_and_says_why(server, tmp_path):
    slow = {**LIMITED, "read_limit.rows_per_second": 60}
    job_id = server.submit(as_json(tmp_path, **slow))
    until(lambda: len(ids(tmp_path / "out.d")) > 100)
    store = server.home / "checkpoints"
    store.rename(tmp_path / "away")
    store.touch()
    server.ask("POST", "stop-job", {"jobId": job_id, "isStopWithSavePoint": True})
    until(lambda: server.get(f"job-info/{job_id}").json.get("errorMsg"))
    found = server.get(f"job-info/{job_id}").json
    assert found["jobStatus"] == "RUNNING"
    assert "the savepoint failed and the job goes on: cannot use the checkpoint directory" in found["errorMsg"]
    store.unlink()
    (tmp_path / "away").rename(store)
    held = len(ids(tmp_path / "out.d"))
    until(lambda: len(ids(tmp_path / "out.d")) > held)
    server.ask("POST", "stop-job", {"jobId": job_id, "isStopWithSavePoint": True})
    assert server.wait(job_id)["jobStatus"] == "SAVEPOINT_DONE", "the next one is taken"
    server.submit(as_json(tmp_path), jobId=job_id, isStartWithSavePoint="true")
    assert server.wait(job_id, "FINISHED", "FAILED")["jobStatus"] == "FINISHED"
    assert ids(tmp_path / "out.d") == list(range(1, 801))


# ------------------------------------------------------------------------------------------------------------ big files


@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_a_big_file_goes_on_in_its_middle_after_a_kill(start, tmp_path, runner):
    rows = 1_000_000
    table = pa.table({"id": pa.array(range(1, rows + 1)), "name": pa.array(["x" * 20] * rows)})
    pacsv.write_csv(table, tmp_path / "big.csv", pacsv.WriteOptions(include_header=False))
    job = f"""
    env {{ job.mode = BATCH, checkpoint.interval = 100, parallelism = 2, job.retry.times = 0 %s }}
    source {{ LocalFile {{ path = "{tmp_path}/big.csv", file_format_type = csv, file_split_size = 2000000,
      schema {{ fields {{ id = bigint, name = string }} }} }} }}
    sink {{ LocalFile {{ path = "{tmp_path}/out.d", tmp_path = "{tmp_path}/tmp", file_format_type = csv }} }}"""
    limited = ", read_limit.rows_per_second = 100000"  # it must not end before it is killed, on a busy machine either
    run = start(job % limited, "--job-id", "9", "--runner", runner)
    checkpoints = FileStore(tmp_path / "home" / "checkpoints")
    run.until(lambda: (found := checkpoints.latest(9, 1)) and len(found.finished) >= 3)
    run.until(lambda: ids(tmp_path / "out.d"))  # the first commit may come after the checkpoint that asks for it
    run.kill()
    saved = checkpoints.latest(9, 1)
    assert 10 < len(saved.splits) < 20
    assert 3 <= len(saved.finished) < len(saved.splits)
    before = len(ids(tmp_path / "out.d"))
    assert 0 < before < rows
    again = start(job % "", "--job-id", "9", "--restore", "--runner", runner).end()
    assert again["status"] == "FINISHED", again
    assert again["rowsRead"] == rows, "counts go on, too: nothing was read a second time and kept"
    assert ids(tmp_path / "out.d") == list(range(1, rows + 1))
