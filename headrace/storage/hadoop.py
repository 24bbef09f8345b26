"""Where a file system of Hadoop is, what its own settings say of it, and what its answers mean."""

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from xml.etree import ElementTree

from headrace.addresses import joined
from headrace.errors import Rejected, Unavailable

RPC_PORT, HTTP_PORT, HTTPS_PORT = 8020, 9870, 9871
"""Those of a NameNode, unless something says otherwise (Hadoop 3, hdfs-default.xml)."""

SCHEMES = ("hdfs", "webhdfs", "swebhdfs")
"""RPC, HTTP and HTTPS."""


@dataclass(frozen=True)
class HdfsPlace:
    """A file system, and who reads and writes there.

    fs: fs.defaultFS, whose host may be the name of several NameNodes that `site`, the path of an hdfs-site.xml, knows.
    user: who it is for a cluster that believes everybody; empty for who runs this process. principal, keytab: of
    Kerberos.
    """

    fs: str
    user: str = ""
    site: str = ""
    principal: str = ""
    keytab: str = ""

    @property
    def scheme(self) -> str:
        """One of SCHEMES."""
        return urlsplit(self.fs).scheme

    @property
    def host(self) -> str:
        """The NameNode's, or the name of several."""
        return urlsplit(self.fs).hostname or ""

    @property
    def port(self) -> int | None:
        """The NameNode's, where it is told."""
        return urlsplit(self.fs).port

    @property
    def url(self) -> str:
        """What messages call it."""
        return self.fs


class NameNode(NamedTuple):
    """rpc, web: host:port. secure: whether `web` speaks HTTPS."""

    rpc: str
    web: str
    secure: bool = False


def name_nodes(place: HdfsPlace, settings: Mapping[str, str]) -> list[NameNode]:
    """Those of a place: one, or those that stand in for each other."""
    service, secure = place.host, place.scheme == "swebhdfs"
    port, kind = (HTTPS_PORT, "https-address") if secure else (HTTP_PORT, "http-address")
    if place.port is None and (names := settings.get(f"dfs.ha.namenodes.{service}")):
        found = []
        for name in (one.strip() for one in names.split(",")):
            rpc = settings.get(f"dfs.namenode.rpc-address.{service}.{name}", "")
            host = rpc.rpartition(":")[0]
            web = settings.get(f"dfs.namenode.{kind}.{service}.{name}") or (f"{host}:{port}" if host else "")
            if rpc or web:
                found.append(NameNode(rpc, web, secure))
        return found
    if place.scheme == "hdfs":
        told = settings.get(f"dfs.namenode.{kind}", "")
        web = told if told and not told.startswith("0.0.0.0:") else joined(service, port)
        return [NameNode(joined(service, place.port or RPC_PORT), web)]
    return [NameNode("", joined(service, place.port or port), secure)]


def settings_of(place: HdfsPlace) -> dict[str, str]:
    """What hdfs_site_path says, or where that is empty the files of HADOOP_CONF_DIR. Raises Rejected."""
    if place.site:
        return read_site(place.site)
    folder, found = os.environ.get("HADOOP_CONF_DIR", ""), dict[str, str]()
    for name in ("core-site.xml", "hdfs-site.xml"):
        path = posixpath.join(folder, name)
        if folder and os.path.exists(path):
            found |= read_site(path)
    return found


def read_site(path: str) -> dict[str, str]:
    """The properties of one of Hadoop's files. Raises Rejected."""
    try:
        root = ElementTree.fromstring(Path(path).read_bytes())
    except OSError as error:
        raise Rejected(f"cannot read {path}: {error.strerror or error}; correct hdfs_site_path") from error
    except ElementTree.ParseError as error:
        raise Rejected(f"cannot read {path}: it is not XML ({error}); correct hdfs_site_path") from error
    pairs = ((one.findtext("name", ""), one.findtext("value", "")) for one in root.iter("property"))
    return {name.strip(): value.strip() for name, value in pairs if name.strip()}


_PASSING = ("StandbyException", "SafeModeException", "RetriableException", "ObserverRetryOnActiveException")

_FULL = ("could only be written to", "could only be replicated to", "QuotaExceeded", "quota", "No space left")


def refusal(told: str, kind: str, message: str, user: str) -> Exception:
    """What an exception of the NameNode or of a DataNode means. FileNotFoundError where something is not there.

    told: what cannot be done. kind: the exception's class. message: its text, of which the first line is for people.
    """
    name, why = kind.rpartition(".")[2], (message.strip() or kind).splitlines()[0].rstrip(". ")
    who = f"{user!r}" if user else "the user of this process"
    if name == "FileNotFoundException":
        return FileNotFoundError(why)
    if name in ("AccessControlException", "SecurityException", "AuthorizationException"):
        return Rejected(f"{told}: Permission denied ({why}); let {who} do that, or correct remote_user")
    if name in _PASSING:
        return Unavailable(f"{told}: {why}")
    if any(word in f"{name} {message}" for word in _FULL):
        return Unavailable(f"{told}: {why}; see whether its disk is full, or the quota of the folder used up")
    return Rejected(f"{told}: {why}")
