"""Bad rows in whole jobs: at the source, in a transform, at the sink, through both runners."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

import headrace
from headrace.config.job import parse_job
from headrace.errors import ConfigError
from headrace.execution.local import LocalJob, make_runner
from headrace.plan.error_table import error_table
from headrace.plan.plan import make_plan
from headrace.plan.render import render

pytestmark = pytest.mark.job

ROWS = 65_536
BAD = 40_000


@pytest.fixture(params=["embedded", "processes"])
def runner(request):
    return request.param


class Job:
    """A job that reads lines, casts, and writes into SQLite."""

    def __init__(self, folder, runner, env, *, source=None, transform="", sink=None, job_id=None, restore=False):
        self.folder, self.logs, self.printed = folder, [], []
        self.text = f"""
        env {{ job.mode = BATCH, job.retry.interval.seconds = 0, {env} }}
        source {{ {source or csv_source(folder)} }}
        transform {{ {transform} }}
        sink {{ {sink or jdbc_sink(folder)} }}"""
        (folder / "job.conf").write_text(self.text)
        self.local = LocalJob(
            make_plan(parse_job(self.text, file=str(folder / "job.conf"))),
            folder / "home",
            runner=make_runner(runner, 2),
            job_id=job_id,
            restore=restore,
            on_print=self.printed.append,
            on_log=lambda level, text: self.logs.append(text),
        )

    def run(self):
        return self.local.run()

    def start(self):
        self.result = None

        def target():
            self.result = self.local.run()

        self.thread = threading.Thread(target=target)
        self.thread.start()
        return self

    def join(self):
        self.thread.join(120)
        assert not self.thread.is_alive()
        return self.result

    def delivered(self):
        return [row[0] for row in rows_of(self.folder / "out.db", "SELECT id FROM people ORDER BY id")]

    def aside(self):
        """The error table as dicts, wherever it is."""
        if (self.folder / "bad.db").exists():
            return rows_of(self.folder / "bad.db", "SELECT * FROM bad", as_dicts=True)
        return read_files(self.folder / "bad")


def rows_of(path, sql, as_dicts=False):
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(sql)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) if as_dicts else row for row in found]


NAMES = [c.name for c in error_table("bad").columns]


def read_files(folder):
    found = []
    for file in sorted(f for f in folder.rglob("*.csv") if f.is_file()):
        with open(file, newline="") as lines:
            found += [dict(zip(NAMES, row, strict=True)) for row in csv.reader(lines)]
    return found


def csv_source(folder, more=""):
    return f"""LocalFile {{ path = "{folder}/in", file_format_type = csv, plugin_output = people, {more}
      schema {{ table = people, fields {{ id = bigint, name = string, age = int }} }} }}"""


def jdbc_sink(folder, name="out.db"):
    return f"""Jdbc {{ url = "jdbc:sqlite:{folder}/{name}", generate_sink_sql = true, primary_keys = [] }}"""


def file_sink(folder):
    return f"""LocalFile {{ path = "{folder}/out", tmp_path = "{folder}/tmp", file_format_type = csv }}"""


def to_files(folder):
    return f"""plugin_name = LocalFile, path = "{folder}/bad", tmp_path = "{folder}/tmp", file_format_type = csv"""


def to_jdbc(folder):
    return f"""plugin_name = Jdbc, url = "jdbc:sqlite:{folder}/bad.db", error_table = bad"""


ROUTES = {"files": to_files, "jdbc": to_jdbc}


def route(folder, to="files", more="", block="error_handler"):
    return f"{block} {{ mode = ROUTE, include_original_data = true, {more}\n sink {{ {ROUTES[to](folder)} }} }}"


def write_lines(folder, rows=ROWS, bad=()):
    """people.csv; a bad line has a text where the age should be."""
    (folder / "in").mkdir(exist_ok=True)
    lines = (f"{i},name {i},{'old' if i in bad else i % 90}" for i in range(rows))
    (folder / "in" / "people.csv").write_text("\n".join(lines) + "\n")


CAST = """Sql { plugin_input = people, plugin_output = out
  query = "SELECT id, name, CAST(name AS INT) AS n FROM people" }"""


def numbers(rows=ROWS):
    return f"""FakeSource {{ plugin_output = people, row.num = {rows}, auto.increment.enabled = true
      schema {{ table = people, fields {{ id = bigint, name = string, age = int }} }} }}"""


# ------------------------------------------------------------------------------------------------------- one bad row


@pytest.mark.parametrize("to", ROUTES)
def test_at_the_source_one_goes_aside_and_the_others_are_delivered(tmp_path, runner, to):
    write_lines(tmp_path, bad=[BAD])
    job = Job(tmp_path, runner, route(tmp_path, to))
    result = job.run()
    assert result.status == "FINISHED", result.error
    assert job.delivered() == [i for i in range(ROWS) if i != BAD]
    (row,) = job.aside()
    assert (row["error_stage"], row["plugin_type"], row["plugin_name"]) == ("SOURCE", "SOURCE", "LocalFile")
    assert row["source_table_path"] == "people"
    assert f"people.csv row {BAD + 1}, column age: cannot read 'old' as INT" in row["error_message"]
    assert json.loads(row["original_data"])["raw"] == f"{BAD},name {BAD},old"
    counts = {step: c for (step, _), c in result.progress.counts.items()}
    assert (counts[1].rows, counts[1].rejected) == (ROWS, 1)
    assert (counts[2].rows, counts[2].committed, counts[2].rejected) == (ROWS - 1, ROWS - 1, 0)


@pytest.mark.parametrize("to", ROUTES)
def test_in_a_transform_one_goes_aside_and_the_others_are_delivered(tmp_path, runner, to):
    write_lines(tmp_path)
    text = (tmp_path / "in" / "people.csv").read_text()
    (tmp_path / "in" / "people.csv").write_text(text.replace(f"name {BAD},", "Łódź 東京 🚰,").replace("name ", ""))
    job = Job(tmp_path, runner, route(tmp_path, to), transform=CAST)
    result = job.run()
    assert result.status == "FINISHED", result.error
    assert job.delivered() == [i for i in range(ROWS) if i != BAD]
    (row,) = job.aside()
    assert (row["error_stage"], row["plugin_name"]) == ("TRANSFORM", "Sql")
    assert "cannot compute" in row["error_message"]
    original = json.loads(row["original_data"])
    assert original["row"] == {"id": BAD, "name": "Łódź 東京 🚰", "age": BAD % 90}
    counts = {step: c for (step, _), c in result.progress.counts.items()}
    assert (counts[2].rows, counts[2].rejected, counts[2].filtered) == (ROWS, 1, 0)


@pytest.mark.parametrize("to", ROUTES)
def test_at_the_sink_one_goes_aside_and_the_others_are_delivered(tmp_path, runner, to):
    write_lines(tmp_path)
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        connection.execute(f"CREATE TABLE people (id BIGINT CHECK (id <> {BAD}), name TEXT, age INT)")
    job = Job(tmp_path, runner, route(tmp_path, to))
    result = job.run()
    assert result.status == "FINISHED", result.error
    assert job.delivered() == [i for i in range(ROWS) if i != BAD]
    (row,) = job.aside()
    assert (row["error_stage"], row["plugin_name"]) == ("SINK", "Jdbc")
    assert "CHECK constraint failed" in row["error_message"]
    counts = {step: c for (step, _), c in result.progress.counts.items()}
    assert (counts[2].rows, counts[2].rejected, counts[2].committed) == (ROWS, 1, ROWS - 1)


def test_a_file_sink_sets_aside_what_its_encoding_lacks(tmp_path, runner):
    write_lines(tmp_path, rows=100)
    text = (tmp_path / "in" / "people.csv").read_text()
    (tmp_path / "in" / "people.csv").write_text(text.replace("name 7,", "東京,"))
    sink = file_sink(tmp_path).replace("file_format_type", "encoding = ISO-8859-1, file_format_type")
    job = Job(tmp_path, runner, route(tmp_path), sink=sink)
    result = job.run()
    assert result.status == "FINISHED", result.error
    (row,) = job.aside()
    assert row["error_message"] == "column name: ISO-8859-1 has no '東'"


def test_bad_rows_and_good_ones_fit_into_one_database(tmp_path, runner):
    write_lines(tmp_path, rows=1000, bad=[5, 6])
    env = route(tmp_path, "jdbc").replace("bad.db", "out.db")
    job = Job(tmp_path, runner, env)
    result = job.run()
    assert result.status == "FINISHED", result.error
    assert len(job.delivered()) == 998
    assert len(rows_of(tmp_path / "out.db", "SELECT * FROM bad")) == 2
    tables = {name for (name,) in rows_of(tmp_path / "out.db", "SELECT name FROM sqlite_master")}
    assert tables == {"people", "bad"}
    assert not list((tmp_path / "home" / "aside").glob("*"))


# ------------------------------------------------------------------------------------------------------------- modes


def test_without_a_handler_the_first_bad_row_fails_the_job(tmp_path, runner):
    write_lines(tmp_path, rows=1000, bad=[17])
    result = Job(tmp_path, runner, "").run()
    assert result.status == "FAILED"
    assert "row 18, column age: cannot read 'old' as INT" in str(result.error)


def test_log_writes_rows_and_reasons_into_the_log(tmp_path, runner):
    write_lines(tmp_path, rows=1000, bad=range(100, 120))
    job = Job(tmp_path, runner, "error_handler { mode = log }")
    assert job.run().status == "FINISHED"
    lines = [line for line in job.logs if "bad row set aside by source[0].LocalFile, table people" in line]
    assert len(lines) == 20
    assert "people.csv row 101, column age: cannot read 'old' as INT" in lines[0]
    assert "100,name 100,old" in lines[0]


def test_a_stage_has_its_own_handler(tmp_path, runner):
    write_lines(tmp_path, rows=1000, bad=[17])
    env = "error_handler { mode = LOG }, " + route(tmp_path, block="sink_error_handler")
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        connection.execute("CREATE TABLE people (id BIGINT CHECK (id <> 3), name TEXT, age INT)")
    job = Job(tmp_path, runner, env)
    assert job.run().status == "FINISHED"
    assert [row["error_stage"] for row in job.aside()] == ["SINK"]
    assert any("row 18, column age" in line for line in job.logs)


def test_a_stage_may_refuse_what_the_others_set_aside(tmp_path, runner):
    write_lines(tmp_path, rows=100)
    env = "error_handler { mode = LOG }, transform_error_handler { mode = DISABLE }"
    result = Job(tmp_path, runner, env, transform=CAST).run()
    assert result.status == "FAILED"
    assert "cannot compute" in str(result.error)


def test_console_shows_bad_rows(tmp_path, runner):
    write_lines(tmp_path, rows=100, bad=[3])
    job = Job(tmp_path, runner, "error_handler { mode = ROUTE, sink { plugin_name = Console } }")
    assert job.run().status == "FINISHED"
    assert any("SOURCE, SOURCE, LocalFile, people" in line for line in job.printed)


def test_a_program_gets_bad_rows_as_a_table(tmp_path):
    write_lines(tmp_path, rows=100, bad=[3])
    env = 'error_handler { mode = ROUTE, sink { plugin_name = Arrow, error_table = "bad" } }'
    result = headrace.run(f"env {{ {env} }}\nsource {{ {csv_source(tmp_path)} }}\nsink {{ Arrow {{}} }}")
    assert result.status == "FINISHED", result.error
    assert (result.tables["people"].num_rows, result.tables["bad"]["error_stage"].to_pylist()) == (99, ["SOURCE"])


def test_check_shows_where_bad_rows_go(tmp_path):
    env = f"error_handler {{ mode = LOG }}, {route(tmp_path, block='sink_error_handler')}"
    plan = make_plan(parse_job(f"env {{ {env} }}\nsource {{ {csv_source(tmp_path)} }}\nsink {{ Console {{}} }}"))
    text = render(plan, {})
    assert "├─ bad rows of source, transform → the job's log" in text
    assert "└─ bad rows of sink → LocalFile, table error_table" in text


def test_no_rows_and_nothing_but_bad_rows(tmp_path, runner):
    write_lines(tmp_path, rows=20_000, bad=range(20_000))
    job = Job(tmp_path, runner, route(tmp_path) + ", parallelism = 2")
    result = job.run()
    assert result.status == "FINISHED", result.error
    assert (len(job.aside()), job.delivered()) == (20_000, [])
    job = Job(tmp_path, runner, route(tmp_path), source=numbers(rows=0))
    assert job.run().status == "FINISHED"
    assert len(job.aside()) == 20_000


def test_a_huge_row_is_cut_short_and_null_is_null(tmp_path, runner):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "people.csv").write_text(f"1,{'x' * 100_000},old\n2,,old\n3,ann,3\n")
    job = Job(tmp_path, runner, route(tmp_path))
    assert job.run().status == "FINISHED"
    originals = [row["original_data"] for row in job.aside()]
    assert [len(text) == 8192 and text.endswith("…") for text in originals] == [True, False]
    assert json.loads(originals[1])["raw"] == "2,,old"


# ------------------------------------------------------------------------------------------------------------ limits


def test_more_bad_rows_than_allowed_fail_the_job_with_numbers_and_reasons(tmp_path, runner):
    write_lines(tmp_path, rows=1000, bad=range(11))
    result = Job(tmp_path, runner, "error_handler { mode = LOG, max_error_records = 10 }").run()
    assert result.status == "FAILED"
    assert "11 bad rows" in str(result.error)
    assert "more than env.error_handler.max_error_records = 10 allows" in str(result.error)
    assert "people.csv row 1, column age: cannot read 'old' as INT" in str(result.error)
    write_lines(tmp_path, rows=1000, bad=range(10))
    assert Job(tmp_path, runner, "error_handler { mode = LOG, max_error_records = 10 }").run().status == "FINISHED"


def test_the_tasks_of_a_job_are_counted_together(tmp_path, runner):
    for part in "abcd":
        write_lines(tmp_path, rows=1000, bad=range(4))
        (tmp_path / "in" / "people.csv").rename(tmp_path / "in" / f"{part}.csv")
    env = "parallelism = 4, error_handler { mode = LOG, max_error_records = 15 }"
    result = Job(tmp_path, runner, env, sink=file_sink(tmp_path)).run()
    assert result.status == "FAILED"
    assert "16 bad rows" in str(result.error)
    assert not list((tmp_path / "out").rglob("*.csv"))


def test_a_greater_share_than_allowed_fails_the_job(tmp_path, runner):
    write_lines(tmp_path, rows=1000, bad=range(0, 1000, 10))
    env = "error_handler { mode = LOG, max_error_ratio = %s, max_error_ratio_min_records = %d }"
    result = Job(tmp_path, runner, env % (0.09, 100), sink=file_sink(tmp_path)).run()
    assert result.status == "FAILED"
    assert "100 bad rows of 1,000 rows read are more than env.error_handler.max_error_ratio = 0.09" in str(result.error)
    assert "10.00%" in str(result.error)
    assert Job(tmp_path, runner, env % (0.1, 100), sink=file_sink(tmp_path)).run().status == "FINISHED"
    assert Job(tmp_path, runner, env % (0.01, 1001), sink=file_sink(tmp_path)).run().status == "FINISHED"


# ---------------------------------------------------------------------------------------------------------- restarts


@pytest.mark.parametrize("sink", [jdbc_sink, file_sink])
@pytest.mark.parametrize("to", ROUTES)
def test_a_killed_worker_doubles_and_loses_no_bad_row(tmp_path, sink, to):
    bad = range(0, 6000, 7)
    write_lines(tmp_path, rows=6000, bad=bad)
    limits = "checkpoint.interval = 200, read_limit.rows_per_second = 2000, job.retry.times = 9"
    job = Job(tmp_path, "processes", f"{limits}, {route(tmp_path, to)}", sink=sink(tmp_path)).start()
    for rows in (1500, 3500):
        deadline = time.monotonic() + 60
        while job.local.progress().rows_read < rows:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for pid in job.local._runner.pids():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
    result = job.join()
    assert result.status == "FINISHED", result.error
    assert result.progress.restarts >= 1
    places = sorted(int(row["error_message"].split(" row ")[1].split(",")[0]) for row in job.aside())
    assert places == [i + 1 for i in bad]
    assert result.progress.counts[1, "people"].rejected == len(bad)


def test_a_savepoint_keeps_the_number_of_bad_rows(tmp_path, runner):
    write_lines(tmp_path, rows=3000, bad=range(0, 3000, 10))
    env = "read_limit.rows_per_second = 1500, checkpoint.interval = 100000, error_handler { mode = LOG, %s }"
    job = Job(tmp_path, runner, env % "max_error_records = 299", sink=file_sink(tmp_path)).start()
    deadline = time.monotonic() + 60
    while job.local.progress().rows_read < 1000:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert job.local.savepoint().result(30) == ""
    assert job.join().status == "SAVEPOINT_DONE"
    again = Job(tmp_path, runner, env % "max_error_records = 299", sink=file_sink(tmp_path), restore=True)
    result = again.run()
    assert result.status == "FAILED"
    assert "300 bad rows of 3,000 rows read" in str(result.error)


DIE = """
import os, signal, sys
from pathlib import Path
from headrace.checkpoint.store import FileStore
from headrace.config.job import load_job
from headrace.execution.local import LocalJob, make_runner
from headrace.plan.plan import make_plan

class Dies(FileStore):
    def save(self, checkpoint, retain):
        if checkpoint.id > 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().save(checkpoint, retain)

folder = Path(sys.argv[1])
plan = make_plan(load_job(folder / "job.conf"))
store = Dies(folder / "home" / "checkpoints")
LocalJob(plan, folder / "home", runner=make_runner("embedded"), job_id=77, checkpoints=store).run()
"""


@pytest.mark.parametrize("to", ROUTES)
def test_bad_rows_of_a_transaction_that_no_checkpoint_names_are_delivered_after_a_crash(tmp_path, to):
    bad = range(0, 1000, 7)
    write_lines(tmp_path, rows=1000, bad=bad)
    job = Job(tmp_path, "embedded", route(tmp_path, to), job_id=1)
    job.local._lock.close()
    died = subprocess.run([sys.executable, "-c", DIE, str(tmp_path)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(job.delivered()) == 1000 - len(bad)
    again = Job(tmp_path, "embedded", route(tmp_path, to), job_id=77, restore=True)
    result = again.run()
    assert result.status == "FINISHED", result.error
    assert job.delivered() == [i for i in range(1000) if i not in bad]
    assert len(job.aside()) == len(bad)
    assert result.progress.counts[1, "people"].rejected == len(bad)


# ------------------------------------------------------------------------------------------------- wrong job files


def problems_of(env, folder):
    text = f"env {{\n {env} }}\n source {{ {csv_source(folder)} }}\n sink {{ {jdbc_sink(folder)} }}"
    with pytest.raises(ConfigError) as error:
        make_plan(parse_job(text, file="job.conf"))
    return [str(problem) for problem in error.value.problems]


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ("error_handler { mode = PANIC }", "job.conf:2: env.error_handler.mode: 'PANIC' is not one of"),
        ("error_handler = LOG", "env.error_handler: must be a block"),
        ("error_handler { mode = LOG, max_error_ratio = 1.5 }", "env.error_handler.max_error_ratio: "),
        ("error_handler { mode = ROUTE }", "mode ROUTE needs a sink"),
        ("sink_error_handler { mode = ROUTE, sink { path = x } }", "env.sink_error_handler.sink.plugin_name"),
        ("error_handler { mode = ROUTE, sink { plugin_name = LocalFil } }", "did you mean LocalFile"),
        (
            "error_handler { mode = ROUTE\n sink { plugin_name = LocalFile\n compress_codec = nope, path = x } }",
            "job.conf:3: env.error_handler.sink.LocalFile: compress_codec",
        ),
    ],
)
def test_a_wrong_handler_is_named_with_place_and_cure(tmp_path, env, expected):
    assert any(expected in text for text in problems_of(env, tmp_path)), problems_of(env, tmp_path)


def test_a_misspelt_limit_is_a_warning_with_the_right_name(tmp_path):
    env = "error_handler { mode = LOG, max_error_record = 5 }"
    plan = make_plan(parse_job(f"env {{ {env} }}\n source {{ {csv_source(tmp_path)} }}\n sink {{ Console {{}} }}"))
    assert ["did you mean 'max_error_records'?" in str(warning) for warning in plan.warnings] == [True]


def test_keys_of_a_queue_are_accepted_with_a_word(tmp_path):
    env = "error_handler { mode = LOG, queue_capacity = 10, queue_overflow_policy = BLOCK }"
    plan = make_plan(parse_job(f"env {{ {env} }}\n source {{ {csv_source(tmp_path)} }}\n sink {{ Console {{}} }}"))
    assert [w.place for w in plan.warnings] == [
        "env.error_handler.queue_capacity",
        "env.error_handler.queue_overflow_policy",
    ]
