"""Addresses that jobs of a server do not reach. Nothing is sent: what is refused is refused before the first packet."""

import subprocess
import sys

import pytest

from headrace.reach import is_blocked

GUARDED = """
import socket, sys
from headrace import reach
names = {"meta.test": "169.254.169.254", "rebound.test": "fe80::1", "here.test": "127.0.0.1"}
real = socket.getaddrinfo
def resolve(host, port, *more, **how):
    return real(names.get(host, host), port, *more, **how)
socket.getaddrinfo = resolve
reach.guard(sys.argv[1].split(",") if sys.argv[1] else None)
"""
NET = """
import sys
def stop(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and "127.0.0.1" not in arguments[-1]:
        raise RuntimeError("let through")
sys.addaudithook(stop)
"""
"""Comes after the guard and stops what that let through: whatever fails here, nothing is sent."""


def guarded(code, allowed=""):
    done = subprocess.run(
        [sys.executable, "-c", GUARDED + NET + code, allowed], capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_link_local_and_metadata_addresses_are_blocked_however_they_are_written(address):
    assert is_blocked(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.253.255.255", "fd00::1", "::1", "2001:db8::1", "name"]
)
def test_other_addresses_are_not(address):
    assert not is_blocked(address)


@pytest.mark.parametrize("host", ["169.254.169.254", "meta.test", "rebound.test", "2852039166", "0xa9fea9fe"])
def test_a_connection_is_refused_by_what_its_host_is_at_that_moment(host):
    said = guarded(f"socket.create_connection(({host!r}, 80), timeout=5)")
    assert "PermissionError: jobs of this server may not connect to" in said
    assert "allowed_hosts" in said


def test_a_datagram_is_refused_too():
    said = guarded("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('169.254.169.254', 53))")
    assert "PermissionError" in said


def test_where_a_redirect_leads_is_looked_at():
    said = guarded(
        """
import http.server, threading, urllib.request
class Sends(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://meta.test/latest/")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Sends)
threading.Thread(target=server.serve_forever, daemon=True).start()
try:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(f"http://here.test:{server.server_port}/", timeout=5)
except OSError as error:
    print("refused:", error)
"""
    )
    assert "refused:" in said
    assert "169.254.169.254" in said


@pytest.mark.parametrize(
    ("allowed", "refused"), [("meta.test", False), ("169.254.169.254", False), ("here.test", True)]
)
def test_a_host_that_is_allowed_by_name_is_let_through(allowed, refused):
    said = guarded("print(reach._refused('169.254.169.254'))", allowed)
    assert said.strip() == str(refused)


def test_addresses_for_other_libraries_are_looked_at_likewise():
    said = guarded("print(reach.numeric('here.test', 5432)); reach.numeric('meta.test', 5432)")
    assert "['127.0.0.1']" in said
    assert "PermissionError" in said


def test_a_worker_of_a_guarded_server_is_guarded():
    worker = f"""
from headrace.reach import guard_worker, is_guarded
guard_worker()
{NET}
import socket
print(is_guarded())
socket.create_connection(("169.254.169.254", 80))
"""
    run = f"""
import subprocess
print(subprocess.run([sys.executable, "-c", {worker!r}], capture_output=True, text=True).stderr)
"""
    assert "PermissionError" in guarded(run)
    alone = subprocess.run([sys.executable, "-c", worker], capture_output=True, text=True, timeout=120, check=False)
    assert alone.stdout.strip() == "False"
    assert "let through" in alone.stderr


S3 = """
import os
from headrace.storage.s3_client import S3Client, S3Place
def ask(endpoint, keys=("a", "b", "")):
    try:
        S3Client(S3Place("bucket", endpoint, "us-east-1", keys, path_style=True)).call("head_object", "key")
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("host", ["meta.test", "169.254.169.254", "rebound.test"])
def test_a_store_of_objects_is_looked_at_when_it_is_connected_to(host):
    said = guarded(f"{S3}\nask('http://{host}:80')")
    assert "Unavailable cannot read s3a://bucket/key" in said
    assert "let through" not in said


def test_a_store_that_sends_to_a_metadata_address_is_not_followed_there():
    said = guarded(
        S3
        + """
import http.server, threading
class Sends(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(307)
        self.send_header("Location", "http://169.254.169.254/latest/")
        self.end_headers()
    do_GET = do_HEAD
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Sends)
threading.Thread(target=server.serve_forever, daemon=True).start()
ask(f"http://here.test:{server.server_port}")
"""
    )
    assert "cannot read s3a://bucket/key" in said
    assert "redirects without end" in said
    assert "let through" not in said


def test_no_proxy_reaches_a_store_for_a_job_of_a_server():
    said = guarded(f"{S3}\nos.environ['http_proxy'] = 'http://127.0.0.1:9'\nask('http://meta.test:80')")
    assert "cannot connect to http://meta.test:80" in said
    assert "127.0.0.1:9" not in said


METADATA = (
    S3
    + """
import http.server, json, threading
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["HOME"] = "/nowhere"
asked, keys = [], []
class Tells(http.server.BaseHTTPRequestHandler):
    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
    def do_PUT(self):
        self.answer("token")
    def do_GET(self):
        asked.append(self.path)
        told = {"AccessKeyId": "role-key", "SecretAccessKey": "s", "Token": "t", "Code": "Success",
                "Expiration": "2099-01-01T00:00:00Z", "LastUpdated": "2026-01-01T00:00:00Z"}
        self.answer(json.dumps(told) if self.path.endswith("/role") else "role")
    def do_HEAD(self):
        keys.append(self.headers["Authorization"].split("Credential=")[1].split("/")[0])
        self.answer("")
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tells)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}/"
"""
)


def test_jobs_use_the_role_of_the_machine_only_where_the_server_says_so():
    ask = "ask(f'http://here.test:{server.server_port}', None); print(len(asked) > 0, keys)"
    assert "no keys were found" in guarded(METADATA + ask)
    assert "False []" in guarded(METADATA + ask)
    allowed = "os.environ['HEADRACE_JOBS_USE_OWN_KEYS'] = 'true'\n"
    assert "True ['role-key']" in guarded(METADATA + allowed + ask)


def test_metadata_is_open_while_allowed_keys_are_asked_for_and_at_no_other_time():
    ask = """
def open_now():
    with reach.asking_for_own_keys():
        return not reach._refused("169.254.169.254")
print(open_now(), end=" ")
os.environ["HEADRACE_JOBS_USE_OWN_KEYS"] = "true"
print(open_now(), not reach._refused("169.254.169.254"))
"""
    assert guarded("import os" + ask).strip() == "False True False"


def test_a_job_without_keys_is_refused_by_a_server_and_taken_by_a_run(tmp_path):
    job = """
from headrace.config.job import parse_job
from headrace.plan.plan import make_plan
text = 'source { S3File { bucket = "s3a://bucket", fs.s3a.endpoint = "http://127.0.0.1:9", path = "/a", '
text += 'file_format_type = csv, schema { fields { a = int } } } }\\nsink { Console {} }'
try:
    make_plan(parse_job(text, format="hocon"))
    print("taken")
except Exception as error:
    print(error)
"""
    assert "setting jobs_use_own_keys" in guarded(job)
    alone = subprocess.run([sys.executable, "-c", job], capture_output=True, text=True, timeout=120, check=False)
    assert alone.stdout.strip() == "taken"
