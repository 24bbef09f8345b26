"""Requests as proxies and impatient clients send them, over a bare socket."""

import gzip
import json
import socket
import struct
import time
import zlib

import pytest

from tests.api.servers import MAPS, job, wait_for


def exchange(server, head, body=b"", *, timeout=60):
    """What comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
        with connection.makefile("rb") as answer:
            return answer.read().decode("utf-8", "replace")


def post(server, path, body, encoding):
    head = f"POST {MAPS}/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return exchange(server, f"{head}Content-Encoding: {encoding}\r\n", body)


@pytest.mark.parametrize("path", [f"{MAPS}/overview", f"{MAPS}/job-info/123", "/hazelcast/health"])
def test_a_target_may_be_the_whole_url(server, path):
    answer = exchange(server, f"GET http://localhost:{server.port}{path} HTTP/1.1\r\nHost: elsewhere.example\r\n")
    assert answer.startswith("HTTP/1.1 200 ")


def test_the_host_of_a_whole_url_counts_for_that_of_the_header(server):
    answer = exchange(server, f"GET http://evil.example{MAPS}/overview HTTP/1.1\r\nHost: localhost\r\n")
    assert answer.startswith("HTTP/1.1 403 ")


def test_a_gzip_body_is_unpacked(server):
    text = json.dumps(job(1)).encode()
    several = gzip.compress(text[:50]) + gzip.compress(text[50:])
    for body in (gzip.compress(text), several):
        answer = post(server, "submit-job?jobName=packed", body, "gzip")
        assert answer.startswith("HTTP/1.1 200 ")
        assert '"jobName":"packed"' in answer


@pytest.mark.parametrize(
    ("body", "encoding", "status", "text"),
    [
        (zlib.compress(b"{}"), "deflate", 415, "encoded as deflate, and only gzip is unpacked"),
        (b"{}", "gzip, gzip", 415, "encoded as gzip, gzip"),
        (b"{}", "gzip", 400, "the body is not gzip, as its Content-Encoding says"),
        (gzip.compress(b"{}" * 9)[:-9], "GZIP", 400, "it ends in the middle"),
        (gzip.compress(b" " * 11 * 1024 * 1024), "gzip", 413, "Request body is too large."),
    ],
)
def test_what_cannot_be_unpacked_is_refused_by_name(server, body, encoding, status, text):
    answer = post(server, "submit-job", body, encoding)
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert text in answer


def test_a_client_that_goes_away_within_its_body_is_one_line_in_the_log(server):
    log = server.home / "logs" / "headrace-server.log"
    before = len(log.read_text().splitlines())
    head = f"POST {MAPS}/submit-job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{{"
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(head.encode())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    told = lambda: [line for line in log.read_text().splitlines()[before:] if "went away" in line]  # noqa: E731
    wait_for(lambda: len(told()) == 10)
    assert len(log.read_text().splitlines()) - before == 10


def test_a_request_that_stops_half_way_is_given_up(start):
    server = start(env={"HEADRACE_REQUEST_TIMEOUT": "0.5"})
    begun = f"POST {MAPS}/submit-job HTTP/1.1\r\nHost: localhost\r\n"
    for text in (begun, f"{begun}Content-Length: 500\r\n\r\n{{", "G"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(text.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")
            assert connection.recv(1000) == b""


def test_a_slow_body_and_an_idle_connection_are_not_given_up(start):
    server = start(env={"HEADRACE_REQUEST_TIMEOUT": "0.5"})
    body = json.dumps(job(1)).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        time.sleep(0.7)
        head = f"POST {MAPS}/submit-job HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode())
        for start_at in range(0, len(body), len(body) // 4 + 1):
            time.sleep(0.2)
            connection.sendall(body[start_at : start_at + len(body) // 4 + 1])
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
