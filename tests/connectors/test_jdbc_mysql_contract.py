"""The contract suites on real servers: MariaDB, and MySQL 5.6 where it is there."""

import pytest

from headrace.testing import ROWS, SinkContract, SourceContract, batch

pytestmark = pytest.mark.service


class _Source(SourceContract):
    options: dict = {}
    ddl = "CREATE TABLE people (id int PRIMARY KEY, name text)"

    @pytest.fixture
    def source(self, store):
        store.query(self.ddl)
        store.query("INSERT INTO people VALUES " + ", ".join(f"({i}, 'name {i}')" for i in range(1, 301)))
        return store.source(**({"table_path": "people"} | self.options))


class TestByKey(_Source):
    options = {"split__size": 70}


class TestWithoutAKey(_Source):
    ddl = "CREATE TABLE people (id int, name text)"
    options = {"split__size": 150}


class TestQuery(_Source):
    options = {"table_path": "", "query": "SELECT id, name FROM people ORDER BY id"}


class TestByColumn(_Source):
    options = {"partition_column": "id", "partition_num": 3}


class TestByText(_Source):
    options = {"partition_column": "name", "partition_num": 3}


class TestCompositeKey(_Source):
    ddl = "CREATE TABLE people (id int, name varchar(99), PRIMARY KEY (name, id))"
    options = {"split__size": 70}


class TestBadRows(_Source):
    @pytest.fixture
    def bad_source(self, store):
        store.query("CREATE TABLE numbers (id int PRIMARY KEY, n time)")
        store.query("INSERT INTO numbers VALUES " + ", ".join(f"({i}, '12:00')" for i in range(1, 65537)))
        store.query("UPDATE numbers SET n = '25:00:00' WHERE id = 40000")
        return store.source(table_path="numbers")


def one_too_long():
    return batch(*((i, f"name {i}" if i != 40_000 else "a name too long") for i in range(65_536)))


class _Sink(SinkContract):
    options: dict = {}
    ddl = ""

    @pytest.fixture
    def sink(self, store):
        self.store = store
        if self.ddl:
            store.query(self.ddl)
        return store.sink(**({"table": "people"} | self.options))

    def visible(self, sink):
        there = self.store.query("SHOW TABLES LIKE 'people'")
        return self.store.query("SELECT id, name FROM people ORDER BY id, name") if there else []


class TestAppend(_Sink):
    @pytest.fixture
    def bad_rows(self, store):
        store.query("CREATE TABLE people (id bigint, name varchar(10) NOT NULL)")
        return one_too_long()


class TestUpsert(_Sink):
    options = {"primary_keys": ["id"]}

    @pytest.fixture
    def bad_rows(self, store):
        store.query("CREATE TABLE people (id bigint PRIMARY KEY, name varchar(10) NOT NULL)")
        return one_too_long()


class TestLookUp(_Sink):
    options = {"primary_keys": ["id"], "support_upsert_by_query_primary_key_exist": True}


class TestByKind(_Sink):
    options = {"primary_keys": ["id"], "enable_upsert": False}


class TestOwnQuery(_Sink):
    ddl = "CREATE TABLE people (id bigint, name text)"
    options = {"query": "INSERT INTO people (id, name) VALUES (?, ?)"}


def test_the_rows_of_the_suites_hold_what_matters():
    assert {None, ""} < {name for _, name in ROWS}
