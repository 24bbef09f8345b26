"""Members ask each other over HTTPS where they serve it, and trust nobody else's certificate."""

import http.client
import json
import ssl
import subprocess

import pytest

from headrace.cluster.peers import Peers, Unanswered
from headrace.cluster.secret import member_token
from tests.cluster.nodes import SECRET


def certificate(folder, name):
    key, file = folder / f"{name}.key", folder / f"{name}.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
    ]
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run([*command, names, "-keyout", key, "-out", file], check=True, capture_output=True, timeout=60)
    return key, file


def test_members_speak_https_to_each_other_and_only_with_the_certificates_they_know(make, tmp_path):
    key, known = certificate(tmp_path, "known")
    _, strange = certificate(tmp_path, "strange")
    cluster = make(2, env={"HEADRACE_TLS_KEY": str(key), "HEADRACE_TLS_CERTIFICATE": str(known)}).start()
    for number, port in enumerate(cluster.ports):
        connection = http.client.HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=known))
        connection.request("GET", "/hazelcast/rest/maps/system-monitoring-information")
        found = json.loads(connection.getresponse().read())
        connection.close()
        assert [one["port"] for one in found] == [str(one) for one in cluster.ports], number
        assert all("unknown" not in one for one in found)
    peers = Peers(member_token(SECRET), strange)
    with pytest.raises(Unanswered, match="cannot be reached: .*CERTIFICATE_VERIFY_FAILED"):
        peers.ask(cluster.address(0), "GET", "/hazelcast/rest/cluster", seconds=30)
