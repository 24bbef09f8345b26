"""Reaching MySQL and MariaDB: what a URL and its parameters mean, and nothing that could do more than connect."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.connectors._jdbc.dialect import Login
from headrace.errors import Rejected
from headrace.jdbcurl import Server, parse_servers

PORT = 3306

_PREFIXES = ("loadbalance:", "replication:", "failover:", "sequential:", "aurora:")
"""How drivers of Java choose among several hosts; here the first that answers is taken."""

_SSL_MODES = {"DISABLED": "disable", "DISABLE": "disable", "PREFERRED": "prefer", "REQUIRED": "require",
              "TRUST": "require", "VERIFY_CA": "verify-ca", "VERIFY-CA": "verify-ca",
              "VERIFY_IDENTITY": "verify-full", "VERIFY-FULL": "verify-full"}  # fmt: skip
"""sslMode of both drivers, without regard to case."""

_FILES = ("serverSslCert", "sslCa", "sslCert", "sslKey")

_MEANT = {*_FILES, "sslMode", "useSSL", "requireSSL", "verifyServerCertificate", "user", "password", "connectTimeout",
          "socketTimeout", "serverTimezone", "connectionTimeZone", "zeroDateTimeBehavior", "tinyInt1isBit",
          "createDatabaseIfNotExist"}  # fmt: skip

_IDLE = {"useUnicode", "characterEncoding", "connectionCollation", "rewriteBatchedStatements", "useCursorFetch",
         "useServerPrepStmts", "cachePrepStmts", "prepStmtCacheSize", "prepStmtCacheSqlLimit", "autoReconnect",
         "failOverReadOnly", "maxReconnects", "defaultFetchSize", "nullCatalogMeansCurrent", "useLegacyDatetimeCode",
         "useJDBCCompliantTimezoneShift", "noDatetimeStringSync", "allowPublicKeyRetrieval", "tcpKeepAlive",
         "useInformationSchema", "useCompression", "yearIsDateType", "permitMysqlScheme", "useBulkStmts",
         "useLocalSessionState", "useLocalTransactionState", "elideSetAutoCommits", "maintainTimeStats",
         "cacheServerConfiguration", "cacheResultSetMetadata", "dontTrackOpenResources", "useBatchMultiSend",
         "usePipelineAuth", "forceConnectionTimeZoneToSession", "preserveInstants", "transformedBitIsBoolean",
         "useOldAliasMetadataBehavior", "remarks", "useAffectedRows", "jdbcCompliantTruncation"}  # fmt: skip
"""Parameters of Java's drivers that change nothing here and are harmless."""

_ZERO_DATES = {"EXCEPTION": "refuse", "CONVERT_TO_NULL": "null", "CONVERTTONULL": "null", "ROUND": "round"}


@dataclass(frozen=True)
class MysqlSettings:
    """How to reach a database. patience: seconds to wait for it. zone: of timestamps that have none.

    zero_dates: what 0000-00-00 is read as: `refuse`, `null` or `round`. narrow: whether tinyint(1) is a boolean.
    """

    servers: tuple[Server, ...]
    database: str
    user: str | None
    password: str | None = field(repr=False)
    tls: Mapping[str, str] = field(default_factory=dict)
    patience: float = 30.0
    connect_ms: int | None = None
    socket_ms: int | None = None
    zone: str = "UTC"
    zero_dates: str = "refuse"
    narrow: bool = True

    @property
    def shown(self) -> str:
        """Hosts and database."""
        return f"{','.join(map(str, self.servers))}/{self.database}"

    @property
    def files(self) -> list[str]:
        """Certificates and keys."""
        return [self.tls[name] for name in ("ca", "cert", "key") if name in self.tls]

    def arguments(self, server: Server, database: str | None) -> dict[str, Any]:
        """The arguments of a connection; none of the environment or of option files is used."""
        seconds = self.patience if self.connect_ms is None else self.connect_ms / 1000
        found: dict[str, Any] = {
            "host": server.host,
            "port": server.port or PORT,
            "user": self.user or "",
            "password": self.password or "",
            "database": database,
            "charset": "utf8mb4",
            "connect_timeout": min(max(1, round(seconds)), 31536000) if seconds else 31536000,
            "autocommit": True,
            "local_infile": False,
            "use_unicode": True,
        }
        if self.socket_ms:
            found["read_timeout"] = found["write_timeout"] = max(1, round(self.socket_ms / 1000))
        mode = self.tls["mode"]
        if mode == "disable":
            found["ssl_disabled"] = True
        elif mode != "prefer":
            found["ssl"] = self._context(mode)
        return found

    def _context(self, mode: str) -> ssl.SSLContext:
        """Raises Rejected when a certificate cannot be read."""
        try:
            return self._read_context(mode)
        except OSError as error:
            files, reason = ", ".join(self.files), error.strerror or error
            raise Rejected(f"cannot read the certificates of the url, {files}: {reason}; check their names") from error

    def _read_context(self, mode: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.tls.get("ca"))
        context.check_hostname = mode == "verify-full"
        context.verify_mode = ssl.CERT_NONE if mode == "require" else ssl.CERT_REQUIRED
        if "cert" in self.tls:
            context.load_cert_chain(self.tls["cert"], self.tls.get("key"))
        return context


def settings_of(login: Login) -> MysqlSettings:
    """The settings of a URL's parts. Raises ValueError with all that is wrong."""
    place = login.url.place
    for prefix in _PREFIXES:
        place = place.removeprefix(prefix)
    servers, database = parse_servers(place)
    given = dict(login.parameters)
    wrong = list(_wrong(given))
    if not all(server.host for server in servers):
        wrong.append("a host is missing: //HOST:PORT/DATABASE")
    if wrong:
        raise ValueError(f"url: {'; '.join(wrong)}")
    zone = given.get("connectionTimeZone") or given.get("serverTimezone") or "UTC"
    return MysqlSettings(
        servers,
        database,
        login.user if login.user is not None else given.get("user"),
        login.password,
        _tls(given),
        login.patience,
        _milliseconds(login.connect_ms, given.get("connectTimeout")),
        _milliseconds(login.socket_ms, given.get("socketTimeout")),
        zone if zone not in ("LOCAL", "SERVER") else "UTC",
        _ZERO_DATES[given.get("zeroDateTimeBehavior", "EXCEPTION").upper()],
        given.get("tinyInt1isBit", "true").lower() != "false",
    )


def _wrong(given: Mapping[str, str]) -> Any:
    for name, value in given.items():
        if name not in _MEANT | _IDLE:
            yield f"parameter {name!r} is not allowed; possible: {', '.join(sorted(_MEANT))}"
        elif name == "sslMode" and value.upper() not in _SSL_MODES:
            yield f"parameter sslMode cannot be {value!r}; possible: {', '.join(_SSL_MODES)}"
        elif name == "zeroDateTimeBehavior" and value.upper() not in _ZERO_DATES:
            yield f"parameter {name} cannot be {value!r}; possible: EXCEPTION, CONVERT_TO_NULL, ROUND"
        elif name in ("connectTimeout", "socketTimeout") and not value.isdecimal():
            yield f"parameter {name} is a number of milliseconds, not {value!r}"
        elif name in ("serverTimezone", "connectionTimeZone") and not _is_zone(value):
            yield f"parameter {name}: there is no time zone {value!r}; one looks like Asia/Shanghai or +08:00"
        elif name == "password":
            yield "the password is an option of its own, password: a url is shown"


def _is_zone(name: str) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if name in ("LOCAL", "SERVER"):
        return True
    try:
        pc.assume_timezone(pa.array([0], pa.timestamp("us")), name)
    except (pa.ArrowInvalid, pa.ArrowKeyError, ValueError):
        return False
    return True


def _milliseconds(said: int | None, given: str | None) -> int | None:
    if said is not None:
        return said
    return int(given) if given is not None else None


def _tls(given: Mapping[str, str]) -> dict[str, str]:
    """sslMode, or what older drivers called it; without either, TLS where the server has it."""
    names = {"serverSslCert": "ca", "sslCa": "ca", "sslCert": "cert", "sslKey": "key"}
    found = {names[name]: given[name] for name in _FILES if name in given}

    def says(name: str, value: str) -> bool:
        return given.get(name, "").lower() == value

    if "sslMode" in given:
        mode = _SSL_MODES[given["sslMode"].upper()]
    elif says("useSSL", "false"):
        mode = "disable"
    elif says("verifyServerCertificate", "true"):
        mode = "verify-ca"
    elif says("useSSL", "true") or says("requireSSL", "true"):
        mode = "require"
    else:
        mode = "verify-ca" if "ca" in found else "prefer"
    return {"mode": mode, **found}
