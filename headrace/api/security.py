"""Who may ask: basic and bearer authentication, and where a server may listen."""

import base64
import binascii
import hmac
import ipaddress
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from headrace.errors import ConfigError, Problem
from headrace.server_settings import ServerSettings


class Guard:
    """Checks the Authorization header. Without user and token everybody may ask."""

    def __init__(self, settings: ServerSettings, realm: str = "Headrace") -> None:
        self._realm = realm
        self._basic = None
        if settings.user is not None and settings.password is not None:
            self._basic = f"{settings.user}:{settings.password.get_secret_value()}".encode()
        self._only_here = not settings.allow_remote
        self._origins = {origin.lower().rstrip("/") for origin in settings.allowed_origins}
        self._token = settings.token.get_secret_value().encode() if settings.token is not None else None

    @property
    def is_open(self) -> bool:
        """Whether no authentication is asked for."""
        return self._basic is None and self._token is None

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate header of a refusal."""
        return f'{"Basic" if self._basic is not None else "Bearer"} realm="{self._realm}"'

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

    def allows(self, header: str) -> bool:
        """Whether a request with this Authorization header may pass; compared in constant time."""
        if self.is_open:
            return True
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer" and self._token is not None:
            return hmac.compare_digest(value.strip().encode(), self._token)
        if scheme.lower() == "basic" and self._basic is not None:
            try:
                given = base64.b64decode(value.strip(), validate=True)
            except (binascii.Error, ValueError):
                return False
            return hmac.compare_digest(given, self._basic)
        return False


def check_listening(settings: ServerSettings) -> None:
    """Raises ConfigError for half a secret, and for an address that others reach without authentication."""
    problems = []
    if (settings.user is None) != (settings.password is None):
        problems.append(Problem("user", "basic authentication needs a name and a password", "set both"))
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        problems.append(Problem("tls_certificate", "HTTPS needs a certificate and its key", "set both"))
    for name in ("tls_certificate", "tls_key"):
        file = getattr(settings, name)
        if file is not None and not file.is_file():
            problems.append(Problem(name, f"there is no file {str(file)!r}", ""))
    if not problems and not settings.allow_remote and not _is_local(settings.host) and Guard(settings).is_open:
        cure = "set user and password, or token; or allow it on purpose with allow_remote (HEADRACE_ALLOW_REMOTE=true)"
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
