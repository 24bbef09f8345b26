"""What somebody sends who wants to harm the server: every answer is a refusal, and it answers on."""

import json
import socket

import pytest

from tests.api.servers import MAPS, Server, job

MANY = "9" * 5000


def fake(**options):
    return [{**job(1)["source"][0], **options}]


def nested(levels):
    return {"a": nested(levels - 1)} if levels else "int"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"job-info/{MANY}", None),
        ("submit-job", f'{{"env": {{"a": {MANY}}}, "source": [{{}}], "sink": [{{}}]}}'),
        ("stop-job", f'{{"jobId": {MANY}}}'),
        ("submit-job", {**job(1), "source": fake(**{"row.num": MANY})}),
        (
            "submit-job?format=hocon",
            f"source {{ FakeSource {{ row.num = {MANY}, schema.fields {{ a = int }} }} }}\nsink {{ Console {{}} }}",
        ),
        ("submit-job", {**job(1), "source": fake(schema={"fields": {"a": "array<" * 3000 + "int" + ">" * 3000}})}),
        ("submit-job", {**job(1), "source": fake(schema={"fields": {"a": nested(190)}})}),
        ("submit-job", {**job(1), "source": fake(schema={"fields": {"a": "decimal(" + MANY + ", 1)"}})}),
        ("submit-job?format=hocon", "a = " + "[" * 100_000),
        ("submit-job?format=hocon", "a = ${b}\nb = ${a}\nenv { x = ${a} }"),
        ("submit-job?format=sql", "'" * 50_001),
        ("submit-job?format=sql", "CREATE " * 20_000),
        ("update-tags", {"a" * 10_000: "b" * 20_000}),
        ("submit-job", {**job(1), "env": {"job.mode": ["BATCH"] * 1000}}),
    ],
)
def test_bodies_that_are_made_to_break_something_are_refused(server, path, body):
    answer = server.ask("GET" if body is None else "POST", path, body)
    assert answer.status == 400, answer.content[:300]
    assert answer.json["problems"]
    assert server.get("overview").status == 200


def test_an_id_may_have_zeros_before_it(server):
    assert server.get(f"job-info/{'0' * 5000}7").json == {"jobId": "7"}
    assert server.get(f"job-info/-{'0' * 5000}").json == {"jobId": "0"}


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST %s/submit-job HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5",
        b"POST %s/submit-job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x5",
        b"GET %s/job-info/\xff\xfe HTTP/1.1\r\nHost: localhost",
        b"GET %s/overview HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000,
        b"\x16\x03\x01\x02\x00\x01%s",
    ],
)
def test_what_is_no_http_is_refused(server, request_line):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(request_line % MAPS.encode() + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert server.get("overview").status == 200


def test_many_that_never_end_their_request_keep_nobody_waiting(server):
    head = f"POST {MAPS}/submit-job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{{".encode()
    waiting = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
    try:
        for connection in waiting:
            connection.sendall(head)
        assert server.wait(server.submit(job(1)))["jobStatus"] == "FINISHED"
    finally:
        for connection in waiting:
            connection.close()


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://localhost", "null", "http://[::1", "http://localhost:1"]
)
@pytest.mark.parametrize("path", ["submit-job", "stop-job", "update-tags"])
def test_a_page_of_another_origin_may_ask_nothing(server, origin, path):
    """A browser sends such a request without asking first: its body is plain text."""
    body = json.dumps(job(1, name="foreign"))
    answer = server.ask("POST", path, body, {"Origin": origin, "Content-Type": "text/plain"})
    assert (answer.status, "may not ask this server" in answer.message) == (403, True)
    assert "access-control-allow-origin" not in answer.headers
    assert all(one["jobName"] != "foreign" for one in server.get("finished-jobs").json)


def test_the_servers_own_page_may_ask(server):
    own = {"Origin": f"http://127.0.0.1:{server.port}"}
    assert server.ask("POST", "submit-job", job(1), own).status == 200


def test_a_name_that_somebody_lets_point_here_is_not_answered(server, tmp_path):
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", "[::1"):
        assert server.ask("GET", "running-jobs", headers={"Host": host}).status == 403
    for host in (
        "localhost",
        f"LOCALHOST:{server.port}",
        "127.0.0.1",
        "[::1]:5801",
        "a.localhost",
        socket.gethostname(),
    ):
        assert server.ask("GET", "running-jobs", headers={"Host": host}).status == 200
    other = Server(tmp_path / "home", env={"HEADRACE_TOKEN": "t0ken"}).start()
    try:
        known = {"Host": "headrace.example", "Authorization": "Bearer t0ken"}
        assert other.ask("GET", "running-jobs", headers=known).status == 200
        assert other.ask("GET", "running-jobs", headers={**known, "Origin": "http://evil.example"}).status == 403
    finally:
        other.stop()


def test_a_name_writes_no_lines_into_a_log(server):
    body = job(1, name="a\n2026-01-01 00:00:00,000 INFO  [1] Job a (1) ended FINISHED\x1b[2J")
    number = server.submit(body)
    server.wait(number)
    log = server.get(f"log/job-{number}.log").content.decode()
    assert "Init JobMaster for Job a\\n2026-01-01" in log
    assert "\x1b" not in log
