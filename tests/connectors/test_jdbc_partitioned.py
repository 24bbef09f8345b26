"""Partitioned tables of PostgreSQL, MariaDB and MySQL are read and written as the one table that they are."""

import pytest

import headrace
from headrace.connector import JobContext
from headrace.testing import ListRejects, batch, task

pytestmark = pytest.mark.service

ROWS = 3000

POSTGRESQL = """CREATE TABLE {name} (id bigint, name text) PARTITION BY RANGE (id);
CREATE TABLE {name}_a PARTITION OF {name} FOR VALUES FROM (0) TO (1000);
CREATE TABLE {name}_b PARTITION OF {name} FOR VALUES FROM (1000) TO (3000) PARTITION BY HASH (id);
CREATE TABLE {name}_b0 PARTITION OF {name}_b FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE {name}_b1 PARTITION OF {name}_b FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE {name}_c PARTITION OF {name} FOR VALUES FROM (3000) TO (9000)"""

MYSQL = """CREATE TABLE {name} (id bigint, name varchar(40)) PARTITION BY RANGE (id)
(PARTITION a VALUES LESS THAN (1000), PARTITION b VALUES LESS THAN (3000), PARTITION c VALUES LESS THAN (9000))"""


class _Place:
    """A database, and a table of partitions in it."""

    def __init__(self, shop, schema, ddl, analyze):
        self.shop, self.schema, self._ddl, self._analyze = shop, schema, ddl, analyze

    def make(self, name, *, keyed=True, rows=ROWS):
        ddl = self._ddl.replace("bigint,", "bigint PRIMARY KEY,") if keyed else self._ddl
        for statement in ddl.format(name=name).split(";"):
            self.shop.query(statement)
        if rows:
            listed = ",".join(f"({i}, 'name {i}')" for i in range(rows))
            self.shop.query(f"INSERT INTO {name} VALUES {listed}")
            self.shop.query(f"{self._analyze} {name}")

    def path(self, name):
        return f"{self.schema}.{name}"


class _Partitioned:
    @pytest.mark.parametrize("keyed", [True, False], ids=["by key", "without a key"])
    def test_every_row_of_every_partition_is_read_once(self, place, keyed):
        place.make("orders", keyed=keyed)
        source = place.shop.source(table_path=place.path("orders"), split__size=400)
        splits, job = list(source.splits(2)), JobContext(701)
        assert (len(splits) > 3) is keyed
        found = [
            row["id"]
            for split in splits
            for read in source.read(split, None, task(job, batch_rows=300))
            if read is not None
            for row in read.batch.rows.to_pylist()
        ]
        assert sorted(found) == list(range(ROWS))

    def test_a_regular_expression_means_the_whole_table_and_not_its_partitions(self, place):
        place.make("orders")
        source = place.shop.source(table_path=place.path("orders.*").replace(".", "\\.", 1), use_regex=True)
        assert len(source.tables()) == 1

    @pytest.mark.parametrize("keyed", [True, False], ids=["upsert", "append"])
    def test_rows_reach_their_partitions_and_those_that_have_none_go_aside(self, place, keyed):
        place.make("orders", keyed=keyed, rows=0)
        sink, rejects, job = (
            place.shop.sink(table="orders", primary_keys=["id"] if keyed else []),
            ListRejects(),
            JobContext(1),
        )
        [table] = place.shop.source(table_path=place.path("orders")).tables()
        rows = batch(*((i, f"name {i}") for i in (*range(500, 1500), 5000, 9000, 10000)), table=table)
        again = batch((500, "new"), (8999, "last"), table=table)
        sink.save_mode(table)
        sink.start(job)
        session = sink.open(task(job, rejects=rejects))
        try:
            for given in (rows, again) if keyed else (rows,):
                session.writer(table).write(given)
            session.commit_positions(1, {"split": 1}, [])
        finally:
            session.close()
        assert sorted(row["id"] for _, row, _ in rejects.found) == [9000, 10000]
        assert all("partition" in reason for _, _, reason in rejects.found)
        assert place.shop.query("SELECT count(*), min(id), max(id) FROM orders") == [
            (1002 if keyed else 1001, 500, 8999 if keyed else 5000)
        ]
        if keyed:
            assert place.shop.query("SELECT name FROM orders WHERE id = 500") == [("new",)]

    def test_a_job_copies_one_partitioned_table_into_another(self, place):
        place.make("orders")
        place.make("copied", rows=0)
        path = place.path("orders")
        job = f"""env {{ job.mode = BATCH, parallelism = 2 }}
        source {{ Jdbc {{ url = "{place.shop.url}", user = tester, table_path = "{path}", split.size = 500 }} }}
        sink {{ Jdbc {{ url = "{place.shop.url}", user = tester, table = copied, generate_sink_sql = true }} }}"""
        assert headrace.run(job).status == "FINISHED"
        assert place.shop.query("SELECT * FROM copied ORDER BY id") == place.shop.query(
            "SELECT * FROM orders ORDER BY id"
        )


class TestPostgresql(_Partitioned):
    @pytest.fixture
    def place(self, shop):
        return _Place(shop, "public", POSTGRESQL, "ANALYZE")


class TestMysql(_Partitioned):
    @pytest.fixture
    def place(self, store):
        return _Place(store, store.name, MYSQL, "ANALYZE TABLE")
