"""Commands that talk to a server, against a real one."""

import json
import re
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from headrace.cli.app import app
from tests.api.servers import Server

ROWS = """
env {{ job.name = "{name}", job.mode = {mode}, checkpoint.interval = 300, read_limit.rows_per_second = {speed} }}
source {{ FakeSource {{ plugin_output = fake, row.num = {rows}, schema {{ fields {{ id = int, name = string }} }} }} }}
sink {{ LocalFile {{ path = "{folder}/out", tmp_path = "{folder}/tmp", file_format_type = json }} }}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("remote") / "home").start()
    yield running
    running.stop()


@pytest.fixture
def call(server):
    """Run a command in this process: (exit code, what it printed)."""

    def run(*arguments):
        done = CliRunner().invoke(app, [*map(str, arguments), "--server", f"http://localhost:{server.port}"])
        return done.exit_code, done.output

    return run


@pytest.fixture
def begin(server):
    """Start a command in a process of its own."""
    running = []

    def start(*arguments):
        command = [sys.executable, "-m", "headrace", *map(str, arguments)]
        command += ["--server", f"http://localhost:{server.port}"]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def job_file(folder, rows=5, mode="BATCH", speed=100_000, name="remote"):
    file = folder / "job.conf"
    file.write_text(ROWS.format(name=name, mode=mode, rows=rows, speed=speed, folder=folder))
    return file


def endless(folder):
    return job_file(folder, rows=10_000_000, mode="STREAMING", speed=500)


def count_rows(folder):
    return sum(len(file.read_text().splitlines()) for file in (folder / "out").rglob("*.json"))


def test_submit_jobs_job_and_logs(call, tmp_path):
    code, said = call("submit", job_file(tmp_path), "--wait", "--name", "by hand")
    assert code == 0
    number = int(re.search(r"^Job (\d+) by hand: FINISHED$", said, re.MULTILINE)[1])
    assert "5 rows read, 5 written" in said
    assert count_rows(tmp_path) == 5
    code, said = call("jobs", "--all")
    assert code == 0
    assert re.search(rf"^{number} +by hand +FINISHED +5 +5 ", said, re.MULTILINE)
    code, said = call("job", number)
    assert (code, f"Job {number} by hand: FINISHED" in said, "5 rows read, 5 written" in said) == (0, True, True)
    code, said = call("job", number, "--json")
    assert (code, json.loads(said)["jobStatus"]) == (0, "FINISHED")
    code, said = call("logs", number)
    assert code == 0
    assert f"Init JobMaster for Job by hand ({number})" in said
    assert f"({number}) ended FINISHED" in said
    code, said = call("logs", number, "--follow")  # it has ended, so there is nothing to wait for
    assert code == 0


def test_submit_takes_an_id_and_prints_it(call, tmp_path):
    assert call("submit", job_file(tmp_path), "--job-id", 7_001) == (0, "7001\n")
    assert call("submit", job_file(tmp_path), "--job-id", 7_002, "--json") == (0, '{"jobId": 7002}\n')
    code, said = call("job", 7_001, "--watch")
    assert (code, "Job 7001 remote: FINISHED" in said) == (0, True)
    code, said = call("job", 7_002, "--watch", "--json")
    assert (code, json.loads(said[said.index("{") :])["jobName"]) == (0, "remote")
    code, said = call("submit", job_file(tmp_path), "--job-id", 7_001)
    assert code == 2
    assert "has already been submitted and is not starting with a savepoint" in said


def test_variables_and_includes_are_filled_in_before_a_job_is_sent(call, server, tmp_path, monkeypatch):
    monkeypatch.setenv("ROWS_OF_CALLER", "4")
    (tmp_path / "env.conf").write_text('env { job.name = "included" }')
    file = job_file(tmp_path)
    text = file.read_text().replace("row.num = 5", "row.num = ${ROWS_OF_CALLER}").replace("/out", "/${folder}")
    file.write_text('include "env"\n' + text.replace('job.name = "remote", ', ""))
    code, said = call("submit", file, "-i", "folder=out", "--wait")
    assert (code, "included: FINISHED" in said, count_rows(tmp_path)) == (0, True, 4)
    file.write_text('include "env"\n' + job_file(tmp_path).read_text().replace('job.name = "remote", ', ""))
    code, said = call("submit", file, "--wait")
    assert (code, "included: FINISHED" in said) == (0, True)


def test_a_job_is_watched_saved_and_goes_on(call, begin, server, tmp_path):
    code, said = call("submit", endless(tmp_path))
    number = int(said)
    watch, follow = begin("job", number, "--watch"), begin("logs", number, "-f")
    assert any("RUNNING" in line and "rows read" in line for line in iter(watch.stderr.readline, ""))
    assert any("Init JobMaster" in line for line in iter(follow.stdout.readline, ""))
    code, said = call("stop", number, "--savepoint")
    assert (code, said) == (0, f"job {number} ended SAVEPOINT_DONE\n")
    printed, _ = watch.communicate(timeout=60)
    assert (watch.returncode, f"Job {number} remote: SAVEPOINT_DONE" in printed) == (0, True)
    printed, _ = follow.communicate(timeout=60)
    assert (follow.returncode, f"({number}) ended SAVEPOINT_DONE" in printed) == (0, True)
    before = count_rows(tmp_path)
    assert call("submit", endless(tmp_path), "--job-id", number, "--restore") == (0, f"{number}\n")
    deadline = time.monotonic() + 60
    while count_rows(tmp_path) <= before:
        assert time.monotonic() < deadline, server.get(f"job-info/{number}").json
        time.sleep(0.05)
    assert call("stop", number) == (0, f"job {number} ended CANCELED\n")
    assert call("stop", number) == (0, f"job {number} has already ended CANCELED\n")
    assert call("stop", number, "--savepoint") == (1, f"job {number} has already ended CANCELED\n"), "nothing is saved"
    assert int(call("job", number, "--json")[1].partition('"SourceReceivedCount": "')[2].partition('"')[0]) > 0


def test_mistakes_are_told_with_exit_code_1(call, tmp_path):
    for command in (("job", 404), ("stop", 404), ("logs", 404), ("job", 404, "--watch")):
        code, said = call(*command)
        assert (code, "knows no job 404" in said) == (1, True)
    file = job_file(tmp_path)
    file.write_text(file.read_text().replace("FakeSource {", "FakeSorce {").replace("LocalFile {", "LocalFil {"))
    code, said = call("submit", file)
    assert (code, "did you mean FakeSource?" in said, "did you mean LocalFile?" in said) == (2, True, True)
    code, said = call("submit", tmp_path / "none.conf")
    assert (code, "there is no file" in said) == (2, True)


def test_a_job_that_failed_ends_job_and_watch_with_1(call, tmp_path):
    file = job_file(tmp_path)
    (tmp_path / "out").write_text("a file is in the way")
    code, said = call("submit", file, "--wait")
    assert (code, "FAILED" in said, "is a file" in said) == (1, True, True)
    number = re.search(r"^Job (\d+) ", said, re.MULTILINE)[1]
    assert call("job", number)[0] == 1


def test_submit_waits_on_while_the_server_is_started_anew(tmp_path):
    server = Server(tmp_path / "home").start()
    file = job_file(tmp_path, rows=600, speed=100)
    command = [sys.executable, "-m", "headrace", "submit", str(file), "--job-id", "11", "--wait"]
    command += ["--server", f"http://localhost:{server.port}"]
    waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any("RUNNING" in line for line in iter(waiting.stderr.readline, ""))
    server.stop()
    assert any("waiting for it" in line for line in iter(waiting.stderr.readline, ""))
    server.arguments = ("--port", str(server.port))
    server.start()
    try:
        printed, said = waiting.communicate(timeout=120)
        assert (waiting.returncode, "FINISHED" in printed) == (0, True), said
        assert count_rows(tmp_path) == 600
    finally:
        server.stop()


def test_a_misspelt_option_is_told_at_the_end_and_kept_with_the_job(call, server, tmp_path):
    file = job_file(tmp_path)
    file.write_text(file.read_text().replace("row.num = 5", "row.nun = 5"))
    code, said = call("submit", file, "--wait", "--job-id", 7_050)
    assert (code, said.splitlines()[-1].startswith("warning: ")) == (0, True), said
    assert "row.nun: unknown option; did you mean 'row.num'?" in said.splitlines()[-1]
    [warning] = server.get("job-info/7050").json["warnings"]
    assert "did you mean 'row.num'?" in warning
    code, said = call("submit", file, "--strict")
    assert (code, "did you mean 'row.num'?" in said) == (2, True)


def test_a_log_is_printed_whole_over_its_rotations(call, tmp_path):
    file = tmp_path / "job.conf"
    file.write_text(
        """source { FakeSource { row.num = 130000, schema { fields { id = int, name = string } } } }
sink { Console {} }"""
    )
    code, said = call("submit", file, "--job-id", 7_060)
    code, said = call("logs", 7_060, "--follow")
    assert (code, said.count("rowIndex=")) == (0, 130_000)
    code, said = call("logs", 7_060)
    assert (code, said.count("rowIndex=")) == (0, 130_000)
