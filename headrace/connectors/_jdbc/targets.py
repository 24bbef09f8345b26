"""What the options of the sink come to for one table, and whether the target can take it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from headrace.connector import Problem, TableSchema
from headrace.connectors._jdbc.dialect import Database, Name, Right
from headrace.connectors._jdbc.options import JdbcSinkOptions, SchemaSaveMode
from headrace.connectors._jdbc.positions import PositionsTables
from headrace.connectors._jdbc.statements import Mode, Statements
from headrace.errors import Rejected


def target_table(options: JdbcSinkOptions) -> Name:
    """The name of the table in the target. Raises ValueError when it lies where the url does not lead."""
    connection = options.connection()
    *outer, name = connection.dialect.target(connection.settings, options.table, options.database)
    return (*outer, options.table_prefix + name + options.table_suffix)


def key_of(options: JdbcSinkOptions, table: TableSchema) -> list[str]:
    """The columns rows are upserted and deleted by; empty without a key."""
    for pattern, names in options.table_keys.items():
        if re.fullmatch(pattern, table.path):
            return names
    if options.primary_keys is not None:
        return options.primary_keys
    if table.primary_key:
        return list(table.primary_key.columns)
    unique = next((key for key in table.constraint_keys if key.type == "UNIQUE_KEY"), None)
    return [name for name, _ in unique.columns] if unique else []


def mode_of(options: JdbcSinkOptions, key: Sequence[str]) -> Mode:
    """How rows reach the table."""
    if options.query:
        return Mode.QUERY
    if not key:
        return Mode.APPEND
    if options.upsert_by_insert:
        return Mode.INSERT
    if not options.enable_upsert:
        return Mode.BY_KIND
    return Mode.LOOK_UP if options.upsert_by_query else Mode.UPSERT


def statements_of(options: JdbcSinkOptions, table: TableSchema) -> Statements:
    """What happens to the table."""
    key = key_of(options, table)
    target = [options.field_ide.apply(name) for name in table.names]
    bulk = options.connection().dialect.bulk
    name = () if options.query else target_table(options)
    return Statements(name, table.names, target, key, mode_of(options, key), options.query or "", bulk=bulk)


# --------------------------------------------------------------------------------------------------------- checking

_RIGHTS = {
    Mode.APPEND: (Right.INSERT,),
    Mode.UPSERT: (Right.SELECT, Right.INSERT, Right.UPDATE),
    Mode.LOOK_UP: (Right.SELECT, Right.INSERT, Right.UPDATE),
    Mode.INSERT: (Right.INSERT,),
    Mode.BY_KIND: (Right.INSERT,),
}
"""What a job needs whatever the kinds of its rows."""

_OF_POSITIONS = (Right.SELECT, Right.INSERT, Right.UPDATE, Right.DELETE)


def check_rights(
    database: Database, name: Name, wanted: Sequence[Right], what: str, *, exists: bool
) -> Iterator[Problem]:
    """What the login may not do with a table, or the making of it where it is missing. what: the table, for people."""
    lacking = ", ".join(database.lacks(name, wanted if exists else [Right.CREATE]))
    if lacking:
        quoted = database.dialect.quoted(name)
        text = f"the login may not do this with {what} in {database.shown}: {lacking}"
        cure = f"GRANT {lacking} ON {quoted} to it" if exists else f"GRANT CREATE to it where {quoted} shall lie"
        yield Problem("user", text, f"{cure}, or use another login")


def check_positions(database: Database, tables: PositionsTables) -> Iterator[Problem]:
    """Whether the login may keep the positions."""
    for name in (tables.positions, tables.epochs):
        what = f"table {database.dialect.shown_name(name)}, which keeps the job's positions"
        exists = database.table(name) is not None
        for problem in check_rights(database, name, _OF_POSITIONS, what, exists=exists):
            made = "" if exists else ", or make it with the statements of the page on Jdbc"
            yield replace(problem, cure=problem.cure + made)


def check_table(options: JdbcSinkOptions, table: TableSchema, database: Database | None) -> Iterator[Problem]:
    """What keeps a table from reaching its target. database: None where there is none yet."""
    key = key_of(options, table)
    missing = [name for name in key if name not in table.names]
    if missing:
        text = f"table {table.path} has no column {', '.join(missing)}"
        yield Problem("primary_keys", text, f"its columns are {', '.join(table.names)}")
    if options.query:
        yield from _check_query(options.query, table, database)
        return
    try:
        name, mode = target_table(options), mode_of(options, key)
    except ValueError as error:
        yield Problem("database", str(error))
        return
    found = database.table(name) if database is not None else None
    shown = options.connection().dialect.shown_name(name)
    if found is None and options.schema_save_mode in (
        SchemaSaveMode.IGNORE,
        SchemaSaveMode.ERROR_WHEN_SCHEMA_NOT_EXIST,
    ):
        where = options.connection().settings.shown
        text = f"there is no table {shown} in {where}, and schema_save_mode is {options.schema_save_mode}"
        yield Problem("schema_save_mode", text, "create the table, or use CREATE_SCHEMA_WHEN_NOT_EXIST")
    elif database is not None:
        yield from check_rights(database, name, _RIGHTS[mode], f"table {shown}", exists=found is not None)
    if found is not None and options.schema_save_mode is not SchemaSaveMode.RECREATE_SCHEMA:
        assert database is not None
        yield from _check_target(options, table, database, found, key, mode)
    elif mode is Mode.UPSERT and not options.create_index and not missing:
        yield Problem("create_index", f"without an index table {shown} cannot be upserted", "set enable_upsert = false")


def _check_query(query: str, table: TableSchema, database: Database | None) -> Iterator[Problem]:
    if database is None:
        yield Problem("query", "the database of the url does not exist, so there is no table to write to", "create it")
        return
    try:
        database.explain(query, len(table.columns))
    except Rejected as error:
        names = ", ".join(table.names)
        yield Problem("query", error.message, f"it gets {len(table.columns)} values for its `?`: {names}")


def _check_target(
    options: JdbcSinkOptions,
    table: TableSchema,
    database: Database,
    found: TableSchema,
    key: Sequence[str],
    mode: Mode,
) -> Iterator[Problem]:
    """A table that is there already must take the rows."""
    known = {name.lower() for name in found.names}
    lacking = [n for n in (options.field_ide.apply(name) for name in table.names) if n.lower() not in known]
    if lacking:
        text = f"table {found.path} in the target has no column {', '.join(lacking)}"
        yield Problem("table", text, f"its columns are {', '.join(found.names)}")
    wanted = {options.field_ide.apply(name).lower() for name in key}
    indexes = [found.primary_key.columns] if found.primary_key else []
    indexes += [tuple(name for name, _ in index.columns) for index in found.constraint_keys]
    reason = database.not_atomic(target_table(options)) if options.is_exactly_once is not False else ""
    if reason:
        text = f"table {found.path} in the target cannot be written exactly once: {reason}"
        yield Problem("is_exactly_once", text, "change its engine, or set is_exactly_once = false")
    if mode is Mode.UPSERT and not lacking and wanted not in [{n.lower() for n in index} for index in indexes]:
        text = f"table {found.path} has no primary key or unique index on {', '.join(key)}, so rows cannot be upserted"
        cure = "create one, set support_upsert_by_query_primary_key_exist = true, or set enable_upsert = false"
        yield Problem("primary_keys", text, cure)
