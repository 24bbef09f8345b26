"""HDFS: the contract of storages on a real cluster, by RPC and by WebHDFS, its errors, and what a broken line does."""

import os
import subprocess
import sys
import uuid
from dataclasses import asdict, dataclass, replace
from types import SimpleNamespace

import pytest

from headrace.errors import Rejected, Unavailable
from headrace.storage.hadoop import HdfsPlace, NameNode, name_nodes, read_site, settings_of
from headrace.storage.hdfs import HdfsStorage
from headrace.testing import StorageContract
from tests.storage.hdfs import BLOCK_BYTES
from tests.storage.rename_faults import RenameFaults, staged, visible
from tests.storage.sshd import free_port

pytestmark = pytest.mark.service


@pytest.fixture
def root():
    return f"/home/{uuid.uuid4().hex}/target"


class HdfsContract(StorageContract):
    scheme: str

    @pytest.fixture
    def storage(self, hdfs):
        return HdfsStorage(hdfs.place(self.scheme))

    @pytest.fixture
    def root(self):
        return f"/home/{uuid.uuid4().hex}/target"

    @pytest.fixture
    def temporary(self, root):
        return f"{root}-tmp"

    def elsewhere(self, storage):
        place = storage._server.place
        return HdfsStorage(HdfsPlace(place.fs.replace("127.0.0.1", "localhost"), place.user))


class TestRpc(HdfsContract):
    scheme = "hdfs"


@pytest.mark.slow
class TestWebHdfs(HdfsContract):
    scheme = "webhdfs"


def storage_at(**place):
    return HdfsStorage(HdfsPlace(**place))


@dataclass
class OnHdfs:
    """A file of the cluster, as one of this machine is asked."""

    hdfs: object
    path: str

    def stat(self):
        return SimpleNamespace(st_size=HdfsStorage(self.hdfs.place()).stat(self.path).size)

    def read_bytes(self):
        return HdfsStorage(self.hdfs.place()).open(self.path).content()

    def chmod(self, mode):
        self.hdfs.set_mode(self.path, mode)


class HdfsFaults(RenameFaults):
    module = "tests.storage.test_hdfs"
    scheme: str

    @pytest.fixture
    def server(self, hdfs):
        return hdfs

    @pytest.fixture
    def storage(self, hdfs):
        return HdfsStorage(hdfs.place(self.scheme))

    @pytest.fixture
    def arguments(self, hdfs):
        return asdict(hdfs.place(self.scheme))

    @pytest.fixture
    def full(self, hdfs, storage, root):
        storage.make_folder(os.path.dirname(root))
        hdfs.set_quota(os.path.dirname(root), BLOCK_BYTES)
        return storage

    def on_disk(self, server, path):
        return OnHdfs(server, path)

    @pytest.mark.slow
    def test_what_breaks_while_a_file_is_written_is_tried_again(self, server, storage, root, caplog):
        super().test_what_breaks_while_a_file_is_written_is_tried_again(server, storage, root, caplog)
        assert "it is sent again" in caplog.text

    @pytest.mark.slow
    def test_what_breaks_while_a_file_is_read_is_tried_again(self, server, storage, root):
        super().test_what_breaks_while_a_file_is_read_is_tried_again(server, storage, root)

    @pytest.mark.slow
    def test_a_server_that_is_started_again_is_used_again(self, server, storage, root):
        super().test_a_server_that_is_started_again_is_used_again(server, storage, root)

    @pytest.mark.slow
    def test_a_full_disk_is_told_and_leaves_nothing(self, full, root):
        super().test_a_full_disk_is_told_and_leaves_nothing(full, root)


class TestRpcFaults(HdfsFaults):
    scheme = "hdfs"


@pytest.mark.slow
class TestWebHdfsFaults(HdfsFaults):
    scheme = "webhdfs"
    seen_bytes = 0  # a DataNode tells of a block when it is full and its client asks for the next


# ------------------------------------------------------------------------------------------------- reaching a cluster


@pytest.mark.parametrize("scheme", ["hdfs", "webhdfs"])
def test_a_cluster_that_is_not_there_is_told_with_its_cure(scheme):
    place = HdfsPlace(f"{scheme}://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match=rf"^cannot read {place.fs}/f: .*refused"):
        HdfsStorage(place).stat("/f")


def test_web_hdfs_at_the_port_of_rpc_is_told(hdfs):
    place = HdfsPlace(f"webhdfs://127.0.0.1:{hdfs.rpc}")
    with pytest.raises((Rejected, Unavailable), match="fs.defaultFS"):
        HdfsStorage(place).stat("/f")


@pytest.mark.parametrize("scheme", ["hdfs", "webhdfs"])
def test_who_may_not_is_told_who_he_is(hdfs, scheme):
    text = "let 'ann' do that, or correct remote_user$"
    with pytest.raises(Rejected, match=f"Permission denied .*{text}"):
        HdfsStorage(hdfs.place(scheme, "ann")).write("/f", b"rows")


def test_users_of_one_process_do_not_take_each_others_name(hdfs, root):
    one, other, nobody = (HdfsStorage(hdfs.place(user=user)) for user in ("ann", "bob", ""))
    for number, (storage, user) in enumerate([(one, "ann"), (other, "bob"), (nobody, hdfs.owner)] * 2):
        storage.write(f"/home/{root[6:10]}{number}", b"rows")
        path = f"/home/{root[6:10]}{number}"
        assert storage._server._ask("read", path, lambda client, path=path: client.get_file_info(path).owner) == user


SITE = """<?xml version="1.0"?>
<configuration>
  <property><name>dfs.nameservices</name><value>cluster</value></property>
  <property><name>dfs.ha.namenodes.cluster</name><value>nn1, nn2</value></property>
  <property><name>dfs.namenode.rpc-address.cluster.nn1</name><value>127.0.0.1:{dead}</value></property>
  <property><name>dfs.namenode.rpc-address.cluster.nn2</name><value>127.0.0.1:{rpc}</value></property>
  <property><name>dfs.namenode.http-address.cluster.nn1</name><value>127.0.0.1:{dead}</value></property>
  <property><name>dfs.namenode.http-address.cluster.nn2</name><value>127.0.0.1:{web}</value></property>
</configuration>
"""


@pytest.mark.parametrize("scheme", ["hdfs", "webhdfs"])
def test_a_nameservice_is_reached_at_the_name_node_that_lives(hdfs, root, tmp_path, scheme):
    site = tmp_path / "hdfs-site.xml"
    site.write_text(SITE.format(dead=free_port(), rpc=hdfs.rpc, web=hdfs.web))
    storage = HdfsStorage(replace(hdfs.place(), fs=f"{scheme}://cluster", site=str(site)))
    storage.write(f"{root}/f", b"rows")
    assert storage.open(f"{root}/f").content() == b"rows"
    assert storage.open(f"{root}/f").name == f"{scheme}://cluster{root}/f"


def test_a_nameservice_that_no_settings_name_is_told(tmp_path):
    site = tmp_path / "hdfs-site.xml"
    site.write_text("<configuration/>")
    place = HdfsPlace("webhdfs://nowhere.invalid", site=str(site))
    assert name_nodes(place, settings_of(place)) == [NameNode("", "nowhere.invalid:9870")]
    with pytest.raises(Unavailable, match=r"^cannot read webhdfs://nowhere.invalid/f"):
        HdfsStorage(place).stat("/f")


@pytest.mark.parametrize(("content", "text"), [(None, "No such file"), ("<a", "it is not XML")])
def test_a_wrong_file_of_settings_is_told(tmp_path, content, text):
    site = tmp_path / "hdfs-site.xml"
    if content is not None:
        site.write_text(content)
    with pytest.raises(Rejected, match=rf"^cannot read {site}: .*{text}.*; correct hdfs_site_path"):
        read_site(str(site))


GUARDED = """
import sys
from headrace import reach
from headrace.errors import ConnectorError
from headrace.storage.hadoop import HdfsPlace
from headrace.storage.hdfs import HdfsStorage

fs, site, allowed = sys.argv[1:]
reach.guard([allowed] if allowed else None)
storage = HdfsStorage(HdfsPlace(fs, "tester", site))
print(type(storage._server).__name__)
try:
    print(storage.stat("/home").is_folder)
except ConnectorError as error:
    print(error)
"""


def guarded(fs, site="", allowed=""):
    ended = subprocess.run([sys.executable, "-c", GUARDED, fs, site, allowed], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_jobs_of_a_server_go_where_its_guard_sees_them(hdfs, tmp_path):
    """By RPC only to hosts that the operator has named: DataNodes are wherever the NameNode says."""
    site = tmp_path / "hdfs-site.xml"
    site.write_text(SITE.format(dead=free_port(), rpc=hdfs.rpc, web=hdfs.web))
    assert guarded("hdfs://cluster", str(site)) == ["WebHdfsServer", "True"]
    assert guarded(f"hdfs://127.0.0.1:{hdfs.rpc}", allowed="127.0.0.1") == ["RpcServer", "True"]
    kind, text = guarded("webhdfs://169.254.169.254:80")
    assert (kind, "jobs of this server may not connect to 169.254.169.254" in text) == ("WebHdfsServer", True)


def test_a_big_folder_is_listed_page_by_page(hdfs, root):
    storage = HdfsStorage(hdfs.place("webhdfs"))
    for number in range(3):
        storage.write(f"{root}/{number}", b"")
    assert visible(storage, root) == {"0", "1", "2"}
    assert staged(storage, root, b"rows")["size"] == 4
