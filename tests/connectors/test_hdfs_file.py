"""HdfsFile on a real cluster."""

import pytest

from headrace.connectors.hdfs_file import HdfsFileSink, HdfsFileSinkOptions, HdfsFileSource, HdfsFileSourceOptions
from headrace.options import read_options
from headrace.testing import make
from tests.connectors.stores import CsvSource, ParquetSource, Store, StoreJobs, StoreSinkContract
from tests.storage.hdfs import USER

GIVEN = {"fs.defaultFS": "hdfs://namenode.example.com:9000", "path": "/out"}


@pytest.fixture
def store(hdfs):
    given = {"fs.defaultFS": hdfs.place().fs, "remote_user": USER}
    return Store("HdfsFile", HdfsFileSource, HdfsFileSink, given, "/home")


@pytest.fixture
def web_store(hdfs):
    given = {"fs.defaultFS": hdfs.place("webhdfs").fs, "remote_user": USER}
    return Store("HdfsFile", HdfsFileSource, HdfsFileSink, given, "/home")


@pytest.mark.service
@pytest.mark.slow
class TestCsvSource(CsvSource):
    pass


@pytest.mark.service
@pytest.mark.slow
class TestParquetSource(ParquetSource):
    pass


@pytest.mark.service
@pytest.mark.slow
class TestCsvSink(StoreSinkContract):
    options = {"file_format_type": "csv"}


@pytest.mark.service
@pytest.mark.slow
class TestParquetSink(StoreSinkContract):
    options = {"file_format_type": "parquet"}


@pytest.mark.service
class TestJobs(StoreJobs):
    secret = "no secret is given"


@pytest.mark.service
@pytest.mark.slow
class TestWebHdfsJobs(StoreJobs):
    secret = "no secret is given"

    @pytest.fixture
    def store(self, web_store):
        return web_store


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fs.defaultFS": ""}, "fs.defaultFS: required option is missing"),
        ({"fs.defaultFS": "file:///tmp"}, "is not an address of HDFS"),
        ({"fs.defaultFS": "hdfs://nn:x"}, "is not an address of HDFS"),
        ({"fs.defaultFS": "hdfs://nn/warehouse"}, "is not an address of HDFS"),
        ({"path": "hdfs://nn:9000/out"}, "is a URL; give the path alone, such as /out"),
        ({"path": "../out"}, "does not begin at the root"),
        ({"path": "/a/../out"}, "leads upwards"),
        ({"kerberos_principal": "ann@EXAMPLE"}, "kerberos_keytab_path: needed beside kerberos_principal"),
        ({"kerberos_keytab_path": "/k"}, "kerberos_principal: needed beside kerberos_keytab_path"),
        (
            {"kerberos_principal": "ann", "kerberos_keytab_path": "/k", "remote_user": "bob"},
            "remote_user is not for a cluster with Kerberos",
        ),
        (
            {"kerberos_principal": "ann", "kerberos_keytab_path": "/k", "fs.defaultFS": "webhdfs://nn"},
            "WebHDFS is used without Kerberos",
        ),
        (
            {"kerberos_principal": "ann", "kerberos_keytab_path": "/k", "krb5_path": "/k5"},
            "start headrace with KRB5_CONFIG=/k5",
        ),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(options, text):
    found = read_options(HdfsFileSinkOptions, GIVEN | options)
    assert found.options is None
    assert text in "\n".join(map(str, found.problems))


def test_tables_of_one_source_lie_in_one_file_system():
    tables = [GIVEN | {"file_format_type": "parquet", "path": path} for path in ("/a", "/b")]
    assert [table.path for table in make(HdfsFileSource, tables_configs=tables).options.tables()] == ["/a", "/b"]
    tables[1]["fs.defaultFS"] = "hdfs://other"
    found = read_options(HdfsFileSourceOptions, {"tables_configs": tables})
    assert "the tables of one source lie on one server" in "\n".join(map(str, found.problems))


def test_a_place_is_the_same_by_rpc_and_by_web_hdfs():
    sources = [
        make(HdfsFileSource, **{"fs.defaultFS": fs, "path": "/a", "file_format_type": "orc"})
        for fs in ("hdfs://nn:9000", "webhdfs://nn:9870")
    ]
    assert [source.places() for source in sources] == [["hdfs://nn/a"]] * 2


def test_name_nodes_of_a_settings_file_are_hosts_that_a_server_must_allow(tmp_path):
    site = tmp_path / "hdfs-site.xml"
    names = {"dfs.ha.namenodes.c": "a", "dfs.namenode.rpc-address.c.a": "nn-a:9000"}
    lines = "".join(f"<property><name>{name}</name><value>{value}</value></property>" for name, value in names.items())
    site.write_text(f"<configuration>{lines}</configuration>")
    options = read_options(
        HdfsFileSinkOptions, GIVEN | {"fs.defaultFS": "hdfs://c", "hdfs_site_path": str(site)}
    ).options
    assert {(kind, value) for _, kind, value in options.touches()} == {("host", "nn-a:9000"), ("host", "nn-a:9870")}
