"""`${table_name}` and its like in a sink's options, filled from the table that reaches it."""

import re
from typing import Any, TypeVar

from headrace.options import Options
from headrace.rows import TableSchema

O = TypeVar("O", bound=Options)  # noqa: E741  reads as the options' own type

_PLACEHOLDER = re.compile(r"\$\{([a-z_]+)(?::([^{}]*))?\}")
_LISTS = {"primary_key", "unique_key", "field_names", "partition_keys"}


def fill_placeholders(options: O, table: TableSchema) -> O:
    """The options for one table: every top-level text, and lists of exactly one placeholder. Nested ones stay.

    `${x:default}` is used where the table has no such part; a part of the path that is missing becomes empty; what else
    it lacks, and any other name, keeps its text.
    """
    changes: dict[str, Any] = {}
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, str) and "${" in value:
            changes[name] = _PLACEHOLDER.sub(lambda match: _fill(match, table), value)
        elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            match = _PLACEHOLDER.fullmatch(value[0])
            if match is not None and match[1] in _LISTS:
                changes[name] = _names(match[1], table)
    return options.model_copy(update=changes) if changes else options


def _fill(match: re.Match[str], table: TableSchema) -> str:
    database, schema, name = table.path_parts
    parts = {
        "database_name": database,
        "schema_name": schema,
        "table_name": name,
        "schema_full_name": ".".join(p for p in (database, schema) if p),
        "table_full_name": table.path,
    }
    lists = {kind: ",".join(_names(kind, table)) for kind in _LISTS}
    worth = {**parts, **lists, "comment": table.comment or ""}.get(match[1])
    if worth is None:
        return match[0]
    return worth or (match[2] if match[2] is not None else "" if match[1] in parts else match[0])


def _names(kind: str, table: TableSchema) -> list[str]:
    if kind == "field_names":
        return table.names
    if kind == "partition_keys":
        return list(table.partition_keys)
    if kind == "primary_key":
        return list(table.primary_key.columns) if table.primary_key else []
    unique = next((key for key in table.constraint_keys if key.type == "UNIQUE_KEY"), None)
    return [name for name, _ in unique.columns] if unique else []
