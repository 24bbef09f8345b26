"""The tables of the store of jobs, their version, and how those of older versions become those of this one."""

import uuid
from collections.abc import Callable, Mapping

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.schema import CreateColumn

from headrace.errors import ConfigError, Problem

META = MetaData()
JOBS = Table(
    "jobs",
    META,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("env", Text, nullable=False),
    Column("outline", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("text", Text, nullable=False),
    Column("restore", Integer, nullable=False),
    Column("from_savepoint", Integer, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Column("error", Text, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("owner", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("request", String(16), nullable=False),
    Column("recover", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Index("jobs_by_status", "status", "ended"),
)
JOBS_BY_REQUEST = Index("jobs_by_request", JOBS.c.owner, JOBS.c.request)
"""What is asked of an owner is looked for several times a second, among all the jobs that have ended."""

NODES = Table(
    "nodes",
    META,
    Column("id", String(64), primary_key=True),
    Column("address", Text, nullable=False),
    Column("started", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("slots", Integer),
    Column("used", Integer, nullable=False),
    Column("tags", Text, nullable=False),
    Column("role", String(16), nullable=False, server_default=""),
    Column("drained", Integer, nullable=False, server_default="0"),
)
VERSION = Table("store_version", META, Column("version", Integer, primary_key=True, autoincrement=False))
"""One row. A store without it is of version 1."""

IDENTITY = Table("store_identity", META, Column("identity", String(32), primary_key=True))
"""One row: what this store is told from all others by, in the names of what its jobs have staged."""


def _give_identity(connection: Connection) -> None:
    IDENTITY.create(connection, checkfirst=True)
    if connection.execute(select(IDENTITY)).first() is None:
        connection.execute(insert(IDENTITY).values(identity=uuid.uuid4().hex))


def _give_roles(connection: Connection) -> None:
    there = {column["name"] for column in inspect(connection).get_columns(NODES.name)}
    for column in (NODES.c.role, NODES.c.drained):
        if column.name not in there:
            connection.exec_driver_sql(f"ALTER TABLE nodes ADD COLUMN {CreateColumn(column).compile(connection)}")


MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {
    2: lambda connection: JOBS_BY_REQUEST.create(connection, checkfirst=True),
    3: _give_identity,
    4: _give_roles,
}
"""Version → what makes it of the one before. All rows stay readable, for jobs go on over an update."""

CURRENT = 4


def prepare(engine: Engine) -> None:
    """Make the tables in an empty database, or bring those of an older version forward, in one transaction.

    Raises ConfigError when they are of a newer version, SQLAlchemyError when the database cannot be used.
    """
    with engine.begin() as connection:  # services that start together do so one after the other
        found = inspect(connection)
        if not found.has_table(JOBS.name):
            META.create_all(connection)
            connection.execute(insert(VERSION).values(version=CURRENT))
            _give_identity(connection)
        else:
            _bring_forward(connection, has_version=found.has_table(VERSION.name))
        for table in META.sorted_tables:  # tables of these names may be somebody else's
            connection.execute(select(table).limit(0))


def _bring_forward(connection: Connection, *, has_version: bool) -> None:
    if not has_version:
        VERSION.create(connection)
        connection.execute(insert(VERSION).values(version=1))
    version = connection.execute(select(VERSION.c.version)).scalar_one()
    if version > CURRENT:
        where = connection.engine.url.render_as_string(hide_password=True)
        text = f"the store of jobs {where} is of version {version}, and this Headrace knows it up to version {CURRENT}"
        cure = "it was written by a newer Headrace: run that one, or name another store with the setting database"
        raise ConfigError([Problem("database", text, cure)])
    for number in range(version + 1, CURRENT + 1):
        MIGRATIONS[number](connection)
        connection.execute(update(VERSION).values(version=number))
