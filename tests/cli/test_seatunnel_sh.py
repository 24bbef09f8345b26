"""seatunnel.sh as a scheduler calls it: the script itself, real servers, what a real SeaTunnel's client printed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.cli.seatunnel.arguments import UsageError, parse_arguments
from headrace.cli.seatunnel.members import addresses, adopt_installation
from headrace.cli.seatunnel.texts import pretty
from headrace.errors import ConfigError
from tests.api.compare import differences
from tests.api.servers import Server

ROOT = Path(__file__).parents[2]
RECORDED = {
    f"{file.parts[-3]}-{file.stem}": json.loads(file.read_text())["response"]
    for file in sorted((ROOT / "tests" / "recordings").glob("*/cli/*.json"))
}

FAKE = "FakeSource { plugin_output = fake, schema { fields { id = int, name = string } }"
FIVE = f'env {{ job.name = "five" }}\nsource {{ {FAKE}, row.num = 5 }} }}\nsink {{ Console {{}} }}'
ENDLESS = f"""env {{ job.name = "endless", job.mode = STREAMING }}
source {{ {FAKE}, row.num = 1000, split.num = 100, split.read-interval = 500 }} }}
sink {{ Console {{ log.print.data = false }} }}"""
FAILING = f"""source {{ {FAKE}, row.num = 5 }} }}
sink {{ Assert {{ rules {{ row_rules = [{{ rule_type = MAX_ROW, rule_value = 1 }}] }} }} }}"""


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Where a scheduler finds the command: on PATH."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "headrace").write_text(f'#!/bin/sh\nexec {sys.executable} -m headrace "$@"\n')
    (folder / "headrace").chmod(0o755)
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "SEATUNNEL_", "HAZELCAST_"))}
    return {**ours, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server") / "home").start()
    yield running
    running.stop()


@pytest.fixture
def script(environment, tmp_path):
    """Start a script in an empty directory; its process."""

    def begin(name, *arguments, **more):
        command = ["sh", str(ROOT / "bin" / name), *map(str, arguments)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=tmp_path, env={**environment, **more}, **streams)

    return begin


@pytest.fixture
def seatunnel(script, server):
    def run(*arguments, **more):
        process = script("seatunnel.sh", *arguments, **{"HEADRACE_SERVER": f"localhost:{server.port}", **more})
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


@pytest.fixture
def job(tmp_path):
    def write(text=FIVE, name="job.conf"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def submitted(text):
    return int(re.search(r"^Submit job finished, job id: (\d+), job name: .+$", text, re.MULTILINE)[1])


@pytest.fixture
def submit(seatunnel, job):
    def begin(text, *arguments):
        done = seatunnel("-c", job(text), "--async", *arguments)
        assert done.returncode == 0, done.stderr
        return submitted(done.stdout)

    return begin


# ------------------------------------------------------------------------------------------------------------ arguments


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help", "-c", "x")])
def test_help_ends_with_234(seatunnel, arguments):
    done = seatunnel(*arguments)
    assert (done.returncode, done.stderr) == (234, "")
    assert done.stdout.startswith("Usage: seatunnel.sh [options]")


def test_arguments_that_cannot_be_read_end_with_234(seatunnel):
    done = seatunnel("-c")
    assert (done.returncode, done.stderr) == (234, "Expected a value after parameter -c\n")
    assert "--get_running_job_metrics" in done.stdout


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["-c", "-n", "x"], "Expected a value after parameter -c"),
        (["-c", "a", "--config", "b"], "Can only specify option --config once."),
        (["-m", "yarn"], "[local, cluster]"),
        (["-can"], "Expected a value after parameter -can"),
        (["-can", "1", "--foo"], "Was passed main parameter '--foo'"),
    ],
)
def test_wrong_arguments_are_named(given, sentence):
    with pytest.raises(UsageError, match=re.escape(sentence)):
        parse_arguments(given)


def test_unknown_options_are_tolerated():
    found = parse_arguments(
        ["-DJvmOption=-Xmx1g", "--foo", "bar", "-c", "a.conf", "-e", "LOCAL", "-i", "a=1", "-i", "b=2"]
    )
    assert found.ignored == ["-DJvmOption=-Xmx1g", "--foo", "bar"]
    assert (found.config, found.master, found.variables) == ("a.conf", "local", ["a=1", "b=2"])


@pytest.mark.parametrize(
    ("given", "cancels"),
    [([], True), (["-cj"], False), (["-cj", "false"], False), (["-cj", "true"], True), (["--close-job=true"], True)],
)
def test_close_job_turns_its_default_round_as_jcommander_does(given, cancels):
    assert parse_arguments([*given, "-n", "x"]).close_job is cancels


def test_ids_that_are_no_numbers_are_named(seatunnel):
    done = seatunnel("-j", "abc")
    assert done.returncode == 1
    assert "-j: 'abc' is not an id of a job" in done.stderr


# --------------------------------------------------------------------------------------------------------- running jobs


def box(text):
    lines = text.splitlines()
    start = lines.index("           Job Statistic Information")
    rows = [re.fullmatch(r"(\S.*\S) +: +(\S.*)", line).groups() for line in lines[start + 2 : start + 8]]
    assert {len(line) for line in (*lines[start - 1 : start : 2], *lines[start + 1 : start + 9])} == {47}
    return dict(rows)


def test_runs_a_job_on_the_server_and_prints_its_statistics(seatunnel, job, server):
    done = seatunnel("--config", job(), "-DJvmOption=-Xms2G")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Job ({submitted(done.stdout)}) end with state FINISHED" in done.stdout
    found = box(done.stdout)
    names = ["Start Time", "End Time", "Total Time(s)", "Total Read Count", "Total Write Count", "Total Failed Count"]
    assert (list(found), [found[name] for name in names[3:]]) == (names, ["5", "5", "0"])


def test_runs_a_job_in_this_process(seatunnel, job, tmp_path):
    done = seatunnel("-c", job(), "-e", "local", "--async", HEADRACE_SERVER="localhost:1")
    assert done.returncode == 0, done.stderr
    assert box(done.stdout)["Total Read Count"] == "5"
    assert re.match(r"Submit job finished, job id: \d+, job name: ", done.stdout)  # schedulers look for the id
    assert "deprecated in 2.3.1" in done.stderr
    assert "--async is ignored" in done.stderr
    assert (tmp_path / ".headrace").is_dir()


def test_takes_a_name_an_id_and_variables(submit, server):
    text = f'env {{ job.name = "${{city}}" }}\nsource {{ {FAKE}, row.num = ${{rows}} }} }}\nsink {{ Console {{}} }}'
    assert submit(text, "-i", 'city="a,b"', "-i", "rows=7", "--set-job-id", 7001) == 7001
    found = server.wait(7001)
    assert (found["jobName"], found["metrics"]["SourceReceivedCount"]) == ("a,b", "7")
    submit(text, "-i", "city=x,rows=1", "-n", "y z", "--set-job-id", 7002)
    assert server.wait(7002)["jobName"] == "y z"


@pytest.mark.parametrize("master", ["local", "cluster"])
def test_a_failed_job_ends_with_1_and_its_reason(seatunnel, job, master):
    done = seatunnel("-c", job(FAILING), "-m", master)
    assert done.returncode == 1
    assert "row num :5 fail rule : ROW_MAX" in done.stderr or "MAX_ROW" in done.stderr
    if master == "cluster":
        assert "Fatal Error, " in done.stderr
        assert "Job Statistic Information" not in done.stdout


@pytest.mark.parametrize("text", ["source { Nope {} }\nsink { Console {} }", "source {"])
def test_a_wrong_job_file_is_a_config_error(seatunnel, job, text):
    done = seatunnel("-c", job(text))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Config Error, " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_job_file_is_a_config_error(seatunnel):
    done = seatunnel("-c", "nowhere.conf")
    assert (done.returncode, "nowhere.conf" in done.stderr) == (1, True)
    assert seatunnel("-n", "x").returncode == 1


def closed(script, server, job, *arguments, by=signal.SIGTERM):
    process = script("seatunnel.sh", "-c", job(ENDLESS), *arguments, HEADRACE_SERVER=f"localhost:{server.port}")
    number = submitted(process.stdout.readline())
    server.wait(number, "RUNNING")
    process.send_signal(by)
    process.communicate(timeout=60)
    return number, process.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ending_the_client_or_its_terminal_cancels_the_job(script, server, job, number):
    job_id, code = closed(script, server, job, by=number)
    assert (server.get(f"job-info/{job_id}").json["jobStatus"], code) == ("CANCELED", 128 + number)


def test_a_client_under_nohup_does_not_hear_the_end_of_its_terminal(script, server, job):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = script("seatunnel.sh", "-c", job(ENDLESS), HEADRACE_SERVER=f"localhost:{server.port}")
    finally:
        signal.signal(signal.SIGHUP, before)
    number = submitted(process.stdout.readline())
    process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    server.wait(number, "CANCELED")


def test_a_job_outlives_its_client_when_asked(script, server, job, seatunnel):
    number, code = closed(script, server, job, "-cj", "false")
    assert (server.get(f"job-info/{number}").json["jobStatus"], code) == ("RUNNING", 128 + signal.SIGTERM)
    seatunnel("-can", number)
    server.wait(number, "CANCELED")


def test_a_job_that_someone_cancels_ends_its_client_with_0_as_in_seatunnel(script, server, job, seatunnel):
    process = script("seatunnel.sh", "-c", job(ENDLESS), HEADRACE_SERVER=f"localhost:{server.port}")
    number = submitted(process.stdout.readline())
    assert seatunnel("-can", number).returncode == 0
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, f"Job ({number}) end with state CANCELED" in out) == (0, True)


def test_shows_progress_as_often_as_seatunnel_yaml_says(script, server, job, tmp_path):
    (tmp_path / "config").mkdir()
    text = "seatunnel: { engine: { print-job-metrics-info-interval: 0.3 } }"
    (tmp_path / "config" / "seatunnel.yaml").write_text(text)
    process = script("seatunnel.sh", "-c", job(ENDLESS), HEADRACE_SERVER=f"localhost:{server.port}")
    lines = iter(process.stdout.readline, "")
    assert any(line == "           Job Progress Information\n" for line in lines)
    next(lines)
    names = [next(lines).partition(" :")[0].strip() for _ in range(7)]
    assert names[:3] == ["Job Id", "Read Count So Far", "Write Count So Far"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT


def test_a_waiting_client_outlives_a_restart_of_the_server(script, tmp_path, job):
    first = Server(tmp_path / "home").start()
    text = ENDLESS.replace("STREAMING", "BATCH").replace("split.num = 100", "split.num = 8")
    process = script("seatunnel.sh", "-c", job(text), HEADRACE_SERVER=f"localhost:{first.port}")
    number = submitted(process.stdout.readline())
    first.wait(number, "RUNNING")
    first.stop()
    second = Server(tmp_path / "home", ("--port", str(first.port))).start()
    try:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert f"Job ({number}) end with state FINISHED" in out
    finally:
        second.stop()


# ------------------------------------------------------------------------------------------------------- asking of jobs


def state_as(recorded, job_id):
    """A recorded answer of -j with our id; numbers of task groups differ from release to release."""
    theirs = json.loads(re.sub(r"\d{12,}(?=[,)])", str(job_id), recorded, count=1))
    text = recorded.replace(str(json.loads(recorded)["jobId"]), str(job_id))
    return theirs if theirs.get("err") else json.loads(re.sub(r"taskGroupId=\d{1,9}\b", "taskGroupId=N", text))


def state_of(seatunnel, job_id):
    done = seatunnel("-j", job_id)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    return json.loads(re.sub(r"taskGroupId=\d+", "taskGroupId=N", line))


STATES = {"jobName": "x", "errorMessage": "x"}


@pytest.mark.parametrize("name", [n for n in RECORDED if "job-state" in n and "unknown" not in n])
def test_the_state_is_as_recorded(name, submit, seatunnel, server):
    recorded = RECORDED[name]["stdout"]
    wanted = json.loads(recorded)["jobStatus"]
    job_id = submit({"FAILED": FAILING, "FINISHED": FIVE}.get(wanted, ENDLESS))
    server.wait(job_id, "RUNNING" if wanted in ("CANCELED", "RUNNING") else wanted)
    if wanted == "CANCELED":
        assert seatunnel("-can", job_id).stdout == ""
        server.wait(job_id, wanted)
    ours = state_of(seatunnel, job_id)
    theirs = state_as(recorded, job_id)
    assert differences({**theirs, **STATES}, {**ours, **STATES}, exact=False) == []
    assert (ours["jobStatus"], ours["pipelineStateMapperMap"]) == (wanted, theirs["pipelineStateMapperMap"])
    assert (theirs["errorMessage"] is None) == (ours["errorMessage"] is None)
    assert (theirs["finishTime"] is None) == (ours["finishTime"] is None)
    assert abs(ours["submitTime"] / 1000 - time.time()) < 60
    seatunnel("-can", job_id)


def test_the_state_of_an_unknown_job_is_as_recorded(seatunnel):
    done = seatunnel("--job-id", 123)
    assert (done.returncode, done.stdout) == (0, RECORDED["2.3.3-job-state-unknown"]["stdout"])


def test_the_state_tells_of_every_pipeline_and_parallel_task(submit, seatunnel, server):
    two = f"{FAKE}, parallelism = 2 }} }}".replace("fake", "a"), f"{FAKE} }} }}".replace("fake", "b")
    sinks = "Console { plugin_input = a }\nConsole { plugin_input = b }"
    text = f"source {{\n{two[0][:-2]}\n{two[1][:-2]}\n}}\nsink {{\n{sinks}\n}}"
    job_id = submit(text)
    server.wait(job_id)
    pipelines = json.loads(seatunnel("-j", job_id).stdout)["pipelineStateMapperMap"]
    groups = [re.findall(r"pipelineId=(\d), taskGroupId=(\d+)", str(p)) for p in pipelines.values()]
    assert groups == [[("1", "30000"), ("1", "30001"), ("1", "1")], [("2", "80000"), ("2", "6")]]


def check_table(text):
    """What holds for a table of SeaTunnel's client; its rows."""
    head, dashes, *rows, last, after = text.split("\n")
    assert (last, after) == ("", "")
    widths = [len(dash) for dash in dashes.split("  ")[:-1]]
    names = ["Job ID", "Job Name", "Job Status", "Submit Time", "Finished Time"]
    assert head == "".join(name.ljust(width) + "  " for name, width in zip(names, widths, strict=True))
    starts = [sum(widths[:i]) + 2 * i for i in range(5)]
    found = [[row[start : start + width] for start, width in zip(starts, widths, strict=True)] for row in rows]
    assert ["  ".join(cells) for cells in found] == rows
    least = (6, 8, 10, 23, 23)
    assert widths == [max([n, *(len(r[i].rstrip()) for r in found)]) for i, n in enumerate(least)]
    for cells in found:
        for cell in cells[3:]:
            assert re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,3})? *", cell)
    assert [cells[3] for cells in found] == sorted((cells[3] for cells in found), reverse=True)
    return [[cell.strip() for cell in cells] for cells in found]


@pytest.mark.parametrize("name", [name for name in RECORDED if name.endswith("-list")])
def test_our_rules_of_the_table_are_those_of_the_recorded_ones(name):
    assert len(check_table(RECORDED[name]["stdout"])) > 20


def test_the_table_has_all_jobs_the_newest_first(submit, seatunnel, server):
    ended, running = submit(FIVE, "-n", "测试"), submit(ENDLESS)
    server.wait(ended)
    server.wait(running, "RUNNING")
    done = seatunnel("-l", "-j", ended, "-c", "nowhere.conf")  # the list comes first
    rows = {row[0]: row for row in check_table(done.stdout)}
    assert rows[str(ended)][1:3] == ["测试", "FINISHED"]
    assert rows[str(running)][1:3] + rows[str(running)][4:] == ["endless", "RUNNING", ""]
    seatunnel("-can", running)


@pytest.mark.parametrize("name", [n for n in RECORDED if "metrics" in n and "unknown" not in n])
def test_json_is_laid_out_as_recorded(name):
    recorded = RECORDED[name]["stdout"]
    assert pretty(json.loads(recorded)) + "\n" == recorded


@pytest.mark.parametrize("name", ["2.3.3-job-metrics", "2.3.3-job-metrics-jdbc", "2.3.13-metrics"])
def test_metrics_are_as_recorded(name, submit, seatunnel, server):
    job_id = submit(FIVE)
    server.wait(job_id)
    done = seatunnel("--metrics", job_id)
    ours, theirs = json.loads(done.stdout), json.loads(RECORDED[name]["stdout"])
    assert set(theirs) <= set(ours)
    for metric, (entry,) in theirs.items():
        (mine,) = ours[metric]
        assert (set(mine), set(mine["tags"])) == (set(entry), set(entry["tags"]))
        assert {key: type(value) for key, value in mine.items()} == {k: type(v) for k, v in entry.items()}
        assert mine["tags"]["taskName"] == entry["tags"]["taskName"]
    assert ours["SourceReceivedCount"][0]["value"] == 5


def test_running_metrics_are_as_recorded(submit, seatunnel, server):
    job_id = submit(ENDLESS)
    server.wait(job_id, "RUNNING")
    found = json.loads(seatunnel("--get_running_job_metrics").stdout)
    assert set(found[str(job_id)]) == {"metrics"}
    recorded = json.loads(RECORDED["2.3.3-running-job-metrics"]["stdout"])
    for theirs in recorded.values():
        assert set(theirs["metrics"]) <= set(found[str(job_id)]["metrics"])
    seatunnel("-can", job_id)


def test_metrics_of_an_unknown_job_end_with_1_as_recorded(seatunnel):
    done = seatunnel("--metrics", 123)
    recorded = RECORDED["2.3.3-metrics-unknown"]
    assert (done.returncode, done.stdout) == (recorded["exit"], recorded["stdout"])
    assert "no job 123" in done.stderr


def test_cancels_several_jobs_and_is_silent_about_unknown_ones(submit, seatunnel, server):
    first, second = submit(ENDLESS), submit(ENDLESS)
    done = seatunnel("-can", first, 123, second)
    recorded = RECORDED["2.3.3-cancel-unknown"]
    assert (done.returncode, done.stdout, done.stderr) == tuple(recorded[key] for key in ("exit", "stdout", "stderr"))
    assert [server.wait(number)["jobStatus"] for number in (first, second)] == ["CANCELED", "CANCELED"]


def test_a_savepoint_stops_a_job_and_a_restore_goes_on(submit, seatunnel, server):
    job_id = submit(ENDLESS)
    server.wait(job_id, "RUNNING")
    done = seatunnel("-s", job_id)
    recorded = RECORDED["2.3.3-savepoint"]
    assert (done.returncode, done.stdout, done.stderr) == tuple(recorded[key] for key in ("exit", "stdout", "stderr"))
    assert json.loads(seatunnel("-j", job_id).stdout)["jobStatus"] == "SAVEPOINT_DONE"
    assert submit(ENDLESS, "-r", job_id, "--set-job-id", 7003) == job_id
    assert server.wait(job_id, "RUNNING")["isStartWithSavePoint"] is True
    assert [row[2] for row in check_table(seatunnel("-l").stdout) if row[0] == str(job_id)] == ["RUNNING"]
    seatunnel("-can", job_id)


def test_a_savepoint_of_a_job_that_has_ended_fails(submit, seatunnel, server):
    job_id = submit(FIVE)
    server.wait(job_id)
    done = seatunnel("-s", job_id)
    assert (done.returncode, "is not running" in done.stderr) == (1, True)


# ------------------------------------------------------------------------------------------------- files and addresses


def test_encrypts_decrypts_and_checks_a_job_file_without_running_it(seatunnel, job):
    secret = (
        'Jdbc { url = "jdbc:sqlite:x.db", driver = "org.sqlite.JDBC", user = "u", password = "pw", query = "select 1" }'
    )
    text = f"env {{ shade.identifier = base64 }}\nsource {{ {secret} }}\nsink {{ Console {{}} }}"
    encrypted = seatunnel("-c", job(text), "--encrypt")
    assert (encrypted.returncode, '"cHc="' in encrypted.stdout) == (0, True), encrypted.stderr
    decrypted = seatunnel("-c", job(encrypted.stdout), "--decrypt")
    assert (decrypted.returncode, '"pw"' in decrypted.stdout) == (0, True)
    assert seatunnel("-c", job(), "--check").returncode == 0
    assert seatunnel("-c", job("source { Nope {} }\nsink { Console {} }"), "--check").returncode == 1


def test_finds_the_server_by_hazelcast_client_yaml(seatunnel, server, tmp_path):
    (tmp_path / "config").mkdir()
    members = f"hazelcast-client: {{ network: {{ cluster-members: ['localhost:1', 'localhost:{server.port}'] }} }}"
    (tmp_path / "config" / "hazelcast-client.yaml").write_text(members)
    assert seatunnel("-j", 123, HEADRACE_SERVER="").stdout == RECORDED["2.3.3-job-state-unknown"]["stdout"]
    done = seatunnel("-j", 123, HEADRACE_SERVER="localhost:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot reach http://localhost:1" in done.stderr


def test_addresses_come_from_the_environment_then_the_file_then_this_host(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert addresses({}) == ["http://localhost:5801"]
    file = tmp_path / "client.yaml"
    file.write_text("hazelcast-client:\n  network:\n    cluster-members: [a, 'b:1', '[::1]:2']\n")
    named = {"HAZELCAST_CLIENT_CONFIG": str(file)}
    assert addresses(named) == ["http://a:5801", "http://b:1", "http://[::1]:2"]
    assert addresses({**named, "HEADRACE_SERVER": "https://c"}) == ["https://c"]


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ("a:1", ["http://a:1"]),
        ("a:1, b", ["http://a:1", "http://b:5801"]),
        ("['http://a:1/', 'https://b']", ["http://a:1", "https://b:5801"]),
        ("['::1', '10.0.0.1']", ["http://[::1]:5801", "http://10.0.0.1:5801"]),
        ("[]", ["http://localhost:5801"]),
    ],
)
def test_members_are_read_as_people_write_them(tmp_path, members, found):
    file = tmp_path / "client.yaml"
    file.write_text(f"hazelcast-client:\n  network:\n    cluster-members: {members}\n")
    assert addresses({"HAZELCAST_CLIENT_CONFIG": str(file)}) == found


@pytest.mark.parametrize("members", ["5701", "[a b]", "{a: 1}", "['ftp://a']", "[[a]]", "['http://']"])
def test_members_that_are_no_addresses_are_refused_with_file_and_key(tmp_path, members):
    file = tmp_path / "client.yaml"
    file.write_text(f"hazelcast-client:\n  network:\n    cluster-members: {members}\n")
    with pytest.raises(ConfigError) as raised:
        addresses({"HAZELCAST_CLIENT_CONFIG": str(file)})
    [problem] = raised.value.problems
    assert (problem.place, problem.file) == ("hazelcast-client.network.cluster-members", str(file))
    assert problem.cure == "write HOST:PORT"


@pytest.mark.parametrize("name", ["seatunnel.yaml", "hazelcast.yaml", "hazelcast-client.yaml"])
def test_scripts_in_a_seatunnel_directory_use_its_configuration(tmp_path, name):
    environment = {"SEATUNNEL_HOME": str(tmp_path)}
    adopt_installation(environment)
    assert environment == {"SEATUNNEL_HOME": str(tmp_path)}
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / name).touch()
    adopt_installation(environment)
    assert (environment["SEATUNNEL_CONFIG"], environment["HEADRACE_HOME"]) == (
        str(tmp_path / "config"),
        str(tmp_path / ".headrace"),
    )


def test_the_module_is_the_same_command(environment, tmp_path):
    command = [sys.executable, "-m", "headrace.cli.seatunnel", "-h"]
    assert subprocess.run(command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL).returncode == 234
