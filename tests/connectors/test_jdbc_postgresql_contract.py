"""The contract suites on real servers, of the versions 15 and 18."""

import pytest

from headrace.testing import ROWS, SinkContract, SourceContract, batch

pytestmark = pytest.mark.service


class _Source(SourceContract):
    options: dict = {}
    ddl = "CREATE TABLE people (id int PRIMARY KEY, name text)"

    @pytest.fixture
    def source(self, shop):
        shop.query(self.ddl)
        shop.query("INSERT INTO people SELECT i, 'name ' || i FROM generate_series(1, 300) i")
        return shop.source(**({"table_path": "people"} | self.options))


class TestByKey(_Source):
    options = {"split__size": 70}


class TestByBlocks(_Source):
    ddl = "CREATE TABLE people (id int, name text)"
    options = {"split__size": 150}


class TestQuery(_Source):
    options = {"table_path": "", "query": "SELECT id, name FROM people ORDER BY id"}


class TestByColumn(_Source):
    options = {"partition_column": "id", "partition_num": 3}


class TestByText(_Source):
    options = {"partition_column": "name", "partition_num": 3}


class TestCompositeKey(_Source):
    ddl = "CREATE TABLE people (id int, name text, PRIMARY KEY (name, id))"
    options = {"split__size": 70}


class TestBadRows(_Source):
    @pytest.fixture
    def bad_source(self, shop):
        shop.query("CREATE TABLE numbers (id int PRIMARY KEY, n numeric)")
        shop.query("INSERT INTO numbers SELECT i, i FROM generate_series(1, 65536) i")
        shop.query("UPDATE numbers SET n = 'NaN' WHERE id = 40000")
        return shop.source(table_path="numbers")


class _Sink(SinkContract):
    options: dict = {}
    ddl = ""

    @pytest.fixture
    def sink(self, shop):
        self.shop = shop
        if self.ddl:
            shop.query(self.ddl)
        return shop.sink(**({"table": "people"} | self.options))

    def visible(self, sink):
        there = self.shop.query("SELECT to_regclass('people') IS NOT NULL")[0][0]
        return self.shop.query("SELECT id, name FROM people ORDER BY id, name") if there else []


class TestAppend(_Sink):
    @pytest.fixture
    def bad_rows(self, shop):
        shop.query("CREATE TABLE people (id bigint CHECK (id <> 40000), name text)")
        return batch(*((i, f"name {i}") for i in range(65_536)))


class TestUpsert(_Sink):
    options = {"primary_keys": ["id"]}

    @pytest.fixture
    def bad_rows(self, shop):
        shop.query("CREATE TABLE people (id bigint PRIMARY KEY CHECK (id <> 40000), name text)")
        return batch(*((i, f"name {i}") for i in range(65_536)))


class TestLookUp(_Sink):
    options = {"primary_keys": ["id"], "support_upsert_by_query_primary_key_exist": True}


class TestByKind(_Sink):
    options = {"primary_keys": ["id"], "enable_upsert": False}


class TestOwnQuery(_Sink):
    ddl = "CREATE TABLE people (id bigint, name text)"
    options = {"query": "INSERT INTO people (id, name) VALUES (?, ?)"}


def test_the_rows_of_the_suites_hold_what_matters():
    assert {None, ""} < {name for _, name in ROWS}
