"""The command as a user runs it: a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

FAKE = "FakeSource { plugin_output = fake, row.num = 5, schema { fields { id = int, name = string } } }"


@pytest.fixture
def headrace(tmp_path):
    def run(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "headrace", *map(str, arguments)],
            capture_output=True, text=True, cwd=tmp_path, timeout=120, **options,
        )  # fmt: skip

    return run


@pytest.fixture
def job(tmp_path):
    def write(text=f"source {{ {FAKE} }}\nsink {{ Console {{}} }}", name="job.conf"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_runs_a_job_and_prints_seatunnels_box(headrace, job):
    done = headrace("run", job())
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "output rowType: id<INT>, name<STRING>"
    assert sum("SeaTunnelRow#kind=INSERT" in line for line in lines) == 5
    assert "           Job Statistic Information" in lines
    assert "Total Read Count          :                   5" in lines


def test_quiet_prints_only_what_sinks_print(headrace, job):
    done = headrace("run", "-q", job())
    assert (len(done.stdout.splitlines()), done.stderr) == (6, "")


def test_json_prints_one_object(headrace, job):
    done = headrace("run", "--json", job())
    found = json.loads(done.stdout)
    assert (found["status"], found["rowsRead"], found["rowsWritten"]) == ("FINISHED", 5, 5)


def test_takes_variables_a_name_and_an_id(headrace, job):
    path = job('env { job.name = "${n}" }\n' + f"source {{ {FAKE} }}\nsink {{ Console {{}} }}")
    done = headrace("run", "--json", "-i", "n=x y", "-i", "m=2,k=3", "--job-id", 42, path)
    assert (json.loads(done.stdout)["jobId"], json.loads(done.stdout)["jobName"]) == (42, "x y")


def test_a_wrong_job_prints_all_problems_without_a_traceback(headrace, job):
    done = headrace("run", job("source { FakeSorce {} }\nsink {\n  Console { log.print.dta = false }\n}"))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: {job('source { FakeSorce {} }')}:1: source[0].FakeSorce: unknown source 'FakeSorce'",
        "  did you mean FakeSource?",
        f"error: {job('')}:3: sink[0].Console.log.print.dta: unknown option",
        "  did you mean 'log.print.data'?",
    ]


def test_a_job_that_fails_exits_with_1_and_its_cause(headrace, job):
    rules = "rules { row_rules = [{ rule_type = MIN_ROW, rule_value = 9 }] }"
    done = headrace("run", job(f"env {{ job.retry.times = 0 }}\nsource {{ {FAKE} }}\nsink {{ Assert {{ {rules} }} }}"))
    assert done.returncode == 1
    assert "row num :5 fail rule" in done.stderr
    assert "FAILED" in done.stdout


def test_check_shows_the_plan_and_opens_nothing(headrace, job):
    done = headrace("check", job(f'source {{ {FAKE} }}\nsink {{ LocalFile {{ path = "/proc/nowhere" }} }}'))
    assert done.returncode == 0, done.stderr
    assert "source FakeSource" in done.stdout


def test_unknown_options_are_errors_in_check_and_warnings_in_run(headrace, job):
    path = job(f"source {{ {FAKE} }}\nsink {{ Console {{ spark.x = 1 }} }}")
    assert "error:" in headrace("check", path).stderr
    done = headrace("run", path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        0, f"warning: {path}:2: sink[0].Console.spark.x: unknown option",
    )  # fmt: skip


def test_preview_prints_rows_and_runs_no_sink(headrace, job, tmp_path):
    done = headrace(
        "preview", "--rows", 2, job(f'source {{ {FAKE} }}\nsink {{ LocalFile {{ path = "{tmp_path}/out" }} }}')
    )
    assert done.returncode == 0, done.stderr
    assert "fake: the first 2 rows, 2 columns" in done.stdout
    assert not (tmp_path / "out").exists()


def test_lists_plugins_and_their_options(headrace):
    assert "FakeSource" in headrace("connectors").stdout
    shown = headrace("connectors", "fakesource").stdout
    assert "row.num" in shown
    assert "schema.table" in shown  # options within options
    assert "  FakeSource {\n    row.num = 100\n" in shown  # the example
    schema = json.loads(headrace("connectors", "Console", "--json-schema").stdout)
    assert "log.print.data" in schema["sink"]["properties"]
    wrong = headrace("connectors", "FakeSorce")
    assert (wrong.returncode, "did you mean FakeSource?" in wrong.stderr) == (2, True)


def test_doctor_says_what_is_there(headrace):
    done = headrace("doctor")
    assert done.returncode == 0
    assert "plugins load" in done.stdout


def test_version(headrace):
    assert headrace("version").stdout.startswith("headrace ")


def test_the_version_and_the_help_have_their_usual_options(headrace):
    assert headrace("--version").stdout.startswith("headrace ")
    assert "Usage: " in headrace("-h").stdout
    assert "--job-id" in headrace("run", "-h").stdout


def test_help_needs_no_arrow():
    code = """
import sys
sys.argv = ["headrace", "--help"]
try:
    from headrace.cli import main
    main()
except SystemExit:
    print("pyarrow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "False"


def slow_job(tmp_path):
    return f"""env {{ read_limit.rows_per_second = 200 }}
    source {{ FakeSource {{ row.num = 100000, schema {{ fields {{ id = int }} }} }} }}
    sink {{ LocalFile {{ path = "{tmp_path}/out", tmp_path = "{tmp_path}/tmp" }} }}"""


def staged(tmp_path):
    return [file for file in (tmp_path / "tmp").rglob("*") if file.is_file()]


def started(path, tmp_path, writing=1):
    """The running command, once this many jobs are writing."""
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace", "run", "--quiet", str(path)], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    deadline = time.monotonic() + 60
    while len(staged(tmp_path)) < writing:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_cleanly_and_exits_with_130(tmp_path, job, number):
    process = started(job(slow_job(tmp_path)), tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "canceling" in errors
    assert list((tmp_path / "out").iterdir()) == []
    assert staged(tmp_path) == []


@pytest.mark.crash
def test_kill_leaves_no_file_in_the_target_and_the_next_run_cleans_up(tmp_path, job, headrace):
    process = started(job(slow_job(tmp_path)), tmp_path)
    living = started(job(slow_job(tmp_path), "other.conf"), tmp_path, writing=2)
    before = {file.parent.name for file in staged(tmp_path)}
    process.kill()
    process.communicate(timeout=30)
    assert list((tmp_path / "out").iterdir()) == []
    done = headrace("run", "-q", job(slow_job(tmp_path).replace("100000", "5"), "next.conf"))
    assert done.returncode == 0, done.stderr
    left = {file.parent.name for file in staged(tmp_path)}
    assert len(before) == 2
    assert len(left) == 1, "the leftovers of the living job must stay, those of the dead one go"
    living.send_signal(signal.SIGINT)
    living.communicate(timeout=30)


@pytest.mark.parametrize("command", ["run", "replay", "server"])
def test_a_home_that_cannot_be_used_is_named(headrace, job, tmp_path, command):
    (tmp_path / "file").touch()
    given = () if command == "server" else (job(),)
    done = headrace(command, *given, "--home", tmp_path / "file")
    assert done.returncode == 1
    assert re.fullmatch(r"error: cannot use the home .*/file: Not a directory: .*, or name another .*\n", done.stderr)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_a_full_disk_fails_the_job_and_leaves_the_target_as_it_was(tmp_path, job, headrace):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=True)
    try:
        text = f"""env {{ job.retry.times = 0 }}
        source {{ FakeSource {{ row.num = 1000000, schema {{ fields {{ a = string, b = bigint }} }} }} }}
        sink {{ LocalFile {{ path = "{small}/out", file_format_type = text }} }}"""
        done = headrace("run", "-q", job(text))
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert "MiB are free there" in done.stderr
        assert [f for f in (small / "out").rglob("*") if f.is_file() and f.name != ".owner"] == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


SQL = """/* config
env { parallelism = 2 }
*/
CREATE TABLE fake WITH ('connector' = 'FakeSource', 'type' = 'source', 'row.num' = '3',
  'schema' = '{ fields { id = int, name = string } }');
CREATE TABLE console WITH ('connector' = 'Console', 'type' = 'sink');
CREATE TABLE named AS SELECT name, '${greeting:moin}' AS greeting FROM fake;
INSERT INTO console SELECT greeting, UPPER(name) AS name FROM named;
"""


@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_runs_a_sql_job_file(headrace, job, runner):
    done = headrace("run", "-q", "--runner", runner, "-i", "greeting=hi", job(SQL, "job.sql"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "output rowType: greeting<STRING>, name<STRING>"
    assert (sum(" : hi, " in line for line in lines), len(lines)) == (6, 8)


def test_a_wrong_sql_job_file_names_its_lines(headrace, job):
    done = headrace("check", job(SQL.replace("SELECT name", "SELECT nme").replace("'row.num'", "'row.nm'"), "job.sql"))
    assert done.returncode == 2
    assert "job.sql:4: source[0].FakeSource.row.nm: unknown option" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(2, 1), (3, 0)])
def test_fixed_slots_count_without_a_server(headrace, job, tmp_path, number, code):
    (tmp_path / "conf").mkdir()
    slots = f"slot-service: {{ dynamic-slot: false, slot-num: {number} }}"
    (tmp_path / "conf" / "seatunnel.yaml").write_text(f"seatunnel: {{ engine: {{ {slots} }} }}")
    text = f"env {{ parallelism = 2 }}\nsource {{ {FAKE} }}\nsink {{ Console {{}} }}"
    done = headrace("run", "--config", tmp_path / "conf", job(text))
    assert done.returncode == code, done.stderr
    assert ("the job needs 3 slots, and there are 2" in done.stderr) == bool(code)


def test_what_the_sources_and_targets_refuse_has_its_place(headrace, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.csv").touch()
    schema = "file_format_type = csv, schema { fields { n = int } }"
    (tmp_path / "sources.conf").write_text(
        f"source {{\n LocalFile {{ path = no, plugin_output = a, {schema} }}\n"
        f" LocalFile {{ path = nope, plugin_output = b, {schema} }}\n}}\n"
        "sink {\n Console { plugin_input = a }\n Console { plugin_input = b }\n}"
    )
    done = headrace("run", "-q", "sources.conf")
    assert done.returncode == 1
    assert "sources.conf:2: source[0].LocalFile: there is no file or directory 'no'" in done.stderr
    assert "sources.conf:3: source[1].LocalFile: there is no file or directory 'nope'" in done.stderr
    (tmp_path / "target.conf").write_text(
        "source { FakeSource { plugin_output = fake, schema { fields { n = int } } } }\n"
        "sink { LocalFile { path = full, file_format_type = csv, data_save_mode = ERROR_WHEN_DATA_EXISTS } }"
    )
    done = headrace("run", "-q", "target.conf")
    assert done.returncode == 1
    assert "target.conf:2: sink[0].LocalFile.data_save_mode: data_save_mode is ERROR_WHEN_DATA_EXISTS" in done.stderr
    assert "use APPEND_DATA or DROP_DATA" in done.stderr
