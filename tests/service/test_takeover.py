"""A server that is frozen loses its jobs to another one, and changes nothing when it thaws (guarantee 9)."""

import os
import signal
import sqlite3
import time

import pytest

from tests.api.servers import Server
from tests.execution.runs import ENVIRONMENT, ids

pytestmark = pytest.mark.job

ROWS = 1500


def job(sink):
    return {
        "env": {"job.mode": "BATCH", "checkpoint.interval": 200, "job.retry.interval.seconds": 0},
        "source": [{"plugin_name": "Paced", "rows": ROWS, "seconds": 0.01}],
        "sink": [sink],
    }


def staged(folder):
    return {"plugin_name": "LocalFile", "path": f"{folder}/out", "tmp_path": f"{folder}/tmp", "file_format_type": "csv"}


def transactional(folder):
    url = f"jdbc:sqlite:{folder}/target.db"
    return {"plugin_name": "Jdbc", "url": url, "table": "people", "generate_sink_sql": True}


def delivered(folder):
    if (folder / "out").exists():
        return ids(folder / "out")
    try:
        with sqlite3.connect(f"file:{folder}/target.db?mode=ro", uri=True) as connection:
            found = sorted(row[0] for row in connection.execute("SELECT id FROM people"))
        connection.close()
    except sqlite3.OperationalError:
        return []
    return found


def until(holds, seconds=120):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def servers(tmp_path):
    (tmp_path / "data").mkdir()
    env = {"PYTHONPATH": ENVIRONMENT["PYTHONPATH"], "HEADRACE_LEASE": "2", "HEADRACE_WORKERS": "1"}
    running = [Server(tmp_path / "home", env=env).start(), Server(tmp_path / "home", env=env).start()]
    yield running
    for server in running:
        os.killpg(server.process.pid, signal.SIGCONT)
        server.stop(signal.SIGKILL)


@pytest.mark.parametrize(
    ("sink", "frozen"),
    [
        (staged, "server and workers"),
        pytest.param(staged, "server", marks=pytest.mark.slow),
        pytest.param(transactional, "server", marks=pytest.mark.slow),
        pytest.param(transactional, "server and workers", marks=pytest.mark.slow),
    ],
)
def test_a_frozen_server_changes_nothing_when_it_thaws(servers, tmp_path, sink, frozen):
    first, second = servers
    data = tmp_path / "data"
    job_id = first.submit(job(sink(data)))
    until(lambda: len(delivered(data)) > 50)
    if frozen == "server":
        os.kill(first.process.pid, signal.SIGSTOP)
    else:
        os.killpg(first.process.pid, signal.SIGSTOP)
    held = len(delivered(data))
    until(lambda: len(delivered(data)) > held + 50)
    os.killpg(first.process.pid, signal.SIGCONT)
    found = second.wait(job_id, seconds=120)
    assert found["jobStatus"] == "FINISHED", found
    assert delivered(data) == list(range(1, ROWS + 1))
    log = (first.home / "logs" / "headrace-server.log").read_text()
    assert f"job {job_id} lost its service and is taken over by this one" in log
    until(
        lambda: (
            f"job {job_id} was taken over by another service"
            in (first.home / "logs" / "headrace-server.log").read_text()
        )
    )
    assert first.wait(job_id)["jobStatus"] == "FINISHED"
    time.sleep(1)
    assert delivered(data) == list(range(1, ROWS + 1))


def test_a_killed_servers_job_goes_on_where_it_was(servers, tmp_path):
    first, second = servers
    data = tmp_path / "data"
    job_id = first.submit(job(staged(data)))
    until(lambda: len(delivered(data)) > 50)
    first.process.kill()
    found = second.wait(job_id, seconds=120)
    assert found["jobStatus"] == "FINISHED", found
    assert delivered(data) == list(range(1, ROWS + 1))
