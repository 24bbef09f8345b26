"""What a login may not do is told by `headrace check --connect`, before anything runs: PostgreSQL and MariaDB."""

import itertools
import json
import subprocess
import sys

import pyarrow as pa
import pytest

from headrace.connector import sinks, sources
from headrace.connectors._jdbc.dialect import Right
from headrace.errors import ConfigError
from headrace.rows import TableSchema
from headrace.testing import make

pytestmark = pytest.mark.service

ROWS = TableSchema.from_arrow(pa.schema([("id", pa.int64()), ("name", pa.string())]), "people")
_NUMBERS = itertools.count()


class _Place:
    """A database, and a login that may do nothing there but what is granted."""

    def __init__(self, shop):
        self.shop, self.login = shop, f"guest{next(_NUMBERS)}"

    def options(self, **more):
        return {"url": self.shop.url, "user": self.login, **more}

    def problems(self, **options):
        given = {"table": "people", "generate_sink_sql": True, **options}
        sink = make(sinks.find("Jdbc"), **self.options(**given))
        return [str(problem) for problem in sink.check([ROWS])]


class _Postgresql(_Place):
    def begin(self):
        self.shop.query(f"CREATE ROLE {self.login} LOGIN")
        self.shop.query("CREATE TABLE people (id bigint PRIMARY KEY, name text)")

    def grant(self, rights, table="people"):
        self.shop.query(f"GRANT {rights} ON {table} TO {self.login}")

    def grant_making(self):
        self.shop.query(f"GRANT CREATE ON SCHEMA public TO {self.login}")

    def end(self):
        self.shop.query(f"DROP OWNED BY {self.login}")
        self.shop.query(f"DROP ROLE {self.login}")


class _Mysql(_Place):
    def begin(self):
        self.shop.query(f"CREATE USER {self.login}@'127.0.0.1'")
        self.shop.query("CREATE TABLE people (id bigint PRIMARY KEY, name varchar(50))")
        self.shop.query("CREATE TABLE seen (id bigint)")
        self.grant("SELECT", "seen")

    def grant(self, rights, table="people"):
        self.shop.query(f"GRANT {rights} ON {self.shop.name}.{table} TO {self.login}@'127.0.0.1'")

    def grant_making(self):
        self.grant("CREATE", "*")

    def end(self):
        self.shop.query(f"DROP USER {self.login}@'127.0.0.1'")


class _Rights:
    def test_rights_that_a_sink_lacks_are_named_all_at_once_with_the_cure(self, place):
        place.grant("SELECT")
        found = place.problems(primary_keys=["id"])
        assert any("INSERT, UPDATE; GRANT INSERT, UPDATE ON" in text and "people" in text for text in found)
        assert any("headrace_positions" in text and "GRANT CREATE to it" in text for text in found)
        assert len(found) == 3

    def test_a_login_with_the_rights_that_are_needed_passes(self, place):
        place.grant("SELECT, INSERT, UPDATE")
        place.grant_making()
        assert place.problems(primary_keys=["id"]) == []

    def test_positions_tables_that_others_have_made_need_no_right_to_create(self, place):
        for table in ("headrace_positions", "headrace_epochs"):
            place.shop.query(f"CREATE TABLE {table} (job_id bigint)")
            place.grant("SELECT, INSERT, UPDATE, DELETE", table)
        place.grant("SELECT, INSERT, UPDATE")
        assert place.problems(primary_keys=["id"]) == []

    def test_a_table_that_must_be_made_needs_the_right_to(self, place):
        [found, *_] = [text for text in place.problems(table="people_new") if "people_new" in text]
        assert "may not do this" in found
        assert "CREATE" in found

    def test_a_source_names_the_tables_that_it_may_not_read(self, place):
        place.grant("INSERT")
        source = make(sources.find("Jdbc"), **place.options(table_path="people"))
        with pytest.raises(ConfigError, match="may not SELECT from .*people; GRANT SELECT"):
            source.tables()

    def test_a_right_to_some_columns_is_enough_to_read_them(self, place):
        place.grant("SELECT (id)")
        source = make(sources.find("Jdbc"), **place.options(table_path="people", query="SELECT id FROM people"))
        assert source.tables()[0].names == ["id"]


def _begun(place):
    place.begin()
    yield place
    place.end()


class TestPostgresql(_Rights):
    @pytest.fixture
    def place(self, shop):
        yield from _begun(_Postgresql(shop))


class TestMysql(_Rights):
    @pytest.fixture
    def place(self, store):
        yield from _begun(_Mysql(store))


# ----------------------------------------------------------------------------------------------------------- settings


def advice(plugin, shop, **options):
    given = {"url": shop.url, "user": "tester", **options}
    return [str(problem) for problem in make(plugin, **given).advice()]


def test_rights_to_many_tables_are_asked_for_once(store):
    for number in range(5):
        store.query(f"CREATE TABLE t{number} (id int)")
    with make(sinks.find("Jdbc"), url=store.url, user="tester", table="t", generate_sink_sql=True).database() as found:
        asked = []
        execute, found.execute = found.execute, lambda sql, values=(): asked.append(sql) or execute(sql, values)
        assert [found.lacks((store.name, f"t{number}"), [Right.INSERT]) for number in range(5)] == [[]] * 5
    assert len([sql for sql in asked if "GRANTS" in sql]) == 1
    assert len(asked) <= 3


def test_a_right_to_schemas_of_a_pattern_counts_as_the_database_means_it(store):
    login = f"guest{next(_NUMBERS)}"
    store.query(f"CREATE USER {login}@'127.0.0.1'")
    try:
        store.query("CREATE TABLE t (id int)")
        pattern = store.name[:-1].replace("_", "\\_")
        store.query(f"GRANT INSERT ON `{pattern}_`.* TO {login}@'127.0.0.1'")
        store.query(f"GRANT SELECT ON `{pattern}\\_`.* TO {login}@'127.0.0.1'")
        sink = make(sinks.find("Jdbc"), url=store.url, user=login, table="t", generate_sink_sql=True)
        with sink.database() as database:
            assert database.lacks((store.name, "t"), [Right.INSERT, Right.SELECT]) == [Right.SELECT]
    finally:
        store.query(f"DROP USER {login}@'127.0.0.1'")


def test_settings_of_mysql_that_matter_are_told_with_their_cure(store):
    sink, source = sinks.find("Jdbc"), sources.find("Jdbc")
    assert advice(sink, store, table="t", generate_sink_sql=True) == []
    assert advice(source, store, query="SELECT 1 AS one") == []
    [(mode,)] = store.query("SELECT @@global.sql_mode")
    store.query("SET GLOBAL local_infile = OFF")
    store.query("SET GLOBAL max_allowed_packet = 1048576")
    store.query("SET GLOBAL sql_mode = 'ANSI_QUOTES'")
    try:
        small, slow = advice(sink, store, table="t", generate_sink_sql=True)
        assert "less than 1,048,576 bytes" in small
        assert "SET GLOBAL max_allowed_packet" in small
        assert "inserted" in slow
        assert "SET GLOBAL local_infile = ON" in slow
        quotes, zone = advice(source, store, query="SELECT now() AS n")
        assert "ANSI_QUOTES" in quotes
        assert "+05:00" in zone
        assert "CONVERT_TZ" in zone
    finally:
        store.query("SET GLOBAL local_infile = ON")
        store.query("SET GLOBAL max_allowed_packet = 16777216")
        store.query(f"SET GLOBAL sql_mode = '{mode}'")


def test_settings_of_postgresql_that_end_what_a_job_does_are_told_with_their_cure(shop):
    login = f"guest{next(_NUMBERS)}"
    shop.query(f"CREATE ROLE {login} LOGIN")
    source = sources.find("Jdbc")
    try:
        assert advice(source, shop, user=login, query="SELECT 1 AS one") == []
        shop.query(f"ALTER ROLE {login} SET statement_timeout = '30s'")
        [told] = advice(source, shop, user=login, query="SELECT 1 AS one")
        assert "statement_timeout is 30s" in told
        assert f'ALTER ROLE "{login}" SET statement_timeout = 0' in told
    finally:
        shop.query(f"DROP ROLE {login}")


def test_check_shows_what_the_database_says_of_its_settings(store, tmp_path):
    (tmp_path / "job.conf").write_text(f"""env {{ job.mode = BATCH }}
    source {{ FakeSource {{ row.num = 1, schema {{ fields {{ id = bigint, name = string }} }} }} }}
    sink {{ Jdbc {{ url = "{store.url}", user = tester, table = people, generate_sink_sql = true }} }}""")
    command = [sys.executable, "-m", "headrace", "check", str(tmp_path / "job.conf"), "--connect", "--json"]
    store.query("SET GLOBAL local_infile = OFF")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        store.query("SET GLOBAL local_infile = ON")
    assert done.returncode == 0, done.stderr
    [warning] = [w for w in json.loads(done.stdout)["warnings"] if "local_infile" in w["message"]]
    assert warning["place"] == "sink[0].Jdbc.url"
