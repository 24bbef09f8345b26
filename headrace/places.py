"""Where data lies, as people write it: `postgres://ann@db/shop.public.orders`. The command `copy` makes plugins of it.

A source or sink declares its schemes, and says what options an address with a wish comes to.
"""

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


def parse_address(text: str) -> tuple[Address, str]:
    """A URL, and the password that stands in it. Raises ConfigError for one that cannot be read."""
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ConfigError([f"cannot read the address {text!r}: {error}"]) from error
    login, at, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    shown = text.replace(f":{password}@", "@", 1) if password else text
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Address(parts.scheme.lower(), hosts if at else parts.netloc, parts.path, shown, unquote(user), "",
                   parameters), unquote(password)  # fmt: skip
