"""The options of the Jdbc source and sink. What means nothing to a database is accepted, and named with the reason."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator

from headrace.connector import Choice, Options
from headrace.connectors._jdbc.dialect import Database, Dialect, Login
from headrace.connectors._jdbc.dialects import dialect_of, dialects
from headrace.connectors._jdbc.positions import EPOCHS, POSITIONS
from headrace.jdbcurl import parse_jdbc_url
from headrace.options import option_name

JDBC_URL: dict[str, Any] = {"format": "jdbc-url"}
"""Marks the URL, for forms; `touches` tells a server which files and hosts it leads to."""


def _idle(reason: str, *names: str) -> Any:
    """An option that is accepted and does nothing, with the reason."""
    return Field(
        default=None,
        validation_alias=AliasChoices(*names) if names else None,
        json_schema_extra={"idle": reason},
        description=f"Accepted: {reason}.",
    )


_NO_XA = "rows and positions are committed in one transaction of the target, which is exactly once without XA"
_KERBEROS = "no database here is reached by Kerberos"
_OTHERS = "it is for other databases"
_NOT_THERE = "it means nothing to this database"

_FEW: dict[str, Any] = {"few": True}
"""Marks an option that means something to few databases only; see Dialect.uses."""


@dataclass(frozen=True)
class Connection:
    """A database, and how to reach it."""

    dialect: Dialect
    settings: Any

    def open(self, *, read_only: bool, memory: int | None = None, label: str = "", snapshot: str = "") -> Database:
        """See Dialect.open."""
        return self.dialect.open(self.settings, read_only=read_only, memory=memory, label=label, snapshot=snapshot)

    @property
    def is_there(self) -> bool:
        """See Dialect.is_there."""
        return self.dialect.is_there(self.settings)


def place_of(connection: Connection, table: tuple[str, ...]) -> str:
    """Where a table lies, as a path that tells databases apart; a table's schema is left out where it is the usual."""
    outer = [part for part in table[:-1] if part != connection.dialect.usual_schema]
    return "/".join((f"/{connection.dialect.name}", connection.settings.shown.lstrip("/"), *outer, table[-1]))


class JdbcOptions(Options):
    """What source and sink share."""

    url: str = Field(
        json_schema_extra=JDBC_URL, description="`jdbc:DATABASE:…`, parameters after a `?`; one form for each database."
    )
    driver: str | None = _idle("the database is told by the url")
    dialect: str | None = Field(default=None, description="The database's name, as the url says anyway.")
    user: str | None = Field(
        default=None, validation_alias=AliasChoices("user", "username"), description="The login, where there are any."
    )
    password: SecretStr | None = Field(default=None, description="Its password.")
    properties: dict[str, str] = Field(default={}, description="The same parameters that the url takes.")
    connection_check_timeout_sec: int = Field(
        default=30, gt=0, description="Seconds to wait for a database that is away, or that another program has locked."
    )
    compatible_mode: str | None = _idle(_OTHERS)
    connect_timeout_ms: int | None = Field(
        default=None, ge=0, description="Milliseconds one attempt to connect may take; 0: as long as the system waits."
    )
    socket_timeout_ms: int | None = Field(
        default=None, ge=0, description="Milliseconds without a sign of life after which a connection counts as dead."
    )
    use_kerberos: bool | None = _idle(_KERBEROS)
    kerberos_principal: str | None = _idle(_KERBEROS)
    kerberos_keytab_path: str | None = _idle(_KERBEROS)
    krb5_path: str | None = _idle(_KERBEROS)

    @model_validator(mode="after")
    def _check_url(self) -> Self:
        found = self.connection().dialect
        if self.dialect is not None and self.dialect.lower() not in (found.name, *found.kinds):
            known = [dialect.name for dialect in dialects()]
            known = [found.name] if self.dialect.lower() in known else known
            raise ValueError(f"dialect {self.dialect!r} is not supported; possible: {', '.join(known)}")
        return self

    def connection(self) -> Connection:
        """Which database, and how to reach it. Raises ValueError."""
        if "${" in self.url:
            raise ValueError("url has a placeholder; all tables of a job go into one database, commit by commit")
        url = parse_jdbc_url(self.url)
        dialect = dialect_of(url.kind)
        login = Login(
            url,
            self.user,
            self.password.get_secret_value() if self.password is not None else None,
            {**url.parameters, **self.properties},
            float(self.connection_check_timeout_sec),
            self.connect_timeout_ms,
            self.socket_timeout_ms,
        )
        return Connection(dialect, dialect.settings(login))

    def touches(self) -> Iterator[tuple[str, str, str]]:
        """The file, or every host, that the url and the properties lead to."""
        connection = self.connection()
        for kind, value in connection.dialect.touches(connection.settings):
            yield "url", kind, value

    def idle(self) -> Iterator[tuple[str, str]]:
        """The options that are set and do nothing, each with the reason; but not the driver of this database."""
        dialect = self.connection().dialect
        driver = (self.driver or "").lower()
        for name, info in type(self).model_fields.items():
            extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            if name not in self.model_fields_set or (name == "driver" and any(d in driver for d in dialect.drivers)):
                continue
            reason = dialect.idle.get(name) or extra.get("idle")
            if reason is None and "few" in extra and name not in dialect.uses:
                reason = _NOT_THERE
            if reason is not None:
                yield option_name(name, info), str(reason)


# ---------------------------------------------------------------------------------------------------------- source


class JdbcTableOptions(Options):
    """What to read of one table."""

    table_path: str | None = Field(default=None, description="The table, alone or with its schema and database.")
    query: str | None = Field(default=None, description="A SELECT; with table_path the rows count as that table's.")
    partition_column: str | None = Field(
        default=None, description="Split by this column, not by the key or the row's number."
    )
    partition_num: int | None = Field(
        default=None, gt=0, description="Splits by partition_column; one per task by default."
    )
    partition_lower_bound: int | float | str | None = Field(
        default=None, description="Only rows from here on; the smallest by default."
    )
    partition_upper_bound: int | float | str | None = Field(
        default=None, description="Only rows up to here; the biggest by default."
    )

    @field_validator("partition_lower_bound", "partition_upper_bound")
    @classmethod
    def _as_number(cls, value: str | int | float | None) -> str | int | float | None:
        """SeaTunnel writes bounds as texts, numbers too."""
        for kind in (int, float):
            with suppress(ValueError, TypeError):
                return kind(value) if isinstance(value, str) else value
        return value

    use_select_count: bool | None = _idle("no row counts are needed to split")
    skip_analyze: bool | None = _idle("no row counts are needed to split")


class JdbcSourceOptions(JdbcTableOptions, JdbcOptions):
    """Options of the Jdbc source."""

    table_list: list[JdbcTableOptions] | None = Field(default=None, description="Several tables or queries.")
    use_regex: bool = Field(default=False, description="table_path is a regular expression for whole names.")
    where_condition: str | None = Field(default=None, description="`where …`, for every table and query.")
    fetch_size: int = Field(default=0, ge=0, description="Rows fetched at once, at most; 0: as many as fit.")
    split_size: int | None = Field(
        default=None, gt=0, validation_alias="split.size", description="Rows of a split; by default four splits a task."
    )
    split_upper: float | None = _idle("splits are ranges of keys", "split.even-distribution.factor.upper-bound")
    split_lower: float | None = _idle("splits are ranges of keys", "split.even-distribution.factor.lower-bound")
    split_sharding: int | None = _idle("splits need no samples", "split.sample-sharding.threshold")
    split_rate: int | None = _idle("splits need no samples", "split.inverse-sampling.rate")
    split_sampling: bool | None = _idle("splits need no samples", "split.allow-sampling")
    decimal_type_narrowing: bool | None = _idle(_OTHERS)
    int_type_narrowing: bool | None = _idle(_OTHERS)
    handle_blob_as_string: bool | None = _idle(_OTHERS)

    @field_validator("where_condition")
    @classmethod
    def _check_where(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"\s*where\s", value, re.IGNORECASE):
            raise ValueError(f"where_condition must start with 'where', not {value!r}")
        return value

    @model_validator(mode="after")
    def _check_tables(self) -> Self:
        if self.table_list and (self.query or self.table_path):
            raise ValueError("table_list stands for query and table_path; give only one of them")
        for number, entry in enumerate(self.entries()):
            if not entry.query and not entry.table_path:
                where = f"table_list[{number}]: " if self.table_list else ""
                raise ValueError(
                    f"{where}nothing to read; give query or table_path" + ("" if where else ", or table_list")
                )
        return self

    def entries(self) -> list[JdbcTableOptions]:
        """What to read, table by table."""
        return self.table_list or [self]


# ------------------------------------------------------------------------------------------------------------ sink


class SchemaSaveMode(Choice):
    """What happens to the target table before the first row."""

    RECREATE_SCHEMA = "RECREATE_SCHEMA"
    CREATE_SCHEMA_WHEN_NOT_EXIST = "CREATE_SCHEMA_WHEN_NOT_EXIST"
    ERROR_WHEN_SCHEMA_NOT_EXIST = "ERROR_WHEN_SCHEMA_NOT_EXIST"
    IGNORE = "IGNORE"


class DataSaveMode(Choice):
    """What happens to its rows before the first row."""

    APPEND_DATA = "APPEND_DATA"
    DROP_DATA = "DROP_DATA"
    CUSTOM_PROCESSING = "CUSTOM_PROCESSING"
    ERROR_WHEN_DATA_EXISTS = "ERROR_WHEN_DATA_EXISTS"


class FieldIde(Choice):
    """The case of column names in the target."""

    ORIGINAL = "ORIGINAL"
    UPPERCASE = "UPPERCASE"
    LOWERCASE = "LOWERCASE"

    def apply(self, name: str) -> str:
        """The name in this case."""
        return {"UPPERCASE": name.upper(), "LOWERCASE": name.lower()}.get(self.value, name)


class JdbcSinkOptions(JdbcOptions):
    """Options of the Jdbc sink."""

    query: str | None = Field(
        default=None, description="Your own statement, a `?` for each column in order; no save modes."
    )
    generate_sink_sql: bool = Field(
        default=False, description="Write the statements from the table's columns and keys."
    )
    database: str | None = Field(default=None, description="The database of the table; that of the url by default.")
    table: str = Field(
        default="${table_name}", min_length=1, description="The table; ${table_name} and its like are filled."
    )
    table_prefix: str = Field(default="", validation_alias="tablePrefix", description="Put before the table's name.")
    table_suffix: str = Field(default="", validation_alias="tableSuffix", description="Put after the table's name.")
    primary_keys: list[str] | None = Field(
        default=None,
        description="The key to upsert and delete by; by default the primary key or first unique key of the rows.",
    )
    table_keys: dict[str, list[str]] = Field(
        default={},
        validation_alias="multi_table_config.primary_keys",
        description="Regular expression for table paths → key; comes before primary_keys.",
    )
    enable_upsert: bool = Field(
        default=True, description="Upsert by the key; false: insert, update and delete by kind."
    )
    upsert_by_query: bool = Field(
        default=False,
        validation_alias="support_upsert_by_query_primary_key_exist",
        description="Update what is there, insert the rest; for tables without a unique index on the key.",
    )
    upsert_by_insert: bool = Field(
        default=False, validation_alias="support_upsert_by_insert_only", description="Insert where an upsert is meant."
    )
    key_updated: bool | None = _idle("an upsert finds the key it would write", "is_primary_key_updated")
    batch_size: int | None = _idle("all rows of a checkpoint are written in one transaction")
    batch_interval_ms: int | None = _idle("all rows of a checkpoint are written in one transaction")
    max_retries: int = Field(
        default=0, ge=0, description="How often to wait once more for a database that is locked or away."
    )
    auto_commit: bool | None = _idle("rows are committed with the positions they reach")
    is_exactly_once: bool | None = Field(
        default=None,
        description="Rows arrive exactly once, without XA; false allows tables without transactions, where they may "
        "come twice after a crash.",
    )
    xa_data_source_class_name: str | None = _idle(_NO_XA)
    max_commit_attempts: int | None = _idle(_NO_XA)
    transaction_timeout_sec: int | None = _idle(_NO_XA)
    use_copy_statement: bool | None = _idle("the fastest way that the database has is taken")
    oracle_insert_mode: str | None = _idle(_OTHERS)
    field_ide: FieldIde = Field(default=FieldIde.ORIGINAL, description="The case of column names.")
    schema_save_mode: SchemaSaveMode = Field(
        default=SchemaSaveMode.CREATE_SCHEMA_WHEN_NOT_EXIST, description="What to do with the table first."
    )
    data_save_mode: DataSaveMode = Field(
        default=DataSaveMode.APPEND_DATA, description="What to do with its rows first."
    )
    custom_sql: str | None = Field(default=None, description="Statements that CUSTOM_PROCESSING runs.")
    create_index: bool = Field(default=True, description="Create keys with the table.")
    table_options: dict[str, str] = Field(
        default={}, json_schema_extra=_FEW, description="What a new table is created with, such as `tablespace`."
    )
    access_key_id: str | None = _idle(_OTHERS)
    secret_access_key: SecretStr | None = _idle(_OTHERS)
    region: str | None = _idle(_OTHERS)
    replica: int | None = _idle("a task has one writer per table", "multi_table_sink_replica")
    positions_table: str = Field(
        default=POSITIONS, min_length=1, description="The table in the target that says how far each split has come."
    )
    epochs_table: str = Field(
        default=EPOCHS, min_length=1, description="The table in the target that says which start of a job may write."
    )
    positions_schema: str | None = Field(
        default=None, description="The schema, or the like, of these two tables; that of the login by default."
    )
    idle_writer: int | None = _idle("idle writers are closed when room is needed", "multi_table_sink_ttl_sec")

    @model_validator(mode="after")
    def _check(self) -> Self:
        wrong = []
        if not self.query and not self.generate_sink_sql:
            wrong.append("set generate_sink_sql = true, or give a query with a ? for each column")
        if self.data_save_mode is DataSaveMode.CUSTOM_PROCESSING and not self.custom_sql:
            wrong.append("data_save_mode is CUSTOM_PROCESSING, so custom_sql must say what to do")
        for pattern in self.table_keys:
            try:
                re.compile(pattern)
            except re.error as error:
                wrong.append(f"multi_table_config.primary_keys: {pattern!r} is not a regular expression: {error}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self
