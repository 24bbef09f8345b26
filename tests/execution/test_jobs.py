"""Whole jobs through every runner."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from headrace.config.job import parse_job
from headrace.connectors.local_file import LocalFileSource
from headrace.errors import HomeUnusable, JobExists, JobNotFound
from headrace.execution.local import LocalJob, make_runner
from headrace.execution.master import JobMaster
from headrace.logs import job_log
from headrace.plan.plan import make_plan
from headrace.testing import make, task

pytestmark = pytest.mark.job

FAKE = """FakeSource {{ plugin_output = fake, row.num = {rows}, split.num = {splits},
  auto.increment.enabled = true, schema {{ fields {{ id = bigint, name = string }} }} }}"""


@pytest.fixture(params=["embedded", "processes"])
def runner(request):
    return request.param


class Job:
    """A job of made-up rows into files."""

    def __init__(
        self, folder, runner, *, env="", rows=1000, splits=4, sink="", source=None, job_id=None, restore=False
    ):
        self.folder, self.statuses, self.logs = folder, [], []
        source = source or FAKE.format(rows=rows, splits=splits)
        text = f"""
        env {{ job.mode = BATCH, job.retry.interval.seconds = 0, {env} }}
        source {{ {source} }}
        sink {{ LocalFile {{ path = "{folder}/out", tmp_path = "{folder}/tmp", file_format_type = csv, {sink} }} }}"""
        (folder / "job.conf").write_text(text)
        self.local = LocalJob(
            make_plan(parse_job(text, file=str(folder / "job.conf"))),
            folder / "home",
            runner=make_runner(runner, 2),
            job_id=job_id,
            restore=restore,
            on_status=self.statuses.append,
            on_print=lambda text: None,
            on_log=lambda level, text: self.logs.append(text),
        )

    def run(self):
        return self.local.run()

    def start(self):
        """Run on a thread; `result` is there after `join`."""
        self.result = None

        def target():
            self.result = self.local.run()

        self.thread = threading.Thread(target=target)
        self.thread.start()
        return self

    def join(self):
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.result

    def wait_for_rows(self, rows):
        deadline = time.monotonic() + 60
        while self.local.progress().rows_read < rows:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def ids(self):
        files = [f for f in (self.folder / "out").rglob("*") if f.is_file()]
        if not files:
            return []
        schema = {"fields": {"id": "bigint", "name": "string"}}
        source = make(LocalFileSource, path=str(self.folder / "out"), file_format_type="csv", schema=schema)
        reads = [r for split in source.splits(1) for r in source.read(split, None, task())]
        return sorted(i for read in reads for i in read.batch.rows.column("id").to_pylist())

    def staged(self):
        return [f for f in (self.folder / "tmp").rglob("*") if f.is_file() and f.name != ".owner"]


def test_moves_every_row_once_with_several_tasks(tmp_path, runner):
    job = Job(tmp_path, runner, env="parallelism = 3", rows=1000)
    result = job.run()
    assert result.status == "FINISHED", result.error
    assert job.ids() == list(range(1, 3001))
    assert sorted(c.rows for c in result.progress.counts.values()) == [3000, 3000]
    assert result.progress.counts[2, "fake"].committed == 3000
    assert job.staged() == []


def test_commits_at_every_checkpoint(tmp_path, runner):
    job = Job(tmp_path, runner, env="checkpoint.interval = 100, read_limit.rows_per_second = 400", rows=400, splits=1)
    job.start().wait_for_rows(150)
    deadline = time.monotonic() + 30
    while not job.ids():
        assert time.monotonic() < deadline
    assert job.join().status == "FINISHED"
    assert job.ids() == list(range(1, 401))


def test_without_checkpoints_nothing_is_visible_before_the_end(tmp_path, runner):
    job = Job(tmp_path, runner, env="read_limit.rows_per_second = 400", rows=100_000).start()
    job.wait_for_rows(150)
    assert job.ids() == []
    assert job.staged() != []
    job.local.cancel()
    job.join()


def test_cancel_leaves_nothing_behind(tmp_path, runner):
    job = Job(tmp_path, runner, env="read_limit.rows_per_second = 400", rows=4000).start()
    job.wait_for_rows(100)
    job.local.cancel()
    assert job.join().status == "CANCELED"
    assert job.statuses[-1] == "CANCELING"
    assert (job.ids(), job.staged()) == ([], [])


def test_goes_on_from_a_savepoint_at_another_parallelism(tmp_path, runner):
    limits = "read_limit.rows_per_second = 400, checkpoint.interval = 100000"
    job = Job(tmp_path, runner, env=limits, rows=400, splits=4).start()
    job.wait_for_rows(150)
    assert job.local.savepoint().result(30) == ""
    assert job.join().status == "SAVEPOINT_DONE"
    saved = len(job.ids())
    assert 0 < saved < 400
    again = Job(tmp_path, runner, env="parallelism = 3", rows=400, splits=4, restore=True)
    assert again.local.job_id == job.local.job_id
    result = again.run()
    assert result.status == "FINISHED", result.error
    assert again.ids() == list(range(1, 401))
    assert result.progress.counts[2, "fake"].committed == 400


def test_a_changed_job_file_does_not_take_the_saved_state(tmp_path, runner):
    job = Job(tmp_path, runner, env="read_limit.rows_per_second = 400", rows=4000, splits=1).start()
    job.wait_for_rows(100)
    assert job.local.savepoint().result(30) == ""
    job.join()
    source = FAKE.format(rows=1, splits=1).replace("FakeSource", "fakesource")
    result = Job(tmp_path, runner, source=source, restore=True).run()
    assert result.status == "FAILED"
    assert "does not fit the job file: it holds the state of Source[0]-FakeSource" in str(result.error)


def saved_in_the_middle(tmp_path, **job):
    job = Job(tmp_path, "embedded", env="read_limit.rows_per_second = 100, checkpoint.interval = 100000", **job).start()
    job.wait_for_rows(10)
    assert job.local.savepoint().result(30) == ""
    assert job.join().status == "SAVEPOINT_DONE"


def test_a_source_with_rows_left_cannot_be_left_out_of_a_restore(tmp_path):
    both = [FAKE.format(rows=4000, splits=1).replace("= fake", f"= {name}") for name in ("a", "b")]
    saved_in_the_middle(tmp_path, source="\n".join(both), sink="plugin_input = [a, b]")
    result = Job(tmp_path, "embedded", source=both[0], sink="plugin_input = a", restore=True).run()
    assert result.status == "FAILED"
    assert "Source[1]-FakeSource of pipeline 2 was not read to its end, and the job has 1 pipelines" in str(
        result.error
    )
    again = Job(tmp_path, "embedded", source="\n".join(both), sink="plugin_input = [a, b]", restore=True).run()
    assert again.error is None, "the state is still there"


def test_a_transactional_sink_cannot_be_added_to_a_restore(tmp_path):
    """It has no positions of the rows before, and would read them as its own."""
    saved_in_the_middle(tmp_path, rows=4000, sink="plugin_input = fake")
    more = f'}}\nJdbc {{ plugin_input = fake, url = "jdbc:sqlite:{tmp_path}/x.db", table = t, generate_sink_sql = true'
    result = Job(tmp_path, "embedded", rows=4000, sink=f"plugin_input = fake\n{more}", restore=True).run()
    assert result.status == "FAILED"
    assert "Sink[1]-Jdbc is new in job" in str(result.error)
    assert Job(tmp_path, "embedded", rows=4000, sink="plugin_input = fake", restore=True).run().error is None


def test_restoring_what_never_ran_says_so(tmp_path, runner):
    with pytest.raises(JobNotFound, match="it was never run with the home"):
        Job(tmp_path, runner, restore=True)


def test_a_home_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(HomeUnusable, match="cannot use the home .*/home: Not a directory.* or name another one"):
        Job(tmp_path, "embedded")


def test_an_end_that_cannot_be_recorded_leaves_the_state_of_a_job_that_moves_no_row_again(tmp_path):
    """As on a disk that is full by then."""
    job = Job(tmp_path, "embedded", rows=10, job_id=7)
    runs, logs = tmp_path / "home" / "runs", tmp_path / "home" / "logs"
    for folder in (runs, logs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.write_text("in the way")
    write, close = job_log(tmp_path / "home", 7)
    write("info", "is lost")
    close()
    assert job.run().status == "FINISHED"
    assert ["the end of job 7, FINISHED, cannot be recorded in" in text for text in job.logs] == [True]
    runs.unlink()
    again = Job(tmp_path, "embedded", rows=10, job_id=7, restore=True)
    assert (again.run().status, again.ids()) == ("FINISHED", list(range(1, 11)))


def test_an_id_runs_once_at_a_time(tmp_path, runner):
    job = Job(tmp_path, runner, env="read_limit.rows_per_second = 400", rows=400, job_id=77).start()
    with pytest.raises(JobExists, match="job 77 is already running in another process"):
        Job(tmp_path, runner, job_id=77)
    job.local.cancel()
    job.join()


def test_a_failing_sink_fails_the_job_with_plugin_and_cause(tmp_path, runner):
    job = Job(tmp_path, runner, sink="partition_by = [nope]")
    result = job.run()
    assert result.status == "FAILED"
    assert "sink[0].LocalFile.partition_by: table fake has no column 'nope'" in str(result.error)


def test_restarts_as_often_as_the_job_says_then_fails(tmp_path, runner):
    (tmp_path / "blocked").touch()
    sink = f'schema_save_mode = IGNORE, path = "{tmp_path}/blocked/x"'
    job = Job(tmp_path, runner, env="job.retry.times = 2", sink=sink)
    result = job.run()
    assert (result.status, result.progress.restarts) == ("FAILED", 2)
    assert "Not a directory" in str(result.error)
    assert len([text for text in job.logs if "restarts (" in text]) == 2


def test_a_rule_that_does_not_hold_shows_no_row(tmp_path, runner):
    text = f"""
    source {{ {FAKE.format(rows=10, splits=1)} }}
    sink {{ LocalFile {{ plugin_input = fake, path = "{tmp_path}/out", tmp_path = "{tmp_path}/tmp" }}
    Assert {{ plugin_input = fake, rules {{ row_rules = [{{ rule_type = MIN_ROW, rule_value = 11 }}] }} }} }}"""
    plan = make_plan(parse_job(text))
    result = LocalJob(plan, tmp_path / "home", runner=make_runner(runner, 1), on_print=lambda text: None).run()
    assert result.status == "FAILED"
    assert "row num :10 fail rule" in str(result.error)
    assert [f for f in (tmp_path / "out").rglob("*") if f.is_file()] == []


def test_a_killed_worker_restarts_its_pipeline(tmp_path):
    job = Job(tmp_path, "processes", env="read_limit.rows_per_second = 600", rows=1200, splits=1)
    job.start().wait_for_rows(100)
    for pid in job.local._runner.pids():
        os.kill(pid, signal.SIGKILL)
    result = job.join()
    assert result.status == "FINISHED", result.error
    assert result.progress.restarts in (1, 2)  # two workers died; the first to be noticed may not be the last
    assert job.ids() == list(range(1, 1201))


def test_a_savepoint_of_a_job_that_has_ended_says_so(tmp_path, runner):
    job = Job(tmp_path, runner)
    job.run()
    assert job.local.savepoint().result(5) == "the job has ended FINISHED"


def test_plugins_are_asked_only_for_what_they_do(tmp_path, monkeypatch):
    asked, call = [], JobMaster.call

    def recorded(self, name, *arguments, **named):
        asked.append(name)
        return call(self, name, *arguments, **named)

    monkeypatch.setattr(JobMaster, "call", recorded)
    Job(tmp_path, "embedded").run()
    assert asked == ["describe", "check_save_modes", "save_modes", "left", "splits", "commit", "end_sink"]
    asked.clear()
    source = FAKE.format(rows=5, splits=1)
    plan = make_plan(parse_job(f"env {{ job.mode = BATCH }}\nsource {{ {source} }}\nsink {{ Console {{ }} }}"))
    result = LocalJob(plan, tmp_path / "home", runner=make_runner("embedded", 1), on_print=lambda text: None).run()
    assert (result.status, asked) == ("FINISHED", ["describe", "splits"])


def test_zero_rows_are_a_finished_job(tmp_path, runner):
    result = Job(tmp_path, runner, rows=0).run()
    assert result.status == "FINISHED", result.error
    assert Path(tmp_path, "out").is_dir()


def test_a_union_delivers_the_rows_of_all_sources(tmp_path, runner):
    sources = "\n".join(FAKE.format(rows=10, splits=1).replace("= fake", f"= {name}") for name in "ab")
    job = Job(tmp_path, runner, source=sources, sink="plugin_input = [a, b]")
    assert job.run().status == "FINISHED"
    assert job.ids() == sorted([*range(1, 11), *range(1, 11)])
