"""Tokens for bearer authentication: made by `headrace token`, kept as hashes in the home, each with a role and an end.

A token has 256 random bits, so its plain SHA-256 tells nothing that helps to guess it.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from headrace.errors import ConfigError, Problem
from headrace.options import Choice
from headrace.storage.local import write_whole

FILE = "tokens.json"
DAY = 86_400.0


class Role(Choice):
    """What somebody may do: look, or also change."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Token:
    """What is kept of a token. created, expires: seconds since 1970."""

    name: str
    role: Role
    digest: str
    created: float
    expires: float

    def is_over(self, now: float) -> bool:
        """Whether it has ended."""
        return now >= self.expires


class Tokens:
    """The tokens of a home. A server sees at once what the command changes: it looks at the file's time."""

    def __init__(self, home: Path, now: Callable[[], float] = time.time) -> None:
        self._file, self._now = home / FILE, now
        self._read: tuple[tuple[int, int], dict[str, Token]] = ((0, 0), {})

    def all(self) -> list[Token]:
        """Every token, those that are over, too. Raises ConfigError when the file cannot be read."""
        return list(self._tokens().values())

    def role(self, token: str) -> Role | None:
        """What who shows this token may do; None for one that is not known, or over."""
        found = self._tokens().get(_digest(token))
        return None if found is None or found.is_over(self._now()) else found.role

    def add(self, name: str, role: Role, days: float) -> str:
        """A new token, which is told only now. Raises ConfigError when the name is taken by one that is not over."""
        now = self._now()
        kept = [token for token in self.all() if not token.is_over(now)]
        if any(token.name == name for token in kept):
            raise ConfigError(
                [Problem("name", f"there is a token {name!r} already", "revoke it, or take another name")]
            )
        token = f"hr_{secrets.token_urlsafe(32)}"
        self._write([*kept, Token(name, role, _digest(token), now, now + days * DAY)])
        return token

    def revoke(self, name: str) -> None:
        """Take a token back. Raises ConfigError when there is none of this name."""
        tokens = self.all()
        if all(token.name != name for token in tokens):
            known = ", ".join(token.name for token in tokens)
            raise ConfigError([Problem("name", f"there is no token {name!r}", f"there are {known}" if known else "")])
        self._write([token for token in tokens if token.name != name])

    def _tokens(self) -> dict[str, Token]:
        try:
            state = self._file.stat()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unreadable(error) from error
        version = (state.st_mtime_ns, state.st_ino)
        if self._read[0] != version:
            try:
                values = json.loads(self._file.read_text(encoding="utf-8"))
                tokens = [Token(**{**one, "role": Role(one["role"])}) for one in values]
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise self._unreadable(error) from error
            self._read = (version, {token.digest: token for token in tokens})
        return self._read[1]

    def _unreadable(self, error: Exception) -> ConfigError:
        return ConfigError([Problem("", f"cannot read the tokens in {self._file}: {error}", "remove it, or mend it")])

    def _write(self, tokens: list[Token]) -> None:
        write_whole(self._file, json.dumps([asdict(token) for token in tokens]).encode(), 0o600)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
