"""Logs as JSON: of a run, of a server, of its worker processes."""

import json
import os
import subprocess
import sys
import time

from tests.api.servers import Server

BAD = """
env {{ job.mode = BATCH, job.name = "json logs" }}
source {{ LocalFile {{ path = "{path}", file_format_type = csv, schema {{ fields {{ a = int }} }} }} }}
sink {{ Console {{}} }}
"""
WARNS = """
env { job.mode = BATCH }
source { FakeSource { row.num = 3, schema { fields { a = int } } } }
transform { Python { columns = [{ dest_field = b, dest_type = int }], source_code = \"\"\"
import warnings, logging
def process(row, context):
    warnings.warn("an old way")
    logging.getLogger("a.library").warning("it is %s", "late")
    return [1]
\"\"\" } }
sink { Console {} }
"""


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def run(tmp_path, job, *arguments, **environment):
    (tmp_path / "job.conf").write_text(job)
    command = [sys.executable, "-m", "headrace", "run", str(tmp_path / "job.conf"), "--home", str(tmp_path / "home")]
    env = {**os.environ, "HEADRACE_LOG_LEVEL": "INFO", **environment}
    return subprocess.run([*command, *arguments], capture_output=True, text=True, env=env, timeout=120)


def test_a_run_says_all_on_stderr_as_json(tmp_path):
    (tmp_path / "a.csv").write_text("1\nx\n")
    done = run(tmp_path, BAD.format(path=tmp_path / "a.csv"), "--log-format", "json", "--job-id", "7")
    told = lines(done.stderr)
    assert done.returncode == 1
    assert {"time", "level", "logger", "message"} <= set(told[0])
    of_job = [line for line in told if line.get("jobId") == "7"]
    assert any(line["level"] == "ERROR" and "a.csv" in line["message"] for line in told)
    in_file = lines((tmp_path / "home" / "logs" / "job-7.log").read_text())
    assert [line["message"] for line in of_job] == [line["message"] for line in in_file]


def test_a_file_that_is_wrong_is_told_as_json(tmp_path):
    done = run(tmp_path, "source { Nothing {} }\nsink { Console {} }", HEADRACE_LOG_FORMAT="json")
    assert done.returncode == 2
    assert any(line["level"] == "ERROR" and "Nothing" in line["message"] for line in lines(done.stderr))


def test_workers_log_as_json_with_the_job_they_work_for(tmp_path):
    done = run(tmp_path, WARNS, "--log-format", "json", "--runner", "processes", "--job-id", "9")
    assert done.returncode == 0, done.stderr
    told = {line["logger"]: line for line in lines(done.stderr)}
    assert told["a.library"]["message"] == "it is late"
    assert told["a.library"]["jobId"] == "9"
    assert "an old way" in told["py.warnings"]["message"]


def test_an_error_that_nobody_catches_has_its_trace(tmp_path):
    code = "from headrace.logs import json_to_stderr; json_to_stderr('WARNING'); 1 / 0"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    (told,) = lines(done.stderr)
    assert told["level"] == "CRITICAL"
    assert told["message"] == "ZeroDivisionError: division by zero"
    assert told["exception"].startswith("Traceback")


def test_a_server_logs_as_json_in_files_and_on_stderr(tmp_path):
    (tmp_path / "a.csv").write_text("x\n")
    server = Server(tmp_path / "home", ("--log-format", "json"), env={"HEADRACE_LOG_LEVEL": "INFO"}).start()
    try:
        job = server.ask("POST", "submit-job", BAD.format(path=tmp_path / "a.csv"), query={"format": "hocon"}).json
        deadline = time.monotonic() + 60
        while server.ask("GET", f"running-job/{job['jobId']}").json["jobStatus"] != "FAILED":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        server.stop()
    of_job = [line for line in lines(server._read()) if line.get("jobId") == str(job["jobId"])]
    assert any("ended FAILED" in line["message"] for line in of_job)
    for log in (tmp_path / "home" / "logs").iterdir():
        assert lines(log.read_text())
