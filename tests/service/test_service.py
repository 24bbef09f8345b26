import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from headrace.api import answers
from headrace.api.metrics import metrics
from headrace.errors import ConfigError, HeadraceError, JobExists, JobNotFound, NotEnoughSlots
from headrace.execution.bad_places import remembered
from headrace.execution.master import JobMaster
from headrace.execution.processes import ProcessesRunner
from headrace.jobs.permissions import Permissions
from headrace.jobs.status import JobStatus
from headrace.server_settings import Wire
from tests.service.conftest import endless, job, submit, wait_for, wait_for_rows, wait_until


def test_runs_a_job_and_remembers_it(service):
    taken = submit(service, job())
    record = service.wait(taken.job_id, 30)
    assert (record.status, record.name, record.error) == ("FINISHED", "NAME", "")
    assert sorted(c.rows for c in record.metrics.counts.values()) == [5, 5]
    assert record.created <= record.started <= record.ended
    assert [part.tables for part in record.outline.parts()] == [("default",), ("default",)]


def test_keeps_the_delivery_report_of_a_job(service, home):
    """In its record, in the answers about it, and in a file; what a plugin was given is nowhere in it."""
    sink = {"plugin_name": "LocalFile", "path": f"{home}-out", "tmp_path": f"{home}-tmp", "file_format_type": "csv"}
    taken = submit(service, job(sink={**sink, "my.password": "hunter2"}, env={"verify": "target"}))
    record = service.wait(taken.job_id, 30)
    report = answers.job(record, Wire.V2_3_3)["deliveryReport"]
    assert report["summary"] == "delivered: 5 rows, 1 table, balanced, read back and equal"
    kept = (home / "reports" / f"{taken.job_id}.{record.run}.json").read_text()
    assert json.loads(kept) == report == answers.job(record, Wire.V2_3_13)["deliveryReport"]
    assert "hunter2" not in kept
    assert str(home) not in kept


def test_tells_which_side_a_job_waits_for(service):
    """In the answers about it, while it runs and when it has ended."""
    slow = {"plugin_name": "Console", "log.print.delay.ms": 30}
    taken = submit(service, job(10_000, sink=slow, source={"split.num": 1000}))
    deadline = time.monotonic() + 60
    sentence = "waits for the sink"
    while not answers.job(service.job(taken.job_id), Wire.V2_3_13).get("slowSide", "").startswith(sentence):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    service.stop(taken.job_id)
    ended = answers.job(service.wait(taken.job_id, 30), Wire.V2_3_3)
    assert re.fullmatch(rf"{sentence} \d+% of the time", ended["slowSide"]), ended["slowSide"]


def test_counts_of_a_job_do_not_replace_those_of_its_end(service, monkeypatch):
    """They are saved each second, until its thread is over, which is after the end was recorded."""
    saved = threading.Event()
    monkeypatch.setattr("headrace.execution.master.JobMaster.forget", lambda self: saved.wait(60))
    taken = submit(service, job())
    ended = wait_for(service, taken.job_id, "FINISHED")
    service._save_metrics()
    service.set_tags({})  # returns when what the store was given before is written, too
    saved.set()
    record = service.wait(taken.job_id, 30)
    assert record.metrics == ended.metrics
    assert record.metrics.report is not None


def test_a_job_whose_tags_fit_no_node_is_taken_and_fails_with_those_of_each(service):
    service.set_tags({"zone": "a"})
    ended = service.wait(submit(service, job(env={"tag_filter": {"zone": "b"}})).job_id, 30)
    assert ended.status is JobStatus.FAILED
    assert re.fullmatch(r"no node .* has the tags zone=b of env.tag_filter: \S+ has zone=a", ended.error)
    fits = service.wait(submit(service, job(env={"tag_filter": {"zone": "a"}})).job_id, 60)
    assert fits.status is JobStatus.FINISHED


def test_a_job_whose_counts_stand_still_is_not_written_again(service):
    taken = submit(service, job(5, env={"job.mode": "STREAMING"}))
    wait_until(lambda: sum(counts.rows for counts in service.job(taken.job_id).metrics.counts.values()) == 10)
    wait_until(lambda: "100%" in running(service).record.metrics.slow_side)
    service.set_tags({})  # returns when what the store was given before is written, too
    before = service.job(taken.job_id).version
    for _ in range(3):
        service._save_metrics()
    service.set_tags({})
    assert service.job(taken.job_id).version == before


def running(service):
    """The one job that runs."""
    (found,) = service._running.values()
    return found


@contextlib.contextmanager
def store_without_room(home):
    """Meanwhile no record of a job can be changed, as on a disk that is full."""
    with contextlib.closing(sqlite3.connect(home / "jobs.db", isolation_level=None)) as database:
        database.execute("CREATE TRIGGER full BEFORE UPDATE ON jobs BEGIN SELECT RAISE(FAIL, 'the disk is full'); END")
        yield
        database.execute("DROP TRIGGER full")


BROKEN = {"plugin_name": "Jdbc", "url": "jdbc:sqlite:/nowhere/x.db", "driver": "org.sqlite.JDBC", "query": "insert"}


@pytest.mark.parametrize(
    ("text", "status"), [(job(), "FINISHED"), (endless(), "CANCELED"), (job(sink=BROKEN), "FAILED")]
)
def test_a_job_that_ends_while_the_store_has_no_room_is_not_stuck(service, home, monkeypatch, text, status):
    monkeypatch.setattr("headrace.jobs.running.STORE_SECONDS", 0.05)
    began, ends = threading.Event(), threading.Event()
    run = JobMaster.run

    def run_between(master):
        began.set()
        assert ends.wait(60)
        return run(master)

    monkeypatch.setattr(JobMaster, "run", run_between)
    taken = submit(service, text)
    assert began.wait(60)
    if status == "CANCELED":
        service.stop(taken.job_id)
    log = home / "logs" / f"job-{taken.job_id}.log"
    with store_without_room(home):
        ends.set()
        wait_until(lambda: log.read_text().count("the job's end is not stored yet: cannot write to the store") > 2)
        assert not service.job(taken.job_id).status.is_end
    assert service.wait(taken.job_id, 60).status == status
    wait_until(lambda: service.threads() == 0)


def test_a_store_that_cannot_be_read_is_told_once(service, home):
    submit(service, endless(), job_id=7)
    wait_for(service, 7, "RUNNING")
    with contextlib.closing(sqlite3.connect(home / "jobs.db", isolation_level=None)) as database:
        database.execute("ALTER TABLE jobs RENAME TO hidden")
        wait_until(lambda: service.logged)
        with pytest.raises(HeadraceError, match=r"^cannot read the store of jobs: no such table: jobs$"):
            service.jobs()
        time.sleep(0.5)  # ten rounds of the keeper
        database.execute("ALTER TABLE hidden RENAME TO jobs")
    service.stop(7)
    assert service.wait(7, 60).status == "CANCELED"
    assert len(service.logged) == 1
    assert "SELECT" not in service.logged[0]


def test_a_store_that_cannot_be_written_to_is_told_once(service, home):
    with contextlib.closing(sqlite3.connect(home / "jobs.db", isolation_level=None)) as database:
        database.execute("CREATE TRIGGER full BEFORE UPDATE ON nodes BEGIN SELECT RAISE(FAIL, 'the disk is full'); END")
        wait_until(lambda: service.logged)
        time.sleep(2.5)  # two more signs of life, and many rounds between them that only read
        database.execute("DROP TRIGGER full")
    assert len(service.logged) == 1
    assert service.logged[0].endswith("cannot write to the store of jobs: the disk is full")


def test_a_wrong_job_is_refused_and_leaves_nothing(service):
    with pytest.raises(ConfigError, match="unknown sink"):
        submit(service, job(sink={"plugin_name": "Consol"}))
    assert service.jobs() == []
    assert service.finished_keys() == []


def test_an_id_runs_once(service):
    submit(service, endless(), job_id=7)
    again = submit(service, job(), job_id=7, name="second")
    assert (again.job_id, again.name, again.record) == (7, "second", None)
    service.stop(7)
    assert service.wait(7, 30).status == "CANCELED"
    assert service.job(7).run == 1


def test_the_same_id_from_many_sides_is_one_job(service):
    taken = []
    threads = [
        threading.Thread(target=lambda: taken.append(submit(service, endless(), job_id=7).record)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([record for record in taken if record is not None]) == 1
    service.stop(7)
    service.wait(7, 30)


def test_an_ended_id_needs_a_savepoint_start(service):
    submit(service, job(), job_id=7)
    service.wait(7, 30)
    text = "The job id 7 has already been submitted and is not starting with a savepoint."
    with pytest.raises(JobExists) as error:
        submit(service, job(), job_id=7)
    assert str(error.value) == text
    submit(service, job(), job_id=7, savepoint=True)
    record = service.wait(7, 30)
    assert (record.run, record.status, record.from_savepoint) == (2, "FINISHED", True)
    assert "job 7 has no saved state: it starts from the beginning" in (service.home / "logs/job-7.log").read_text()


def test_names(begin):
    service = begin(default_name="SeaTunnel")
    nameless = job(env={}).replace('"job.name": "NAME", ', "")
    names = [
        submit(service, job(), name="given").name,
        submit(service, job(), name="SeaTunnel_Job").name,
        submit(service, job()).name,
        submit(service, nameless).name,
    ]
    assert names == ["given", "NAME", "NAME", "SeaTunnel"]


def test_cancel_ends_a_running_job(service):
    taken = submit(service, endless())
    wait_for_rows(service, taken.job_id, 10)
    assert service.stop(taken.job_id) is True
    assert service.wait(taken.job_id, 30).status == "CANCELED"
    assert service.stop(taken.job_id) is False


def test_a_savepoint_stops_and_a_start_goes_on_from_there(service, tmp_path):
    sink = {"plugin_name": "LocalFile", "path": str(tmp_path / "out"), "tmp_path": str(tmp_path / "tmp")}
    sink["file_format_type"] = "json"
    text = job(600, sink=sink, env={"read_limit.rows_per_second": 400})
    taken = submit(service, text, job_id=9)
    wait_for_rows(service, 9, 200)
    service.stop(9, savepoint=True)
    assert service.wait(9, 30).status == "SAVEPOINT_DONE"
    before = rows(tmp_path / "out")
    assert 0 < len(before) < 600
    assert submit(service, text, job_id=9, savepoint=True).record.run == taken.record.run + 1
    assert service.wait(9, 30).status == "FINISHED"
    assert len(rows(tmp_path / "out")) == 600


def rows(folder):
    return [line for file in folder.rglob("*.json") for line in file.read_text().splitlines()]


def test_a_failed_job_tells_why_and_no_secret(service, tmp_path):
    (tmp_path / "hunter2-file").touch()
    sink = {"plugin_name": "LocalFile", "path": str(tmp_path / "hunter2-file"), "tmp_path": str(tmp_path / "tmp")}
    sink |= {"file_format_type": "json", "password": "hunter2"}
    taken = submit(service, job(sink=sink, env={"job.retry.times": 0}))
    record = service.wait(taken.job_id, 30)
    assert record.status == "FAILED"
    assert "******" in record.error
    for file in service.home.rglob("*"):
        if file.is_file():
            assert b"hunter2" not in file.read_bytes()


def test_fixed_slots_refuse_what_does_not_fit(begin):
    service = begin(slots=4)
    first = submit(service, endless(parallelism=2))  # two tasks and one for the splits
    wait_for(service, first.job_id, JobStatus.RUNNING)
    assert (service.overview().slots, service.overview().free) == (4, 1)
    second = submit(service, job())
    record = service.wait(second.job_id, 30)
    assert record.status == "FAILED"
    assert "the job needs 2 slots, and 1 of 4 are free" in record.error
    service.stop(first.job_id)


def test_fixed_slots_make_jobs_wait_in_their_order(begin):
    service = begin(slots=3, wait=True)
    first = submit(service, endless(parallelism=2))
    wait_for(service, first.job_id, JobStatus.RUNNING)
    second, third = submit(service, job()), submit(service, job())
    assert wait_for(service, second.job_id, JobStatus.PENDING).status == "PENDING"
    wait_for(service, third.job_id, JobStatus.PENDING)
    service.stop(third.job_id)
    assert service.wait(third.job_id, 30).status == "CANCELED"
    assert service.job(second.job_id).status == "PENDING"
    service.stop(first.job_id)
    assert service.wait(second.job_id, 30).status == "FINISHED"
    with pytest.raises(NotEnoughSlots, match="the job needs 9 slots, and there are 3"):
        submit(service, job(env={"parallelism": 8}))


def test_two_services_over_one_store(begin):
    one, two = begin(), begin()
    taken = submit(one, endless())
    wait_for_rows(one, taken.job_id, 10)
    assert [record.job_id for record in two.jobs()] == [taken.job_id]
    assert submit(two, job(), job_id=taken.job_id).record is None
    assert two.stop(taken.job_id) is True
    assert two.wait(taken.job_id, 30).status == "CANCELED"
    other = submit(two, job())
    assert one.wait(other.job_id, 30).status == "FINISHED"
    assert [node.address for node in one.nodes()] == [node.address for node in two.nodes()]
    assert one.overview().workers == 2
    one.set_tags({"zone": "a"})
    assert two.overview({"zone": "a"}).workers == 1


def test_a_service_takes_no_job_from_itself(begin):
    """As when it was frozen for longer than its lease just before it looks for jobs of the dead."""
    service = begin(lease=0.0)
    taken = submit(service, endless())
    wait_for_rows(service, taken.job_id, 10)
    service._adopt()
    assert service.store.get(taken.job_id).epoch == 1
    assert service.logged == []


def test_history_is_forgotten_in_time(begin):
    service = begin(history=0.5)
    taken = submit(service, job())
    service.wait(taken.job_id, 30)
    deadline = time.monotonic() + 20
    while service.finished_keys():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_service_that_stops_leaves_its_jobs_to_the_next(begin, tmp_path):
    one = begin()
    taken = submit(one, slow_file_job(tmp_path))
    wait_for_rows(one, taken.job_id, 50)
    one.close()
    two = begin()
    record = two.wait(taken.job_id, 60)
    assert (record.status, record.epoch) == ("FINISHED", 2)
    assert len(rows(tmp_path / "out")) == 600


def test_a_damaged_checkpoint_of_a_lost_service_does_not_matter_to_a_transactional_sink(begin, home, tmp_path):
    one = begin()
    sink = {"plugin_name": "Jdbc", "url": f"jdbc:sqlite:{tmp_path}/x.db", "table": "t", "generate_sink_sql": True}
    taken = submit(one, job(600, sink=sink, env={"read_limit.rows_per_second": 400, "checkpoint.interval": 100}))
    checkpoints = home / "checkpoints" / str(taken.job_id)
    deadline = time.monotonic() + 30
    while not any(int(file.stem.rpartition("-")[2]) for file in checkpoints.glob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    one.close()
    newest = max(checkpoints.glob("*.json"))
    newest.write_bytes(newest.read_bytes()[:-10])
    record = begin().wait(taken.job_id, 60)
    assert (record.status, record.error) == ("FINISHED", "")
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        assert database.execute("SELECT count(*) FROM t").fetchone() == (600,)


SERVE = """
import sys, time
from contextlib import closing
from pathlib import Path
from headrace.execution.processes import ProcessesRunner
from headrace.jobs.service import JobService, ServiceSettings
from headrace.jobs.store import store_in
home = Path(sys.argv[1])
runner = ProcessesRunner(1)
runner.warm_up()
service = JobService(home, store_in(home), runner, ServiceSettings(lease=1.0, poll=0.05))
taken = service.submit(service.prepare(sys.argv[2]), job_id=5)
while sum(c.rows for c in service.job(5).metrics.counts.values()) < int(sys.argv[3]):
    time.sleep(0.01)
print(*runner.pids(), flush=True)
time.sleep(600)
"""


def slow_file_job(tmp_path, **env):
    sink = {"plugin_name": "LocalFile", "path": str(tmp_path / "out"), "tmp_path": str(tmp_path / "tmp")}
    sink["file_format_type"] = "json"
    return job(600, sink=sink, env={"read_limit.rows_per_second": 400, **env})


def killed_while_running(home, text, rows=100):
    """Workers of a service that was killed with SIGKILL while its job 5 ran."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(home), text, str(rows)], stdout=subprocess.PIPE)
    with process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert pids
        process.kill()
    return pids


@pytest.mark.parametrize("env", [{}, {"checkpoint.interval": 100}], ids=["from the start", "from its checkpoint"])
def test_a_killed_service_loses_no_job(begin, home, tmp_path, env):
    pids = killed_while_running(home, slow_file_job(tmp_path, **env))
    deadline = time.monotonic() + 2
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    service = begin(ProcessesRunner(1))
    record = service.wait(5, 60)
    assert (record.status, record.error) == ("FINISHED", "")
    assert len(rows(tmp_path / "out")) == 600
    assert len(set(rows(tmp_path / "out"))) > 500


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_what_would_be_written_twice_is_not_started_again(begin, home, tmp_path):
    module = tmp_path / "printing.py"
    module.write_text(
        "from headrace.connectors.console import ConsoleSink\nfrom headrace.connector import sink\n"
        "@sink('Mail')\nclass Mail(ConsoleSink):\n"
        "    'A console that counts as a place where rows stay.'\n"
        "    def is_repeatable(self): return False\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        __import__("printing")
        mail = job(1_000_000, sink={"plugin_name": "Mail"}, env={"read_limit.rows_per_second": 400})
        one = begin()
        submit(one, mail, job_id=5)
        wait_for_rows(one, 5, 50)
        one.close()
        two = begin()
        record = two.wait(5, 30)
        assert record.status == "FAILED"
        assert "Sink[0]-Mail would get rows a second time" in record.error
        assert "env recover = restart" in record.error
        three = json.loads(mail)
        three["env"]["recover"] = "restart"
        submit(two, json.dumps(three), job_id=6)
        wait_for_rows(two, 6, 50)
        two.close()
        four = begin()
        wait_for(four, 6, JobStatus.RUNNING)
        four.stop(6)
        assert four.wait(6, 30).status == "CANCELED"
    finally:
        sys.path.remove(str(tmp_path))


def test_a_cancel_that_the_dead_owner_did_not_do_is_done(begin, home):
    killed_while_running(home, endless())
    store_only = begin(lease=60.0)  # sees the job, and takes it over when the lease of the dead is over
    assert store_only.stop(5) is True
    assert store_only.wait(5, 30).status == "CANCELED"


def test_a_killed_worker_is_not_the_services_end(begin, tmp_path):
    runner = ProcessesRunner(1)
    service = begin(runner)
    submit(service, slow_file_job(tmp_path), job_id=5)
    wait_for_rows(service, 5, 50)
    for pid in runner.pids():
        os.kill(pid, signal.SIGKILL)
    record = service.wait(5, 60)
    assert (record.status, record.metrics.restarts) == ("FINISHED", 1)
    assert len(rows(tmp_path / "out")) == 600


def test_jobs_that_are_not_allowed_are_refused_with_every_reason(begin, tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    service = begin(permissions=Permissions(denied=(tmp_path / "home",), plugins=("FakeSource", "LocalFile")))
    paths = ["/etc/passwd", str(tmp_path / "link" / "x"), f"{tmp_path}/a/../home/b", "~root/../../proc/self"]
    for path in [*paths[:3], "/proc/self/environ", "/root/.ssh/id", "/sys/x", "/dev/shm/x"]:
        sink = {"plugin_name": "LocalFile", "path": path, "file_format_type": "json"}
        with pytest.raises(ConfigError, match=r"sink\[0\]\.LocalFile\.path: .*jobs may not touch"):
            submit(service, job(sink=sink))
    with pytest.raises(ConfigError, match="this server does not allow Console"):
        submit(service, job())
    only = begin(permissions=Permissions(paths=(tmp_path / "data",)))
    with pytest.raises(ConfigError, match="is not in a directory that jobs may use; those are"):
        submit(only, job(sink={"plugin_name": "LocalFile", "path": "/srv/x", "file_format_type": "json"}))
    only.prepare(job(sink={"plugin_name": "LocalFile", "path": f"{tmp_path}/data/x", "file_format_type": "json"}))


def test_rows_set_aside_are_told_by_table(service, tmp_path):
    query = {"plugin_name": "Sql", "query": "SELECT CAST(name AS INT) AS n FROM fake"}
    env = {"error_handler": {"mode": "ROUTE", "sink": {"plugin_name": "LocalFile", "path": f"{tmp_path}/bad"}}}
    text = json.dumps({**json.loads(job(7, env=env)), "transform": [query]})
    submit(service, text, job_id=9)
    record = service.wait(9, 60)
    assert record.status == "FINISHED", record.error
    told = metrics(record, Wire.V2_3_3)
    assert (told["SourceReceivedCount"], told["RejectedCount"], told["SinkWriteCount"]) == ("7", "7", "0")
    assert sum(map(int, told["TableRejectedCount"].values())) == 7
    [place] = remembered(service.home)  # by `headrace bad list` on the server
    assert (place.job, place.shown, len(place.rows())) == ("NAME", f"{tmp_path}/bad", 7)
    assert "RejectedCount" not in metrics(service.wait(submit(service, job()).job_id, 60), Wire.V2_3_3)


def test_the_sink_of_bad_rows_must_be_allowed_too(begin, tmp_path):
    only = begin(permissions=Permissions(paths=(tmp_path / "data",), plugins=("FakeSource", "Console", "LocalFile")))

    def routing(**sink):
        return job(env={"error_handler": {"mode": "ROUTE", "sink": sink}})

    with pytest.raises(ConfigError, match=r"env\.error_handler\.sink\.LocalFile\.path: .*is not in a directory"):
        submit(only, routing(plugin_name="LocalFile", path="/srv/x", file_format_type="csv"))
    with pytest.raises(ConfigError, match=r"env\.error_handler\.sink\.Jdbc: this server does not allow Jdbc"):
        submit(only, routing(plugin_name="Jdbc", url=f"jdbc:sqlite:{tmp_path}/data/x.db"))
    only.prepare(routing(plugin_name="LocalFile", path=f"{tmp_path}/data/x", file_format_type="csv"))


def test_the_file_of_a_jdbc_url_must_be_allowed_too(begin, tmp_path):
    service = begin(permissions=Permissions(paths=(tmp_path / "data",)))

    def into(url):
        return job(sink={"plugin_name": "Jdbc", "url": url, "generate_sink_sql": True})

    for url in ("jdbc:sqlite:/etc/x.db", "jdbc:sqlite:file:///%65tc/x.db?busy_timeout=1"):
        with pytest.raises(ConfigError, match=r"Jdbc\.url: '/etc/x.db' lies in /etc, which jobs may not touch"):
            submit(service, into(url))
    with pytest.raises(ConfigError, match=r"Jdbc\.url: .*is not in a directory that jobs may use"):
        submit(service, into(f"jdbc:sqlite:{tmp_path}/other.db"))
    service.prepare(into(f"jdbc:sqlite:{tmp_path}/data/x.db"))


def test_an_unknown_job_says_so(service):
    with pytest.raises(JobNotFound, match="there is no job 404"):
        service.wait(404)
    assert service.job(404) is None
    assert service.stop(404) is False


def test_code_runs_only_where_it_is_allowed_by_name(begin):
    code = {"plugin_name": "Python", "columns": [{"dest_field": "n"}], "source_code": "def process(row, c): 1"}
    text = json.dumps({**json.loads(job()), "transform": [code]})
    for plugins in (None, ("*",), ("*", "Sql"), ("FakeSource", "Console")):
        with pytest.raises(ConfigError, match="this server does not allow Python"):
            begin(permissions=Permissions(plugins=plugins)).prepare(text)
    for plugins in (("*", "python"), ("FakeSource", "Console", "Python")):
        begin(permissions=Permissions(plugins=plugins)).prepare(text)


def test_services_of_models_and_files_of_code_must_be_allowed_too(begin, tmp_path):
    allowed = Permissions(paths=(tmp_path,), hosts=("here",), plugins=("*", "Python"))
    service = begin(permissions=allowed)
    (tmp_path / "outside.py").write_text("def process(row, context):\n    return 1\n")
    model = {"plugin_name": "LLM", "model_provider": "OPENAI", "model": "m", "prompt": "p", "api_key": "k"}
    code = {"plugin_name": "Python", "columns": [{"dest_field": "n", "dest_type": "int"}]}
    for transform, place in (
        ({**model, "api_path": "http://elsewhere/v1"}, "api_path"),
        ({**code, "source_code_path": "/usr/lib/python3/x.py"}, "source_code_path"),
    ):
        text = json.loads(job())
        text["transform"] = [transform]
        with pytest.raises(ConfigError) as caught:
            service.prepare(json.dumps(text))
        assert place in str(caught.value)
