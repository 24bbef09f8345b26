"""The table that bad rows go into."""

import pyarrow as pa

from headrace.rows import Column, TableSchema

_COLUMNS = (
    ("error_stage", pa.string(), "SOURCE, TRANSFORM or SINK"),
    ("plugin_type", pa.string(), "SOURCE, TRANSFORM or SINK"),
    ("plugin_name", pa.string(), "The plugin that refused the row"),
    ("source_table_path", pa.string(), "The row's table"),
    ("error_message", pa.string(), "The reason"),
    ("exception_class", pa.string(), "The error's class"),
    ("stacktrace", pa.string(), "Where the row was refused, where asked for"),
    ("original_data", pa.string(), "The row, where asked for"),
    ("occur_time", pa.timestamp("us"), "When, in UTC"),
)


def error_table(path: str) -> TableSchema:
    """The table that bad rows go into (SeaTunnel page «Error Handling»)."""
    columns = tuple(Column(name, dtype, comment=comment) for name, dtype, comment in _COLUMNS)
    return TableSchema(path, columns, comment="Rows that were set aside")
