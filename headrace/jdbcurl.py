"""JDBC URLs, taken apart: a driver never sees one, so nothing in it can do more than what is read here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True)
class JdbcUrl:
    """kind: the database's name in the URL. place: what follows it, up to a `?`: a file, or `//HOST:PORT/DATABASE`."""

    kind: str
    place: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """One of the hosts of a URL. port: 0 where none is given."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


def parse_jdbc_url(url: str) -> JdbcUrl:
    """Take `jdbc:KIND:PLACE?a=b&c=d` apart. Raises ValueError with the right form."""
    head, _, rest = url.strip().partition(":")
    kind, colon, place = rest.partition(":")
    if head.lower() != "jdbc" or not kind or not colon:
        raise ValueError("this is not a JDBC URL; one looks like jdbc:postgresql://db.example.com:5432/shop")
    place, _, query = place.partition("?")
    return JdbcUrl(kind.lower(), place, dict(parse_qsl(query, keep_blank_values=True)))


def parse_servers(place: str) -> tuple[tuple[Server, ...], str]:
    """The servers and the database of `//HOST:PORT,HOST2:PORT/DATABASE`; escapes of a URL are undone.

    `[::1]:5432` is an address of IPv6. Raises ValueError with the right form; a user or password there is one, since a
    URL is shown.
    """
    if not place.startswith("//"):
        raise ValueError("url: two slashes come before the host: //HOST:PORT/DATABASE")
    hosts, _, database = place[2:].partition("/")
    if "@" in hosts:
        raise ValueError("url: the user and the password are options of their own, user and password")
    return tuple(_servers(hosts)), unquote(database)


def _servers(hosts: str) -> Iterator[Server]:
    for text in hosts.split(","):
        host, colon, port = text.strip().rpartition(":")
        if text.strip().endswith("]") or not colon:
            host, port = text.strip(), ""
        if host.startswith("["):
            host = host.removeprefix("[").removesuffix("]")
        elif ":" in host:
            raise ValueError(f"url: {text!r} is not a host and a port; an IPv6 address stands in brackets: [::1]:5432")
        if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"url: {port!r} is not a port")
        yield Server(unquote(host), int(port or 0))
