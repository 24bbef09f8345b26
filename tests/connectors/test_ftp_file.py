"""FtpFile on vsftpd."""

import pytest

from headrace.connectors.ftp_file import FtpFileSink, FtpFileSinkOptions, FtpFileSource, FtpFileSourceOptions
from headrace.options import read_options
from headrace.testing import make
from tests.connectors.stores import CsvSource, ParquetSource, Store, StoreJobs, StoreSinkContract
from tests.storage.vsftpd import PASSWORD, USER

GIVEN = {"host": "ftp.example.com", "user": "ann", "password": "s3cret", "path": "out"}


@pytest.fixture
def store(vsftpd):
    given = {"host": "127.0.0.1", "port": vsftpd.port, "user": USER, "password": PASSWORD}
    return Store("FtpFile", FtpFileSource, FtpFileSink, given, str(vsftpd.home))


@pytest.mark.service
class TestCsvSource(CsvSource):
    pass


@pytest.mark.service
class TestParquetSource(ParquetSource):
    pass


@pytest.mark.service
class TestCsvSink(StoreSinkContract):
    options = {"file_format_type": "csv", "connection_mode": "passive_local"}

    def reading(self):
        return {"file_format_type": "csv", "schema": {"fields": {"id": "bigint", "name": "string"}}}


@pytest.mark.service
class TestParquetSink(StoreSinkContract):
    options = {"file_format_type": "parquet"}


@pytest.mark.service
class TestJobs(StoreJobs):
    secret = PASSWORD


def test_what_the_protocol_does_not_promise_is_told():
    assert "need not keep what it has taken over a power cut" in " ".join(make(FtpFileSink, **GIVEN).lacks(1))


def place_of(**options):
    found = read_options(FtpFileSinkOptions, GIVEN | options)
    assert found.options is not None, found.problems
    return found.options.place()


def test_options_are_seatunnels():
    assert (place_of().passive, place_of().verified, place_of().tls, place_of().port) == (False, True, "none", 21)
    assert place_of(connection_mode="PASSIVE_LOCAL").passive
    assert not place_of(remote_verification_enabled="false").verified
    assert place_of(tls="explicit", tls_trusted="/ca.pem").trusted == "/ca.pem"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"host": ""}, "host: required option is missing"),
        ({"user": ""}, "user: required option is missing"),
        ({"connection_mode": "active"}, "connection_mode"),
        ({"tls_trusted": "/ca.pem"}, "tls_trusted needs tls"),
        ({"path": "ftp://ftp.example.com/out"}, "is a URL; give the path alone"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(options, text):
    found = read_options(FtpFileSinkOptions, GIVEN | options)
    assert found.options is None
    assert text in "\n".join(map(str, found.problems))


def test_tables_of_one_source_lie_on_one_server():
    tables = [GIVEN | {"file_format_type": "parquet", "path": path} for path in ("/a", "/b")]
    assert [table.path for table in make(FtpFileSource, tables_configs=tables).options.tables()] == ["/a", "/b"]
    tables[1]["user"] = "bob"
    found = read_options(FtpFileSourceOptions, {"tables_configs": tables})
    assert "the tables of one source lie on one server" in "\n".join(map(str, found.problems))


def test_secrets_are_not_shown():
    options = read_options(FtpFileSinkOptions, GIVEN).options
    assert "s3cret" not in f"{options!r} {options.place()!r}"
