"""JDBC URLs, taken apart: a driver never sees one, so nothing in it can do more than what is read here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True)
class JdbcUrl:
    """kind: the database's name in the URL, `sqlite`. place: what follows it; for SQLite the file's path."""

    kind: str
    place: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_jdbc_url(url: str) -> JdbcUrl:
    """Take `jdbc:KIND:PLACE?a=b&c=d` apart. Raises ValueError with the right form.

    A SQLite file may be written as the URI `file:/a%20b.db`, as its JDBC driver allows.
    """
    head, _, rest = url.strip().partition(":")
    kind, colon, place = rest.partition(":")
    if head.lower() != "jdbc" or not kind or not colon:
        raise ValueError(f"{url!r} is not a JDBC URL; one looks like jdbc:sqlite:/data/shop.db")
    place, _, query = place.partition("?")
    if kind.lower() == "sqlite" and place.startswith("file:"):
        place = unquote(place.removeprefix("file:"))
        if place.startswith("//"):
            place = "/" + place.lstrip("/").removeprefix("localhost/")
    return JdbcUrl(kind.lower(), place, dict(parse_qsl(query, keep_blank_values=True)))
