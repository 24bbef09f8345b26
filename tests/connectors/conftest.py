from itertools import count

import pytest

from tests.connectors import mysql, postgresql

_NUMBERS = count()


@pytest.fixture(scope="session", params=["15", pytest.param("18", marks=pytest.mark.slow)])
def postgresql_server(request):
    """A server of each version."""
    if request.param not in postgresql.programs():
        pytest.skip(f"PostgreSQL {request.param} is not installed: scripts/test does it")
    server = postgresql.new_server(request.param)
    yield server
    postgresql.remove(server)


@pytest.fixture
def shop(postgresql_server):
    """A new database."""
    name = f"shop{next(_NUMBERS)}"
    postgresql_server.query(f"CREATE DATABASE {name} TEMPLATE template0")
    yield postgresql.Shop(postgresql_server, name)
    postgresql_server.query(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session", params=["mariadb", pytest.param("mysql", marks=pytest.mark.slow)])
def mysql_server(request):
    """MariaDB, and MySQL 5.6."""
    if reason := mysql.why_not(request.param):
        pytest.skip(reason)
    server = mysql.new_server(request.param)
    yield server
    mysql.remove(server)


@pytest.fixture
def store(mysql_server):
    """A new database of MariaDB or MySQL."""
    yield from _stored(mysql_server)


@pytest.fixture(scope="session")
def mysql56_server():
    """MySQL 5.6, for the few of its tests that are always run."""
    if reason := mysql.why_not("mysql"):
        pytest.skip(reason)
    server = mysql.new_server("mysql")
    yield server
    mysql.remove(server)


@pytest.fixture
def old_store(mysql56_server):
    """A new database of MySQL 5.6."""
    yield from _stored(mysql56_server)


def _stored(server):
    name = f"store{next(_NUMBERS)}"
    server.query(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield mysql.Shop(server, name)
    server.end_connections(name)  # a source keeps its snapshot as long as it lives, and that the tables
    server.query(f"DROP DATABASE IF EXISTS {name}")
