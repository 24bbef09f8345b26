"""What happens to the target's tables before the first row, and the statements that make a table."""

from collections.abc import Sequence

from headrace.connector import Problem, TableSchema
from headrace.connectors._jdbc.dialect import Database, Dialect
from headrace.connectors._jdbc.options import DataSaveMode, JdbcSinkOptions, SchemaSaveMode
from headrace.connectors._jdbc.targets import key_of, target_table
from headrace.errors import Rejected


def create_table(dialect: Dialect, options: JdbcSinkOptions, table: TableSchema) -> list[str]:
    """The statements that make the target table, with its keys and comments."""
    name = target_table(options)

    def names(of: Sequence[str]) -> str:
        return ", ".join(dialect.quote(options.field_ide.apply(column)) for column in of)

    key = key_of(options, table) if options.create_index else []
    unique = [[c for c, _ in k.columns] for k in table.constraint_keys if k.type == "UNIQUE_KEY"]
    keys = [key, *(columns for columns in unique if columns != key)] if options.create_index else []
    indexed = {column for columns in keys for column in columns}
    parts = []
    for column in table.columns:
        required = " NOT NULL" if not column.nullable or column.name in key else ""
        declared = dialect.declare(column, in_key=column.name in indexed)
        parts.append(f"{names([column.name])} {declared}{required}{dialect.column_suffix(column)}")
    parts += [f"{'UNIQUE' if i else 'PRIMARY KEY'} ({names(columns)})" for i, columns in enumerate(keys) if columns]
    end = dialect.table_suffix(options.table_options)
    shown = {column: options.field_ide.apply(column) for column in table.names}
    return [
        f"CREATE TABLE {dialect.quoted(name)} ({', '.join(parts)}){end}",
        *dialect.comments(name, table, shown),
    ]


def apply_schema_mode(database: Database, options: JdbcSinkOptions, table: TableSchema) -> None:
    """Make, drop or look for the target table. Raises Rejected when it must be there and is not."""
    name, mode = target_table(options), options.schema_save_mode
    exists = database.table(name) is not None
    if mode is SchemaSaveMode.ERROR_WHEN_SCHEMA_NOT_EXIST and not exists:
        shown = database.dialect.shown_name(name)
        raise Rejected(f"schema_save_mode is ERROR_WHEN_SCHEMA_NOT_EXIST, and {database.shown} has no table {shown}")
    if mode is SchemaSaveMode.RECREATE_SCHEMA and exists:
        database.execute(f"DROP TABLE {database.dialect.quoted(name)}")
        exists = False
    if not exists and mode is not SchemaSaveMode.IGNORE:
        database.make_room(name)
        for statement in create_table(database.dialect, options, table):
            database.execute(statement)


def apply_data_mode(database: Database, options: JdbcSinkOptions) -> None:
    """Empty the target table, refuse its rows, or run the user's statements. Raises Rejected."""
    name, mode = target_table(options), options.data_save_mode
    if mode is DataSaveMode.DROP_DATA:
        database.execute(f"{database.dialect.empty} {database.dialect.quoted(name)}")
    elif (problem := has_rows(database, options)) is not None:
        raise Rejected(f"{problem.message}; {problem.cure}")
    elif mode is DataSaveMode.CUSTOM_PROCESSING and options.custom_sql:
        database.execute_all(options.custom_sql)


def has_rows(database: Database, options: JdbcSinkOptions) -> Problem | None:
    """Why ERROR_WHEN_DATA_EXISTS refuses the target."""
    name, mode = target_table(options), options.data_save_mode
    if mode is not DataSaveMode.ERROR_WHEN_DATA_EXISTS or database.table(name) is None:
        return None
    if not database.execute(f"SELECT 1 FROM {database.dialect.quoted(name)} LIMIT 1"):
        return None
    shown = database.dialect.shown_name(name)
    text = f"data_save_mode is {mode}, and table {shown} in {database.shown} has rows"
    return Problem("data_save_mode", text, "empty it, or use APPEND_DATA or DROP_DATA")
