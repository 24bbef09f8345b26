"""SftpFile on OpenSSH's server."""

import pytest

from headrace.connectors.sftp_file import SftpFileSink, SftpFileSinkOptions, SftpFileSource, SftpFileSourceOptions
from headrace.options import read_options
from headrace.testing import make
from tests.connectors.stores import CsvSource, ParquetSource, Store, StoreJobs, StoreSinkContract
from tests.storage.sshd import PASSWORD, USER

GIVEN = {"host": "sftp.example.com", "user": "ann", "password": "s3cret", "path": "out"}


@pytest.fixture
def store(sshd):
    key = (sshd.folder / "host.pub").read_text().strip()
    given = {"host": "127.0.0.1", "port": sshd.port, "user": USER, "password": PASSWORD, "host_key": key}
    return Store("SftpFile", SftpFileSource, SftpFileSink, given, str(sshd.home))


@pytest.mark.service
class TestCsvSource(CsvSource):
    pass


@pytest.mark.service
class TestParquetSource(ParquetSource):
    pass


@pytest.mark.service
class TestCsvSink(StoreSinkContract):
    options = {"file_format_type": "csv"}


@pytest.mark.service
class TestParquetSink(StoreSinkContract):
    options = {"file_format_type": "parquet"}


@pytest.mark.service
class TestJobs(StoreJobs):
    secret = PASSWORD


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"host": ""}, "host: required option is missing"),
        ({"user": ""}, "user: required option is missing"),
        ({"password": ""}, "password or private_key_path is needed"),
        ({"port": 0}, "port"),
        ({"host_key": "x"}, "host_key 'x' is not a key"),
        ({"path": "sftp://sftp.example.com/out"}, "is a URL; give the path alone"),
        ({"path": "../out"}, "leads upwards"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(options, text):
    found = read_options(SftpFileSinkOptions, GIVEN | options)
    assert found.options is None
    assert text in "\n".join(map(str, found.problems))


def test_tables_of_one_source_lie_on_one_server():
    tables = [GIVEN | {"file_format_type": "parquet", "path": path} for path in ("/a", "/b")]
    assert [table.path for table in make(SftpFileSource, tables_configs=tables).options.tables()] == ["/a", "/b"]
    tables[1]["host"] = "other.example.com"
    found = read_options(SftpFileSourceOptions, {"tables_configs": tables})
    assert "the tables of one source lie on one server" in "\n".join(map(str, found.problems))


@pytest.mark.parametrize("options", [{"discovery_mode": "continuous"}, {"sync_mode": "update", "target_path": "/x"}])
def test_what_only_local_files_can_is_refused(options):
    found = read_options(SftpFileSourceOptions, GIVEN | {"file_format_type": "binary"} | options)
    name = next(iter(options))
    assert f"{name} = {options[name]} is for LocalFile" in "\n".join(map(str, found.problems))


def test_secrets_are_not_shown():
    options = read_options(SftpFileSinkOptions, GIVEN | {"private_key_passphrase": "phr4se"}).options
    for secret in ("s3cret", "phr4se"):
        assert secret not in f"{options!r} {options.place()!r}"


def test_a_path_is_absolute_or_begins_where_the_user_logs_in():
    paths = {"out/": "out", "/a//b/": "/a/b", "./c": "c", "/": "/"}
    found = [read_options(SftpFileSinkOptions, GIVEN | {"path": path}).options.path for path in paths]
    assert found == list(paths.values())
    places = [
        make(SftpFileSource, **{**GIVEN, "path": path, "file_format_type": "orc"}).places() for path in ("a", "/a")
    ]
    assert places == [["sftp://sftp.example.com/~ann/a"], ["sftp://sftp.example.com/a"]]
