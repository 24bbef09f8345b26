"""Addresses of databases as options of Jdbc: `KIND://USER@HOST/DATABASE.TABLE`, as each dialect has it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from headrace.connectors._jdbc.dialect import Dialect
from headrace.connectors._jdbc.dialects import dialects
from headrace.errors import ConfigError, Problem
from headrace.places import Address, ReadWish, WriteWish

_ADD = "add --table NAME"


def schemes() -> dict[str, str]:
    """Scheme → the form of an address, for all databases."""
    return {scheme: dialect.address_form for dialect in dialects() for scheme in dialect.schemes()}


def read_options(address: Address, wish: ReadWish) -> dict[str, Any]:
    """The options of a source that reads there: a query, a table, or all tables."""
    dialect, options, table = _reached(address)
    table = wish.table or table
    if wish.sql:
        return {**options, "query": wish.sql}
    if not table:
        if wish.where or wish.columns:
            raise ConfigError([f"where and columns are for one table; name it: {dialect.address_form}, or --table"])
        return {**options, "table_path": ".*", "use_regex": True}
    options["table_path"] = table
    if wish.columns:
        columns = ", ".join(map(dialect.quote, wish.columns))
        condition = f" WHERE {wish.where}" if wish.where else ""
        options["query"] = f"SELECT {columns} FROM {dialect.quoted(tuple(table.split('.')))}{condition}"
    elif wish.where:
        options["where_condition"] = f"where {wish.where}"
    return options


def write_options(address: Address, wish: WriteWish) -> dict[str, Any]:
    """The options of a sink that writes there."""
    _, options, table = _reached(address)
    table = wish.table or table or wish.otherwise
    if not table:
        raise ConfigError([Problem("--table", f"which table of {address.text} the rows go into is not known", _ADD)])
    options |= {"generate_sink_sql": True, "table": table}
    if wish.keys:
        options["primary_keys"] = list(wish.keys)
    if wish.mode == "append":
        options["enable_upsert"] = False
    options["data_save_mode"] = {
        "append": "APPEND_DATA",
        "upsert": "APPEND_DATA",
        "replace": "DROP_DATA",
        "": "ERROR_WHEN_DATA_EXISTS",
    }[wish.mode]
    return options


def _reached(address: Address) -> tuple[Dialect, dict[str, Any], str]:
    """The database, the options that reach it, and the table that the address names."""
    dialect = next(dialect for dialect in dialects() if address.scheme in dialect.schemes())
    place, table = dialect.place_of(address)
    query = f"?{urlencode(address.parameters)}" if address.parameters else ""
    login: Mapping[str, str] = {"user": address.user, "password": address.password}
    found: dict[str, Any] = {"url": f"jdbc:{dialect.kinds[0]}:{place}{query}"}
    return dialect, {**found, **{name: value for name, value in login.items() if value}}, table
