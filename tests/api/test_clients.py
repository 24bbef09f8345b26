"""How clients of SeaTunnel speak to it: curl, pooled connections, forms, pages behind a proxy."""

import asyncio
import contextlib
import http.client
import json
import re
import socket
import threading
import time

import pytest

import headrace
from headrace.api import gate
from tests.api.servers import FORM, MAPS, form, job


def raw(port, *parts):
    """What a server answers to bytes as they stand, sent in these parts; the connection is closed by it."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.05)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def raw_submit(name):
    body = json.dumps(job(1)).encode()
    head = f"POST {MAPS}/submit-job?jobName={name} HTTP/1.1\r\nHost: localhost\r\nX-Note: \u6d4b\r\n"
    return f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


# curl and Go send a query as it was written


def test_a_name_in_plain_letters_of_any_language_arrives(server):
    answer = raw(server.port, raw_submit("测试-é"))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["jobName"] == "测试-é"


@pytest.mark.parametrize("cut", [30, 62, 90, 120])
def test_a_name_arrives_wherever_the_network_parts_the_request(server, cut):
    request = raw_submit("名")
    answer = raw(server.port, request[:cut], request[cut:])
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["jobName"] == "名"


def test_bytes_that_are_no_utf8_are_no_error_of_the_protocol(server):
    answer = raw(server.port, raw_submit("x").replace(b"jobName=x", b"jobName=\xff"))
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_connection_that_was_idle_is_still_open(server):
    """uvicorn closes it after 5 s: a client that polls so often, over one connection, would be cut off now and then."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        connection.connect()
        opened = connection.sock
        for pause in (5.5, 0):
            connection.request("GET", f"{MAPS}/overview")
            assert connection.getresponse().read()
            assert connection.sock is opened
            time.sleep(pause)


def test_a_client_that_would_like_another_protocol_is_answered_in_this_one(start):
    """java.net.http asks for HTTP/2, pages for a WebSocket: no reason to warn of anything."""
    server = start()
    for protocol in ("h2c", "websocket"):
        headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": protocol, "HTTP2-Settings": "AAMAAABk"}
        assert server.ask("POST", "submit-job", job(1), headers).status == 200
    log = (server.home / "logs" / "headrace-server.log").read_text()
    assert "upgrade" not in log
    assert "WebSocket" not in log


def test_an_answer_without_a_body_has_no_type(server):
    answer = server.get("submit-job")
    assert (answer.status, answer.content) == (400, b"")
    assert "content-type" not in answer.headers


# ---------------------------------------------------------------------------------------------------------------- files

CONF = """env { job.mode = BATCH, job.name = "hocon" }
source { FakeSource { plugin_output = fake, row.num = 3, schema { fields { name = string } } } }
sink { Console { plugin_input = fake } }"""
SQL = """/* config
env { job.mode = BATCH }
*/
CREATE TABLE src (name VARCHAR) WITH ('connector' = 'FakeSource', 'type' = 'source', 'row.num' = '3',
  'schema' = '{ fields { name = string } }');
CREATE TABLE dst WITH ('connector' = 'Console', 'type' = 'sink');
INSERT INTO dst SELECT * FROM src;
"""


@pytest.mark.parametrize(
    ("name", "content"), [("a.conf", CONF), ("a", CONF), ("A.SQL", SQL), ("a.json", json.dumps(job(3)))]
)
def test_a_job_file_can_be_uploaded(server, name, content):
    answer = server.ask("POST", "submit-job/upload?jobName=sent", form(name, content), {"Content-Type": FORM})
    assert (answer.status, answer.json["jobName"]) == (200, "sent"), answer.content
    ended = server.wait(int(answer.json["jobId"]))
    assert (ended["jobStatus"], ended["metrics"]["SinkWriteCount"]) == ("FINISHED", "3")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (form("a.conf", CONF, part="file"), FORM, "the form has no file 'config_file'"),
        (form("a.conf", ""), FORM, "Request body is empty."),
        (form("a.json", "{bad"), FORM, "Invalid JSON format in request body."),
        (form("a.json", "[]"), FORM, "Cannot deserialize value of type"),
        (form("a.conf", "env {"), FORM, "not HOCON"),
        (b"{}", "application/json", "Unsupported Content-Type [application/json], expected [multipart/form-data]"),
        (form("a.conf", CONF), "multipart/form-data", "the form has no file 'config_file'"),
        (b"", FORM, "the form has no file 'config_file'"),
    ],
)
def test_an_upload_that_holds_no_job_is_refused(server, body, kind, message):
    answer = server.ask("POST", "submit-job/upload", body, {"Content-Type": kind})
    assert answer.status == 400
    assert answer.message.startswith(message)
    assert answer.json.get("problems") or message.startswith("Cannot")


# ---------------------------------------------------------------------------------------------------------------- pages


def test_pages_that_are_allowed_may_ask(start):
    page = "http://dashboard.example:3000"
    server = start(env={"HEADRACE_ALLOWED_ORIGINS": f"{page},https://other.example/"})
    assert server.ask("GET", "running-jobs", headers={"Origin": page}).status == 200
    assert server.ask("POST", "submit-job", job(1), {"Origin": "https://OTHER.example"}).status == 200
    refused = server.ask("GET", "running-jobs", headers={"Origin": "http://dashboard.example"})
    assert (refused.status, refused.json["status"]) == (403, "fail")
    assert "allowed_origins" in refused.message


def test_a_browser_is_led_to_the_page(server):
    answer = server.ask("GET", "/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (answer.status, answer.headers["location"]) == (307, "/docs")
    assert server.ask("GET", "/").status == 404


# a server that ends before it has answered


class LosesFirstAnswer:
    """Stands before a server, passes requests on, and hangs up instead of giving the first answer."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.taken, self.losing, self.target = self.listener.getsockname()[1], [], True, port
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                with client:
                    request = client.recv(65536)
                    while request.partition(b"\r\n\r\n")[2] == b"" and request.startswith(b"POST"):
                        request += client.recv(65536)
                    self.taken.append(request)
                    answer = raw(self.target, request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                    if not self.losing:
                        client.sendall(answer)
                    self.losing = False


@pytest.fixture
def forgetful(server):
    before = LosesFirstAnswer(server.port)
    yield before
    before.listener.close()


def ids_of(requests):
    return [re.search(rb"jobId=(\d+)", request)[1] for request in requests if request.startswith(b"POST")]


def test_a_job_whose_answer_was_lost_is_sent_again_and_runs_once(server, forgetful):
    with headrace.Client(f"http://127.0.0.1:{forgetful.port}") as client:
        number = client.submit(job(1), name="lost-answer", patience=60)
    assert ids_of(forgetful.taken) == [str(number).encode()] * 2
    assert server.wait(number)["jobStatus"] == "FINISHED"
    everything = server.get("running-jobs").json + server.get("finished-jobs").json
    assert [one["jobId"] for one in everything if one["jobName"] == "lost-answer"] == [str(number)]


def test_without_patience_a_lost_answer_is_an_error_and_nothing_is_sent_again(forgetful):
    with headrace.Client(f"http://127.0.0.1:{forgetful.port}") as client, pytest.raises(headrace.errors.Unavailable):
        client.submit(job(1))
    assert len(forgetful.taken) == 1


def test_a_server_that_was_never_reached_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.monotonic()
    with headrace.Client(f"http://127.0.0.1:{port}") as client, pytest.raises(headrace.errors.Unavailable):
        client.submit(job(1), patience=600)
    assert time.monotonic() - began < 300


def test_what_a_server_cannot_answer_before_its_end_is_told_so():
    """uvicorn cancels what takes longer than its grace; a 500 would read like a fault."""
    told = []

    async def never(scope, receive, send):
        await asyncio.sleep(600)

    async def send(message):
        told.append(message)

    async def ended():
        running = asyncio.create_task(gate.run_to_an_answer(never, {"type": "http"}, None, send))
        await asyncio.sleep(0)
        running.cancel()
        await running

    asyncio.run(ended())
    assert told[0]["status"] == 503
    assert (b"retry-after", b"1") in told[0]["headers"]
    assert "may have taken this or not" in json.loads(told[1]["body"])["message"]
