"""The sentence that says which side of a job is slow, in jobs where everybody knows it."""

import re

import pytest

from headrace.config.job import parse_job
from headrace.execution.local import LocalJob, make_runner
from headrace.execution.progress import Progress
from headrace.plan.plan import make_plan

pytestmark = pytest.mark.job

SLEEP = """Python {{ plugin_input = {0}, plugin_output = {1}, columns = [{{ dest_field = {1}, dest_type = int }}],
  source_code = "import time\\ndef process(row, context):\\n    time.sleep({2})\\n    return 1" }}"""


@pytest.fixture(params=["embedded", "processes"])
def runner(request):
    return request.param


def sentence(folder, runner, *, interval=0, delay=0, transforms="", output="a", parallelism=1):
    text = f"""
    env {{ job.mode = BATCH, parallelism = {parallelism} }}
    source {{ FakeSource {{ plugin_output = a, row.num = 40, split.num = 10, split.read-interval = {interval},
      schema {{ fields {{ id = bigint }} }} }} }}
    transform {{ {transforms} }}
    sink {{ Console {{ plugin_input = {output}, log.print.delay.ms = {delay} }} }}"""
    plan = make_plan(parse_job(text))
    local = LocalJob(plan, folder / "home", runner=make_runner(runner, 2), on_print=lambda line: None)
    result = local.run()
    assert result.status == "FINISHED", result.error
    return result.progress.slow_side()


def share(pattern, text):
    found = re.fullmatch(pattern.replace("%", r"(\d+)%"), text)
    assert found is not None, text
    return int(found[1])


def test_a_slow_source_is_named(tmp_path, runner):
    assert share("waits for the source % of the time", sentence(tmp_path, runner, interval=100)) > 50


@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_slow_sink_is_named(tmp_path, runner, parallelism):
    text = sentence(tmp_path, runner, delay=30, parallelism=parallelism)
    assert share("waits for the sink % of the time", text) > 50


def test_the_slow_one_of_two_transforms_is_named(tmp_path, runner):
    transforms = SLEEP.format("a", "b", 0) + "\n" + SLEEP.format("b", "c", 0.1)
    text = sentence(tmp_path, runner, transforms=transforms, output="c")
    assert share(r"computes % of the time, most of it in Transform\[1\]-Python", text) > 50


def test_nothing_is_said_before_anything_was_measured():
    assert Progress(1, "RUNNING").slow_side() == ""


def test_of_several_sinks_the_slowest_is_named():
    progress = Progress(
        1,
        "RUNNING",
        busy={1: 50.0, 2: 1.0, 3: 8.0},
        waiting_for_source=1.0,
        waiting_for_sink=40.0,
        sources=frozenset({1}),
        names={1: "Source[0]-FakeSource", 2: "Sink[0]-Console", 3: "Sink[1]-Jdbc"},
    )
    assert progress.slow_side() == "waits for the sink Sink[1]-Jdbc 90% of the time"
