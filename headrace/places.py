"""Where data lies, as people write it: `postgres://ann@db/shop.public.orders`. The command `copy` makes plugins of it.

A source or sink declares its schemes, and says what options an address with a wish comes to.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from headrace.errors import ConfigError


@dataclass(frozen=True)
class Address:
    """A URL, taken apart. hosts: as written, with ports. path: what follows them. text: all of it, for messages.

    password: `${name}` for a variable of the job; empty where none is known.
    """

    scheme: str
    hosts: str
    path: str
    text: str
    user: str = ""
    password: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadWish:
    """What to read there. where: a condition, without the word. sql: a SELECT instead of all that."""

    table: str = ""
    columns: tuple[str, ...] = ()
    where: str = ""
    sql: str = ""


@dataclass(frozen=True)
class WriteWish:
    """How to write there. table: as the user says. otherwise: the table where neither the user nor the address says it.

    mode: append, replace, upsert; empty: refuse a table that has rows.
    """

    table: str = ""
    otherwise: str = ""
    mode: str = ""
    keys: tuple[str, ...] = ()


def is_address(text: str) -> bool:
    """Whether a text is a URL; everything else is a path."""
    scheme, colon, _ = text.partition("://")
    return bool(colon) and scheme.replace("+", "").replace("-", "").isalnum()


def without_jdbc(text: str) -> str:
    """A JDBC URL as an address, `jdbc:sqlite:shop.db` as `sqlite:///shop.db`; any other text as it is."""
    head, _, rest = text.partition(":")
    kind, colon, place = rest.partition(":")
    if head.lower() != "jdbc" or not kind or not colon:
        return text
    return f"{kind}:{place}" if place.startswith("//") else f"{kind}:///{place}"


def parse_address(text: str) -> tuple[Address, str]:
    """A URL, and the password that stands in it. Raises ConfigError for one that cannot be read.

    The login stands before the host, or in the parameters `user` and `password`, as in a JDBC URL.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ConfigError([f"cannot read the address {text!r}: {error}"]) from error
    login, at, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    shown = text.replace(f":{password}@", "@", 1) if password else text
    shown = re.sub(r"(?<=[?&])password=[^&]*", "password=***", shown)
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    user, password = (
        unquote(given) or parameters.pop(name, "") for name, given in (("user", user), ("password", password))
    )
    scheme = parts.scheme.lower()
    return Address(scheme, hosts if at else parts.netloc, parts.path, shown, user, "", parameters), password
