import pytest

from tests.api.servers import Server


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    """One server for the tests that change nothing in it but their own jobs."""
    running = Server(tmp_path_factory.mktemp("server") / "home").start()
    yield running
    running.stop()


@pytest.fixture(scope="package")
def later_server(tmp_path_factory):
    """One that answers as 2.3.13 does."""
    running = Server(tmp_path_factory.mktemp("later") / "home", ("--v1-wire", "2.3.13")).start()
    yield running
    running.stop()


@pytest.fixture(scope="package")
def second(later_server):
    """The same server, asked by REST v2."""
    return later_server.second()


@pytest.fixture
def start(tmp_path):
    """Start servers of this test's own; they share nothing unless it says so."""
    running = []

    def begin(*arguments, name="home", **settings):
        running.append(Server(tmp_path / name, arguments, **settings).start())
        return running[-1]

    yield begin
    for one in running:
        one.stop()
