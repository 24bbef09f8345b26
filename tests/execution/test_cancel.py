"""Whatever a plugin does, a job that is canceled ends: the plugins of these jobs never return from one of their calls.

The promise is 5 s, which benchmarks/cancel.py measures; here a time limit only keeps a hang from lasting.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.api.servers import Server
from tests.execution.runs import ENVIRONMENT, Run

pytestmark = pytest.mark.job

HANG_GUARD = 60

JOB = """
env {{ job.mode = BATCH, parallelism = {parallelism}, checkpoint.interval = 300, job.retry.times = 0 }}
source {{ StuckSource {{ plugin_output = a, rows = {rows}, {source} }} }}
transform {{ StuckTransform {{ plugin_input = a, plugin_output = b, {transform} }} }}
sink {{ StuckSink {{ plugin_input = b, {sink} }} }}"""

AT_ONCE = [
    ("source", "tables", "sleep"), ("source", "read", "in_c"), ("transform", "apply", "loop"),
    ("sink", "write", "sleep"), ("sink", "prepare_commit", "sleep"), ("sink", "commit", "in_c"),
]  # fmt: skip
"""Where a plugin is stuck when the job is canceled."""

HOLDING = "source", "read", "holding"
"""In C code that does not let the interpreter go on with anything else."""

THE_REST = [
    ("source", "splits", "sleep"), ("source", "checkpointed", "sleep"), ("source", "read", "loop"),
    ("transform", "schema", "sleep"), ("sink", "check", "sleep"), ("sink", "save_mode", "sleep"),
    ("sink", "start", "sleep"), ("sink", "open", "sleep"), ("sink", "writer", "sleep"), ("sink", "finish", "sleep"),
    ("sink", "commit", "loop"),
]  # fmt: skip

ON_THE_WAY = [
    ("source", "close_read", "sleep"), ("transform", "close", "sleep"), ("sink", "close_writer", "sleep"),
    ("sink", "end", "sleep"),
]  # fmt: skip
"""Calls that are made because the job is canceled."""


def text_of(folder, kind, where, how):
    options = dict.fromkeys(("source", "transform", "sink"), "")
    options[kind] = f'where = {where}, how = {how}, mark = "{folder}/mark"'
    rows = 50 if where == "finish" else 1_000_000
    return JOB.format(parallelism=2 if where == "abort" else 1, rows=rows, **options)


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(runner, kind, where, how):
        folder = tmp_path / f"{kind}-{where}-{how}"
        folder.mkdir()
        running.append(Run(folder, text_of(folder, kind, where, how), "--runner", runner, HEADRACE_WORKERS="1"))
        return running[-1]

    yield begin
    for run in running:
        run.kill()


def is_stuck(run):
    return (run.folder / "mark").exists()


def has_checkpoint(run):
    return any(int(f.stem.rpartition("-")[2]) for f in (run.folder / "home" / "checkpoints").glob("*/*-*-*.json"))


def cancel_all(runs, ready, number=signal.SIGINT):
    """Cancel each when it is ready; gives back (exit code, status) of all."""
    for run in runs.values():
        run.until(lambda run=run: ready(run), HANG_GUARD)
        run.process.send_signal(number)
    ends = {key: (run.end(HANG_GUARD)["status"], run.process.returncode) for key, run in runs.items()}
    assert [key for key, run in runs.items() if not is_stuck(run)] == []
    return ends


@pytest.fixture(params=["embedded", "processes"])
def runner(request):
    return request.param


def all_canceled(cases):
    return dict.fromkeys(cases, ("CANCELED", 130))


def test_ctrl_c_ends_a_job_that_is_stuck(start, runner):
    cases = [*AT_ONCE, HOLDING] if runner == "processes" else AT_ONCE
    runs = {case: start(runner, *case) for case in cases}
    assert cancel_all(runs, is_stuck) == all_canceled(cases)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("case", [*AT_ONCE, *THE_REST], ids="-".join)
def test_a_signal_ends_a_job_wherever_it_is_stuck(start, runner, case, number):
    """SIGTERM first asks for a savepoint; where none can be taken, the job is left to a restore."""
    ((status, code),) = cancel_all({case: start(runner, *case)}, is_stuck, number).values()
    savepoint = number == signal.SIGTERM and case[:2] in (("source", "read"), ("source", "checkpointed"))
    assert (status, code) == ("SAVEPOINT_DONE" if savepoint else "CANCELED", 130)


@pytest.mark.slow
@pytest.mark.parametrize("case", ON_THE_WAY, ids="-".join)
def test_a_job_ends_that_is_stuck_on_its_way_out(start, runner, case):
    runs = {case: start(runner, *case)}
    assert cancel_all(runs, has_checkpoint) == all_canceled([case])


@pytest.mark.slow
def test_a_worker_that_is_stuck_in_an_abort_is_replaced(start):
    """One task has prepared a checkpoint, the other never does: what the first prepared is aborted."""
    case = "sink", "abort", "sleep"
    run = start("processes", *case)
    run.until(lambda: any((run.folder / "home" / "checkpoints").glob("*/*.json")))
    time.sleep(2)  # for the barrier; with fewer seconds nothing was prepared, and nothing is aborted
    run.process.send_signal(signal.SIGINT)
    assert (run.end(HANG_GUARD)["status"], run.process.returncode) == ("CANCELED", 130)


def test_embedded_code_that_holds_the_interpreter_costs_the_process(start):
    """No Python code runs any more, not even the handler of a signal: the process is killed from outside."""
    run = start("embedded", *HOLDING)
    run.until(lambda: is_stuck(run), HANG_GUARD)
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(HANG_GUARD) == -signal.SIGKILL
    assert "a plugin holds the interpreter" in run.said
    assert "With --runner processes only its worker is killed" in run.said


def test_a_second_signal_ends_the_process_at_once(start):
    """The first, a SIGTERM, waits 20 s for a savepoint that this sink never prepares."""
    run = start("embedded", "sink", "prepare_commit", "sleep")
    run.until(lambda: is_stuck(run), HANG_GUARD)
    run.process.send_signal(signal.SIGTERM)
    run.until(lambda: "saving the job" in run.said)
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(HANG_GUARD) == -signal.SIGINT


PROGRAM = """
import sys
import headrace

if __name__ == "__main__":
    try:
        headrace.run(open(sys.argv[1]).read(), home=sys.argv[2], runner=sys.argv[3])
    except KeyboardInterrupt:
        print("interrupted")
    except headrace.errors.StuckTask as error:
        print(error.plugin, error.thread)
"""


def interrupted(tmp_path, case, runner):
    """What a program printed that was interrupted while a plugin was stuck."""
    (tmp_path / "job.conf").write_text(text_of(tmp_path, *case))
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, tmp_path / "program.py", tmp_path / "job.conf", tmp_path / "home", runner]
    program = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + HANG_GUARD
    while not Path(tmp_path / "mark").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    program.send_signal(signal.SIGINT)
    try:
        said, _ = program.communicate(timeout=HANG_GUARD)
    finally:
        program.kill()
        program.wait()
    assert program.returncode == 0
    return said.strip()


def test_a_program_is_told_which_plugin_and_thread_are_stuck(tmp_path):
    said = interrupted(tmp_path, ("source", "read", "in_c"), "embedded")
    assert said == "source[0].StuckSource, transform[0].StuckTransform, sink[0].StuckSink read-1-0-only"


def test_ctrl_c_in_a_program_cancels_its_job(tmp_path):
    assert interrupted(tmp_path, ("sink", "write", "sleep"), "processes") == "interrupted"
    assert not list((tmp_path / "home" / "checkpoints").glob("*/*.json"))


@pytest.fixture
def server(tmp_path):
    running = Server(tmp_path / "home", env={"PYTHONPATH": ENVIRONMENT["PYTHONPATH"]}).start()
    yield running
    running.stop(signal.SIGKILL)


def stop_over_rest(server, folder, case):
    """Submit a job that gets stuck, stop it; its status at the end."""
    folder.mkdir()
    job_id = server.submit(text_of(folder, *case), format="hocon")
    deadline = time.monotonic() + HANG_GUARD
    while not (folder / "mark").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    server.ask("POST", "stop-job", {"jobId": job_id, "isStopWithSavePoint": False})
    return server.wait(job_id)["jobStatus"]


def test_a_server_stops_jobs_that_are_stuck_and_runs_others(server, tmp_path):
    assert stop_over_rest(server, tmp_path / "read", HOLDING) == "CANCELED"
    assert stop_over_rest(server, tmp_path / "commit", ("sink", "commit", "in_c")) == "CANCELED"
    healthy = JOB.format(parallelism=1, rows=50, source="", transform="", sink="")
    assert server.wait(server.submit(healthy, format="hocon"))["jobStatus"] == "FINISHED"


@pytest.mark.slow
@pytest.mark.parametrize("case", [*AT_ONCE, *THE_REST], ids="-".join)
def test_a_server_stops_a_job_wherever_it_is_stuck(server, tmp_path, case):
    assert stop_over_rest(server, tmp_path / "job", case) == "CANCELED"
