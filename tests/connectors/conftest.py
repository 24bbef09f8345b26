from itertools import count

import pytest

from tests.connectors import postgresql

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
