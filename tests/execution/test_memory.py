"""The memory budget: what all processes of a job hold together, looked at again and again while rows move."""

import re
import time

import psutil
import pytest

import headrace
from headrace.errors import NotEnoughMemory
from tests.execution.runs import PROBE, Run

pytestmark = pytest.mark.job

MIB = 1024 * 1024

# About 40 MB a full batch: what is not held back piles up by a gigabyte within a second or two.
FAST = """FakeSource { row.num = 100000000, string.length = 200
  schema { fields { a = bigint, b = string, c = string, d = string } } }"""

JOB = """
env {{ job.mode = BATCH, parallelism = {parallelism} }}
source {{ {source} }}
sink {{ {sink} }}"""


def resident(run):
    """Bytes that all processes of a run hold at this moment."""
    found = 0
    for process in [run.process.pid, *(w.pid for w in run.workers())]:
        try:
            found += psutil.Process(process).memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return found


def peak(run, seconds, interval=0.05):
    """The most that was seen, every 50 ms."""
    most, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert run.process.poll() is None, run.said
        most = max(most, resident(run))
        time.sleep(interval)
    return most


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(*arguments, source=FAST, sink="Slow {}", parallelism=1, **env):
        text = JOB.format(source=source, sink=sink, parallelism=parallelism)
        running.append(Run(tmp_path, text, *arguments, **env))
        return running[-1]

    yield begin
    for run in running:
        run.kill()


@pytest.mark.parametrize(
    ("runner", "memory", "parallelism"),
    [("embedded", 300, 2), ("processes", 400, 2)],
)
def test_a_slow_sink_under_a_fast_source_stays_within_the_budget(start, runner, memory, parallelism):
    run = start("--runner", runner, "--memory", f"{memory}M", parallelism=parallelism)
    assert peak(run, 6) <= memory * MIB


@pytest.mark.slow
@pytest.mark.parametrize(("runner", "memory"), [("embedded", 300), ("processes", 550)])
def test_the_budget_holds_for_a_minute(start, runner, memory):
    run = start("--runner", runner, "--memory", f"{memory}M", parallelism=4)
    assert peak(run, 60) <= memory * MIB


def test_a_queue_without_a_bound_would_be_noticed(start, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "from headrace.execution.buffer import Buffer\nBuffer._has_room = lambda self, size, own: True\n"
    )
    run = start("--memory", "300M", PYTHONPATH=f"{tmp_path}:{PROBE}")
    run.until(lambda: resident(run) > 300 * MIB)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--memory", "100M"), "a task and the processes around need [0-9]+ MiB; raise --memory to that$"),
        (("--memory", "200M", "--runner", "processes"), "a task and the processes around need [0-9]+ MiB"),
        (("--memory", "5X"), "--memory: '5X' is not a size; use 512M, 2G or 50%$"),
    ],
)
def test_a_budget_that_is_too_small_is_refused_with_the_minimum(start, arguments, text):
    run = start(*arguments)
    assert run.process.wait(60) == (2 if "5X" in arguments else 1)
    assert re.search(text, run.said, re.MULTILINE), run.said


def test_the_minimum_that_is_named_suffices(start):
    source = "FakeSource { row.num = 100000, schema { fields { a = bigint } } }"
    refused = start("--memory", "90M", source=source, sink="Console { log.print.data = false }", parallelism=2)
    refused.process.wait(60)
    least = re.search(r"need (\d+) MiB", refused.said)[1]
    run = start("--memory", f"{least}M", source=source, sink="Console { log.print.data = false }", parallelism=2)
    assert run.end()["status"] == "FINISHED", run.said


def test_a_program_can_give_a_job_less(tmp_path):
    with pytest.raises(NotEnoughMemory, match="raise --memory"):
        headrace.run(JOB.format(source=FAST, sink="Console {}", parallelism=1), memory="50M")
