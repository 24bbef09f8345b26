"""A node that is drained gives its jobs to others, which go on with them, and takes none."""

import subprocess
import sys

import pytest

from tests.cluster.nodes import until
from tests.cluster.test_failures import ROWS, a_job_on, delivered, owner_of, paced

pytestmark = pytest.mark.job


def drain(cluster, number, *options):
    command = [sys.executable, "-m", "headrace", "drain", cluster.address(number), *options]
    server = f"http://localhost:{cluster.ports[0]}"
    return subprocess.run([*command, "--server", server], capture_output=True, text=True, timeout=120, check=False)


def test_a_drained_nodes_job_goes_on_at_the_other_with_nothing_lost_and_nothing_twice(make, tmp_path):
    cluster = make(2).start()
    job_id, data = a_job_on(cluster, 1, tmp_path)
    done = drain(cluster, 1)
    assert (done.returncode, done.stdout) == (0, f"{cluster.address(1)} is drained\n"), done.stderr
    assert delivered(data) != list(range(1, ROWS + 1)), "it must be given away, not ended"
    (tmp_path / "new").mkdir()
    new = cluster.nodes[1].submit(paced(tmp_path / "new"))
    until(lambda: len(delivered(tmp_path / "new")) > 0)
    assert owner_of(cluster, new) == 0
    found = cluster.nodes[1].wait(job_id, seconds=120)
    assert found["jobStatus"] == "FINISHED", found
    assert delivered(data) == list(range(1, ROWS + 1))
    refused = drain(cluster, 0)
    assert refused.returncode == 2
    assert "no other living node runs jobs" in refused.stderr
    assert drain(cluster, 1, "--undo").stdout == f"{cluster.address(1)} takes jobs again\n"
    assert drain(cluster, 0, "--no-wait").returncode == 0


def test_a_node_that_is_not_there_cannot_be_drained(pair):
    done = drain(pair, 0)
    assert done.returncode == 0, done.stderr
    assert drain(pair, 0, "--undo").returncode == 0
    answer = pair.nodes[1].ask("POST", "drain-node", {"node": "elsewhere:1"})
    assert answer.status == 400
    assert "there is no living node 'elsewhere:1'" in answer.message
