"""The delivery report: from counts to balances, and whole jobs that lose rows."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

import headrace
from headrace.checkpoint.store import FileStore
from headrace.checksums import checksum, to_text
from headrace.cli.output import delivery_lines
from headrace.config.env import Verify
from headrace.config.job import parse_job
from headrace.connector import Batch, Written
from headrace.errors import StoreUnavailable, Undelivered
from headrace.execution.delivery import DeliveryReport, deliveries
from headrace.execution.local import LocalJob, make_runner
from headrace.execution.tally import Tally, flow_key, read_flow_key
from headrace.plan.plan import make_plan
from headrace.rows import TableSchema

FAKE = "FakeSource { plugin_output = a, row.num = 5, schema { fields { id = bigint } } }"
CHAIN = """source { FakeSource { plugin_output = a, row.num = 5, schema { fields { id = bigint } } } }
transform { Copy { plugin_input = a, plugin_output = b, fields { c = id } } }
sink { Console { plugin_input = b } }"""


def batch(rows, table="t"):
    return Batch(pa.RecordBatch.from_pydict({"id": pa.array(range(rows), pa.int64())}), table)


def pipeline(text):
    return make_plan(parse_job(text)).pipelines[0]


def step(of, name):
    return next(s for s in of.steps() if s.plugin.name == name)


class Passing:
    """Plays rows through a pipeline's tally by hand."""

    def __init__(self, text, verify=Verify.COUNT):
        self.pipeline, self.verify = pipeline(text), verify
        self.tally = Tally(self.pipeline, verify)

    def read(self, rows, table="t"):
        self.tally.read(self.pipeline.source, batch(rows, table))

    def transform(self, name, rows, given, table="t", *to):
        self.tally.transformed(step(self.pipeline, name), batch(rows, table), [batch(given, t) for t in to or [table]])

    def hand(self, rows, table="t", name="Console"):
        self.tally.handed(step(self.pipeline, name), batch(rows, table))

    def found(self, **more):
        self.tally.settle()
        return deliveries(self.pipeline, self.tally.counts(), verify=self.verify, **more)


def numbers(d):
    return d.read, d.added, d.written, d.filtered, d.rejected, d.ignored


def test_a_row_that_arrives_is_written():
    job = Passing(CHAIN)
    job.read(5)
    job.transform("Copy", 5, 5)
    job.hand(5)
    (found,) = job.found()
    assert numbers(found) == (5, 0, 5, 0, 0, 0)
    assert (found.tables, found.targets, found.problems) == (("t",), ("t",), ())


def test_what_a_transform_drops_or_adds_is_counted_where_it_may_do_so():
    job = Passing(
        CHAIN.replace("Copy { ", "TextChunk { text_field = id, output_field = o, ").replace("fields { c = id }", "")
    )
    job.read(5)
    job.transform("TextChunk", 5, 9)
    job.hand(9)
    job.read(5)
    job.transform("TextChunk", 5, 1)
    job.hand(1)
    (found,) = job.found()
    assert numbers(found) == (10, 4, 10, 4, 0, 0)
    assert not found.problems


@pytest.mark.parametrize(("given", "sentence"), [(4, "means to drop rows says drops_rows"), (6, "says adds_rows")])
def test_a_transform_that_may_not_lose_or_make_rows_is_named(given, sentence):
    job = Passing(CHAIN)
    job.read(5)
    job.transform("Copy", 5, given)
    with pytest.raises(Undelivered, match=rf"Transform\[0\]-Copy took 5 and gave {given}.*{sentence}"):
        job.tally.check()


def test_bad_rows_of_every_stage_balance():
    job = Passing(CHAIN)
    source, copy, sink = job.pipeline.steps()
    job.read(4)
    job.tally.rejected(source, "t")  # it was read, too
    job.tally.rejected(copy, "t")
    job.transform("Copy", 4, 3)
    job.hand(3)
    job.tally.rejected(sink, "t")
    job.tally.check()
    (found,) = job.found()
    assert numbers(found) == (5, 0, 2, 0, 3, 0)
    assert not found.problems


def test_what_a_sink_says_counts_more_than_what_it_was_handed():
    job = Passing(CHAIN)
    job.read(5)
    job.transform("Copy", 5, 5)
    job.hand(5)
    job.tally.told(step(job.pipeline, "Console").id, "t", Written(3, 1))
    (found,) = job.found()
    assert found.problems == (
        "t → Sink[0]-Console: 5 rows read + 0 added, but 3 written + 0 filtered + 0 rejected + 1 ignored: "
        "1 are missing; the sink was handed 5",
    )


def test_a_writer_that_is_closed_and_opened_again_is_summed_up():
    job = Passing(CHAIN)
    job.read(5)
    job.transform("Copy", 5, 5)
    job.hand(5)
    sink = step(job.pipeline, "Console").id
    job.tally.told(sink, "t", Written(2), last=True)
    for rows in (1, 3):
        job.tally.told(sink, "t", Written(rows))
    assert numbers(job.found()[0]) == (5, 0, 5, 0, 0, 0)


def test_tables_are_followed_through_a_rename():
    job = Passing(CHAIN)
    job.read(5, "x")
    job.transform("Copy", 5, 5, "x", "renamed_x")
    job.hand(5, "renamed_x")
    job.read(2, "y")
    job.transform("Copy", 2, 2, "y")
    job.hand(2, "y")
    first, second = job.found()
    assert (first.tables, first.targets, first.written) == (("x",), ("renamed_x",), 5)
    assert (second.tables, second.targets, second.written) == (("y",), ("y",), 2)


def test_tables_that_were_merged_or_split_balance_together():
    job = Passing(CHAIN)
    for table, to in (("x", ["m"]), ("y", ["m"]), ("z", ["z1", "z2"]), ("q", ["q"])):
        job.read(4, table)
        job.tally.transformed(step(job.pipeline, "Copy"), batch(4, table), [batch(4 // len(to), t) for t in to])
        for target in to:
            job.hand(4 // len(to), target)
    found = {d.tables: d for d in job.found()}
    assert {t: d.targets for t, d in found.items()} == {("x", "y"): ("m",), ("z",): ("z1", "z2"), ("q",): ("q",)}
    assert all(not d.problems for d in found.values())
    assert found["x", "y"].written == 8


def test_groups_of_tables_that_meet_late_become_one():
    job = Passing(CHAIN)
    for table, target in (("x", "m"), ("y", "n"), ("y", "m"), ("z", "n")):
        job.read(1, table)
        job.transform("Copy", 1, 1, table, target)
        job.hand(1, target)
    (found,) = job.found()
    assert (sorted(found.tables), sorted(found.targets), found.problems) == (["x", "y", "z"], ["m", "n"], ())


def test_every_sink_of_a_fan_out_balances_by_itself():
    job = Passing(f"""source {{ {FAKE} }} sink {{ Console {{ plugin_input = a }}
    LocalFile {{ plugin_input = a, path = "/x" }} }}""")
    job.read(5)
    job.hand(5)
    job.hand(5, name="LocalFile")
    assert [numbers(d) for d in job.found()] == [(5, 0, 5, 0, 0, 0)] * 2


def test_rows_that_reach_a_sink_on_two_ways_are_added():
    text = f"""source {{ {FAKE} }}
    transform {{ Copy {{ plugin_input = a, plugin_output = b, fields {{ c = id }} }}
    Metadata {{ plugin_input = a, plugin_output = c }} }}
    sink {{ Console {{ plugin_input = [b, c] }} }}"""
    job = Passing(text)
    job.read(5)
    for name in ("Copy", "Metadata"):
        job.transform(name, 5, 5)
        job.hand(5)
    (found,) = job.found()
    assert numbers(found) == (5, 5, 10, 0, 0, 0)
    assert not found.problems


def test_tables_without_rows_are_in_the_report():
    job = Passing(CHAIN)
    schemas = [TableSchema("t", ()), TableSchema("empty", ())]
    job.read(5)
    job.transform("Copy", 5, 5)
    job.hand(5)
    source, _, sink = job.pipeline.steps()
    found = job.found(tables={source.id: schemas, sink.id: schemas})
    assert [(d.tables, d.targets, numbers(d)) for d in found][1] == (("empty",), ("empty",), (0,) * 6)


def test_rows_that_no_transform_changed_keep_their_checksum():
    job = Passing(f"source {{ {FAKE} }} sink {{ Console {{ }} }}", Verify.CHECKSUM)
    job.read(5)
    job.hand(5)
    (found,) = job.found()
    assert found.read_checksum == found.committed_checksum == checksum(batch(5).rows)
    other = Passing(f"source {{ {FAKE} }} sink {{ Console {{ }} }}", Verify.CHECKSUM)
    other.read(5)
    other.tally.handed(step(other.pipeline, "Console"), Batch(pa.RecordBatch.from_pydict({"id": [9, 1, 2, 3, 4]}), "t"))
    assert "no transform changed the rows, but their checksums differ" in other.found()[0].problems[0]


@pytest.mark.parametrize(
    ("wrote", "read", "problem"),
    [
        (5, 5, None),
        (5, 4, "5 rows were written, the target gives back 4"),
        (4, 4, "it wrote 5 rows, but compared 4"),
    ],
)
def test_what_the_target_gives_back_is_compared(wrote, read, problem):
    job = Passing(f"source {{ {FAKE} }} sink {{ Console {{ }} }}", Verify.TARGET)
    job.read(5)
    job.hand(5)
    verifier = job.tally.verifier(step(job.pipeline, "Console").id)
    verifier.wrote("t", batch(wrote).rows)
    verifier.found("t", batch(read).rows)
    problems = job.found()[0].problems
    assert problems == () if problem is None else problem in problems[0]


def test_a_changed_row_in_the_target_is_seen():
    job = Passing(f"source {{ {FAKE} }} sink {{ Console {{ }} }}", Verify.TARGET)
    job.read(5)
    job.hand(5)
    verifier = job.tally.verifier(step(job.pipeline, "Console").id)
    verifier.wrote("t", batch(5).rows)
    verifier.found("t", pa.RecordBatch.from_pydict({"id": [9, 1, 2, 3, 4]}))
    assert "the target gives back other rows than were written" in job.found()[0].problems[0]


def test_a_sink_that_cannot_be_asked_says_why():
    job = Passing(f"source {{ {FAKE} }} sink {{ Console {{ }} }}", Verify.TARGET)
    job.read(5)
    job.hand(5)
    sink = step(job.pipeline, "Console").id
    (found,) = job.found(unverified={sink: {"t": "lines are gone"}})
    report = DeliveryReport(1, 1, "j", "FINISHED", Verify.TARGET, 1.0, 2.0, (found,))
    assert report.summary == "delivered: 5 rows, 1 table, balanced, not verified (Sink[0]-Console: lines are gone)"
    assert report.to_json()["deliveries"][0]["notVerified"] == "lines are gone"


def test_names_of_flows_come_back():
    for name in (("Source[0]-x", "a.b", "a.b"), ("Sink[0]-x", "a|b", "c|d")):
        assert read_flow_key(flow_key(*name)) == name


def test_the_terminal_shows_what_is_wrong_first_and_few_tables():
    job = Passing(CHAIN)
    for number in range(30):
        job.read(2, f"t{number}")
        job.transform("Copy", 2, 2, f"t{number}")
        job.hand(1 if number == 29 else 2, f"t{number}")
    report = DeliveryReport(1, 1, "j", "FAILED", Verify.COUNT, 1.0, 2.0, tuple(job.found()))
    lines = delivery_lines(report)
    assert lines[0].split() == ["table", "sink", "read", "written"]
    assert lines[1].split() == ["t29", "Sink[0]-Console", "2", "1"]
    assert lines[-1] == "  … and 10 more"
    assert report.summary.startswith("not balanced: t29 → Sink[0]-Console: 2 rows read")


# ------------------------------------------------------------------------------------------------------ whole jobs


@pytest.fixture(params=["embedded", "processes"])
def runner(request):
    return request.param


def run(folder, text, runner="embedded", job_id=None, restore=False, start=False, on_log=lambda level, text: None):
    (folder / "job.conf").write_text(text)
    local = LocalJob(
        make_plan(parse_job(text, file=str(folder / "job.conf"))),
        folder / "home",
        runner=make_runner(runner, 2),
        job_id=job_id,
        restore=restore,
        on_print=lambda text: None,
        on_log=on_log,
    )
    return local if start else local.run()


def into_files(folder, form, more=""):
    return (
        f'sink {{ LocalFile {{ path = "{folder}/out", tmp_path = "{folder}/tmp", file_format_type = {form} {more} }} }}'
    )


@pytest.mark.parametrize("form", ["parquet", "orc", "csv", "json", "text"])
def test_a_million_rows_are_read_back(tmp_path, runner, form):
    rows = 1_000_000 if form == "parquet" else 50_000
    text = f"""env {{ verify = target, parallelism = 2 }}
    source {{ FakeSource {{ row.num = {rows // 2}, schema {{ fields {{ id = bigint, s = string, d = double,
      t = timestamp }} }} }} }} {into_files(tmp_path, form, ", batch_size = 100000")}"""
    result = run(tmp_path, text, runner)
    assert result.status == "FINISHED", result.error
    (found,) = result.report.deliveries
    assert numbers(found) == (rows, 0, rows, 0, 0, 0)
    assert found.found == rows
    assert found.read_checksum == found.committed_checksum
    kept = json.loads((tmp_path / "home" / "reports" / f"{result.job_id}.1.json").read_text())
    assert kept == result.report.to_json()
    assert kept["deliveries"][0]["checksum"]["committed"] == to_text(found.committed_checksum)


def test_zero_rows_and_nulls_balance(tmp_path, runner):
    fields = "schema { fields { id = bigint, s = string } }"
    nulls = ", ".join("{ kind = INSERT, fields = [null, null] }" for _ in range(3))
    text = f"""env {{ verify = target }}
    source {{ FakeSource {{ tables_configs = [
      {{ schema {{ table = "full", {fields[9:]}, rows = [{nulls}] }}
      {{ row.num = 0, schema {{ table = "none", {fields[9:]} }} ] }} }} {into_files(tmp_path, "parquet")}"""
    result = run(tmp_path, text, runner)
    assert result.status == "FINISHED", result.error
    assert {d.tables: (d.read, d.written, d.found) for d in result.report.deliveries} == {
        ("full",): (3, 3, 3),
        ("none",): (0, 0, 0),
    }


@pytest.mark.parametrize("target", ["files", "database"])
def test_more_tables_than_writers_stay_open_balance(tmp_path, runner, target):
    """Writers that were idle are closed in the middle, and opened again when more rows come."""
    tables = ", ".join(
        f'{{ row.num = 20, split.num = 2, schema {{ table = "t{n}", fields {{ id = bigint }} }} }}' for n in range(100)
    )
    sink = into_files(tmp_path, "csv").replace("/out", "/out/${table_name}")
    if target == "database":
        sink = f"""sink {{ Jdbc {{ url = "jdbc:sqlite:{tmp_path}/x.db", generate_sink_sql = true,
          table = "${{table_name}}", database = main }} }}"""
    text = f"env {{ verify = target }}\nsource {{ FakeSource {{ tables_configs = [{tables}] }} }}\n{sink}"
    result = run(tmp_path, text, runner)
    assert result.status == "FINISHED", result.error
    assert [numbers(d) for d in result.report.deliveries] == [(20, 0, 20, 0, 0, 0)] * 100
    assert {d.found for d in result.report.deliveries} == {20}


def test_a_database_that_changes_a_value_is_found_before_anything_is_committed(tmp_path, runner):
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        database.execute("CREATE TABLE people (id BIGINT, name TEXT)")
        change = "UPDATE people SET name = 'X' WHERE id = 70"
        database.execute(f"CREATE TRIGGER t AFTER INSERT ON people BEGIN {change}; END")
    text = f"""env {{ verify = target, job.retry.times = 0 }}
    source {{ FakeSource {{ row.num = 100, auto.increment.enabled = true,
      schema {{ fields {{ id = bigint, name = string }} }} }} }}
    sink {{ Jdbc {{ url = "jdbc:sqlite:{tmp_path}/x.db", generate_sink_sql = true, table = people }} }}"""
    result = run(tmp_path, text, runner)
    assert result.status == "FAILED"
    assert "does not hold what was written: {'id': 70, 'name': " in str(result.error)
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        assert database.execute("SELECT count(*) FROM people").fetchone() == (0,)


def test_filtered_rows_are_told_by_table(tmp_path, runner):
    text = f"""env {{ verify = checksum }}
    source {{ FakeSource {{ row.num = 100, auto.increment.enabled = true,
      schema {{ fields {{ id = bigint }} }} }} }}
    transform {{ Sql {{ query = "select id from dual where id > 40" }} }} {into_files(tmp_path, "parquet")}"""
    result = run(tmp_path, text, runner)
    assert result.status == "FINISHED", result.error
    (found,) = result.report.deliveries
    assert numbers(found) == (100, 0, 60, 40, 0, 0)
    assert found.read_checksum != found.committed_checksum


LIMITED = """env {{ verify = target, read_limit.rows_per_second = 400, checkpoint.interval = {interval},
  job.retry.interval.seconds = 0 }}
source {{ FakeSource {{ row.num = 400, split.num = 4, auto.increment.enabled = true,
  schema {{ fields {{ id = bigint }} }} }} }}"""


def wait_for_rows(local, rows):
    deadline = time.monotonic() + 60
    while local.progress().rows_read < rows:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def in_background(local):
    found = []
    thread = threading.Thread(target=lambda: found.append(local.run()))
    thread.start()

    def join():
        thread.join(60)
        return found[0]

    return join


def test_a_killed_worker_changes_no_sum(tmp_path):
    text = LIMITED.format(interval=200) + into_files(tmp_path, "parquet")
    local = run(tmp_path, text, "processes", start=True)
    join = in_background(local)
    wait_for_rows(local, 150)
    for pid in local._runner.pids():
        os.kill(pid, signal.SIGKILL)
    result = join()
    assert result.status == "FINISHED", result.error
    assert result.progress.restarts in (1, 2)  # two workers died; the first to be noticed may not be the last
    (found,) = result.report.deliveries
    assert (found.read, found.written, found.found) == (400, 400, 400)
    assert found.read_checksum == found.committed_checksum


def test_a_savepoint_and_a_restore_are_one_delivery(tmp_path, runner):
    text = LIMITED.format(interval=100_000) + into_files(tmp_path, "parquet")
    local = run(tmp_path, text, runner, start=True)
    join = in_background(local)
    wait_for_rows(local, 100)
    assert local.savepoint().result(30) == ""
    saved = join()
    assert 0 < saved.report.deliveries[0].written < 400
    assert saved.report.balanced
    result = run(tmp_path, text, runner, restore=True)
    assert result.status == "FINISHED", result.error
    (found,) = result.report.deliveries
    assert (found.read, found.written, found.found) == (400, 400, 400)
    assert found.read_checksum == found.committed_checksum


KEEP_EVEN = 'transform { Sql { plugin_input = a, plugin_output = b, query = "select id from a where id % 2 = 0" } }'
FILES = 'LocalFile {{ plugin_input = {of}, path = "{folder}/{to}", tmp_path = "{folder}/tmp", file_format_type = csv }}'


def wired(folder, transform="", of="a", more="", verify="count", env="read_limit.rows_per_second = 100"):
    """A job of 4000 rows into files; `more` sinks beside them."""
    sinks = FILES.format(folder=folder, of=of, to="out") + "\n" + more
    return f"""
    env {{ job.mode = BATCH, checkpoint.interval = 100000, verify = {verify}, {env} }}
    source {{ FakeSource {{ plugin_output = a, row.num = 4000, split.num = 4, auto.increment.enabled = true,
      schema {{ fields {{ id = bigint }} }} }} }} {transform} sink {{ {sinks} }}"""


@pytest.mark.parametrize(
    ("then", "now", "had", "has"),
    [
        ({}, {"more": FILES}, "Source[0]-FakeSource → Sink[0]-LocalFile", "→ Sink[0]-LocalFile, Sink[1]-LocalFile"),
        ({"transform": KEEP_EVEN, "of": "b"}, {}, "Transform[0]-Sql → Sink[0]-LocalFile", "→ Sink[0]-LocalFile"),
        ({"verify": "count"}, {"verify": "target"}, "env.verify = count", "env.verify = target"),
    ],
    ids=["one sink more", "a filter less", "another proof"],
)
def test_rows_that_went_other_ways_before_a_restore_are_no_part_of_its_balance(tmp_path, then, now, had, has):
    """They balanced by themselves, with the job file of that time, before they were committed."""
    now = {key: value.format(folder=tmp_path, of="a", to="more") for key, value in now.items()}
    local = run(tmp_path, wired(tmp_path, **then), start=True)
    join = in_background(local)
    wait_for_rows(local, 10)
    assert local.savepoint().result(30) == ""
    saved = join().report.deliveries[0].read
    assert 0 < saved < 4000
    told = []
    local = run(tmp_path, wired(tmp_path, **now), restore=True, start=True, on_log=lambda _, text: told.append(text))
    join = in_background(local)
    wait_for_rows(local, saved + 10)
    assert local.savepoint().result(30) == ""
    assert join().error is None
    assert [had in text and has in text for text in told] == [True]
    result = run(tmp_path, wired(tmp_path, **now, env="parallelism = 2"), restore=True, on_log=told.append)
    assert (result.status, result.error) == ("FINISHED", None)
    assert result.progress.rows_read == 4000, "counts go on"
    assert [line.read for line in result.report.deliveries] == [4000 - saved] * len(result.report.deliveries)


class StoreAway(FileStore):
    """Keeps the first record, and cannot be reached from then on."""

    def save(self, checkpoint, retain):
        if checkpoint.id:
            raise StoreUnavailable("the store is away")
        return super().save(checkpoint, retain)


def commit_ahead_of_the_store(tmp_path, text, runner):
    """Run a job until its table is ahead of the only checkpoint, and stop it as a crash does."""
    (tmp_path / "job.conf").write_text(text)
    slowly = text.replace("rows_per_second = 400", "rows_per_second = 50")
    plan = make_plan(parse_job(slowly, file=str(tmp_path / "job.conf")))
    away = StoreAway(tmp_path / "home" / "checkpoints")
    local = LocalJob(plan, tmp_path / "home", runner=make_runner(runner, 2), checkpoints=away, on_print=str)
    join = in_background(local)
    committed = 0
    deadline = time.monotonic() + 60
    while not 100 < committed < 800:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        with suppress(sqlite3.Error), closing(sqlite3.connect(tmp_path / "x.db")) as database:
            committed = database.execute("SELECT count(*) FROM t").fetchone()[0]
    local._master.abandon()
    join()


def test_rows_that_a_transaction_committed_before_the_crash_are_counted(tmp_path, runner):
    sink = f"""sink {{ Jdbc {{ url = "jdbc:sqlite:{tmp_path}/x.db", driver = "org.sqlite.JDBC", database = main,
      table = t, generate_sink_sql = true }} }}"""
    text = LIMITED.format(interval=200).replace("verify = target", "verify = checksum, parallelism = 2") + sink
    commit_ahead_of_the_store(tmp_path, text, runner)
    result = run(tmp_path, text, runner, restore=True)
    assert result.status == "FINISHED", result.error
    (found,) = result.report.deliveries
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        assert database.execute("SELECT count(*), count(DISTINCT id) FROM t").fetchone() == (800, 800)
    assert (found.read, found.written) == (800, 800)
    assert found.read_checksum == found.committed_checksum


def test_a_sink_beside_a_transaction_remembers_what_was_committed_before_the_crash(tmp_path, runner):
    sinks = f"""sink {{ Jdbc {{ plugin_input = fake, url = "jdbc:sqlite:{tmp_path}/x.db", driver = "org.sqlite.JDBC",
      database = main, table = t, generate_sink_sql = true }}
      Assert {{ plugin_input = fake, rules {{ row_rules = [
        {{ rule_type = MIN_ROW, rule_value = 800 }}, {{ rule_type = MAX_ROW, rule_value = 800 }} ] }} }} }}"""
    text = LIMITED.format(interval=200).replace("verify = target", "verify = count, parallelism = 2")
    text = text.replace("FakeSource {", "FakeSource { plugin_output = fake, ") + sinks
    commit_ahead_of_the_store(tmp_path, text, runner)
    result = run(tmp_path, text, runner, restore=True)
    assert result.status == "FINISHED", result.error


def test_counts_never_go_down(tmp_path):
    text = LIMITED.format(interval=200) + into_files(tmp_path, "parquet")
    local = run(tmp_path, text, "embedded", start=True)
    join, seen = in_background(local), []
    while local.progress().status not in ("FINISHED", "FAILED"):
        seen.append(sum(c.committed for c in local.progress().counts.values()))
        time.sleep(0.05)
    join()
    assert all(a <= b for a, b in pairwise(seen))


def test_changes_that_an_upsert_leaves_out_are_ignored(tmp_path, runner):
    kinds = ("INSERT", "UPDATE_BEFORE", "UPDATE_AFTER", "DELETE", "INSERT")
    rows = ", ".join(f'{{ kind = {kind}, fields = [1, "{i}"] }}' for i, kind in enumerate(kinds))
    text = f"""source {{ FakeSource {{ schema {{ fields {{ id = bigint, name = string }} }}, rows = [{rows}] }} }}
    sink {{ Jdbc {{ url = "jdbc:sqlite:{tmp_path}/x.db", driver = "org.sqlite.JDBC", database = main, table = t,
      generate_sink_sql = true, primary_keys = [id] }} }}"""
    result = run(tmp_path, text, runner)
    assert result.status == "FINISHED", result.error
    assert numbers(result.report.deliveries[0]) == (5, 0, 4, 0, 0, 1)


ARROW = {
    "env": {"verify": "checksum"},
    "source": [{"plugin_name": "Arrow", "name": "t"}],
    "sink": [{"plugin_name": "Arrow"}],
}


def test_a_report_of_a_program_is_part_of_its_result():
    table = pa.table({"a": [1, None, 3]})
    result = headrace.run(
        {
            "env": {"verify": "checksum"},
            "source": [{"plugin_name": "Arrow", "name": "t"}],
            "sink": [{"plugin_name": "Arrow"}],
        },
        tables={"t": table},
    )
    (found,) = result.report.deliveries
    assert found.written == 3
    assert found.committed_checksum == checksum(result.tables["t"].combine_chunks().to_batches()[0])


def test_a_type_that_has_no_checksum_is_named():
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    result = headrace.run(
        {
            "env": {"verify": "checksum"},
            "source": [{"plugin_name": "Arrow", "name": "t"}],
            "sink": [{"plugin_name": "Arrow"}],
        },
        tables={"t": pa.table({"u": union})},
    )
    assert result.status == "FAILED"
    assert "cannot verify table t: values of type sparse_union" in str(result.error)


# -------------------------------------------------------------------------------------- plugins that lose rows

LOSSY = '''
import pyarrow as pa

from headrace.connector import Options, Sink, SinkKind, SinkWriter, Transform, Written, sink, transform


class NoOptions(Options):
    """None."""


@transform("LosesRows")
class LosesRows(Transform):
    """Loses the first row that it is given, and does not say so."""

    Options = NoOptions
    lost = 0

    def schema(self, table):
        return table

    def apply(self, batch, task):
        lost, self.lost = self.lost, 1
        return batch.slice(1 - lost)


class Miscounts(Sink):
    """Counts one row too few or too many."""

    Options = NoOptions
    difference = 0

    def writer(self, table, task, state):
        return Writer(self.difference)


class Writer(SinkWriter):
    def __init__(self, difference):
        self.rows, self.difference = 0, difference

    def write(self, batch):
        self.rows += batch.num_rows

    def prepare_commit(self, checkpoint_id):
        return None

    def written(self):
        return Written(self.rows + self.difference)


@sink("TooFew")
class TooFew(Miscounts):
    """One too few; staged."""

    kind = SinkKind.STAGED
    difference = -1


@sink("TooMany")
class TooMany(Miscounts):
    """One too many; plain."""

    difference = 1


@sink("ChangesFiles")
class ChangesFiles(Sink):
    """Says that it read back other rows than it wrote."""

    Options = NoOptions
    kind = SinkKind.STAGED

    def unverified(self, table):
        return ""

    def writer(self, table, task, state):
        return ChangingWriter(task.verifier)


class ChangingWriter(SinkWriter):
    def __init__(self, verifier):
        self.verifier = verifier

    def write(self, batch):
        if self.verifier:
            self.verifier.wrote(batch.table, batch.rows)
            self.verifier.found(batch.table, batch.rows.take(pa.array([0] * batch.num_rows)))

    def prepare_commit(self, checkpoint_id):
        return None
'''
ENTRIES = "[headrace.connectors]\nlossy = lossy_plugins\n[headrace.transforms]\nlossy = lossy_plugins\n"


@pytest.fixture(scope="module")
def lossy(tmp_path_factory):
    """A directory with an installed package of plugins that lose rows."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "lossy_plugins.py").write_text(LOSSY)
    info = folder / "lossy-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lossy\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    return folder


def lossy_job(folder, lossy, runner, body):
    (folder / "job.conf").write_text(f"{body}\nsource {{ FakeSource {{ row.num = 100, split.num = 1, "
                                     "schema { fields { id = bigint } } } }")  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "headrace", "run", "--json", "--home", folder / "home", "--runner", runner, "job.conf"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(lossy)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("sink { TooFew { } }", "not delivered: default → Sink[0]-TooFew: 100 rows read + 0 added, but 99 written + 0 "
         "filtered + 0 rejected + 0 ignored: 1 are missing; the sink was handed 100; no row since"),
        ("sink { TooMany { } }", "delivered but unproven: default → Sink[0]-TooMany: 100 rows read + 0 added, but 101 "
         "written + 0 filtered + 0 rejected + 0 ignored: 1 are too many"),
        ("sink { Console { log.print.data = false } }\ntransform { LosesRows { } }",
         "the rows of table default do not balance: Transform[0]-LosesRows took 100 and gave 99"),
        ("env { verify = target }\nsink { ChangesFiles { } }",
         "not delivered: default → Sink[0]-ChangesFiles: the target gives back other rows than were written: checksum"),
    ],
    ids=["a sink that counts too few", "one that counts too many", "a transform", "a changed target"],
)  # fmt: skip
def test_a_job_that_loses_rows_fails_with_the_numbers(tmp_path, lossy, runner, body, text):
    found = lossy_job(tmp_path, lossy, runner, body)
    answer = json.loads(found.stdout)
    assert (found.returncode, answer["status"]) == (1, "FAILED"), found.stderr
    assert text in answer["error"]
    assert text in found.stderr
    if "LosesRows" not in body:
        assert answer["deliveryReport"]["balanced"] is False
        (kept,) = Path(tmp_path, "home", "reports").glob("*.json")
        assert json.loads(kept.read_text()) == answer["deliveryReport"]


def test_the_last_lines_of_a_run_are_its_report(tmp_path):
    (tmp_path / "job.conf").write_text(
        "env { verify = checksum }\nsource { FakeSource { row.num = 1000, schema { fields { id = bigint } } } }\n"
        + into_files(tmp_path, "parquet")
    )
    found = subprocess.run(
        [sys.executable, "-m", "headrace", "run", "--home", tmp_path / "home", "job.conf"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = found.stdout.splitlines()
    assert lines[-4].split() == ["table", "sink", "read", "written", "checksum"]
    assert lines[-3].split()[:4] == ["default", "Sink[0]-LocalFile", "1,000", "1,000"]
    assert lines[-3].split()[4].startswith("1-")
    assert lines[-2] == "delivered: 1,000 rows, 1 table, balanced"


def test_changes_that_were_written_like_inserts_are_a_warning_with_their_number(tmp_path):
    kinds = ["INSERT", "INSERT", "UPDATE_BEFORE", "UPDATE_AFTER", "DELETE"]
    rows = ", ".join(f"{{ kind = {kind}, fields = [{number}] }}" for number, kind in enumerate(kinds))
    fake = f"FakeSource {{ plugin_output = a, schema {{ fields {{ id = bigint }} }}, rows = [{rows}] }}"
    files = f'LocalFile {{ plugin_input = a, path = "{tmp_path}/out", file_format_type = csv }}'
    result = headrace.run(f"source {{ {fake} }}\nsink {{ {files}\nConsole {{ plugin_input = a }} }}", home=tmp_path)
    assert (result.status, result.rows_written) == ("FINISHED", 10)
    [warning] = result.report.warnings
    assert warning.startswith("3 rows of table a that update or delete others went to Sink[0]-LocalFile like inserts")
