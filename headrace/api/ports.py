"""The sockets of a server: which ports are taken, and by which addresses others find it."""

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass

from headrace.addresses import joined
from headrace.api.tls import own_context, store_context
from headrace.errors import ConfigError, Problem
from headrace.server_settings import ServerSettings

WAITING_CONNECTIONS = 1024
"""Connections that the kernel keeps until they are accepted."""


@dataclass(frozen=True)
class Port:
    """A socket that listens. tls: None for plain HTTP."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None

    @property
    def number(self) -> int:
        """The port's number."""
        return int(self.socket.getsockname()[1])

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "http" if self.tls is None else "https"


def first_port(settings: ServerSettings) -> Port:
    """The port of v1. Raises ConfigError, naming the ports that were tried."""
    count = settings.port_count if settings.auto_increment and settings.port else 1
    more = "" if settings.auto_increment else ", or set auto-increment: true and leave --port out"
    return Port(_listen(settings.host, settings.port, count, "port", more), own_context(settings))


def second_ports(settings: ServerSettings) -> tuple[list[Port], list[Problem]]:
    """The ports of v2: none, one, or one for HTTP and one for HTTPS; and what should be said about them.

    Raises ConfigError when a port is taken that somebody asked for; the default one is only said to be.
    """
    found: list[Port] = []
    problems: list[Problem] = []
    try:
        if settings.http_enabled:
            tls = own_context(settings)
            wanted = settings.second_port
            count = settings.http_port_range + 1 if settings.http_dynamic_port and wanted else 1
            more = "" if settings.http_dynamic_port else ", or set http_dynamic_port (http.enable-dynamic-port)"
            found.append(Port(_listen(settings.host, wanted, count, "http_port", more), tls))
    except ConfigError as error:
        if "http_port" in settings.model_fields_set:
            raise
        text, cure = f"REST v2 does not answer, v1 does: {error.problems[0].message}", error.problems[0].cure
        problems.append(Problem("http_port", text, f"{cure}, or switch it off with http_enabled"))
    try:
        if settings.https_enabled:
            context = store_context(settings)
            found.append(Port(_listen(settings.host, settings.https_port, 1, "https_port", ""), context))
    except ConfigError:
        for port in found:
            port.socket.close()
        raise
    return found, problems


def _listen(host: str, port: int, count: int, setting: str, more: str) -> socket.socket:
    """A socket on the first free port of `count`."""
    ports = range(port, min(port + count, 65536))
    reason = ""
    for number in ports:
        try:
            family = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
            # with its protocol named, asyncio sends small answers at once (TCP_NODELAY) on the connections it accepts
            found = socket.socket(family[0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(family[4])
            found.listen(WAITING_CONNECTIONS)
        except OSError as error:
            reason = error.strerror or str(error)
            with suppress(UnboundLocalError):
                found.close()
            continue
        return found
    tried = f"port {ports[0]}" if len(ports) == 1 else f"the ports {ports[0]} to {ports[-1]}"
    cure = f"choose another with {setting}{more}"
    raise ConfigError([Problem(setting, f"cannot listen on {host}, {tried}: {reason}", cure)])


def told_address(settings: ServerSettings, port: int) -> str:
    """host:port by which others find this server: one that listens on all addresses has none of its own."""
    told = settings.public_address
    if told and told.rpartition(":")[2].isdigit() and (told.count(":") == 1 or told.startswith("[")):
        return told
    host = told or settings.host
    if host == "127.0.0.1":
        host = "localhost"
    elif host in ("0.0.0.0", "::"):
        host = _outward_address() or "localhost"
    return joined(host, port)


def _outward_address() -> str:
    """This machine's address on the way to others; empty without a network. Nothing is sent."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # RFC 5737: an address for documentation
        return str(probe.getsockname()[0])
    return ""
