"""First rows of a job that is not submitted, and bad rows sent in again: each in a process of its own."""

import json
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from headrace.api import commands
from headrace.api.commands import Commands
from headrace.errors import HeadraceError, Unavailable
from headrace.jobs.record import JobText

FILES = """
env {{ job.mode = BATCH }}
source {{ LocalFile {{ path = "{0}", file_format_type = csv, schema {{ fields {{ id = bigint, name = string }} }} }} }}
transform {{ Sql {{ query = "select id, upper(name) as name from fake" }} }}
sink {{ LocalFile {{ path = "{1}", file_format_type = csv }} }}
"""
SLOW = """
env { job.mode = STREAMING }
source { FakeSource { row.num = 100, split.num = 100, split.read-interval = 60000, schema { fields { a = int } } } }
sink { Console {} }
"""


def preview(server, text, **headers):
    return server.ask("POST", "/preview", text, headers=headers, query={"format": "hocon"})


def test_first_rows_are_those_that_a_sink_would_get(second, tmp_path):
    lines = "".join(f"{i},{'x' * 500 if i == 1 else 'n'}\n" for i in range(1, 40))
    (tmp_path / "a.csv").write_text(lines + ",\n")
    answer = preview(second, FILES.format(tmp_path / "a.csv", tmp_path / "out"))
    assert answer.status == 200, answer.content
    (table,) = answer.json["tables"]
    assert [column["name"] for column in table["columns"]] == ["id", "name"]
    assert table["columns"][0]["type"] == "BIGINT"
    assert len(table["rows"]) == 20
    assert table["rows"][0] == ["1", "X" * 199 + "…"]
    assert table["rows"][1] == ["2", "N"]
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_with_a_job_is_told_as_when_it_is_submitted(second):
    answer = preview(second, "source { Nothing {} }\nsink { Console {} }")
    assert answer.status == 400
    assert "Nothing" in answer.message


def test_a_source_that_cannot_be_read_is_told(second, tmp_path):
    answer = preview(second, FILES.format(tmp_path / "none.csv", tmp_path / "out"))
    assert answer.status in (400, 500, 503)
    assert "none.csv" in answer.message


def test_what_a_job_may_not_read_is_not_shown(second, tmp_path):
    answer = preview(second, FILES.format("/etc/passwd", tmp_path / "out"))
    assert answer.status == 400
    assert "/etc/passwd" in answer.message
    assert b"root:" not in answer.content


def test_who_may_only_look_sees_no_rows(start, tmp_path):
    users = {"user": "op", "password": "1", "viewer_user": "eye", "viewer_password": "2"}
    env = {f"HEADRACE_{name.upper()}": value for name, value in users.items()}
    server = start(env=env).second()
    viewer = "Basic ZXllOjI="
    text = FILES.format(tmp_path / "a.csv", tmp_path / "out")
    assert preview(server, text, Authorization=viewer).status == 403
    assert server.ask("POST", "/replay/7", "", headers={"Authorization": viewer}).status == 403


def test_a_source_that_gives_no_rows_in_time_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "PREVIEW_SECONDS", 4.0)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="took longer than 4 s"):
        Commands(tmp_path).preview(JobText(SLOW.replace("row.num = 100", "row.num = 0"), "hocon"))
    assert time.monotonic() - began < 4 + commands.END_SECONDS + 5
    assert list((tmp_path / "commands").iterdir()) == []


def test_no_more_run_at_once_than_there_is_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "PREVIEW_SECONDS", 6.0)
    found = Commands(tmp_path)
    text = JobText(SLOW.replace("row.num = 100", "row.num = 0"), "hocon")

    def ask():
        with pytest.raises(HeadraceError):
            found.preview(text)

    threads = [threading.Thread(target=ask) for _ in range(commands.AT_ONCE)]
    for thread in threads:
        thread.start()
    while len(list((tmp_path / "commands").glob("*"))) < commands.AT_ONCE:
        time.sleep(0.05)
    with pytest.raises(Unavailable, match="are under way"):
        found.preview(text)
    found.close()
    for thread in threads:
        thread.join()


# ------------------------------------------------------------------------------------------------------------- replay


def people(folder, *, age="int", more=""):
    """A job that puts rows whose age is no number into files."""
    return f"""
env {{ job.mode = BATCH, job.name = "people {folder.name}", error_handler {{
  mode = ROUTE, include_original_data = true
  sink {{ plugin_name = LocalFile, path = "{folder}/bad", tmp_path = "{folder}/tmp" }} }} }}
source {{ LocalFile {{ path = "{folder}/in", file_format_type = csv, plugin_output = people
  schema {{ table = people, fields {{ id = bigint, name = string, age = {age} }} }} }} }}
sink {{ Jdbc {{ url = "jdbc:sqlite:{folder}/out.db", generate_sink_sql = true, primary_keys = [] {more} }} }}
"""


def delivered(folder):
    with closing(sqlite3.connect(folder / "out.db")) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM people ORDER BY id")]


def run_people(server, folder, **how):
    (folder / "in").mkdir()
    (folder / "in" / "a.csv").write_text("1,ann,12\n2,bob,old\n3,cy,9\n4,dee,older\n")
    answer = server.ask("POST", "submit-job", people(folder, **how), query={"format": "hocon"})
    assert answer.status == 200, answer.content
    job_id = answer.json["jobId"]
    assert server.wait(job_id)["jobStatus"] == "FINISHED"
    assert delivered(folder) == [1, 3]
    return job_id


def test_bad_rows_are_sent_in_again_once(second, tmp_path):
    job_id = run_people(second, tmp_path)
    again = second.ask("POST", f"/replay/{job_id}", "")
    assert again.status == 200, again.content
    assert again.json["replayed"] == 0
    assert sum(again.json["kept"].values()) == 2
    mended = people(tmp_path, age="string")
    done = second.ask("POST", f"/replay/{job_id}", mended, query={"format": "hocon"})
    assert done.status == 200, done.content
    assert done.json["replayed"] - done.json["setAsideAgain"] == 2
    assert delivered(tmp_path) == [1, 2, 3, 4]
    after = second.ask("POST", f"/replay/{job_id}", mended, query={"format": "hocon"})
    assert after.json["replayed"] == 0
    assert delivered(tmp_path) == [1, 2, 3, 4]


def test_a_job_that_routes_no_rows_has_nothing_to_replay(second):
    source = "source { FakeSource { row.num = 1, schema { fields { a = int } } } }"
    job = f"env {{ job.mode = BATCH }}\n{source}\nsink {{ Console {{}} }}"
    job_id = second.ask("POST", "submit-job", job, query={"format": "hocon"}).json["jobId"]
    second.wait(job_id)
    answer = second.ask("POST", f"/replay/{job_id}", "")
    assert answer.status >= 400
    assert "routes no bad rows" in answer.message


def test_a_job_whose_secrets_are_not_kept_is_replayed_with_its_text_alone(second, tmp_path):
    job_id = run_people(second, tmp_path, more=', user = "u", password = "hidden-word"')
    answer = second.ask("POST", f"/replay/{job_id}", "")
    assert answer.status == 400
    assert "secrets are not kept" in answer.message
    assert second.ask("POST", "/replay/99", "").status == 404
    assert "hidden-word" not in json.dumps(answer.json)
