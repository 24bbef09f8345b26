"""Tasks of DolphinScheduler's type SeaTunnel: the command files that its plugin writes, run as its worker runs them."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.servers import Server

ROOT = Path(__file__).parents[2]
JOB = """env {
  job.mode = "BATCH"
  job.name = "of a scheduler"
}
source { FakeSource { row.num = 7, schema { fields { id = int } } } }
sink { Console { log.print.data = false } }
"""
ENDLESS = JOB.replace("BATCH", "STREAMING").replace(
    "row.num = 7", "row.num = 100, split.num = 100, split.read-interval = 900"
)
ID_IN_LOG = re.compile(r"(?:Start submit job, job id|Submit job finished, job id): (\d+)")
"""What the plugin looks for in the log of a task (SeatunnelTask.java)."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server") / "home").start()
    yield running
    running.stop()


@pytest.fixture
def home(tmp_path):
    """SEATUNNEL_HOME: an installation, its scripts beside its `headrace`."""
    folder = tmp_path / "installed" / "bin"
    folder.mkdir(parents=True)
    for script in (ROOT / "bin").glob("*.sh"):
        shutil.copy(script, folder)
    (folder / "headrace").write_text(f'#!/bin/sh\nexec {sys.executable} -m headrace "$@"\n')
    (folder / "headrace").chmod(0o755)
    return folder.parent


@pytest.fixture
def task(home, tmp_path, server):
    """Start a task as a worker does: a shell script that sets the environment, goes to the task's folder and calls."""

    def begin(job, mode, others=""):
        folder = tmp_path / "exec" / "process" / "1" / "2"
        folder.mkdir(parents=True)
        config = folder / "seatunnel_1_2.conf"
        config.write_text(job)
        options = f"--config {config} --deploy-mode {mode} {others}".rstrip()
        (folder / "1_2.sh").write_text(
            "#!/bin/bash\nBASEDIR=$(cd `dirname $0`; pwd)\ncd $BASEDIR\n"
            f"export SEATUNNEL_HOME={home}\nexport HEADRACE_SERVER=http://localhost:{server.port}\n"
            f"${{SEATUNNEL_HOME}}/bin/seatunnel.sh {options}\n"
        )
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "SEATUNNEL_", "HAZELCAST_"))}
        return subprocess.Popen(
            ["bash", str(folder / "1_2.sh")],
            env={**ours, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return begin


@pytest.mark.parametrize("mode", ["cluster", "local"])
def test_a_task_runs_its_job_and_ends_with_0(task, server, mode):
    process = task(JOB, mode)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert re.search(r"Total Read Count +: +7\n", said)
    found = ID_IN_LOG.search(said)
    assert found, said
    told = server.ask("GET", f"running-job/{found[1]}").json.get("jobStatus")
    assert told == (None if mode == "local" else "FINISHED")


def test_option_parameters_are_passed_on(task, server):
    process = task(JOB.replace('"of a scheduler"', "${name}"), "cluster", "-i name=given --async")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "job name: given" in said


def test_a_job_that_fails_fails_its_task(task):
    process = task(JOB.replace("Console { log.print.data = false }", "Nowhere {}"), "cluster")
    said, _ = process.communicate(timeout=120)
    assert process.returncode not in (0, None)
    assert "unknown sink 'Nowhere'" in said


@pytest.mark.parametrize("way", ["kill", "-can"])
def test_a_task_that_is_killed_cancels_its_job(task, home, server, way):
    process = task(ENDLESS, "cluster")
    said = ""
    while not (found := ID_IN_LOG.search(said)):
        line = process.stdout.readline()
        assert line, said
        said += line
    job_id = int(found[1])
    if way == "kill":  # all processes of the task, as the worker's ProcessUtils does
        os.killpg(process.pid, signal.SIGINT)
    else:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HEADRACE_SERVER": f"localhost:{server.port}"}
        arguments = [str(home / "bin" / "seatunnel.sh"), "-can", str(job_id)]
        subprocess.run(arguments, env=environment, check=True, timeout=60)
    process.communicate(timeout=60)
    assert server.wait(job_id)["jobStatus"] == "CANCELED"
