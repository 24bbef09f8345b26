"""HdfsFile: files of HDFS."""

import os
import posixpath
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from headrace.connector import sink, source
from headrace.connectors._files.options import FileSourceOptions
from headrace.connectors._files.servers import (
    PlacedOptions,
    ServerSink,
    ServerSinkOptions,
    ServerSource,
    ServerTableOptions,
    one_place,
)
from headrace.errors import Rejected
from headrace.options import HOST, PATH, STORE_PATH, LocalPath
from headrace.storage.hadoop import SCHEMES, HdfsPlace, name_nodes, read_site
from headrace.storage.hdfs import HdfsStorage

_KRB5 = "/etc/krb5.conf"


def hdfs_path(text: str) -> str:
    """A path from the root. Raises ValueError for others, and for a URL of another file system than HDFS."""
    scheme, found, rest = text.partition("://")
    if found:
        if scheme not in SCHEMES:
            raise ValueError(f"{text!r} is not a path of HDFS; give the path alone, fs.defaultFS names the cluster")
        raise ValueError(f"{text!r} is a URL; give the path alone, such as /{rest.partition('/')[2]}")
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} does not begin at the root; write it out, such as /user/ann/{text}")
    if ".." in text.split("/"):
        raise ValueError(f"{text!r} leads upwards; name the folder itself")
    return posixpath.normpath(text).replace("//", "/") if text else ""


HdfsPath = Annotated[str, AfterValidator(hdfs_path)]
"""An option that names a file or folder of HDFS."""


class HdfsOptions(PlacedOptions):
    """Which file system, and who reads and writes there."""

    fs: str = Field(
        default="",
        validation_alias="fs.defaultFS",
        json_schema_extra=HOST,
        description="Required: the file system: hdfs://namenode:9000 or hdfs://nameservice by RPC; "
        "webhdfs://namenode:9870 or swebhdfs://namenode:9871 by WebHDFS.",
    )
    hdfs_site_path: LocalPath = Field(
        default="",
        json_schema_extra=PATH,
        description="An hdfs-site.xml, which tells the NameNodes of a nameservice; the files of HADOOP_CONF_DIR "
        "where it is not set.",
    )
    remote_user: str = Field(
        default="",
        description="Who reads and writes, for a cluster that believes what it is told; HADOOP_USER_NAME or the user "
        "of this process where it is not set.",
    )
    kerberos_principal: str = Field(default="", description="Who logs in with Kerberos, by RPC alone.")
    kerberos_keytab_path: LocalPath = Field(
        default="", json_schema_extra=PATH, description="A file with the key of kerberos_principal."
    )
    krb5_path: LocalPath = Field(
        default=_KRB5,
        json_schema_extra=PATH,
        description="Kerberos' settings: the file that KRB5_CONFIG names for the whole process, or the default.",
    )

    def touches(self) -> Iterable[tuple[str, str, str]]:
        """The NameNodes that hdfs_site_path tells."""
        if self.hdfs_site_path and self.fs:
            try:
                nodes = name_nodes(self.place(), read_site(self.hdfs_site_path))
            except Rejected:
                return
            for address in {address for node in nodes for address in (node.rpc, node.web) if address}:
                yield "hdfs_site_path", "host", address

    def place(self) -> HdfsPlace:
        """The file system, and who reads and writes there. Raises ValueError."""
        if not self.fs:
            raise ValueError("fs.defaultFS: required option is missing")
        self._check_fs()
        if bool(self.kerberos_principal) != bool(self.kerberos_keytab_path):
            given, other = ("principal", "keytab_path") if self.kerberos_principal else ("keytab_path", "principal")
            raise ValueError(f"kerberos_{other}: needed beside kerberos_{given}")
        if self.kerberos_principal:
            self._check_kerberos()
        return HdfsPlace(
            self.fs.rstrip("/"),
            self.remote_user,
            self.hdfs_site_path,
            self.kerberos_principal,
            self.kerberos_keytab_path,
        )

    def _check_fs(self) -> None:
        try:
            parts = urlsplit(self.fs)
            named = parts.scheme in SCHEMES and parts.hostname and (parts.port is None or parts.port)
        except ValueError:
            named = False
        if not named or parts.username or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(
                f"fs.defaultFS {self.fs!r} is not an address of HDFS, such as hdfs://namenode:9000 or "
                "webhdfs://namenode:9870"
            )

    def _check_kerberos(self) -> None:
        if not self.fs.startswith("hdfs:"):
            raise ValueError("kerberos_principal is for hdfs://: WebHDFS is used without Kerberos here")
        if self.remote_user:
            raise ValueError("remote_user is not for a cluster with Kerberos, which knows the user by his ticket")
        known = os.environ.get("KRB5_CONFIG", _KRB5)
        if self.krb5_path not in (known, _KRB5):
            raise ValueError(
                f"krb5_path {self.krb5_path!r}: the library of Kerberos has one file of settings for all jobs of a "
                f"process, {known}; start headrace with KRB5_CONFIG={self.krb5_path}"
            )


class HdfsTableOptions(HdfsOptions, ServerTableOptions):
    """Options of one table."""

    path: HdfsPath = Field(
        default="",
        json_schema_extra=STORE_PATH,
        description="Required: a file of HDFS, or a folder that is read with all below it.",
    )


class HdfsFileSourceOptions(HdfsTableOptions, FileSourceOptions):
    """Options of the HdfsFile source."""

    tables_configs: list[HdfsTableOptions] | None = Field(  # type: ignore[assignment]  # each names its file system
        default=None,
        description="Several tables, each with all the options of one; the file system and the user are the same.",
    )

    def check_place(self) -> None:
        """All tables lie in one file system."""
        if self.tables_configs is None:
            super().check_place()
        one_place(self.tables())


EXAMPLE = """
%s {
  HdfsFile {
    fs.defaultFS = "hdfs://namenode.example.com:9000"
    remote_user = "ann"
    path = "/warehouse/people"
    file_format_type = "parquet"
  }
}
"""
"""Of the source and the sink, which reach a cluster in the same way."""


@source("HdfsFile")
class HdfsFileSource(ServerSource):
    """Reads files of HDFS, by the RPC of its NameNode or by WebHDFS.

    A big file is read in parts side by side, by ranges that are asked for ahead, and a restart goes on in the middle of
    a file: exactly once. A file that has changed since the job began is refused. Needs the extra `hdfs`, but not for
    WebHDFS.
    """

    Options = HdfsFileSourceOptions
    options: HdfsFileSourceOptions
    example = EXAMPLE % "source"
    storage_at = HdfsStorage

    def rooted(self, path: str) -> str:
        """The same whichever way leads there."""
        return _url(one_place(self.options.tables()), path)


class HdfsFileSinkOptions(HdfsOptions, ServerSinkOptions):
    """Options of the HdfsFile sink."""

    path: HdfsPath = Field(
        min_length=1,
        json_schema_extra=STORE_PATH,
        description="The target folder; ${table_name} and its like are filled.",
    )
    tmp_path: HdfsPath = Field(
        default="/tmp/seatunnel",
        json_schema_extra=STORE_PATH,
        description="Staging, in the same file system; a hidden folder in `path` where this may not be written.",
    )


@sink("HdfsFile")
class HdfsFileSink(ServerSink):
    """Writes files into HDFS, by the RPC of its NameNode or by WebHDFS.

    Staged: exactly once. A file is staged in a hidden folder, and renamed when a checkpoint or the job is complete: it
    appears whole, over one that is there. Needs the extra `hdfs`, but not for WebHDFS.
    """

    Options = HdfsFileSinkOptions
    options: HdfsFileSinkOptions
    example = EXAMPLE % "sink"
    storage_at = HdfsStorage

    def rooted(self, path: str) -> str:
        """The same whichever way leads there."""
        return _url(self.options.place(), path)


def _url(place: HdfsPlace, path: str) -> str:
    return f"hdfs://{place.host}{path}"
