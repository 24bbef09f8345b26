"""multi_table.failure_policy in whole jobs: one table fails, the others are delivered, a restore goes on with it."""

import os
import sqlite3
from contextlib import closing

import pytest

from headrace.config.job import parse_job
from headrace.execution.local import LocalJob, make_runner
from headrace.plan.plan import make_plan
from tests.execution.runs import Run, ids

pytestmark = pytest.mark.job

CONTINUE = "multi_table.failure_policy = CONTINUE_OTHER_TABLES"


@pytest.fixture(params=["embedded", "processes"])
def runner(request):
    return request.param


class Tables:
    """Three csv files as three tables, into a directory or a SQLite table each."""

    def __init__(self, folder, runner):
        self.folder, self.runner, self.logs = folder, runner, []
        (folder / "in").mkdir()
        for name in "abc":
            self.fill(name, range(1000))

    def fill(self, name, values):
        """Its time never changes: a file that changed under a saved state is refused."""
        file = self.folder / "in" / f"{name}.csv"
        file.write_text("".join(f"{value}\n" for value in values))
        os.utime(file, (1e9, 1e9))

    def run(self, env=CONTINUE, *, transform="", sink=None, restore=False):
        tables = ", ".join(
            f"""{{ path = "{self.folder}/in/{name}.csv", file_format_type = csv,
            schema {{ table = {name}, fields {{ id = bigint }} }} }}"""
            for name in "abc"
        )
        files = f"""LocalFile {{ path = "{self.folder}/out/${{table_name}}", tmp_path = "{self.folder}/tmp",
            file_format_type = csv }}"""
        text = f"""
        env {{ job.mode = BATCH, job.retry.times = 1, job.retry.interval.seconds = 0, {env} }}
        source {{ LocalFile {{ plugin_output = in, tables_configs = [{tables}] }} }}
        {transform}
        sink {{ {sink or files} }}"""
        job = self.folder / "job.conf"
        job.write_text(text)
        local = LocalJob(
            make_plan(parse_job(text, file=str(job))),
            self.folder / "home",
            runner=make_runner(self.runner, 2),
            restore=restore,
            on_print=lambda line: None,
            on_log=lambda level, text: self.logs.append(text),
        )
        return local.run()

    def rows(self):
        return {name: len(ids(self.folder / "out" / name)) for name in "abc"}

    def jdbc(self):
        return f"""Jdbc {{ url = "jdbc:sqlite:{self.folder}/t.db", driver = "org.sqlite.JDBC",
            generate_sink_sql = true, database = main, table = "${{table_name}}" }}"""

    def query(self, text):
        with closing(sqlite3.connect(self.folder / "t.db")) as database, database:
            return database.execute(text).fetchall()

    def stored(self):
        return {name: self.query(f"select count(*) from {name}")[0][0] for name in "abc"}


def read(result):
    return {table: counts.rows for (step, table), counts in result.progress.counts.items() if step == 1}


def test_a_table_that_cannot_be_read_does_not_stop_the_others(tmp_path, runner):
    tables = Tables(tmp_path, runner)
    tables.fill("b", [*range(500), "bad", *range(499)])
    result = tables.run(f"{CONTINUE}, parallelism = 2")
    assert result.status == "FAILED"
    assert "b: " in str(result.error)
    assert "'bad'" in str(result.error)
    assert "a:" not in str(result.error)
    assert tables.rows() == {"a": 1000, "b": 0, "c": 1000}
    assert read(result) == {"a": 1000, "c": 1000}
    assert any(text.startswith("b failed, the other tables") for text in tables.logs)
    tables.fill("b", [*range(500), 500, *range(499)])
    again = tables.run(f"{CONTINUE}, parallelism = 2", restore=True)
    assert again.status == "FINISHED", again.error
    assert tables.rows() == {"a": 1000, "b": 1000, "c": 1000}
    assert read(again) == {"a": 1000, "b": 1000, "c": 1000}


def test_rows_keep_their_order_in_each_table(tmp_path, runner):
    tables = Tables(tmp_path, runner)
    for name in "abc":
        tables.fill(name, range(30_000))
    assert tables.run("").status == "FINISHED"
    for name in "abc":
        (file,) = (tmp_path / "out" / name).iterdir()
        assert file.read_text().split() == [str(number) for number in range(30_000)]


def test_a_restore_does_not_act_by_the_save_modes_again(tmp_path, runner):
    tables = Tables(tmp_path, runner)
    tables.fill("b", [*range(999), "bad"])
    sink = f"""LocalFile {{ path = "{tmp_path}/out/${{table_name}}", tmp_path = "{tmp_path}/tmp",
        file_format_type = csv, data_save_mode = DROP_DATA }}"""
    assert tables.run(sink=sink).status == "FAILED"
    assert tables.rows() == {"a": 1000, "b": 0, "c": 1000}
    tables.fill("b", [*range(999), 999])
    assert tables.run(sink=sink, restore=True).status == "FINISHED"
    assert tables.rows() == {"a": 1000, "b": 1000, "c": 1000}


def test_without_the_policy_the_first_table_that_fails_stops_all(tmp_path, runner):
    tables = Tables(tmp_path, runner)
    tables.fill("b", ["bad"])
    assert tables.run("").status == "FAILED"
    assert tables.rows() == {"a": 0, "b": 0, "c": 0}


def test_a_table_that_fails_in_a_transform_is_left_out(tmp_path, runner):
    tables = Tables(tmp_path, runner)
    transform = """transform { Sql { plugin_input = in, plugin_output = out, table_match_regex = "c",
        query = "select 1 / (id - 700) as id from dual" } }"""
    sink = f"""LocalFile {{ plugin_input = out, path = "{tmp_path}/out/${{table_name}}", tmp_path = "{tmp_path}/tmp",
        file_format_type = csv }}"""
    result = tables.run(transform=transform, sink=sink)
    assert result.status == "FAILED"
    assert "c: " in str(result.error)
    assert tables.rows() == {"a": 1000, "b": 1000, "c": 0}


def test_a_table_that_its_target_refuses_is_in_no_transaction(tmp_path, runner):
    tables = Tables(tmp_path, runner)
    tables.query("create table b (id integer check (id < 900))")
    result = tables.run(sink=tables.jdbc())
    assert result.status == "FAILED"
    assert "b: " in str(result.error)
    assert tables.stored() == {"a": 1000, "b": 0, "c": 1000}
    tables.query("drop table b")
    tables.query("create table b (id integer)")
    again = tables.run(sink=tables.jdbc(), restore=True)
    assert again.status == "FINISHED", again.error
    assert tables.stored() == {"a": 1000, "b": 1000, "c": 1000}


def test_what_the_table_had_committed_stays_and_the_restore_goes_on_after_it(tmp_path, runner):
    tables = Tables(tmp_path, runner)
    tables.fill("b", [*range(900), "bad"])
    limits = "checkpoint.interval = 100, read_limit.rows_per_second = 1000"
    result = tables.run(f"{CONTINUE}, {limits}")
    assert result.status == "FAILED"
    before = tables.rows()
    assert (before["a"], before["c"]) == (1000, 1000)
    assert 0 < before["b"] < 901
    assert read(result).get("b") == before["b"]
    tables.fill("b", [*range(900), 900])
    again = tables.run(f"{CONTINUE}, {limits}", restore=True)
    assert again.status == "FINISHED", again.error
    assert ids(tmp_path / "out" / "b") == list(range(901))
    assert read(again)["b"] == 901


def test_all_tables_failing_is_a_failed_job(tmp_path, runner):
    tables = Tables(tmp_path, runner)
    for name in "abc":
        tables.fill(name, ["bad"])
    result = tables.run()
    assert result.status == "FAILED"
    assert tables.rows() == {"a": 0, "b": 0, "c": 0}


def test_another_pipeline_goes_on_when_one_fails(tmp_path, runner):
    tables = Tables(tmp_path, runner)
    tables.fill("b", ["bad"])
    sources = "\n".join(
        f"""LocalFile {{ plugin_output = {name}, path = "{tmp_path}/in/{name}.csv", file_format_type = csv,
        schema {{ fields {{ id = bigint }} }} }}"""
        for name in "ab"
    )
    sinks = "\n".join(
        f"""LocalFile {{ plugin_input = {name}, path = "{tmp_path}/out/{name}", tmp_path = "{tmp_path}/tmp",
        file_format_type = csv }}"""
        for name in "ab"
    )
    text = f"env {{ job.retry.times = 0, {CONTINUE} }}\nsource {{ {sources} }}\nsink {{ {sinks} }}"
    plan = make_plan(parse_job(text))
    result = LocalJob(plan, tmp_path / "home", runner=make_runner(runner, 2), on_print=lambda line: None).run()
    assert result.status == "FAILED"
    assert tables.rows() == {"a": 1000, "b": 0, "c": 0}


SHARED = """
env {{ job.mode = BATCH, job.retry.times = 0, checkpoint.interval = 100, {policy} }}
source {{ Mixed {{ rows = 200, seconds = 0.005 }} }}
transform {{ Sql {{ table_match_regex = odd, query = "select {query} as id from dual" }} }}
sink {{ LocalFile {{
  path = "{folder}/target/${{table_name}}", tmp_path = "{folder}/tmp", file_format_type = csv
}} }}"""


def test_tables_that_share_a_split_are_told_apart(tmp_path):
    bad = SHARED.format(policy=CONTINUE, folder=tmp_path, query="id + 0 / (id - 151)")
    ended = Run(tmp_path, bad).end()
    assert ended["status"] == "FAILED"
    assert "odd: " in ended["error"]
    assert ids(tmp_path / "target" / "even") == list(range(0, 200, 2))
    before = ids(tmp_path / "target" / "odd")
    assert 0 < len(before) < 76
    good = SHARED.format(policy=CONTINUE, folder=tmp_path, query="id")
    again = Run(tmp_path, good, "--restore").end()
    assert again["status"] == "FINISHED", again
    assert ids(tmp_path / "target" / "even") == list(range(0, 200, 2))
    assert ids(tmp_path / "target" / "odd") == list(range(1, 200, 2))
