"""SeaTunnel's own job files, stopped by a savepoint in the middle and restored at another parallelism.

NO_MIDDLE names those that this says nothing about, with the reason; one that begins to work must leave the list.
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.config.env import Verify
from headrace.config.job import load_job
from headrace.execution.embedded import EmbeddedRunner
from headrace.execution.local import new_job_id
from headrace.execution.processes import ProcessesRunner
from headrace.plan.plan import make_plan
from tests.jobs.probe import headrace_gate
from tests.jobs.probe.headrace_gate import Gate
from tests.jobs.test_seatunnel import BEFORE, FILES, HERE, MUST_FAIL, PENDING, VARIABLES, Outcome, stage_all

pytestmark = pytest.mark.job

WAITING = ("cluster_batch_fake_to_localfile_template", "checkpoint-batch-")
"""Jobs that wait for seconds between their splits."""

NAMES = [
    pytest.param(name, id=name, marks=pytest.mark.slow if any(part in name for part in WAITING) else ())
    for name in FILES
    if name not in PENDING
]
NO_MIDDLE = dict(line.split(": ", 1) for line in (HERE / "NO_MIDDLE").read_text().splitlines() if line)
PROBE = Path(__file__).parent / "probe"


class NoMiddle(Exception):
    """The savepoint did not lie between the first and the last row of every pipeline."""


@pytest.fixture(scope="module")
def gates(tmp_path_factory):
    return tmp_path_factory.mktemp("gates")


@pytest.fixture(scope="module", params=["embedded", pytest.param("processes", marks=pytest.mark.slow)])
def runner(request, gates):
    """With the gate in every task, of this process or of the workers."""
    with pytest.MonkeyPatch.context() as patch:
        headrace_gate.install(gates, patch.setattr)
        patch.setenv("HEADRACE_GATE", str(gates))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(PROBE), os.environ.get("PYTHONPATH", "")]))
        made = EmbeddedRunner() if request.param == "embedded" else ProcessesRunner(2)
        yield made
        made.close()


@pytest.fixture
def staged(tmp_path):
    stage_all(tmp_path)
    return tmp_path


def plan_of(staged, name):
    """The plan of a job file with checksums."""
    config = load_job(staged / "jobs" / name, VARIABLES.get(name, {}))
    return make_plan(replace(config, env=config.env.model_copy(update={"verify": Verify.CHECKSUM})))


def at_another_parallelism(plan):
    changed = [replace(p, parallelism=3 if p.parallelism == 1 else p.parallelism - 1) for p in plan.pipelines]
    return replace(plan, pipelines=tuple(changed))


def undisturbed(staged, runner, name):
    """What the job delivers in one go."""
    return Outcome(staged, runner, plan_of(staged, name)).end()


def lines_of(result):
    """The lines of the delivery report, each with its rows and checksums."""
    return sorted(
        (line.to_json() for line in result.report.deliveries), key=lambda line: (line["source"], line["sink"])
    )


def rows_read(result, plan):
    """Pipeline → how many rows of its source were read."""
    counts = result.progress.counts.items()
    return {p.id: sum(c.rows for (step, _), c in counts if step == p.source.id) for p in plan.pipelines}


def run_in_two(staged, gates, runner, name, expected):
    """Stop the job by a savepoint in its middle, then restore it; its result. Raises NoMiddle."""
    plan, job_id = plan_of(staged, name), new_job_id()
    total = rows_read(expected, plan)
    held = [Gate(gates, job_id, pipeline) for pipeline in total]
    for gate, rows in zip(held, total.values(), strict=True):
        gate.close_after(rows // 2)
    outcome = Outcome(staged, runner, plan, job_id)
    deadline = time.monotonic() + 60
    while not all(gate.is_reached for gate in held):
        if not outcome.thread.is_alive():
            raise NoMiddle(f"it ended {outcome.result.status} before: {outcome.result.error}")
        assert time.monotonic() < deadline, name
        time.sleep(0.01)
    assert outcome.master.savepoint().result(60) == ""
    saved = outcome.join()
    assert saved.status == "SAVEPOINT_DONE", saved.error
    read = rows_read(saved, plan)
    if not all(0 < read[pipeline] < rows for pipeline, rows in total.items()):
        raise NoMiddle(f"of {total} rows {read} were read at the savepoint")
    for gate in held:
        gate.open()
    return Outcome(staged, runner, at_another_parallelism(plan), job_id, restore=True).end()


@pytest.mark.parametrize("name", NAMES)
def test_a_savepoint_in_the_middle_changes_nothing(name, staged, gates, runner):
    if name in BEFORE:
        undisturbed(staged, runner, BEFORE[name])
    expected = undisturbed(staged, runner, name)
    if name in NO_MIDDLE:
        with pytest.raises(NoMiddle):
            run_in_two(staged, gates, runner, name, expected)
        return
    result = run_in_two(staged, gates, runner, name, expected)
    if name in MUST_FAIL:
        assert (result.status, str(result.error)) == ("FAILED", str(expected.error))
        return
    assert result.error is None
    assert result.status == expected.status
    assert lines_of(result) == lines_of(expected)


def test_no_middle_names_only_files_that_are_there():
    assert set(NO_MIDDLE) <= set(FILES) - set(PENDING)
    assert all(NO_MIDDLE.values())
