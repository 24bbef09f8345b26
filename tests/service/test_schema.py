"""The store of jobs over updates of the program."""

import sqlite3
from contextlib import closing

import pytest

from headrace.errors import ConfigError
from headrace.jobs import schema
from headrace.jobs.store import store_in
from tests.service.test_store import record


def sql(home, *statements):
    with closing(sqlite3.connect(home / "jobs.db", isolation_level=None)) as database:
        return [database.execute(statement).fetchall() for statement in statements]


@pytest.fixture
def old(tmp_path):
    """A home whose store was made before stores had versions, with one job."""
    with closing(store_in(tmp_path)) as store:
        store.add(record(), record.text).result()
    sql(tmp_path, "DROP TABLE store_version", "DROP TABLE store_identity", "DROP INDEX jobs_by_request")
    return tmp_path


def test_a_new_store_has_the_newest_version(tmp_path):
    store_in(tmp_path).close()
    assert sql(tmp_path, "SELECT version FROM store_version") == [[(schema.CURRENT,)]]
    assert sorted(schema.MIGRATIONS) == list(range(2, schema.CURRENT + 1))


def test_an_old_store_is_brought_forward_with_its_jobs(old):
    with closing(store_in(old)) as store:
        assert store.get(1) == record()
        assert store.text(record()) == record.text
        identity = store.identity()
    with closing(store_in(old)) as store:
        assert store.identity() == identity != ""
    version, index = sql(old, "SELECT version FROM store_version", "PRAGMA index_info(jobs_by_request)")
    assert (version, [row[2] for row in index]) == ([(schema.CURRENT,)], ["owner", "request"])


def test_a_store_that_cannot_be_brought_forward_stays_as_it_was(old, monkeypatch):
    def fail(connection):
        connection.exec_driver_sql("CREATE TABLE half (a INTEGER)")
        connection.exec_driver_sql("SELECT nothing")

    monkeypatch.setattr(schema, "MIGRATIONS", {2: fail})
    with pytest.raises(ConfigError, match="cannot open the store of jobs"):
        store_in(old)
    assert sql(old, "SELECT name FROM sqlite_master WHERE name IN ('half', 'store_version')") == [[]]


def test_a_newer_store_is_refused_and_not_touched(tmp_path):
    store_in(tmp_path).close()
    sql(tmp_path, f"UPDATE store_version SET version = {schema.CURRENT + 1}")
    with pytest.raises(ConfigError) as error:
        store_in(tmp_path)
    (problem,) = error.value.problems
    newer, known = schema.CURRENT + 1, schema.CURRENT
    assert f"is of version {newer}, and this Headrace knows it up to version {known}" in problem.message
    assert problem.cure.startswith("it was written by a newer Headrace")
    assert sql(tmp_path, "SELECT version FROM store_version") == [[(newer,)]]


def test_what_is_asked_of_an_owner_is_found_without_reading_all_jobs(tmp_path):
    """It is looked for several times a second."""
    store_in(tmp_path).close()
    query = "SELECT job_id FROM jobs WHERE owner = 'me' AND request > '' AND status IN ('RUNNING')"
    (plan,) = sql(tmp_path, f"EXPLAIN QUERY PLAN {query}")
    assert "jobs_by_request (owner=? AND request>?)" in plan[0][3]
