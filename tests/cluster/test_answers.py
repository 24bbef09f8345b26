"""Every node answers for the whole cluster: submit anywhere, ask anywhere, the same answer."""

import json
import re
from pathlib import Path

import pytest

from tests.api.compare import differences
from tests.api.servers import job
from tests.cluster.nodes import SECRET, until

RECORDED = Path(__file__).parents[1] / "recordings" / "2.3.3-two-nodes"
ACCIDENTAL = re.compile(r"\.(address|uuid|localMember|memberVersion|jobId|createTime)\b")
MEMBERS = "/hazelcast/rest/members"


def answers(pair, path, method="GET"):
    return [node.ask(method, path) for node in pair.nodes]


def test_each_node_names_both_members_and_which_of_them_it_is(pair):
    both = [answer.json["members"] for answer in answers(pair, "/hazelcast/rest/cluster")]
    ports = [f"[localhost]:{port}" for port in pair.ports]
    assert [[member["address"] for member in members] for members in both] == [ports, ports]
    assert [[member["localMember"] for member in members] for members in both] == [[True, False], [False, True]]
    assert [answer.content for answer in answers(pair, "/hazelcast/health/cluster-size")] == [b"2", b"2"]


def test_monitoring_and_overview_tell_of_all_nodes_wherever_they_are_asked(pair):
    for answer in answers(pair, "system-monitoring-information"):
        assert [(one["isMaster"], one["port"]) for one in answer.json] == [
            ("true", str(pair.ports[0])),
            ("false", str(pair.ports[1])),
        ]
        assert all(one["heap.memory.used"][0].isdigit() and "unknown" not in one for one in answer.json)
    assert [answer.json["workers"] for answer in answers(pair, "overview")] == ["2", "2"]


def test_a_job_is_known_everywhere_wherever_it_was_submitted(pair):
    for taker in pair.nodes:
        number = taker.submit(job(100, name="everywhere"))
        assert taker.wait(number)["jobStatus"] == "FINISHED"
        told = [answer.json for answer in answers(pair, f"job-info/{number}")]
        assert told[0] == told[1]
        listed = [answer.content for answer in answers(pair, "finished-jobs")]
        assert listed[0] == listed[1]
        assert str(number).encode() in listed[0]


def test_a_job_that_runs_can_be_looked_at_and_stopped_from_the_other_node(pair):
    endless = job(1_000_000, "STREAMING", **{"checkpoint.interval": 100, "read_limit.rows_per_second": 100})
    numbers = [pair.nodes[0].submit(endless) for _ in range(2)]  # one comes to lie on each node
    for number in numbers:
        for node in pair.nodes:
            node.wait(number, "RUNNING")
            until(lambda node=node, number=number: checkpoints(node, number)["completed"] > 0)
            assert number in [int(one["jobId"]) for one in node.get("running-jobs").json]
    owners = [one["node"] for number in numbers for one in logs_of(pair.nodes[0], number)]
    assert sorted(owners) == sorted(pair.address(number) for number in range(2))
    for number in numbers:
        pair.nodes[1].ask("POST", "stop-job", {"jobId": number})
        assert pair.nodes[0].wait(number)["jobStatus"] == "CANCELED"


def checkpoints(node, number):
    return node.get(f"jobs/checkpoints/{number}").json["pipelines"][0]["counts"]


def logs_of(node, number):
    found = node.ask("GET", "logs", query={"format": "json"}).json
    return [one for one in found if str(number) in one["logName"]]


def test_logs_and_threads_of_any_node_come_from_any_node(pair):
    numbers = [pair.nodes[0].submit(job(10)) for _ in range(2)]
    for number in numbers:
        pair.nodes[0].wait(number)
        texts = [answer.content for answer in answers(pair, f"log/job-{number}.log")]
        assert texts[0] == texts[1]
        assert f"Init JobMaster for Job NAME ({number})".encode() in texts[0]
    for node in pair.nodes:
        links = [one["logLink"] for number in numbers for one in logs_of(node, number)]
        assert len(links) == 2
        for link in links:
            assert node.ask("GET", link[link.index("/hazelcast") :]).status == 200
        for number in range(2):
            found = node.ask("GET", "thread-dump", query={"node": pair.address(number)})
            assert "store-beat" in [thread["threadName"] for thread in found.json]
            own = node.ask("GET", "log/headrace-server.log", query={"node": pair.address(number)}).content
            assert (b"serves the store of jobs" in own) == (number == 0)


def test_a_node_that_is_not_there_is_told_with_those_that_are(pair):
    answer = pair.nodes[0].ask("GET", "thread-dump", query={"node": "elsewhere:5801"})
    assert (answer.status, answer.message) == (404, "there is no living node elsewhere:5801")
    assert pair.address(1) in answer.json["problems"][0]["message"] + answer.json["problems"][0]["cure"]


def test_what_members_ask_each_other_is_closed_to_all_others(pair):
    body = b'{"version":1,"calls":[["","nodes",[]]]}'
    for headers in ({}, {"Authorization": f"Bearer {SECRET}"}, {"Authorization": "Bearer hrm_00"}):
        answer = pair.nodes[0].ask("POST", f"{MEMBERS}/store", body, headers)
        assert answer.status == 403, answer.content
        assert b"results" not in answer.content


def test_a_jobs_text_crosses_and_lies_sealed(pair):
    word = "a-word-that-only-its-source-names"
    endless = job(1_000_000, "STREAMING", "a-name-that-all-see", **{"read_limit.rows_per_second": 100})
    endless["source"][0]["schema"]["fields"] = {"name": "string"}
    endless["source"][0]["rows"] = [{"fields": [word], "kind": "INSERT"}]
    number = pair.nodes[1].submit(endless)
    pair.nodes[1].wait(number, "RUNNING")
    stored = b"".join(file.read_bytes() for file in pair.nodes[0].home.glob("jobs.db*"))
    assert b"a-name-that-all-see" in stored
    assert word.encode() not in stored
    pair.nodes[0].ask("POST", "stop-job", {"jobId": number})
    pair.nodes[1].wait(number)


def recorded(name):
    found = json.loads((RECORDED / f"{name}.json").read_text())
    return found["request"], found["response"]


@pytest.fixture(scope="module")
def running(pair):
    """What was submitted for the recordings, to the node that SeaTunnel refused it on."""
    request, _ = recorded("3-submit")
    number = pair.nodes[1].submit(request["body"], jobName="on_a")
    pair.nodes[1].wait(number, "RUNNING")
    yield number
    pair.nodes[1].ask("POST", "stop-job", {"jobId": number})
    pair.nodes[1].wait(number)


@pytest.mark.parametrize("name", ["1-cluster", "2-system-monitoring-information", "4-running-jobs", "5-running-job"])
def test_where_seatunnels_other_node_failed_both_answer_as_its_first(pair, running, name):
    request, first = recorded(name)
    path = request["path"].replace("1177425714228494337", str(running))
    for node in pair.nodes:
        answer = node.ask(request["method"], path)
        assert answer.status == first["status"]
        theirs, ours = first["body"], answer.json
        if name == "4-running-jobs":
            ours = [job for job in ours if int(job["jobId"]) == running]
            theirs = [job for job in theirs if job["jobName"] == "on_a"]
        assert [one for one in differences(theirs, ours) if not ACCIDENTAL.search(one)] == []


def test_a_job_is_taken_by_either_node(pair):
    request, first = recorded("3-submit-on-master")
    for node in pair.nodes:
        answer = node.ask("POST", "submit-job", request["body"], query={"jobName": "on_a"})
        assert answer.status == first["status"]
        assert answer.json.keys() == first["body"].keys()
        node.ask("POST", "stop-job", {"jobId": answer.json["jobId"]})
        node.wait(answer.json["jobId"])
