"""Rows that each cost much: checkpoints, savepoints and stops do not wait for all that the source had ready."""

import json
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing

import pytest
from werkzeug import Response

from headrace.checkpoint.midway import Midway
from headrace.checkpoint.store import FileStore
from tests.execution.runs import Run, ids

pytestmark = pytest.mark.job

ROWS, ROW_SECONDS = 200, 0.02
ENV = "job.mode = BATCH, checkpoint.interval = 200, checkpoint.timeout = 30000, job.retry.times = 0"
PAID = """Python {{ columns = [{{ dest_field = paid, dest_type = int }}], source_code = \"\"\"import time
def process(row, context):
    time.sleep({seconds})
    with open('{bill}', 'a') as bill:
        bill.write(str(row['id']) + chr(10))
    return 1
\"\"\" }}"""


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(job, *arguments):
        running.append(Run(tmp_path, job, "--job-id", "7", *arguments))
        return running[-1]

    yield begin
    for run in running:
        run.kill()


def made_up(rows=ROWS):
    table = "schema { table = t, fields { id = bigint } }"
    return f"FakeSource {{ row.num = {rows}, auto.increment.enabled = true, {table} }}"


def from_csv(folder, rows=ROWS, bad=()):
    (folder / "in.csv").write_text("".join(f"{n if n not in bad else 'x' + str(n)}\n" for n in range(1, rows + 1)))
    return f'LocalFile {{ path = "{folder}/in.csv", file_format_type = csv, schema {{ fields {{ id = bigint }} }} }}'


def from_sqlite(folder, rows=ROWS):
    with closing(sqlite3.connect(folder / "in.db")) as database:
        database.execute("CREATE TABLE t (id BIGINT)")
        database.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1, rows + 1)])
        database.commit()
    return f'Jdbc {{ url = "jdbc:sqlite:{folder}/in.db", table_path = t }}'


def into_files(folder):
    return f'LocalFile {{ path = "{folder}/out.d", tmp_path = "{folder}/tmp", file_format_type = csv }}'


def into_sqlite(folder):
    return f"""Jdbc {{ url = "jdbc:sqlite:{folder}/out.db", table = out, generate_sink_sql = true,
      schema_save_mode = CREATE_SCHEMA_WHEN_NOT_EXIST, is_exactly_once = true }}"""


def text(folder, source, sink, env=ENV, seconds=ROW_SECONDS):
    paid = PAID.format(seconds=seconds, bill=folder / "bill")
    return f"env {{ {env} }}\nsource {{ {source} }}\ntransform {{ {paid} }}\nsink {{ {sink} }}"


def paid(folder):
    return Counter(map(int, (folder / "bill").read_text().split()))


def last(folder):
    return FileStore(folder / "home" / "checkpoints").latest(7, 1)


def delivered(folder):
    if not (folder / "out.db").exists():
        return ids(folder / "out.d")
    with closing(sqlite3.connect(folder / "out.db")) as database:
        return [row[0] for row in database.execute("SELECT id FROM out ORDER BY id")]


def until_midway(run, folder):
    """Kill it once a checkpoint fell into the middle of the batch."""

    def is_midway():
        saved = last(folder)
        return saved is not None and any(Midway.read(p).rows > 20 for p in saved.positions.values())

    run.until(is_midway)


def test_a_sink_that_is_slow_for_each_row_gets_its_checkpoints(start, tmp_path):
    sink = "Console { log.print.delay.ms = 30 }"
    env = "job.mode = BATCH, checkpoint.interval = 300, checkpoint.timeout = 30000, job.retry.times = 0"
    run = start(f"env {{ {env} }}\nsource {{ {made_up(100)} }}\nsink {{ {sink} }}")
    run.until(lambda: (saved := last(tmp_path)) is not None and saved.id >= 3)
    result = run.end()
    assert (result["status"], result["rowsWritten"]) == ("FINISHED", 100)


@pytest.mark.parametrize(
    ("source", "sink", "runner"),
    [(from_csv, into_files, "embedded"), (lambda folder: made_up(), into_sqlite, "processes")],
    ids=["into-files", "into-sqlite"],
)
def test_rows_that_are_through_are_not_paid_for_again(start, tmp_path, source, sink, runner):
    job = text(tmp_path, source(tmp_path), sink(tmp_path))
    run = start(job, "--runner", runner)
    until_midway(run, tmp_path)
    run.kill()
    result = start(job, "--restore", "--runner", runner).end()
    assert (result["status"], result["rowsWritten"]) == ("FINISHED", ROWS), result
    assert delivered(tmp_path) == list(range(1, ROWS + 1))
    bills = paid(tmp_path)
    assert sorted(bills) == list(range(1, ROWS + 1))
    again = sum(bills.values()) - ROWS
    assert again < ROWS / 2, "a few since the last checkpoint, not all since the start of the batch"


def test_rows_that_a_model_has_answered_are_not_asked_about_again(start, tmp_path, httpserver):
    """A model that takes a second for each row, asked with the default settings of LLM."""
    asked, rows = Counter(), 24

    def answer(request):
        shown = [row["id"] for row in json.loads(request.json["messages"][1]["content"])]
        time.sleep(len(shown))
        asked.update(shown)
        content = json.dumps([f"n{number}" for number in shown])
        return Response(json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]}))

    httpserver.expect_request("/chat", method="POST").respond_with_handler(answer)
    llm = f"""LLM {{ model_provider = OPENAI, model = gpt, api_key = sk, prompt = "Who?",
      api_path = "{httpserver.url_for("/chat")}" }}"""
    env = "job.mode = BATCH, checkpoint.interval = 1000"
    job = f"env {{ {env} }}\nsource {{ {made_up(rows)} }}\ntransform {{ {llm} }}\nsink {{ {into_files(tmp_path)} }}"
    run = start(job)
    run.until(
        lambda: (saved := last(tmp_path)) is not None and any(Midway.read(p).rows for p in saved.positions.values())
    )
    run.kill()
    through = max(Midway.read(p).rows for p in last(tmp_path).positions.values())
    result = start(job, "--restore").end()
    assert (result["status"], result["rowsWritten"]) == ("FINISHED", rows), result
    assert delivered(tmp_path) == list(range(1, rows + 1))
    assert 0 < through < rows
    assert set(asked) == set(range(1, rows + 1))
    assert {number for number, times in asked.items() if times > 1} <= set(range(through + 1, rows + 1))


def test_a_savepoint_within_a_batch_stops_the_job_and_a_restore_goes_on_there(start, tmp_path):
    job = text(tmp_path, from_csv(tmp_path), into_files(tmp_path))
    run = start(job)
    until_midway(run, tmp_path)
    run.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert run.end()["status"] == "SAVEPOINT_DONE"
    assert time.monotonic() - began < 10
    saved = last(tmp_path)
    assert 0 < Midway.read(next(iter(saved.positions.values()))).rows < ROWS
    assert start(job.replace("job.mode", "parallelism = 2, job.mode"), "--restore").end()["status"] == "FINISHED"
    assert delivered(tmp_path) == list(range(1, ROWS + 1))
    assert set(paid(tmp_path).values()) == {1}, "a savepoint holds every row that was paid for"


def test_bad_rows_of_a_batch_are_set_aside_once_when_it_is_read_again(start, tmp_path):
    bad = [5, 150, 199]
    aside = f"""error_handler {{ mode = ROUTE, sink = {{ plugin_name = Jdbc, url = "jdbc:sqlite:{tmp_path}/bad.db",
      generate_sink_sql = true }} }}"""
    job = text(tmp_path, from_csv(tmp_path, bad=bad), into_files(tmp_path), f"{ENV}\n{aside}")
    run = start(job)
    until_midway(run, tmp_path)
    run.kill()
    result = start(job, "--restore").end()
    assert (result["status"], result["rowsWritten"], result["rowsRejected"]) == ("FINISHED", ROWS - 3, 3), result
    assert delivered(tmp_path) == [n for n in range(1, ROWS + 1) if n not in bad]
    with closing(sqlite3.connect(tmp_path / "bad.db")) as database:
        (table,) = (
            row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'headrace%'")
        )
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (3,)


def test_a_table_that_others_change_is_read_in_batches_as_small_as_its_rows_are_slow(start, tmp_path):
    job = text(tmp_path, from_sqlite(tmp_path), into_files(tmp_path))
    run = start(job)
    run.until(lambda: len(delivered(tmp_path)) > 10)
    run.kill()
    with closing(sqlite3.connect(tmp_path / "in.db")) as database:
        database.execute("DELETE FROM t WHERE rowid <= 2")  # rows that are through
        database.commit()
    assert start(job, "--restore").end()["status"] == "FINISHED"
    assert delivered(tmp_path) == list(range(1, ROWS + 1))


def test_a_file_that_changed_below_a_saved_place_is_refused(start, tmp_path):
    job = text(tmp_path, made_up(), into_files(tmp_path))
    run = start(job)
    until_midway(run, tmp_path)
    run.kill()
    other = job.replace("auto.increment.enabled = true,", "")
    result = start(other, "--restore").end()
    assert result["status"] == "FAILED"
    assert "the rows after the saved position are not those that were read before" in result["error"]
    assert start(job, "--restore").end()["status"] == "FINISHED", "the state is still there"
    assert delivered(tmp_path) == list(range(1, ROWS + 1))


def test_a_cancel_does_not_wait_for_the_rows_of_the_batch(start, tmp_path):
    run = start(text(tmp_path, made_up(), into_files(tmp_path), "job.mode = BATCH"), "--runner", "embedded")
    run.until(lambda: (tmp_path / "bill").exists() and len(paid(tmp_path)) > 10)
    run.process.send_signal(signal.SIGINT)
    assert run.end(15)["status"] == "CANCELED"
    assert len(paid(tmp_path)) < ROWS
