"""A member that hangs costs one request at a time its patience, and no other one anything."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from headrace.cluster.peers import ANSWER_SECONDS, Peers, Unanswered

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhere"


@pytest.fixture
def hanging():
    """A member that takes connections and answers none of them until it thaws."""
    thawed, over = threading.Event(), threading.Event()
    taken = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:

        def serve():
            while not over.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listening.accept()
                    taken.append(connection)
                    if thawed.is_set() and connection.recv(65536):
                        connection.sendall(ANSWER)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listening.getsockname()[1]
        yield f"127.0.0.1:{port}", thawed
        over.set()
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join()
    for connection in taken:
        connection.close()


@pytest.fixture
def peers():
    made = Peers("token")
    yield made
    made.close()


def unanswered(peers, address):
    began = time.monotonic()
    with pytest.raises(Unanswered) as error:
        peers.ask(address, "GET", "/")
    return time.monotonic() - began, str(error.value)


def test_while_a_member_hangs_one_request_waits_and_the_others_are_told_at_once(peers, hanging):
    address, _ = hanging
    assert unanswered(peers, address)[0] >= ANSWER_SECONDS
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: unanswered(peers, address), range(8)))
    waited = [seconds for seconds, text in told if text == f"{address} did not answer within {ANSWER_SECONDS} s"]
    at_once = [text for _, text in told if text == f"{address} does not answer at the moment"]
    assert len(waited) + len(at_once) == 8
    assert min(waited) >= ANSWER_SECONDS
    assert at_once, "at least those that began while one waited"


def test_a_member_that_thaws_is_asked_again_by_all(peers, hanging):
    address, thawed = hanging
    unanswered(peers, address)
    thawed.set()
    assert [peers.ask(address, "GET", "/").content for _ in range(3)] == [b"here"] * 3


def test_a_member_that_is_gone_is_asked_each_time(peers):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    for _ in range(3):
        with pytest.raises(Unanswered, match="cannot be reached"):
            peers.ask(address, "GET", "/")
