"""The table of SQL functions: names, the type of the result, and a kernel over Arrow values.

What each does is SeaTunnel's page «sql-functions»; where the page and its Zeta engine differ, the engine is followed.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import pyarrow as pa

from headrace.errors import ConfigError, Problem
from headrace.rows import type_name

Value = Any
"""What an expression is worth for some rows: an Arrow array, or an Arrow scalar where it is the same for all."""

UNKNOWN: Any = object()
"""The value of an argument that differs from row to row."""

_AGGREGATES = {"COUNT", "SUM", "AVG", "MIN", "MAX", "GROUP_CONCAT", "STDDEV", "VARIANCE", "LISTAGG"}
MODULES = ("strings", "numbers", "times", "system", "collections", "crypto", "vectors")


@dataclass(frozen=True)
class Argument:
    """What is known of an argument before anything runs. literal: its value in Python, or UNKNOWN."""

    type: pa.DataType
    literal: Any = UNKNOWN


TypeOf = Callable[[Sequence[Argument]], Any]
"""The result's type, of what is known of the arguments."""

Kernel = Callable[..., Value]


@dataclass(frozen=True)
class Kind:
    """What some functions take only. name: in words; cure: how other values become such."""

    name: str
    has: Callable[[pa.DataType], bool]
    cure: str


NUMBERS = Kind(
    "numbers",
    lambda t: pa.types.is_integer(t) or pa.types.is_floating(t) or pa.types.is_decimal(t),
    "write CAST(… AS DOUBLE)",
)


@dataclass(frozen=True)
class Function:
    """A function of the table.

    result: its type, or a TypeOf. least, most: how many arguments; most is None where there is no end.
    takes: what the first argument must be. fails: whether there are arguments it has no result for. volatile: whether
    the same arguments may give another result. lazy: the kernel gets the arguments as expressions, the frame and the
    type, and evaluates those it needs.
    """

    name: str
    result: Any
    kernel: Kernel
    least: int
    most: int | None
    takes: Kind | None = None
    fails: bool = True
    volatile: bool = False
    lazy: bool = False

    def type_of(self, arguments: Sequence[Argument]) -> pa.DataType:
        """The result's type. Raises ConfigError for arguments it does not take."""
        if len(arguments) < self.least or (self.most is not None and len(arguments) > self.most):
            wanted = f"{self.least}" if self.most == self.least else f"{self.least} to {self.most or 'any number of'}"
            raise wrong(f"{self.name} takes {wanted} arguments, not {len(arguments)}")
        if self.takes is not None and arguments:
            first = arguments[0].type
            if not pa.types.is_null(first) and not self.takes.has(first):
                raise wrong(f"{self.name} takes {self.takes.name}, not {type_name(first)}", self.takes.cure)
        return self.result(arguments) if callable(self.result) else self.result


def wrong(message: str, cure: str = "") -> ConfigError:
    """A query that cannot be run."""
    return ConfigError([Problem("query", message, cure)])


FUNCTIONS: dict[str, Function] = {}


def function(
    *names: str, result: Any, least: int = 1, most: int | None = -1, **more: Any
) -> Callable[[Kernel], Kernel]:
    """Add a kernel under its names. most: as many as `least` when left out; more: see Function.

    The kernel gets one Arrow array for each argument, or a scalar where all rows have the same, and the number of
    rows as `rows`. Of a function that is not volatile, one argument at least is an array.
    """

    def add(kernel: Kernel) -> Kernel:
        for name in names:
            FUNCTIONS[name] = Function(name, result, kernel, least, least if most == -1 else most, **more)
        return kernel

    return add


@cache
def load_built_in() -> None:
    """Fill the table with SeaTunnel's functions."""
    for module in MODULES:
        importlib.import_module(f"headrace.sql.{module}")


@cache
def _load() -> None:
    load_built_in()
    for entry in entry_points(group="headrace.sql_functions"):
        try:
            entry.load()
        except Exception as error:
            package = entry.dist.name if entry.dist else entry.value
            cause = f"{type(error).__name__}: {error}"
            raise wrong(f"cannot load the SQL functions of package {package}: {cause}", "mend or remove it") from error


def find(name: str) -> Function:
    """The function called `name`, in any case. Raises ConfigError naming the nearest ones."""
    _load()
    found = FUNCTIONS.get(name.upper())
    if found is None and name.upper() in _AGGREGATES:
        raise wrong(f"{name.upper()} is not part of a transform's SQL", "rows pass one by one; aggregate in the target")
    if found is None:
        near = get_close_matches(name.upper(), FUNCTIONS, 3, 0.5)
        cure = f"did you mean {' or '.join(near)}?" if near else "the page about the Sql transform lists the functions"
        raise wrong(f"there is no function {name!r}", cure)
    return found


def by_row(kernel: Callable[..., Any], columns: Sequence[Value], dtype: pa.DataType, *, nulls: bool = False) -> Value:
    """A kernel of Python values, called once for each distinct row; null where an argument is, unless `nulls`."""
    varying = [column for column in columns if isinstance(column, pa.Array)]
    if len(varying) == 1 and not pa.types.is_nested(varying[0].type) and not pa.types.is_null(varying[0].type):
        encoded = varying[0].dictionary_encode(null_encoding="encode" if nulls else "mask")
        rows = [list_of(encoded.dictionary if c is varying[0] else c, len(encoded.dictionary)) for c in columns]
        done = [None if not nulls and None in row else kernel(*row) for row in zip(*rows, strict=True)]
        return pa.array(done, dtype).take(encoded.indices)
    size = max((len(column) for column in varying), default=1)
    seen: dict[Any, Any] = {}
    out: list[Any] = []
    for row in zip(*(list_of(column, size) for column in columns), strict=True):
        if not nulls and None in row:
            out.append(None)
            continue
        key = tuple(map(_hashable, row))
        if key not in seen:
            seen[key] = kernel(*row)
        out.append(seen[key])
    return pa.array(out, dtype)


def list_of(value: Value, size: int) -> list[Any]:
    """The values in Python; a scalar's as often as asked for."""
    return [value.as_py()] * size if isinstance(value, pa.Scalar) else value.to_pylist()


def _hashable(value: Any) -> Any:
    return repr(value) if isinstance(value, list | dict) else value


def array_of(value: Value, rows: int) -> Any:
    """The value as an array."""
    if not isinstance(value, pa.Scalar):
        return value
    if not value.is_valid:
        return pa.nulls(rows, value.type)
    return pa.repeat(value, rows)


def constant(value: Value) -> Any:
    """The Python value of a scalar, UNKNOWN for an array."""
    return value.as_py() if isinstance(value, pa.Scalar) else UNKNOWN


def first_type(arguments: Sequence[Argument]) -> pa.DataType:
    """The type of the first argument."""
    return arguments[0].type
