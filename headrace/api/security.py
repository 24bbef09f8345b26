"""Who may ask: basic and bearer authentication, and where a server may listen."""

import base64
import binascii
import hmac
import ipaddress
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from headrace.api.tokens import Role, Tokens
from headrace.cluster.secret import member_token
from headrace.errors import ConfigError, Problem
from headrace.server_settings import ServerSettings


class Guard:
    """Checks the Authorization header. Without any user or token everybody may ask."""

    def __init__(self, settings: ServerSettings, realm: str = "Headrace") -> None:
        self._realm = realm
        self._basic = None
        if settings.user is not None and settings.password is not None:
            self._basic = f"{settings.user}:{settings.password.get_secret_value()}".encode()
        self._only_here = not settings.allow_remote
        self._origins = {origin.lower().rstrip("/") for origin in settings.allowed_origins}
        self._token = settings.token.get_secret_value().encode() if settings.token is not None else None
        self._viewer = None
        if settings.viewer_user is not None and settings.viewer_password is not None:
            self._viewer = f"{settings.viewer_user}:{settings.viewer_password.get_secret_value()}".encode()
        secret = settings.cluster_secret
        self._member = None if secret is None else f"Bearer {member_token(secret.get_secret_value())}".encode()
        self._tokens = Tokens(settings.home)
        self.attempts = Attempts()

    @property
    def is_open(self) -> bool:
        """Whether no authentication is asked for."""
        return self._basic is None and self._token is None and self._viewer is None and not self._has_tokens()

    def _has_tokens(self) -> bool:
        try:
            return bool(self._tokens.all())
        except ConfigError:
            return True

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate header of a refusal."""
        is_basic = self._basic is not None or self._viewer is not None
        return f'{"Basic" if is_basic else "Bearer"} realm="{self._realm}"'

    def strangeness(self, host: str, origin: str) -> str:
        """Why a request may come from a page that somebody else's browser shows; empty when it does not.

        A page of another origin can send a job to a server on this machine, and a name that its owner lets point here
        makes both one origin. Browsers say where a page comes from; other clients send no Origin.
        """
        if origin and origin.partition("://")[2].lower() != host.lower() and not self._allows_origin(origin):
            return f"a page of {origin} may not ask this server; allow it with the setting allowed_origins"
        if self.is_open and self._only_here and host and not _is_name_of_here(host):
            return f"this server is not known as {host}; ask for localhost, or set user and password, or token"
        return ""

    def _allows_origin(self, origin: str) -> bool:
        return "*" in self._origins or origin.lower() in self._origins

    def is_member(self, header: str) -> bool:
        """Whether a request with this Authorization header comes from a member of this server's cluster."""
        return self._member is not None and hmac.compare_digest(header.encode("latin-1", "replace"), self._member)

    def role(self, header: str) -> Role | None:
        """What a request with this Authorization header may do, None for nothing; compared in constant time."""
        if self.is_open:
            return Role.OPERATOR
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            given = value.strip()
            if self._token is not None and hmac.compare_digest(given.encode("latin-1"), self._token):
                return Role.OPERATOR
            with suppress(ConfigError):  # a file that cannot be read lets nobody in
                return self._tokens.role(given)
            return None
        if scheme.lower() == "basic":
            try:
                pair = base64.b64decode(value.strip(), validate=True)
            except (binascii.Error, ValueError):
                return None
            for known, role in ((self._basic, Role.OPERATOR), (self._viewer, Role.VIEWER)):
                if known is not None and hmac.compare_digest(pair, known):
                    return role
        return None


class Attempts:
    """Wrong logins by address: after `MOST` of them within `SECONDS`, no other is looked at until that time is over."""

    MOST, SECONDS, REMEMBERED = 10, 60.0, 10_000

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._wrong: dict[str, deque[float]] = {}

    def wait(self, address: str) -> float:
        """Seconds until another login from this address is looked at; 0 when it is now."""
        times = self._wrong.get(address)
        if times is None or len(times) < self.MOST:
            return 0.0
        return max(0.0, times[0] + self.SECONDS - self._now())

    def was_wrong(self, address: str) -> None:
        """One more."""
        times = self._wrong.pop(address, deque(maxlen=self.MOST))
        times.append(self._now())
        self._wrong[address] = times
        while len(self._wrong) > self.REMEMBERED:
            self._wrong.pop(next(iter(self._wrong)))


def check_listening(settings: ServerSettings) -> None:
    """Raises ConfigError for half a secret, and for an address that others reach without authentication."""
    problems = []
    if (settings.user is None) != (settings.password is None):
        problems.append(Problem("user", "basic authentication needs a name and a password", "set both"))
    if (settings.viewer_user is None) != (settings.viewer_password is None):
        problems.append(Problem("viewer_user", "basic authentication needs a name and a password", "set both"))
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        problems.append(Problem("tls_certificate", "HTTPS needs a certificate and its key", "set both"))
    for name in ("tls_certificate", "tls_key"):
        file = getattr(settings, name)
        if file is not None and not file.is_file():
            problems.append(Problem(name, f"there is no file {str(file)!r}", ""))
    if not problems and not settings.allow_remote and not _is_local(settings.host) and Guard(settings).is_open:
        cure = (
            "set user and password, or token, or make one with headrace token; "
            "or allow it on purpose with allow_remote (HEADRACE_ALLOW_REMOTE=true)"
        )
        problems.append(Problem("host", f"listening on {settings.host} without authentication is refused", cure))
    if problems:
        raise ConfigError(problems)


def _is_name_of_here(host: str) -> bool:
    """Whether a Host header names this machine by a word that nobody else can let point to it."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return name in ("localhost", socket.gethostname().lower()) or name.endswith(".localhost")


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
