"""The example on each connector's page runs against the real system, with the plainest other side."""

import pyarrow as pa
import pytest

from headrace.connector import sinks, sources
from headrace.program import run
from tests.docs.conftest import fill

PEOPLE = """
source {
  FakeSource {
    schema { table = "shop.people", fields { id = bigint, name = string } }
    rows = [{ kind = INSERT, fields = [1, "ann"] }, { kind = INSERT, fields = [2, "bob"] }]
  }
}
"""
CONSOLE = "sink { Console {} }"
TABLES = """
CREATE TABLE people (id bigint PRIMARY KEY, name text, born date);
INSERT INTO people VALUES (1, 'ann', '1990-05-17'), (2, 'cy', '2001-12-24');
"""
GIVEN = {
    "S3_KEY": "key",
    "S3_SECRET": "secret",
    "SHOP_PASSWORD": "secret",
    "SFTP_PASSWORD": "secret",
    "FTP_PASSWORD": "secret",
}


@pytest.fixture
def run_here(tmp_path, monkeypatch, places):
    monkeypatch.chdir(tmp_path)

    def run_job(text):
        for place, here in places(text).items():
            text = text.replace(place, here)
        variables = {name: value for name, value in GIVEN.items() if f"${{{name}}}" in text}
        tables = {"people": pa.table({"id": [1, 2], "name": ["ann", "bob"]})}
        result = run(text, variables=variables, tables=tables, on_print=lambda line: None, strict=True)
        assert result.status == "FINISHED", result.error
        return result

    return run_job


@pytest.mark.parametrize("name", sources.names())
def test_the_example_of_a_source_gives_rows(name, run_here, tmp_path, places):
    example = sources.find(name).example
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "people.csv").write_text("id,name\n1,ann\n2,bob\n")
    for place, here in places(example).items():
        if place.endswith("/shop"):
            fill(place, here, TABLES)
    if name.endswith("File") and name != "LocalFile":
        run_here(PEOPLE + sinks.find(name).example)
    assert run_here(example + CONSOLE).rows_read >= 2


@pytest.mark.parametrize("name", sinks.names())
def test_the_example_of_a_sink_takes_rows(name, run_here, places):
    example = sinks.find(name).example
    for place, here in places(example).items():
        if place.endswith("/shop"):
            fill(place, here, "")
    assert run_here(PEOPLE + example).rows_written == 2
