"""Workers as Ray actors: what a job gives, what becomes of it when one dies, and who never imports Ray."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from headrace.config.job import parse_job
from headrace.errors import ConfigError
from headrace.execution.local import LocalJob
from headrace.execution.ray_cluster import MODE, TOKEN, TUNED, _environment
from headrace.execution.runner import this_machine
from headrace.plan.plan import make_plan
from tests.execution.ray_nodes import RayNode
from tests.runners import make_runner, shared_ray, why_no_ray

pytestmark = [pytest.mark.job, pytest.mark.skipif(bool(why_no_ray()), reason=why_no_ray())]

JOB = """
env {{ job.mode = BATCH, parallelism = {tasks}, job.retry.interval.seconds = 0, {env} }}
source {{ FakeSource {{ row.num = {rows}, split.num = {splits}, auto.increment.enabled = true,
  schema {{ fields {{ id = bigint, name = string }} }} }} }}
sink {{ LocalFile {{ path = "{folder}/out", tmp_path = "{folder}/tmp", file_format_type = csv }} }}"""


def text_of(folder, rows=400, splits=8, env="", tasks=2):
    """Each task makes its part of the rows."""
    return JOB.format(folder=folder, rows=rows // tasks, splits=splits, env=env, tasks=tasks)


class Job:
    """A job on the Ray of these tests, on a thread."""

    def __init__(self, folder, workers=2, **how):
        (folder / "job.conf").write_text(text_of(folder, **how))
        self.folder, self.logs, self.result = folder, [], None
        self.runner = make_runner("ray", workers)
        plan = make_plan(parse_job(text_of(folder, **how), file=str(folder / "job.conf")))
        told = {"on_print": lambda text: None, "on_log": lambda level, text: self.logs.append(text)}
        self.local = LocalJob(plan, folder / "home", runner=self.runner, **told)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        self.result = self.local.run()

    def until(self, holds, seconds=120):
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, self.logs
            assert self.thread.is_alive(), (self.result, self.logs)
            time.sleep(0.02)

    def end(self):
        self.thread.join(180)
        assert self.result is not None, self.logs
        return self.result

    def delivered(self):
        return delivered(self.folder)


def delivered(folder):
    lines = [line for file in (folder / "out").rglob("*.csv") for line in file.read_text().splitlines()]
    return sorted(int(line.split(",")[0]) for line in lines)


def until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lives(process):
    """Also one that has ended is known to the system, until its parent has taken note."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


SLOW = "checkpoint.interval = 200, read_limit.rows_per_second = 100"


def test_a_worker_that_is_killed_is_replaced_and_every_row_is_there_once(tmp_path):
    job = Job(tmp_path, env=SLOW)
    job.until(lambda: len(job.delivered()) > 20)
    before = job.runner.pids()
    os.kill(before[0], signal.SIGKILL)
    job.until(lambda: any("restarts (1 of" in line for line in job.logs))
    result = job.end()
    assert (result.status, result.error) == ("FINISHED", None)
    assert job.delivered() == list(range(1, 401))
    assert any(f"Ray worker {before[0]} on {this_machine()} ended" in line for line in job.logs), job.logs


@pytest.mark.slow
def test_a_worker_that_is_frozen_is_replaced_and_every_row_is_there_once(tmp_path):
    job = Job(tmp_path, env=f"{SLOW}, checkpoint.timeout = 3000")
    job.until(lambda: len(job.delivered()) > 20)
    frozen = job.runner.pids()[0]
    os.kill(frozen, signal.SIGSTOP)
    result = job.end()
    assert (result.status, result.error) == ("FINISHED", None)
    assert job.delivered() == list(range(1, 401))


def test_a_cancel_ends_a_job_in_its_middle(tmp_path):
    job = Job(tmp_path, rows=100_000, env="read_limit.rows_per_second = 100")
    job.until(lambda: len(job.runner.pids()) == 2)
    job.local.cancel()
    assert job.end().status == "CANCELED"
    assert job.delivered() == []


def test_workers_end_with_their_runner_and_leave_their_place(tmp_path):
    ray, runner = shared_ray(), make_runner("ray", 2)
    until(lambda: ray.free_cpus() == 4)
    runner.warm_up()
    pids = runner.pids()
    assert len(pids) == 2
    assert all("RayWorker" in psutil.Process(pid).cmdline()[0] for pid in pids)
    runner.close()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids) and ray.free_cpus() == 4)


def test_a_job_gets_a_worker_where_all_cpus_are_taken(tmp_path):
    """It is slower then, but never stuck."""
    until(lambda: shared_ray().free_cpus() == 4)
    hogs = make_runner("ray")
    hogs.warm_up()
    until(lambda: shared_ray().free_cpus() == 0)
    try:
        job = Job(tmp_path)
        assert job.end().status == "FINISHED"
        assert job.delivered() == list(range(1, 401))
    finally:
        hogs.close()


def test_no_worker_is_placed_where_its_memory_is_not(monkeypatch):
    monkeypatch.setattr("headrace.execution.ray_runner.PLACED_BYTES", 1 << 50)
    monkeypatch.setattr("headrace.execution.ray_runner.PLACING_SECONDS", 1.0)
    runner = make_runner("ray", 1)
    try:
        with pytest.raises(Exception, match="Ray has found no room for a worker"):
            runner.warm_up()
    finally:
        runner.close()


def test_ray_is_never_left_to_guess_whether_tokens_are_asked_for():
    own = _environment("", {})
    assert own.pop(TOKEN) != _environment("", {})[TOKEN]
    assert own == {**TUNED, MODE: "token"}
    assert _environment("a:1", {TOKEN: "t"}) == {MODE: "token"}
    assert _environment("a:1", {MODE: "disabled"}) == {}
    with pytest.raises(ConfigError, match="nothing says what token the Ray at a:1 wants") as caught:
        _environment("a:1", {})
    assert "RAY_AUTH_MODE=disabled" in str(caught.value)


def command(folder, *arguments):
    return [sys.executable, "-m", "headrace", "run", "-q", "--home", str(folder / "home"), *arguments, "job.conf"]


def test_a_command_starts_ray_for_itself_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "job.conf").write_text(text_of(tmp_path))
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    run = subprocess.Popen(command(tmp_path, "--runner", "ray"), cwd=tmp_path, env=env)
    seen = {}
    while run.poll() is None:
        for process in psutil.Process(run.pid).children(recursive=True):
            seen[process.pid] = process
        time.sleep(0.1)
    assert run.returncode == 0
    assert delivered(tmp_path) == list(range(1, 401))
    assert len(seen) > 3
    until(lambda: not any(lives(process) for process in seen.values()))


@pytest.mark.parametrize(
    ("arguments", "env", "text"),
    [
        (("--ray-address", "127.0.0.1:1"), {}, "nothing says what token the Ray at 127.0.0.1:1 wants"),
        pytest.param(("--memory", "200M"), {}, "run in 200 MiB of memory", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_row(tmp_path, arguments, env, text):
    (tmp_path / "job.conf").write_text(text_of(tmp_path))
    given = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        command(tmp_path, "--runner", "ray", *arguments),
        cwd=tmp_path,
        env={**given, **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (1, 2), done.stderr
    assert text in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_the_extra_its_name_is_told(tmp_path):
    (tmp_path / "job.conf").write_text(text_of(tmp_path))
    (tmp_path / "ray.py").write_text("raise ImportError('as if it were not installed')")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])}
    done = subprocess.run(command(tmp_path, "--runner", "ray"), cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'headrace[ray]'" in done.stderr


@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_other_runners_never_import_ray(tmp_path, runner):
    """Neither the command nor its workers: one that did would find this file."""
    (tmp_path / "job.conf").write_text(text_of(tmp_path))
    (tmp_path / "ray.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w'); raise ImportError")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])}
    subprocess.run(command(tmp_path, "--runner", runner), cwd=tmp_path, env=env, check=True)
    assert delivered(tmp_path) == list(range(1, 401))
    assert not (tmp_path / "imported").exists()


@pytest.fixture
def two_nodes(tmp_path):
    """Ray's head, and a second node beside it; their token is in the environment of who joins them."""
    token = "of the nodes of this test"
    head = RayNode("", token, 2, tmp_path / "head.log")
    nodes = [head]
    try:
        nodes.append(RayNode(head.address, token, 2, tmp_path / "second.log"))
        yield nodes, {MODE: "token", TOKEN: token}
    finally:
        for node in reversed(nodes):
            node.close()


@pytest.mark.slow
def test_a_node_that_is_killed_is_noticed_and_every_row_is_there_once(tmp_path, two_nodes):
    nodes, env = two_nodes
    (tmp_path / "job.conf").write_text(text_of(tmp_path, rows=800, env=SLOW, tasks=4))
    joined = command(tmp_path, "--runner", "ray", "--ray-address", nodes[0].address)
    with open(tmp_path / "err", "w") as err:
        run = subprocess.Popen(joined, cwd=tmp_path, env={**os.environ, **env}, stderr=err)
    try:
        until(lambda: len(delivered(tmp_path)) > 20 or run.poll() is not None, 120)
        ran = [node.workers() for node in nodes]
        assert all(ran), ran
        nodes[1].kill()
        began = time.monotonic()
        until(lambda: "restarts (1 of" in (tmp_path / "err").read_text(), 75)
        print(f"noticed after {time.monotonic() - began:.1f} s")
        assert run.wait(180) == 0, (tmp_path / "err").read_text()
    finally:
        run.kill()
        run.wait()
    assert len(delivered(tmp_path)) == len(set(delivered(tmp_path)))
    assert delivered(tmp_path) == list(range(1, 801))
