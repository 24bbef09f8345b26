"""Addresses that a server's jobs never connect to: link-local ones, and those where clouds tell a machine its secrets.

A name is looked at as what it resolves to at the moment of the connection, and so is where a redirect leads: what
counts is the address that a socket is told. Addresses of hosts that the setting allowed_hosts names are let through.
"""

import ipaddress
import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

_ENVIRONMENT = "HEADRACE_GUARDED"
"""Tells the workers of a server that they are guarded; holds the allowed hosts as JSON."""

_OWN_KEYS = "HEADRACE_JOBS_USE_OWN_KEYS"
"""Likewise, that jobs may use the keys of the machine."""

_ASKING: ContextVar[bool] = ContextVar("headrace_asking_for_own_keys", default=False)
"""Whether this thread asks the cloud for the keys of the machine, which no job has named the address of."""

_BLOCKED = tuple(
    map(
        ipaddress.ip_network,
        (
            "169.254.0.0/16",  # link-local, RFC 3927: the metadata of nearly every cloud
            "fe80::/10",  # link-local, RFC 4291
            "100.100.100.200/32",  # Alibaba Cloud
            "168.63.129.16/32",  # Azure's own server
            "fd00:ec2::/32",  # Amazon EC2
            "fd20:ce::/32",  # Google Compute Engine
        ),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052


def is_blocked(address: str) -> bool:
    """Whether an address, IPv4 in IPv6 included, is one of those. False for what is not an address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        found = inner or found
    return any(found in network for network in _BLOCKED)


def guard(allowed_hosts: Sequence[str] | None, *, own_keys: bool = False) -> None:
    """Guard this process, and the worker processes that it starts, until it ends.

    own_keys: whether jobs may use the keys that the environment, the files or the role of this machine give.
    """
    os.environ[_ENVIRONMENT] = json.dumps(list(allowed_hosts or ()))
    os.environ[_OWN_KEYS] = "true" if own_keys else ""
    guard_worker()


def worker_environment() -> dict[str, str]:
    """What a worker finds in its environment that does not inherit this process's."""
    return {name: os.environ[name] for name in (_ENVIRONMENT, _OWN_KEYS) if name in os.environ}


def may_use_own_keys() -> bool:
    """Whether what runs here may use the keys of this machine; a job of a server may where that says so."""
    return not is_guarded() or bool(os.environ.get(_OWN_KEYS))


@contextmanager
def asking_for_own_keys() -> Iterator[None]:
    """Let this thread reach the address where the cloud tells the machine its keys, where jobs may use them."""
    token = _ASKING.set(may_use_own_keys())
    try:
        yield
    finally:
        _ASKING.reset(token)


def guard_worker() -> None:
    """Guard this process where the one that started it is guarded."""
    if is_guarded():
        sys.addaudithook(_look)


def is_guarded() -> bool:
    """Whether this process runs the jobs of a server."""
    return _ENVIRONMENT in os.environ


def is_named(host: str) -> bool:
    """Whether the setting allowed_hosts of a guarded process names a host."""
    return host.lower() in (name.lower() for name in json.loads(os.environ[_ENVIRONMENT]))


def numeric(host: str, port: int) -> list[str]:
    """The addresses of a host, for a library that opens its sockets outside of Python.

    Raises OSError when the host is unknown, PermissionError when all its addresses are blocked.
    """
    found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    open_ones = [address for address in found if not _refused(address)]
    if not open_ones:
        raise _refusal(found[0])
    return open_ones


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        return
    sock, address = arguments[0], arguments[-1]
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return
    host = str(address[0])
    for found in _addresses(host):
        if _refused(found):
            raise _refusal(found)


def _addresses(host: str) -> list[str]:
    """What a host is now; nothing for a name that nobody knows, which no socket reaches either."""
    with suppress(ValueError):
        return [str(ipaddress.ip_address(host.partition("%")[0]))]
    with suppress(OSError):
        return [str(info[4][0]) for info in socket.getaddrinfo(host, None)]
    return []


def _refused(address: str) -> bool:
    return is_blocked(address) and not _ASKING.get() and address not in _allowed()


def _allowed() -> set[str]:
    """The addresses of the hosts that are allowed by name; asked for only about an address that is blocked."""
    return {address for host in json.loads(os.environ[_ENVIRONMENT]) for address in _addresses(host)}


def _refusal(address: str) -> OSError:
    text = f"jobs of this server may not connect to {address}, a link-local or metadata address"
    return PermissionError(f"{text}, unless the setting allowed_hosts names it")
