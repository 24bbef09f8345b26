"""Connections that only the right server gets: PostgreSQL and MariaDB, with an authority of one's own."""

import os
import shutil

import pytest

from headrace.connector import sources
from headrace.errors import HeadraceError
from headrace.testing import make, task
from tests.connectors import mysql, postgresql
from tests.connectors.network import Authority

pytestmark = pytest.mark.service


def _lay(folder, authority, user):
    """The certificate of a server that is called localhost, and its key, where only the server reads it."""
    files = []
    for name, content in zip(("server.crt", "server.key"), authority.sign("localhost"), strict=True):
        file = folder / name
        file.write_bytes(content)
        file.chmod(0o600)
        if os.getuid() == 0:
            shutil.chown(file, user)
        files.append(file)
    return files


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def server(request, tmp_path_factory):
    """(server, folder of certificates, parameters of a URL by what they mean, a query that tells of TLS)."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    Authority(folder, "other")
    if request.param == "postgresql":
        if "15" not in postgresql.programs():
            pytest.skip("PostgreSQL 15 is not installed: scripts/test does it")
        found = postgresql.new_server("15")
        certificate, key = _lay(found.folder, authority, postgresql.USER)
        for name, value in (("ssl_cert_file", certificate), ("ssl_key_file", key), ("ssl", "on")):
            found.query(f"ALTER SYSTEM SET {name} = '{value}'")
        found.query("SELECT pg_reload_conf()")
        words = ("sslmode=verify-full", "sslmode=verify-ca", "sslrootcert")
        yield found, folder, words, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        postgresql.remove(found)
    else:
        if reason := mysql.why_not("mariadb"):
            pytest.skip(reason)
        found = mysql.new_server()
        found.stop()
        certificate, key = _lay(found.folder, authority, mysql.USER)
        found.start(f"--ssl-cert={certificate}", f"--ssl-key={key}")
        words = ("sslMode=verify-full", "sslMode=verify-ca", "serverSslCert")
        asked = "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'"
        yield found, folder, words, asked
        mysql.remove(found)


def read(server, host, mode, ca):
    """What the server says of the connection."""
    found, folder, words, asked = server
    database = "postgres" if isinstance(found, postgresql.Server) else "mysql"
    kind = "postgresql" if isinstance(found, postgresql.Server) else "mariadb"
    url = f"jdbc:{kind}://{host}:{found.port}/{database}?{words[mode]}&{words[2]}={folder / ca}"
    source = make(sources.find("Jdbc"), url=url, user="tester", query=asked, connection_check_timeout_sec=1)
    [split] = source.splits(1)
    return [row for part in source.read(split, None, task()) for row in part.batch.rows.column(0).to_pylist()]


def test_a_server_with_the_right_name_and_authority_is_read_by_tls(server):
    [said] = read(server, "localhost", 0, "ca.pem")
    assert said == "true" or said.startswith("TLS_")


def test_a_server_of_another_name_is_refused_unless_only_the_authority_counts(server):
    with pytest.raises(HeadraceError, match=r"(?i)certificate"):
        read(server, "127.0.0.1", 0, "ca.pem")
    assert read(server, "127.0.0.1", 1, "ca.pem")


@pytest.mark.parametrize("mode", [0, 1])
def test_a_server_of_another_authority_is_refused(server, mode):
    with pytest.raises(HeadraceError, match=r"(?i)certificate"):
        read(server, "localhost", mode, "other.pem")


def test_a_missing_authority_is_told_by_its_file(server):
    with pytest.raises(HeadraceError, match=r"missing\.pem"):
        read(server, "localhost", 0, "missing.pem")
