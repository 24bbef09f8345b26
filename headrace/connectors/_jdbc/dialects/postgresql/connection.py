"""Reaching PostgreSQL: what a URL and its parameters mean, and nothing that could do more than connect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.connectors._jdbc.dialect import Login
from headrace.errors import Rejected, Unavailable
from headrace.jdbcurl import Server, parse_servers
from headrace.reach import is_guarded, numeric

PORT = 5432

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_FILES = ("sslrootcert", "sslcert", "sslkey")
"""Parameters that name a file of this machine."""

_PASSED = {*_FILES, "sslmode", "channelBinding"}

_MEANT = {"ssl", "user", "password", "connectTimeout", "socketTimeout", "loginTimeout", "tcpKeepAlive",
          "ApplicationName", "currentSchema", "targetServerType"}  # fmt: skip

_IDLE = {"reWriteBatchedInserts", "prepareThreshold", "preparedStatementCacheQueries", "preparedStatementCacheSizeMiB",
         "defaultRowFetchSize", "binaryTransfer", "stringtype", "autosave", "cleanupSavepoints", "loadBalanceHosts",
         "useUnicode", "characterEncoding", "adaptiveFetch", "assumeMinServerVersion", "preferQueryMode",
         "serverTimezone", "useSSL"}  # fmt: skip
"""Parameters of Java's driver that change nothing here and are harmless."""

_TARGETS = {"any": "any", "primary": "read-write", "master": "primary", "secondary": "standby", "slave": "standby",
            "preferSecondary": "prefer-standby", "preferSlave": "prefer-standby"}  # fmt: skip


@dataclass(frozen=True)
class PostgresqlSettings:
    """How to reach a database. patience: seconds to wait for it; socket_ms: without a sign of life, None the system's.

    schema: the search path of the URL, empty for the login's own.
    """

    servers: tuple[Server, ...]
    database: str
    user: str | None
    password: str | None = field(repr=False)
    ssl: Mapping[str, str] = field(default_factory=dict)
    patience: float = 30.0
    connect_ms: int | None = None
    socket_ms: int | None = None
    schema: str = ""
    target: str = "any"

    @property
    def shown(self) -> str:
        """Hosts and database."""
        return f"{','.join(map(str, self.servers))}/{self.database}"

    @property
    def files(self) -> list[str]:
        """Certificates and keys."""
        return [self.ssl[name] for name in _FILES if name in self.ssl]

    def arguments(self, label: str, database: str | None = None) -> dict[str, Any]:
        """The arguments of a connection; none of the environment or of service files is used."""
        milliseconds = self.patience * 1000 if self.connect_ms is None else self.connect_ms
        found: dict[str, Any] = {
            "host": ",".join(server.host for server in self.servers),
            "port": ",".join(str(server.port or PORT) for server in self.servers),
            "dbname": database or self.database,
            "application_name": label or "headrace",
            "client_encoding": "UTF8",
            "connect_timeout": max(2, round(milliseconds / 1000)) if milliseconds else 0,
            "target_session_attrs": self.target,
            "sslmode": "prefer",
            "options": "-c datestyle=ISO,MDY -c timezone=UTC -c extra_float_digits=3 -c bytea_output=hex "
            "-c intervalstyle=postgres -c idle_in_transaction_session_timeout=0 -c synchronize_seqscans=off "
            "-c max_parallel_workers_per_gather=0",
            **self.ssl,
        }
        if is_guarded():
            found |= self._addresses()
        if self.user is not None:
            found["user"] = self.user
        if self.password is not None:
            found["password"] = self.password
        if self.socket_ms:
            found["tcp_user_timeout"] = self.socket_ms
        return found

    def _addresses(self) -> dict[str, str]:
        """Host, port and address of every way to a server. Raises Unavailable for names that nobody knows now,
        Rejected for addresses that jobs may not reach.
        """
        ways: list[tuple[str, str, str]] = []
        reasons: list[OSError] = []
        for server in self.servers:
            port = server.port or PORT
            try:
                ways += [(server.host, str(port), address) for address in numeric(server.host, port)]
            except PermissionError as error:
                raise Rejected(f"cannot reach {self.shown}: {error}") from error
            except OSError as error:
                reasons.append(error)
        if not ways:
            raise Unavailable(f"cannot reach {self.shown}: {reasons[0].strerror or reasons[0]}") from reasons[0]
        return dict(
            zip(("host", "port", "hostaddr"), (",".join(parts) for parts in zip(*ways, strict=True)), strict=True)
        )


def settings_of(login: Login) -> PostgresqlSettings:
    """The settings of a URL's parts. Raises ValueError with all that is wrong."""
    servers, database = parse_servers(login.url.place)
    given, wrong = dict(login.parameters), []
    for name, value in given.items():
        if name not in _PASSED | _MEANT | _IDLE:
            allowed = ", ".join(sorted(_PASSED | _MEANT))
            wrong.append(f"parameter {name!r} is not allowed; possible: {allowed}")
        elif name == "sslmode" and value not in _SSL_MODES:
            wrong.append(f"parameter sslmode cannot be {value!r}; possible: {', '.join(_SSL_MODES)}")
        elif name == "targetServerType" and value not in _TARGETS:
            wrong.append(f"parameter targetServerType cannot be {value!r}; possible: {', '.join(_TARGETS)}")
        elif name in ("connectTimeout", "socketTimeout", "loginTimeout") and not value.isdecimal():
            wrong.append(f"parameter {name} is a number of seconds, not {value!r}")
        elif name == "password":
            wrong.append("the password is an option of its own, password: a url is shown")
    if not all(server.host for server in servers):
        wrong.append("a host is missing: //HOST:PORT/DATABASE")
    if wrong:
        raise ValueError(f"url: {'; '.join(wrong)}")
    user = login.user if login.user is not None else given.get("user")
    return PostgresqlSettings(
        servers,
        database or user or "postgres",
        user,
        login.password,
        _ssl(given),
        login.patience,
        _milliseconds(login.connect_ms, given, "connectTimeout", "loginTimeout"),
        _milliseconds(login.socket_ms, given, "socketTimeout"),
        given.get("currentSchema", ""),
        _TARGETS[given.get("targetServerType", "any")],
    )


def _milliseconds(said: int | None, given: Mapping[str, str], *names: str) -> int | None:
    """An option's milliseconds, or a parameter's seconds."""
    if said is not None:
        return said
    return next((int(given[name]) * 1000 for name in names if name in given), None)


def _ssl(given: Mapping[str, str]) -> dict[str, str]:
    """`ssl=true` means verify-full, as in Java's driver."""
    found = {name: given[name] for name in ("sslmode", *_FILES) if name in given}
    if given.get("ssl", "").lower() == "true" and "sslmode" not in found:
        found["sslmode"] = "verify-full"
    if found.get("sslmode", "").startswith("verify") and "sslrootcert" not in found:
        found["sslrootcert"] = "system"
    if "channelBinding" in given:
        found["channel_binding"] = given["channelBinding"]
    return found
