"""`headrace replay`: bad rows sent in again, each once, from where they failed."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pyarrow as pa
import pytest

from headrace.cli.exits import REJECTED
from headrace.cli.replay import replay_job
from headrace.cli.run import run_job
from headrace.config.job import parse_job
from headrace.connector import Batch, TableSchema
from headrace.execution.bad_rows import batch_of, row_texts
from headrace.plan.plan import make_plan
from headrace.rows import SIMPLE_TYPES, Column, parse_type
from headrace.values import parse_value, to_array

pytestmark = pytest.mark.job


class Jobs:
    """A job file that can be changed, run and replayed."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "job.conf"
        self.age, self.error_sink, self.transform, self.more, self.sink = "int", self.files(), "", "", self.jdbc()
        (folder / "in").mkdir()

    def files(self):
        return f'plugin_name = LocalFile, path = "{self.folder}/bad", tmp_path = "{self.folder}/tmp"'

    def jdbc(self):
        return f'Jdbc {{ url = "jdbc:sqlite:{self.folder}/out.db", generate_sink_sql = true, primary_keys = [] }}'

    def write(self):
        self.file.write_text(f"""
        env {{ job.mode = BATCH, job.retry.times = 0
          error_handler {{ mode = ROUTE, include_original_data = true, sink {{ {self.error_sink} }}\n {self.more} }} }}
        source {{ LocalFile {{ path = "{self.folder}/in", file_format_type = csv, plugin_output = people
          schema {{ table = people, fields {{ id = bigint, name = string, age = {self.age} }} }} }} }}
        transform {{ {self.transform} }}
        sink {{ {self.sink} }}""")

    @property
    def overrides(self):
        return {"home": self.folder / "home", "runner": "embedded"}

    def run(self, code=0):
        self.write()
        how = {"restore": False, "strict": False, "quiet": True, "as_json": False}
        assert run_job(self.file, [], self.overrides, None, None, **how) == code

    def replay(self):
        self.write()
        return replay_job(self.file, [], self.overrides, quiet=False, as_json=False)

    def delivered(self):
        return query(self.folder / "out.db", "SELECT id FROM people ORDER BY id")


def query(path, sql):
    with closing(sqlite3.connect(path)) as connection, connection:
        return [row[0] for row in connection.execute(sql)]


@pytest.fixture
def jobs(tmp_path):
    return Jobs(tmp_path)


def bad_lines(jobs, count=10):
    """Lines of which every second has no number for the age."""
    lines = (f'{i},"name, {i} ""東京""",{i if i % 2 else "old"}' for i in range(count))
    (jobs.folder / "in" / "people.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("to", ["files", "jdbc"])
def test_lines_of_a_source_are_read_again_by_the_job_as_it_is_now(jobs, capsys, to):
    if to == "jdbc":
        jobs.error_sink = f'plugin_name = Jdbc, url = "jdbc:sqlite:{jobs.folder}/out.db", error_table = bad'
    bad_lines(jobs)
    jobs.run()
    assert jobs.delivered() == [1, 3, 5, 7, 9]
    jobs.age = "string"
    assert jobs.replay() == 0
    assert "5 rows tried: 5 delivered\n" in capsys.readouterr().out
    assert jobs.delivered() == list(range(10))
    assert query(jobs.folder / "out.db", "SELECT name FROM people WHERE id = 4") == ['name, 4 "東京"']
    assert jobs.replay() == 0
    assert "there is nothing to replay" in capsys.readouterr().out
    assert jobs.delivered() == list(range(10))


@pytest.mark.parametrize(
    "form",
    [
        "csv, compress_codec = gzip",
        "text, enable_header_write = true",
        "json",
        "xml",
        "xml, xml_use_attr_format = true",
        "excel",
        "orc",
        "parquet, compress_codec = snappy",
    ],
)
def test_bad_rows_are_read_back_from_every_format(jobs, form):
    jobs.error_sink += f", file_format_type = {form}"
    bad_lines(jobs)
    jobs.run()
    jobs.age = "string"
    assert jobs.replay() == 0
    assert jobs.delivered() == list(range(10))


def test_what_is_still_bad_stays_where_it_is_with_the_reason(jobs, capsys):
    bad_lines(jobs)
    jobs.run()
    assert jobs.replay() == 1
    assert "5 rows cannot be replayed: it is still bad: cannot read 'old' as INT" in capsys.readouterr().err
    jobs.age = "string"
    assert jobs.replay() == 0
    assert jobs.delivered() == list(range(10))


def test_rows_of_a_transform_go_on_from_it(jobs, capsys):
    sql = 'Sql {{ plugin_input = people, plugin_output = out, query = "SELECT id, {} AS n FROM people" }}'
    jobs.transform = sql.format("CAST(name AS INT)")
    (jobs.folder / "in" / "people.csv").write_text("1,1,5\n2,two,5\n3,3,\n")
    jobs.run()
    assert jobs.delivered() == [1, 3]
    assert jobs.replay() == 1
    assert "1 row tried: 0 delivered, 1 rejected again" in capsys.readouterr().out
    jobs.transform = sql.format("LENGTH(name)")
    assert jobs.replay() == 0
    assert jobs.delivered() == [1, 2, 3]
    assert query(jobs.folder / "out.db", "SELECT n FROM people WHERE id = 2") == [3]


def test_rows_that_a_sink_refused_go_to_that_sink_only(jobs):
    (jobs.folder / "in" / "people.csv").write_text("1,ann,5\n2,bob,5\n")
    query(jobs.folder / "out.db", "CREATE TABLE people (id BIGINT CHECK (id <> 2), name TEXT, age INT)")
    other = f'LocalFile {{ path = "{jobs.folder}/copy", tmp_path = "{jobs.folder}/tmp", plugin_input = people }}'
    jobs.sink = jobs.jdbc().replace("Jdbc {", "Jdbc { plugin_input = people,") + "\n" + other
    jobs.run()
    query(jobs.folder / "out.db", "ALTER TABLE people RENAME TO old")
    query(jobs.folder / "out.db", "CREATE TABLE people AS SELECT * FROM old")
    assert jobs.replay() == 0
    assert jobs.delivered() == [1, 2]
    copies = [line for file in (jobs.folder / "copy").rglob("*.*") for line in file.read_text().splitlines()]
    assert len(copies) == 2


def test_save_modes_do_not_act_again(jobs):
    jobs.sink = jobs.jdbc().replace("primary_keys", "data_save_mode = DROP_DATA, primary_keys")
    bad_lines(jobs)
    jobs.run()
    jobs.age = "string"
    assert jobs.replay() == 0
    assert jobs.delivered() == list(range(10))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("include_original_data = false", "the row itself was not kept: set include_original_data = true"),
        ("original_data_max_length = 50", "the row was cut short: set original_data_max_length = 0"),
    ],
)
def test_what_was_not_kept_whole_says_so(jobs, capsys, more, reason):
    jobs.more = more
    bad_lines(jobs)
    jobs.run()
    assert jobs.replay() == 1
    assert f"5 rows cannot be replayed: {reason}" in capsys.readouterr().err


def test_a_job_without_an_error_sink_cannot_be_replayed(jobs, capsys):
    bad_lines(jobs, 2)
    jobs.error_sink = "plugin_name = Console"
    assert jobs.replay() == 2
    assert "env.error_handler.sink.Console: what Console was given cannot be read back" in capsys.readouterr().err
    jobs.more = "mode = LOG"
    assert jobs.replay() == 2
    assert "this job routes no bad rows into a sink" in capsys.readouterr().err


def test_a_replay_that_fails_delivers_nothing_and_can_be_repeated(jobs, capsys):
    bad_lines(jobs)
    jobs.run()
    jobs.age = "string"
    jobs.transform = """Sql { plugin_input = people, plugin_output = out
      query = "SELECT id, name, CAST(age AS INT) AS age FROM people" }"""
    more, jobs.more = jobs.more, "mode = ROUTE }, transform_error_handler { mode = DISABLE"
    assert jobs.replay() == 1
    assert "nothing was delivered" in capsys.readouterr().err
    jobs.transform, jobs.more = "", more
    assert jobs.replay() == 0
    assert jobs.delivered() == list(range(10))


def test_equal_rows_count_as_many_times_as_they_are_there(jobs):
    (jobs.folder / "in" / "people.csv").write_text("1,ann,old\n" * 5)
    jobs.run(REJECTED)
    jobs.age = "string"
    assert jobs.replay() == 0
    assert jobs.delivered() == [1] * 5
    jobs.age = "int"
    jobs.run(REJECTED)
    jobs.age = "string"
    assert jobs.replay() == 0
    assert jobs.delivered() == [1] * 10


@pytest.mark.parametrize("seconds", [0.6, 0.9, 1.2, 1.6])
def test_a_killed_replay_is_finished_by_the_next(jobs, seconds):
    bad_lines(jobs, 20_000)
    jobs.run()
    jobs.age = "string"
    jobs.write()
    command = [sys.executable, "-m", "headrace", "replay", str(jobs.file), "--home", str(jobs.folder / "home")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert jobs.replay() == 0
    assert jobs.delivered() == list(range(20_000))
    assert os.listdir(jobs.folder / "home" / "replays")


SAMPLES = {
    "string": "Łódź 東京 🚰\n\x00", "boolean": True, "tinyint": -128, "smallint": 1, "int": 1,
    "bigint": 9_223_372_036_854_775_807, "float": 0.1, "double": float("inf"), "null": None, "bytes": b"\xff\x00",
    "date": "2024-02-29", "time": "23:59:59.999999", "timestamp": "1969-12-31T23:59:59.000001",
    "timestamp_tz": "2024-01-01T00:00:00Z", "float_vector": [1.5, 2.5], "float16_vector": [1.5],
    "binary_vector": [1, 2], "bfloat16_vector": [1.5], "sparse_float_vector": {"3": 1.5},
    "decimal(76, 10)": "-1.0000000001", "{a = timestamp, b = array<decimal(10,2)>}": {"a": None, "b": ["1.50"]},
    "map<int, bytes>": [(1, b"\x00\xff")],
}  # fmt: skip


def test_every_type_comes_back_as_it_was():
    assert set(SIMPLE_TYPES) <= set(SAMPLES)
    types = [parse_type(name) for name in SAMPLES]
    arrays = [to_array([parse_value(v, t), None], t) for v, t in zip(SAMPLES.values(), types, strict=True)]
    rows = pa.RecordBatch.from_arrays(arrays, list(SAMPLES))
    plan = make_plan(parse_job("source { FakeSource { schema { fields { a = int } } } }\nsink { Console {} }"))
    step = plan.pipelines[0].source
    texts = row_texts(1, step, Batch(rows, "db.t", pa.array([3, 0], pa.uint8())))
    table = TableSchema("db.t", tuple(Column(f.name, f.type) for f in rows.schema))
    back = batch_of([json.loads(text) for text in texts], table)
    assert back.rows.equals(rows)
    assert back.kinds.to_pylist() == [3, 0]
