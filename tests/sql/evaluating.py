"""Runs expressions of SQL on columns of any type."""

import pyarrow as pa

from headrace.rows import Batch, TableSchema, parse_type, type_name
from headrace.sql.select import Select


def evaluate(expression, columns=None, rows=1):
    """(SeaTunnel's type, values) of an expression. columns: name → (SeaTunnel type, values)."""
    made = {name: pa.array(values, parse_type(dtype)) for name, (dtype, values) in (columns or {}).items()}
    made = made or {"dummy": pa.nulls(rows, pa.int32())}
    batch = pa.RecordBatch.from_pydict(made)
    select = Select(f"select {expression} as it from dual", TableSchema.from_arrow(batch.schema, "db.t"))
    out = select.run(Batch(batch, "db.t")).rows
    out.validate(full=True)
    assert out.num_rows == batch.num_rows
    return type_name(out.schema.field(0).type), out.column(0).to_pylist()


def value(expression, **columns):
    """The worth of an expression for one row; columns: name = (type, value)."""
    return evaluate(expression, {name: (dtype, [v]) for name, (dtype, v) in columns.items()})[1][0]


def values(expression, dtype, items):
    """The worths of an expression of a column `x`."""
    return evaluate(expression, {"x": (dtype, items)})[1]
