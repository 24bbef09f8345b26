import pytest

from tests.cluster.nodes import Cluster
from tests.connectors import postgresql


@pytest.fixture(scope="package")
def pair(tmp_path_factory):
    """Two nodes, the first of which serves its store, for the tests that end none of them."""
    cluster = Cluster(tmp_path_factory.mktemp("pair")).start()
    yield cluster
    cluster.stop()


@pytest.fixture
def make(tmp_path):
    """Make a cluster of this test's own, which is not started yet."""
    made = []

    def begin(count=2, **how):
        made.append(Cluster(tmp_path, count, **how))
        return made[-1]

    yield begin
    for cluster in made:
        cluster.stop()


@pytest.fixture(scope="package")
def database():
    """The URL of an empty PostgreSQL."""
    if "15" not in postgresql.programs():
        pytest.skip("there is no PostgreSQL 15")
    running = postgresql.new_server("15")
    running.query("CREATE DATABASE jobs TEMPLATE template0")
    yield f"postgresql+psycopg://tester@127.0.0.1:{running.port}/jobs"
    postgresql.remove(running)
