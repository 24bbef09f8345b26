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
