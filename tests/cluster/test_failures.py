"""Nodes die, freeze and come back: jobs go on with nothing lost and nothing twice, and the living answer meanwhile."""

import signal
import time

import pytest

from tests.cluster.nodes import signal_all, until
from tests.execution.runs import ids

pytestmark = pytest.mark.job

ROWS = 600
CSV = {"file_format_type": "csv"}
KILLED_SECONDS, FROZEN_SECONDS = 15.0, 20.0
"""A node that ends so is noticed by then."""


def paced(folder):
    return {
        "env": {"job.mode": "BATCH", "checkpoint.interval": 200, "job.retry.interval.seconds": 0},
        "source": [{"plugin_name": "Paced", "rows": ROWS, "seconds": 0.01}],
        "sink": [
            {
                "plugin_name": "LocalFile",
                "path": f"{folder}/out",
                "tmp_path": f"{folder}/tmp",
                "file_format_type": "csv",
            }
        ],
    }


def delivered(folder):
    return ids(folder / "out") if (folder / "out").exists() else []


def asked_within_a_second(node, path):
    began = time.monotonic()
    answer = node.get(path)
    assert time.monotonic() - began < 5 * 1.0
    return answer


def owner_of(cluster, job_id):
    """The number of the node that runs a job."""
    found = cluster.nodes[0].get("logs?format=json").json
    (address,) = [one["node"] for one in found if str(job_id) in one["logName"]]
    return [cluster.address(number) for number in range(cluster.count)].index(address)


def a_job_on(cluster, number, folder):
    """Submit jobs until one runs on a node; jobs go to the idlest, so it is the second one at most."""
    for attempt in range(4):
        data = folder / f"data{attempt}"
        data.mkdir()
        job_id = cluster.nodes[0].submit(paced(data))
        until(lambda data=data: len(delivered(data)) > 20)
        if owner_of(cluster, job_id) == number:
            return job_id, data
    raise AssertionError("no job came to lie on the node")


@pytest.mark.parametrize(
    ("end", "seconds"),
    [(signal.SIGKILL, KILLED_SECONDS), pytest.param(signal.SIGSTOP, FROZEN_SECONDS, marks=pytest.mark.slow)],
)
def test_a_node_that_ends_is_noticed_and_its_job_goes_on_elsewhere(make, tmp_path, end, seconds):
    cluster = make(2).start()
    job_id, data = a_job_on(cluster, 1, tmp_path)
    held = len(delivered(data))
    signal_all(cluster.nodes[1], end)
    told = asked_within_a_second(cluster.nodes[0], "system-monitoring-information").json
    assert [one["port"] for one in told] == [str(port) for port in cluster.ports]
    assert cluster.address(1) in told[1]["unknown"]
    noticed = until(lambda: cluster.nodes[0].get("overview").json["workers"] == "1")
    assert noticed < 5 * seconds
    until(lambda: len(delivered(data)) > held)
    assert cluster.nodes[0].wait(job_id, seconds=120)["jobStatus"] == "FINISHED"
    assert delivered(data) == list(range(1, ROWS + 1))
    if end == signal.SIGSTOP:
        signal_all(cluster.nodes[1], signal.SIGCONT)
        until(lambda: cluster.nodes[0].get("overview").json["workers"] == "2")
        assert cluster.nodes[1].wait(job_id)["jobStatus"] == "FINISHED"
        assert delivered(data) == list(range(1, ROWS + 1))


def test_a_job_goes_on_while_the_node_with_the_store_is_away_and_is_found_again(make, tmp_path):
    cluster = make(2).start()
    job_id, data = a_job_on(cluster, 1, tmp_path)
    cluster.nodes[0].process.kill()
    cluster.nodes[0].process.wait()
    held = len(delivered(data))
    until(lambda: len(delivered(data)) > held + 50)
    answer = asked_within_a_second(cluster.nodes[1], "running-jobs")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert f"127.0.0.1:{cluster.ports[0]} serves" in answer.message
    refused = cluster.nodes[1].ask("POST", "submit-job", paced(tmp_path))
    assert refused.status == 503
    assert "store of jobs" in refused.message
    cluster.begin(0)
    assert cluster.nodes[0].wait(job_id, seconds=120)["jobStatus"] == "FINISHED"
    assert delivered(data) == list(range(1, ROWS + 1))
    until(lambda: cluster.nodes[0].get(f"log/job-{job_id}.log").status != 503)  # its node beats again each second
    log = cluster.nodes[0].get(f"log/job-{job_id}.log").content.decode()
    assert log.count("Init JobMaster") == 1, "it was never taken over"


def test_over_postgresql_any_node_may_be_the_one_that_ends(make, tmp_path, database):
    cluster = make(2, database=database).start()
    job_id, data = a_job_on(cluster, 0, tmp_path)
    cluster.nodes[0].process.kill()
    found = cluster.nodes[1].wait(job_id, seconds=120)
    assert found["jobStatus"] == "FINISHED", found
    assert delivered(data) == list(range(1, ROWS + 1))
    (left,) = cluster.nodes[1].get("system-monitoring-information").json
    assert (left["isMaster"], left["port"]) == ("true", str(cluster.ports[1]))


def test_a_member_with_another_place_of_checkpoints_is_refused(make, tmp_path):
    cluster = make(2)
    cluster.begin(0)
    other = cluster.node(1, HEADRACE_CHECKPOINT_STORE=str(tmp_path / "private"))
    with pytest.raises(AssertionError):
        other.start()
    assert other.process.wait(60) == 2
    assert f"private is not the place of checkpoints that {cluster.address(0)} uses" in other.said
    assert cluster.nodes[0].get("overview").json["workers"] == "1"
