"""What a login may not do is told by `headrace check --connect`, before anything runs: PostgreSQL and MariaDB."""

import itertools

import pyarrow as pa
import pytest

from headrace.connector import sinks, sources
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
