"""The comparer itself: what must be noticed is noticed, what may differ is not."""

import copy
import json
from pathlib import Path

import pytest

from tests.api.compare import differences

RECORDING = Path(__file__).parents[1] / "recordings" / "2.3.3" / "C86-running-jobs-one.json"


@pytest.fixture
def answer():
    return json.loads(RECORDING.read_text())["response"]["body"]


def rename(jobs):
    jobs[0]["jobTitle"] = jobs[0].pop("jobName")


def number(jobs):
    jobs[0]["jobId"] = int(jobs[0]["jobId"])


def vertex(jobs):
    jobs[0]["jobDag"]["vertices"][0]["name"] = "Source[1]-FakeSource-fake(id=1)"


def edge(jobs):
    jobs[0]["jobDag"]["edges"].append(jobs[0]["jobDag"]["edges"][0])


def env(jobs):
    jobs[0]["envOptions"]["checkpoint.interval"] = "6000"


def time(jobs):
    jobs[0]["createTime"] = "2026-11-24T01:19:55"


def count(jobs):
    jobs[0]["metrics"]["sinkWriteCount"] = "5.0"


def more(jobs):
    jobs[0]["owner"] = "node-1"


def nothing(jobs):
    jobs.clear()


def null(jobs):
    jobs[0]["jobStatus"] = None


@pytest.mark.parametrize("change", [rename, number, vertex, edge, env, time, count, more, nothing, null])
def test_notices(answer, change):
    ours = copy.deepcopy(answer)
    change(ours)
    assert differences(answer, ours) != []


def test_ids_times_and_counts_may_differ(answer):
    ours = copy.deepcopy(answer)
    ours[0] |= {"jobId": "7", "createTime": "2027-01-01 00:00:00", "startTime": "2027-01-01 00:00:00"}
    ours[0]["metrics"] |= {"sinkWriteCount": "12", "SinkWriteCount": "12"}
    ours[0]["jobDag"]["vertices"].reverse()
    assert differences(answer, ours) == []


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("23.5G", "9.1M"), ("0", "1.5K"), ("24.78%", "0.00%"), ("110ms", "0ms"), ("8.9", "0.0"), ("1.2E-4", "3.5")],
)
def test_figures_of_one_form_are_equal(theirs, ours):
    assert differences(
        [{"processors": "1", "heap.memory.used": "0", "x": theirs}],
        [{"processors": "2", "heap.memory.used": "1.0K", "x": ours}],
    ) == ([] if theirs != "0" else ["[0].x: '1.5K' is not a whole number as '0' is"])
