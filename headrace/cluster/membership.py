"""Whether a server is a member of a cluster, what it needs for that, and where the store of jobs is."""

import ipaddress
import socket
from contextlib import suppress
from dataclasses import dataclass

from headrace.addresses import joined
from headrace.cluster.secret import LEAST
from headrace.errors import ConfigError, Problem
from headrace.server_settings import ServerSettings


@dataclass(frozen=True)
class Membership:
    """What the settings say of the cluster.

    head: host:port of the member whose own store serves the others; empty where all use one PostgreSQL.
    is_head: whether this server is that member.
    """

    secret: str
    head: str
    is_head: bool


def membership_of(settings: ServerSettings, port: int) -> Membership | None:
    """The membership of a server that listens on `port`; None for a server of its own.

    A list with one member, as SeaTunnel ships it, makes no cluster; a secret does. Raises ConfigError with all that is
    missing.
    """
    members = [_with_port(member, settings.port or port) for member in settings.members]
    secret = settings.cluster_secret.get_secret_value() if settings.cluster_secret is not None else ""
    if len(members) < 2 and not secret:
        return None
    is_shared = bool(settings.database) and not str(settings.database).startswith("sqlite")
    is_head = not is_shared and bool(members) and _is_own(members[0], port)
    problems = [*_secret_problems(secret, members), *_place_problems(settings, is_head, is_shared, members)]
    if problems:
        raise ConfigError(problems)
    return Membership(secret, "" if is_shared else members[0], is_head)


def _secret_problems(secret: str, members: list[str]) -> list[Problem]:
    cure = "set the same HEADRACE_CLUSTER_SECRET on each of them, such as the output of `openssl rand -hex 32`"
    if not secret:
        return [Problem("cluster_secret", f"the members {', '.join(members)} share no secret", cure)]
    if len(secret) < LEAST:
        return [Problem("cluster_secret", f"it has {len(secret)} characters, and {LEAST} are the least", cure)]
    return []


def _place_problems(settings: ServerSettings, is_head: bool, is_shared: bool, members: list[str]) -> list[Problem]:
    found = []
    if not settings.checkpoint_store:
        cure = "name a directory that all of them mount, or s3://BUCKET/PREFIX, with checkpoint_store"
        found.append(
            Problem("checkpoint_store", "a cluster needs a place for checkpoints that all members reach", cure)
        )
    if not is_shared and not members:
        cure = "name a PostgreSQL with database, or the members with hazelcast.network.join.tcp-ip.member-list"
        found.append(Problem("members", "nothing tells where the store of jobs is", cure))
    if settings.database and not is_shared and not is_head and members:
        text = f"the store of jobs is that of the first member, {members[0]}, and {settings.database!r} is another"
        found.append(Problem("database", text, "leave it out, or name one PostgreSQL on all members"))
    if settings.role == "worker" and is_head:
        text = f"the first member, {members[0]}, serves the store of jobs, and cannot be only a worker"
        found.append(Problem("role", text, "put a master first in the list"))
    elsewhere = [member for member in members if not _is_loopback(member)]
    if elsewhere and _is_loopback(joined(settings.host, 0)):
        text = f"it is {settings.host}, where {', '.join(elsewhere)} cannot reach this member"
        found.append(Problem("host", text, "set it to this machine's address, or 0.0.0.0"))
    if settings.tls_certificate is None and settings.members_certificates is not None:
        text = "members are asked over HTTPS only where they serve it"
        found.append(Problem("members_certificates", text, "set tls_certificate and tls_key"))
    return found


def _with_port(member: str, port: int) -> str:
    host, colon, last = member.rpartition(":")
    if colon and last.isdigit() and (":" not in host or host.endswith("]")):
        return member
    return joined(member, port)


def _is_own(member: str, port: int) -> bool:
    """Whether an address of the list is this server's: its port, and a host that this machine can bind."""
    host, _, number = member.rpartition(":")
    if int(number) != port:
        return False
    with suppress(OSError):
        for family, kind, protocol, _, address in socket.getaddrinfo(host.strip("[]"), 0, type=socket.SOCK_STREAM):
            with suppress(OSError), socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
                return True
    return False


def _is_loopback(member: str) -> bool:
    host = member.rpartition(":")[0].strip("[]")
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
