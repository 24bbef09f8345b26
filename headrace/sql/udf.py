"""Functions of the user's own for the Sql transform.

A package names the modules that define them in the entry-point group `headrace.sql_functions`; in Python it is enough
to import them before the job starts.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pyarrow as pa

from headrace.errors import told
from headrace.rows import parse_type
from headrace.sql.functions import FUNCTIONS, Argument, Function, Value, array_of, by_row, load_built_in

F = TypeVar("F", bound=Callable[..., Any])


def sql_function(
    name: str,
    result_type: str | pa.DataType | Callable[[Sequence[pa.DataType]], pa.DataType],
    *,
    per_value: bool = False,
    volatile: bool = False,
) -> Callable[[F], F]:
    """Add a function to the SQL of the Sql transform, under a name that is matched without regard to case.

    result_type: a SeaTunnel type such as `"decimal(10, 2)"`, an Arrow type, or what makes one of the arguments' types.
    The function takes Arrow arrays of one length and returns one. With per_value it takes and returns Python values,
    nulls as None, and is called once for each distinct row. volatile: it may give the same row another result.
    Raises ValueError when another function has the name.
    """

    def result(arguments: Sequence[Argument]) -> pa.DataType:
        if callable(result_type):
            return result_type([argument.type for argument in arguments])
        return parse_type(result_type) if isinstance(result_type, str) else result_type

    def add(implementation: F) -> F:
        load_built_in()
        known = FUNCTIONS.get(name.upper())
        if known is not None and getattr(known.kernel, "implementation", None) is not implementation:
            raise ValueError(f"there is a function {name.upper()} already; give yours another name")

        def kernel(*values: Value, rows: int) -> Value:
            arrays = [array_of(value, rows) for value in values]
            try:
                if not per_value:
                    made = implementation(*arrays)
                elif values:
                    made = by_row(implementation, arrays, result([Argument(v.type) for v in values]), nulls=True)
                else:
                    made = pa.scalar(implementation(), result([]))
            except Exception as error:
                raise ValueError(told(error)) from error
            if isinstance(made, pa.Array) and len(made) != rows:
                raise TypeError(f"{name.upper()} gave {len(made)} values for {rows} rows")
            return made

        kernel.implementation = implementation  # type: ignore[attr-defined]
        FUNCTIONS[name.upper()] = Function(name.upper(), result, kernel, 0, None, volatile=volatile)
        return implementation

    return add
