"""Whole jobs that follow a directory, killed, stopped and started again."""

import contextlib
import sqlite3

import pytest

from tests.execution.runs import Run, ids

pytestmark = pytest.mark.job


class Followed:
    """A job over a directory; the rows of its target."""

    def __init__(self, folder, sink, options="parallelism = 2"):
        self.folder, self.inbox, self.running = folder, folder / "in", []
        self.inbox.mkdir()
        self.job = f"""
        env {{ job.mode = STREAMING, parallelism = 2, checkpoint.interval = 200 }}
        source {{ LocalFile {{ path = "{self.inbox}", file_format_type = csv, discovery_mode = continuous
          scan_interval = 100MS, {options}, schema {{ fields {{ id = bigint, name = string }} }} }} }}
        sink {{ {sink} }}"""
        self.written = 0

    def start(self, *arguments):
        self.running.append(Run(self.folder, self.job, "--job-id", "7", *arguments))
        return self.running[-1]

    def write(self, files, rows=100):
        """New files, and more rows of an old one."""
        for number in range(files):
            lines = "".join(f"{i},n\n" for i in range(self.written + 1, self.written + rows + 1))
            with open(self.inbox / ("log" if number == 0 else f"{self.written}.csv"), "a") as file:
                file.write(lines)
            self.written += rows

    def rows(self):
        if not (self.folder / "out.db").exists():
            return ids(self.folder / "target") if (self.folder / "target").exists() else []
        with contextlib.closing(sqlite3.connect(self.folder / "out.db", timeout=30)) as database:
            try:
                return sorted(i for (i,) in database.execute("SELECT id FROM people"))
            except sqlite3.OperationalError:
                return []

    def all_there(self):
        return len(self.rows()) >= self.written


@pytest.fixture
def followed(tmp_path):
    made = []

    def make(sink, options="parallelism = 2"):
        targets = {
            "LocalFile": f'LocalFile {{ path = "{tmp_path}/target", file_format_type = csv }}',
            "Jdbc": f'Jdbc {{ url = "jdbc:sqlite:{tmp_path}/out.db", generate_sink_sql = true, table = people }}',
        }
        made.append(Followed(tmp_path, targets[sink], options))
        return made[-1]

    yield make
    for job in made:
        for run in job.running:
            run.kill()


@pytest.mark.parametrize(
    ("sink", "runner"),
    [("LocalFile", "embedded"), ("Jdbc", "embedded"), pytest.param("LocalFile", "processes", marks=pytest.mark.slow)],
)
def test_every_row_of_every_file_arrives_once_over_kills_and_savepoints(followed, sink, runner):
    job = followed(sink)
    job.write(5)
    run = job.start("--runner", runner)
    run.until(job.all_there)
    job.write(5)
    run.kill()
    job.write(5)
    run = job.start("--runner", runner, "--restore")
    run.until(job.all_there)
    job.write(5)
    run.process.terminate()
    assert run.end()["status"] == "SAVEPOINT_DONE", run.said
    job.write(5)
    run = job.start("--runner", runner, "--restore")
    run.until(job.all_there)
    assert job.rows() == list(range(1, job.written + 1))


def test_read_files_are_deleted_when_their_rows_have_arrived(followed):
    job = followed("LocalFile", "post_sync_action = delete")
    job.write(3)
    run = job.start()
    run.until(lambda: not any(job.inbox.iterdir()))
    assert job.rows() == list(range(1, job.written + 1))


def test_a_job_that_streams_reads_a_directory_once_by_default(tmp_path, followed):
    """As SeaTunnel does: the job ends with the files that are there."""
    job = followed("LocalFile")
    job.job = job.job.replace("discovery_mode = continuous", "")
    job.write(3)
    assert job.start().end()["status"] == "FINISHED"
    assert job.rows() == list(range(1, job.written + 1))
