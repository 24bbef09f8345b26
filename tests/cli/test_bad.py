"""`headrace bad`: what was set aside is listed, shown, mended by hand, replayed and discarded."""

import json
import os
import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.cli import bad
from headrace.cli.bad import discard_bad_rows, list_bad_rows, show_bad_rows
from headrace.cli.replay import replay_job
from headrace.config.job import parse_job
from headrace.connector import Batch, TableSchema
from headrace.errors import Rejected
from headrace.execution.bad_places import place_in, places_of, remember, remembered
from headrace.execution.bad_rows import batch_of, plain_text, raw_text, row_texts
from headrace.plan.plan import make_plan
from headrace.rows import Column
from tests.cli.test_replay import Jobs, bad_lines, query

pytestmark = pytest.mark.job


@pytest.fixture
def jobs(tmp_path):
    return Jobs(tmp_path)


def to_jdbc(jobs):
    jobs.error_sink = f'plugin_name = Jdbc, url = "jdbc:sqlite:{jobs.folder}/out.db", error_table = bad'


def listed(jobs, capsys, place=None):
    capsys.readouterr()
    assert list_bad_rows(place, [], jobs.overrides, as_json=True) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("how", ["home", "job file", "directory"])
def test_bad_rows_are_listed_with_job_step_table_reasons_size_and_age(jobs, capsys, how):
    bad_lines(jobs)
    jobs.run()
    place = {"home": None, "job file": str(jobs.file), "directory": f"{jobs.folder}/bad"}[how]
    [found] = listed(jobs, capsys, place)
    assert (found["rows"], found["replayed"], found["files"]) == (5, 0, 1)
    assert found["file"] == str(jobs.file)
    assert found["bytes"] == sum(file.stat().st_size for file in (jobs.folder / "bad").iterdir())
    reasons = {"column age: cannot read '…' as INT": 5}
    assert found["groups"] == [{"step": "Source[0]-LocalFile", "table": "people", "rows": 5, "reasons": reasons}]
    assert list_bad_rows(place, [], jobs.overrides, as_json=False) == 0
    heading, _, _, line = capsys.readouterr().out.splitlines()
    assert heading.startswith(f"{jobs.folder}/bad: 5 rows, 1 file, ")
    assert heading.endswith("s ago")
    assert line == "  Source[0]-LocalFile  people     5  column age: cannot read '…' as INT"


def test_rows_in_a_database_are_listed_and_those_that_were_replayed_counted(jobs, capsys):
    to_jdbc(jobs)
    bad_lines(jobs)
    jobs.run()
    jobs.age = "string"
    jobs.replay()
    [found] = listed(jobs, capsys)
    assert found["place"] == f"table bad in jdbc:sqlite:{jobs.folder}/out.db"
    assert (found["rows"], found["replayed"]) == (5, 5)


@pytest.mark.parametrize("form", ["csv, compress_codec = gzip", "text", "json", "parquet", "xml", "excel"])
def test_the_names_of_files_tell_the_format_of_a_directory(jobs, capsys, form):
    jobs.error_sink += f", file_format_type = {form}"
    bad_lines(jobs)
    jobs.run()
    assert len(place_in(f"{jobs.folder}/bad").rows()) == 5


def test_a_directory_with_a_header_in_its_files_has_no_row_more(jobs):
    jobs.error_sink += ", enable_header_write = true"
    bad_lines(jobs)
    jobs.run()
    assert len(place_in(f"{jobs.folder}/bad").rows()) == 5


def test_an_empty_home_has_no_bad_rows(tmp_path, capsys):
    assert list_bad_rows(None, [], {"home": tmp_path / "home"}, as_json=False) == 0
    assert capsys.readouterr().out == f"no bad rows of the jobs of the home {tmp_path}/home\n"


def test_rows_are_shown_with_the_reason_as_people_read_them(jobs, capsys):
    bad_lines(jobs)
    jobs.run()
    capsys.readouterr()
    assert show_bad_rows(str(jobs.file), [], jobs.overrides, 2, "", as_json=False) == 0
    first, row, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Source[0]-LocalFile people, 20")
    assert first.endswith("people.csv row 1, column age: cannot read 'old' as INT")
    assert row == '  0,"name, 0 ""東京""",old'
    assert last == "… and 3 rows more; --limit shows more"
    assert show_bad_rows(str(jobs.file), [], jobs.overrides, 2, "other", as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_rows_and_raw_input_read_well():
    assert plain_text('{"kind":"+I","row":{"id":7,"name":"ann","age":null}}') == 'id=7, name="ann", age=null'
    assert plain_text('{"kind":"-D","row":{"id":7}}') == "-D id=7"
    plan = make_plan(parse_job("source { FakeSource { schema { fields { a = int } } } }\nsink { Console {} }"))
    assert plain_text(raw_text(1, plan.pipelines[0].source, "t", b"a\xff", "f row 1")) == "base64 Yf8="
    assert plain_text("cut sho…") == "cut sho…"
    assert plain_text(None) == ""


# ------------------------------------------------------------------------------------------------------------- discard


@pytest.mark.parametrize("to", ["files", "jdbc"])
def test_rows_are_removed_once_the_user_agrees(jobs, capsys, monkeypatch, to):
    if to == "jdbc":
        to_jdbc(jobs)
    bad_lines(jobs)
    jobs.run()
    asked = []
    monkeypatch.setattr(bad.sys.stdin, "isatty", lambda: True, raising=False)
    for answer, code, left in (("", 1, 5), ("y", 0, 0)):
        monkeypatch.setattr("builtins.input", lambda text, answer=answer: asked.append(text) or answer)
        assert discard_bad_rows(str(jobs.file), [], jobs.overrides, yes=False) == code
        assert sum(found["rows"] for found in listed(jobs, capsys)) == left
    assert asked == ["Remove 5 rows for good? [y/N] "] * 2
    assert jobs.delivered() == [1, 3, 5, 7, 9]


def test_without_a_terminal_nothing_is_removed_unless_yes_is_said(jobs, capsys):
    bad_lines(jobs)
    jobs.run()
    assert discard_bad_rows(f"{jobs.folder}/bad", [], jobs.overrides, yes=False) == 2
    assert "nothing was removed: there is no terminal to ask whether 5 rows may go" in capsys.readouterr().err
    assert discard_bad_rows(f"{jobs.folder}/bad", [], jobs.overrides, yes=True) == 0
    assert os.listdir(jobs.folder / "bad") == []


@pytest.mark.parametrize("name", ["a.csv", "notes.md", "b.parquet"])
def test_a_directory_of_other_files_is_never_emptied(tmp_path, capsys, name):
    file = tmp_path / name
    file.write_text("1,2,3,4,5,6,7,8,9\n")
    assert discard_bad_rows(str(tmp_path), [], {"home": tmp_path / ".home"}, yes=True) != 0
    assert file.exists()
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("to", ["files", "jdbc"])
def test_rows_that_came_since_they_were_looked_at_stay(jobs, to):
    if to == "jdbc":
        to_jdbc(jobs)
    bad_lines(jobs)
    jobs.run()
    [place] = places_of(make_plan(parse_job(jobs.file.read_text())))
    rows, files = place.rows(), place.files()
    jobs.run()
    if to == "jdbc":
        with pytest.raises(Rejected, match="has 10 bad rows by now instead of 5"):
            place.discard(len(rows), files)
        assert len(place.rows()) == 10
    else:
        place.discard(len(rows), files)
        assert len(place.rows()) == 5


# ------------------------------------------------------------------------------------------------------------ dry run


def rehearse(jobs):
    jobs.write()
    return replay_job(jobs.file, [], jobs.overrides, quiet=False, as_json=False, dry_run=True)


def test_a_dry_run_says_what_would_be_written_and_what_not_and_writes_nothing(jobs, capsys):
    (jobs.folder / "in" / "people.csv").write_text("1,ann,5\n2,bob,7.5\n3,cy,old\n")
    sql = 'Sql {{ plugin_input = people, plugin_output = out, query = "SELECT id, name, {} AS age FROM people" }}'
    jobs.run()
    jobs.age, jobs.transform = "string", sql.format("CAST(age AS DOUBLE)")
    capsys.readouterr()
    for _ in range(2):
        assert rehearse(jobs) == 1
        out = capsys.readouterr().out
        assert "Sink[0]-Jdbc people: 1 row would be written\n  id  name  age\n   2  bob   7.5\n" in out
        assert "a row of people would not fit: " in out
        assert '  id=3, name="cy", age="old"\n' in out
        assert "dry run: 1 row would be written, 1 row would not fit; nothing was written" in out
    assert jobs.delivered() == [1]
    assert not (jobs.folder / "home" / "replays").exists()
    assert listed(jobs, capsys)[0]["replayed"] == 0
    jobs.transform = ""
    assert rehearse(jobs) == 0
    assert jobs.replay() == 0
    assert rehearse(jobs) == 0
    assert "there is nothing to replay" in capsys.readouterr().out


def test_a_dry_run_answers_in_json(jobs, capsys):
    bad_lines(jobs, 4)
    jobs.run()
    capsys.readouterr()
    how = {"quiet": True, "as_json": True, "dry_run": True}
    assert replay_job(jobs.file, [], jobs.overrides, **how) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["wouldWrite"] == []
    assert found["wouldNotFit"][0] == {
        "table": "people", "reason": "it is still bad: cannot read 'old' as INT", "row": '0,"name, 0 ""東京""",old'
    }  # fmt: skip


# ----------------------------------------------------------------------------------------------------- mended by hand


@pytest.mark.parametrize("form", ["csv", "json", "text", "xml", "jdbc"])
def test_a_row_that_is_mended_by_hand_is_replayed_as_it_is_then(jobs, form):
    if form == "jdbc":
        to_jdbc(jobs)
    else:
        jobs.error_sink += f", file_format_type = {form}"
    bad_lines(jobs, 4)
    jobs.run()
    if form == "jdbc":
        query(jobs.folder / "out.db", "UPDATE bad SET original_data = replace(original_data, ',old', ',42')")
    else:
        [file] = (jobs.folder / "bad").iterdir()
        file.write_text(file.read_text().replace(",old", ",42"))
    assert jobs.replay() == 0
    assert jobs.delivered() == [0, 1, 2, 3]
    assert query(jobs.folder / "out.db", "SELECT age FROM people WHERE id = 2") == [42]


def test_a_value_of_a_row_that_is_mended_by_hand_must_fit(jobs, capsys):
    refused_by_the_sink(jobs)
    [file] = (jobs.folder / "bad").iterdir()
    text = file.read_text()
    file.write_text(text.replace('""age"":5', '""age"":""many""'))
    assert jobs.replay() == 1
    assert '1 row cannot be replayed: column age: "many" is not an INT' in capsys.readouterr().err
    file.write_text(text.replace('""id"":2', '""id"":7'))
    assert jobs.replay() == 0
    assert jobs.delivered() == [1, 7]


# -------------------------------------------------------------------------------------------- columns that have changed


def refused_by_the_sink(jobs):
    (jobs.folder / "in" / "people.csv").write_text("1,ann,5\n2,bob,5\n")
    query(jobs.folder / "out.db", "CREATE TABLE people (id BIGINT CHECK (id <> 2), name TEXT, age INT)")
    jobs.run()


def test_a_column_of_another_type_is_told_by_both_types(jobs, capsys):
    refused_by_the_sink(jobs)
    jobs.write()
    jobs.file.write_text(jobs.file.read_text().replace("id = bigint", "id = string"))
    assert replay_job(jobs.file, [], jobs.overrides, quiet=False, as_json=False) == 1
    told = "1 row cannot be replayed: id was BIGINT when set aside and is STRING now: 2 is not a STRING"
    assert told in capsys.readouterr().err


def kept(arrays, names):
    plan = make_plan(parse_job("source { FakeSource { schema { fields { a = int } } } }\nsink { Console {} }"))
    batch = Batch(pa.RecordBatch.from_arrays(arrays, names), "t")
    return [json.loads(text) for text in row_texts(1, plan.pipelines[0].source, batch)]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (pa.array([b"ab"]), pa.string(), "a was BYTES when set aside and is STRING now"),
        (pa.array(["YWI="]), pa.binary(), "a was STRING when set aside and is BYTES now"),
        (pa.array([1], pa.timestamp("ns")), pa.int64(), "a was TIMESTAMP when set aside and is BIGINT now"),
        (pa.array([2**53 + 1]), pa.float64(), "is DOUBLE now, which does not hold all of its digits"),
        (pa.array([0.1]), pa.float32(), "a was DOUBLE when set aside and is FLOAT now, which"),
        (pa.array([2**40]), pa.int32(), "a was BIGINT when set aside and is INT now: 1099511627776 is not an INT"),
        (pa.array([[1]]), pa.int64(), "a was ARRAY<BIGINT> when set aside and is BIGINT now"),
    ],
)
def test_a_value_is_never_taken_for_one_of_another_type(before, now, told):
    with pytest.raises(ValueError, match=told.replace("(", r"\(")):
        batch_of(kept([before], ["a"]), TableSchema("t", (Column("a", now),)))


@pytest.mark.parametrize(
    ("before", "now", "value"),
    [(pa.array([7], pa.int32()), pa.int64(), 7), (pa.array([0.5], pa.float32()), pa.float64(), 0.5),
     (pa.array([7]), pa.float64(), 7.0)],
)  # fmt: skip
def test_a_wider_type_takes_the_values(before, now, value):
    assert batch_of(kept([before], ["a"]), TableSchema("t", (Column("a", now),))).rows.to_pylist() == [{"a": value}]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a"], "it was set aside with b, which the table no longer has"),
        (["a", "b", "c", "d"], "it was set aside with not c, d, which the table has now"),
        (["b", "a"], "its columns were a, b when set aside and are b, a now"),
    ],
)
def test_columns_that_have_changed_are_named(names, told):
    table = TableSchema("t", tuple(Column(name, pa.int64()) for name in names))
    with pytest.raises(ValueError, match=told):
        batch_of(kept([pa.array([1]), pa.array([2])], ["a", "b"]), table)


def test_a_row_that_only_fits_without_its_types_is_kept_without_them():
    plan = make_plan(parse_job("source { FakeSource { schema { fields { a = int } } } }\nsink { Console {} }"))
    batch = Batch(pa.RecordBatch.from_arrays([pa.array([1])], ["a"]), "t")
    step = plan.pipelines[0].source
    [whole] = row_texts(1, step, batch)
    [shorter] = row_texts(1, step, batch, len(whole) - 1)
    [cut] = row_texts(1, step, batch, len(shorter) - 1)
    assert json.loads(whole) == json.loads(shorter) | {"types": ["BIGINT"]}
    assert cut.endswith("…")


# -------------------------------------------------------------------------------------------------- what a home knows


def test_what_a_home_remembers_holds_no_secret_and_outlives_the_directory(tmp_path, monkeypatch):
    text = """env { error_handler { mode = ROUTE, sink { plugin_name = Jdbc, url = "jdbc:postgresql://db:1/shop",
        user = ann, password = "s3cret-word", } } }
      source { FakeSource { schema { fields { a = int } } } }
      sink { Console {} }"""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    remember(tmp_path / "home", make_plan(parse_job(text)), "orders")
    [note] = (tmp_path / "home" / "bad").iterdir()
    assert "s3cret" not in note.read_text()
    [place] = remembered(tmp_path / "home")
    assert (place.job, place.shown) == ("orders", "table error_table in jdbc:postgresql://db:1/shop")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").rmdir()
    assert remembered(tmp_path / "home") == []


def test_a_place_that_cannot_be_read_is_named_and_the_others_are_listed(jobs, capsys):
    bad_lines(jobs)
    jobs.run()
    other = Path(jobs.folder / "broken.db")
    other.write_text("this is no database, however long it is " * 100)
    jobs.error_sink = f'plugin_name = Jdbc, url = "jdbc:sqlite:{other}"'
    jobs.write()
    remember(jobs.overrides["home"], make_plan(parse_job(jobs.file.read_text())), "broken")
    found = {one["job"]: one for one in listed(jobs, capsys)}
    assert "it is not a SQLite database" in found["broken"]["error"]
    assert found["SeaTunnel_Job"]["rows"] == 5


def test_relative_places_are_those_of_the_directory_where_the_job_ran(jobs, capsys, monkeypatch):
    monkeypatch.chdir(jobs.folder)
    jobs.error_sink = f'plugin_name = LocalFile, path = bad, tmp_path = "{jobs.folder}/tmp"'
    bad_lines(jobs)
    jobs.run()
    (jobs.folder / "elsewhere").mkdir()
    monkeypatch.chdir(jobs.folder / "elsewhere")
    [found] = listed(jobs, capsys)
    assert (found["place"], found["rows"]) == (f"{jobs.folder}/bad", 5)


def test_a_replayed_row_is_removed_with_its_table(jobs, capsys):
    to_jdbc(jobs)
    bad_lines(jobs)
    jobs.run()
    assert discard_bad_rows(str(jobs.file), [], jobs.overrides, yes=True) == 0
    with sqlite3.connect(jobs.folder / "out.db") as database:
        assert database.execute("SELECT count(*) FROM bad").fetchall() == [(0,)]
    database.close()
