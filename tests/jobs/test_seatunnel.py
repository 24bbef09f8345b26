"""SeaTunnel's own job files, unmodified, through every runner.

PENDING names those that need what is not there yet, with the reason; one that begins to pass must leave the list.
"""

import runpy
import shutil
import threading
import time
from pathlib import Path

import pytest

from headrace.checkpoint.store import FileStore
from headrace.config.job import load_job
from headrace.errors import ConfigError
from headrace.execution.embedded import EmbeddedRunner
from headrace.execution.local import new_job_id
from headrace.execution.master import JobMaster
from headrace.execution.processes import ProcessesRunner
from headrace.plan.plan import make_plan

pytestmark = pytest.mark.job

HERE = Path(__file__).parent / "seatunnel"
FILES = sorted(str(f.relative_to(HERE / "jobs")) for f in (HERE / "jobs").rglob("*.conf"))
PENDING = dict(line.split(": ", 1) for line in (HERE / "PENDING").read_text().splitlines() if line)
MUST_FAIL = {"fake/fake_to_assert_with_multitable_exception.conf": "Rule validate failed"}
VARIABLES = {
    "engine/cluster_batch_fake_to_localfile_template.conf": {
        "dynamic_job_mode": "BATCH", "dynamic_test_case_name": "case", "dynamic_test_parallelism": "2",
        "dynamic_test_row_num_per_parallelism": "10",
    },
    "engine/fake_to_console_with_default_value.variables.conf": {
        "strTemplate": "[abc,de]", "ageType": "int", "nameVal": "abc", "sourceTableName": "sql",
    },
}  # fmt: skip
BEFORE = {
    "engine/checkpoint-streaming-enable-test-resources/sink_file_text_to_assert.conf": (
        "engine/checkpoint-streaming-enable-test-resources/stream_fakesource_to_localfile.conf"
    ),
}
"""Jobs that read what another one wrote."""

WITHOUT_CHECKPOINTS = "checkpoint-batch-disable-test-resources/batch_fakesource_to_localfile_checkpoint_disable.conf"
WITH_CHECKPOINTS = "checkpoint-batch-enable-test-resources/batch_fakesource_to_localfile_checkpoint_enable.conf"
BEFORE["engine/checkpoint-batch-enable-test-resources/sink_file_text_to_assert.conf"] = f"engine/{WITH_CHECKPOINTS}"


@pytest.fixture(scope="module", params=["embedded", "processes"])
def runner(request):
    made = EmbeddedRunner() if request.param == "embedded" else ProcessesRunner(2)
    yield made
    made.close()


def stage_all(folder):
    """The job files and their data below one folder, their paths rewritten."""
    stage = runpy.run_path(str(HERE / "stage.py"))
    stage["stage_data"](folder)
    stage["stage_jobs"](HERE / "jobs", folder)
    # The writer of the batch pair is not in the folder: it is the one without checkpoints, with an interval.
    text = (folder / "jobs" / "engine" / WITHOUT_CHECKPOINTS).read_text().replace("batch-disable", "batch-enable")
    enabled = text.replace('job.mode = "BATCH"', 'job.mode = "BATCH"\n  checkpoint.interval = 1000', 1)
    (folder / "jobs" / "engine" / WITH_CHECKPOINTS).write_text(enabled)


@pytest.fixture
def staged(tmp_path):
    stage_all(tmp_path)
    return tmp_path


def plan_of(staged, name):
    return make_plan(load_job(staged / "jobs" / name, VARIABLES.get(name, {})))


class Outcome:
    """A job that runs on a thread."""

    def __init__(self, staged, runner, plan, job_id=None, restore=False):
        self.streaming = plan.job.env.job_mode == "STREAMING"
        self.lines = []
        self.master = JobMaster(
            plan,
            runner,
            FileStore(staged / "home"),
            job_id=job_id or new_job_id(),
            run=2 if restore else 1,
            restore=restore,
            on_print=self.lines.append,
        )
        self.result = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        self.result = self.master.run()

    def end(self):
        """Wait for the end; a streaming job is stopped once all rows of its splits are read."""
        if self.streaming:
            deadline = time.monotonic() + 120
            while not 0 < (now := self.master.progress()).size_total <= now.rows_read:
                assert time.monotonic() < deadline
                assert self.thread.is_alive(), self.result
                time.sleep(0.05)
            assert self.master.savepoint().result(60) == ""
        return self.join()

    def join(self):
        self.thread.join(120)
        assert not self.thread.is_alive()
        return self.result


@pytest.mark.parametrize("name", FILES)
def test_job_file_ends_as_seatunnels_does(name, staged, runner):
    if name in PENDING:
        with pytest.raises((ConfigError, AssertionError)):
            check(name, staged, runner)
        return
    check(name, staged, runner)


def check(name, staged, runner):
    """Run a job file, and what must run before it; raises when it does not end as it should."""
    if name in BEFORE:
        Outcome(staged, runner, plan_of(staged, BEFORE[name])).end()
    outcome = Outcome(staged, runner, plan_of(staged, name))
    result = outcome.end()
    if name in MUST_FAIL:
        assert (result.status, MUST_FAIL[name] in str(result.error)) == ("FAILED", True)
        return
    assert result.status == ("SAVEPOINT_DONE" if outcome.streaming else "FINISHED"), result.error
    assert result.progress.rows_read > 0


def test_pending_names_only_files_that_are_there():
    assert set(PENDING) <= set(FILES)
    assert all(PENDING.values())


def test_staging_needs_nothing_of_this_machine(tmp_path):
    stage = runpy.run_path(str(HERE / "stage.py"))
    stage["stage_data"](tmp_path)
    assert (tmp_path / "seatunnel" / "read" / "json").is_dir()
    shutil.rmtree(tmp_path / "seatunnel")
