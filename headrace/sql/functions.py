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
import pyarrow.compute as pc

from headrace.errors import ConfigError, Problem, Rejected, told
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
    """What an argument must be. name: in words; cure: how other values become such; read: what the kernel gets."""

    name: str
    has: Callable[[pa.DataType], bool]
    cure: str
    read: Callable[[Value], Value] | None = None


def is_number(dtype: pa.DataType) -> bool:
    """Whether a type is one of numbers."""
    return pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype)


_MOST_WHOLE = 9.2e18
"""What a count or position beyond a BIGINT counts as."""


def whole(value: Value) -> Value:
    """What stands before the point, as Java's `longValue`."""
    if pa.types.is_integer(value.type):
        return value.cast(pa.int64())
    number = pc.trunc(value.cast(pa.float64(), safe=False))
    number = pc.if_else(pc.is_nan(number), 0.0, number)
    number = pc.min_element_wise(
        pc.max_element_wise(number, -_MOST_WHOLE, skip_nulls=False), _MOST_WHOLE, skip_nulls=False
    )
    return number.cast(pa.int64())


NUMBERS = Kind("numbers", is_number, "write CAST(… AS DOUBLE)")
COUNTS = Kind("a number", is_number, "write CAST(… AS INT)", whole)
TEXTS = Kind("text", pa.types.is_string, "write CAST(… AS STRING)")

MOST_CHARACTERS = 1 << 24
"""The longest text that a function makes of a short one, such as REPEAT; a whole batch of them must fit into memory."""


def check_length(characters: int) -> None:
    """Raises ValueError for a text that would be too long."""
    if characters > MOST_CHARACTERS:
        raise ValueError(f"the text would have {characters} characters; {MOST_CHARACTERS} are the most")


MOST_BYTES = 256 << 20
"""The most that texts made of one batch may take: 16 times the bytes of a full batch."""


def check_bytes(name: str, size: int) -> None:
    """Raises Rejected where a function makes more text of a batch than fits into memory. size: its characters."""
    if size > MOST_BYTES:
        made = f"{name} makes {size >> 20} MiB of text of one batch, and {MOST_BYTES >> 20} MiB are the most"
        raise Rejected(f"{made}; make shorter texts")


@dataclass(frozen=True)
class Function:
    """A function of the table.

    result: its type, or a TypeOf. least, most: how many arguments; most is None where there is no end.
    takes: what the first argument must be, or what each must be, None for anything. fails: whether there are arguments
    it has no result for. volatile: whether the same arguments may give another result. lazy: the kernel gets the
    arguments as expressions, the frame and the type, and evaluates those it needs.
    """

    name: str
    result: Any
    kernel: Kernel
    least: int
    most: int | None
    takes: Kind | Sequence[Kind | None] | None = None
    fails: bool = True
    volatile: bool = False
    lazy: bool = False

    def type_of(self, arguments: Sequence[Argument]) -> pa.DataType:
        """The result's type. Raises ConfigError for arguments it does not take."""
        if len(arguments) < self.least or (self.most is not None and len(arguments) > self.most):
            wanted = f"{self.least}" if self.most == self.least else f"{self.least} to {self.most or 'any number of'}"
            raise wrong(f"{self.name} takes {wanted} arguments, not {len(arguments)}")
        for place, (kind, argument) in enumerate(zip(self.kinds(), arguments, strict=False), 1):
            if kind is not None and not pa.types.is_null(argument.type) and not kind.has(argument.type):
                where = "" if place == 1 else f" as argument {place}"
                raise wrong(f"{self.name} takes {kind.name}{where}, not {type_name(argument.type)}", kind.cure)
        return self.result(arguments) if callable(self.result) else self.result

    def kinds(self) -> Sequence[Kind | None]:
        """What the arguments must be, in their order; those beyond may be anything."""
        return [self.takes] if isinstance(self.takes, Kind) else self.takes or ()

    def read(self, values: Sequence[Value]) -> list[Value]:
        """Evaluated arguments as the kernel gets them."""
        kinds = [*self.kinds(), *[None] * len(values)]
        return [
            kind.read(value) if kind is not None and kind.read is not None else value
            for kind, value in zip(kinds, values, strict=False)
        ]


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
            cause = f"cannot load the SQL functions of package {package}: {told(error)}"
            raise wrong(cause, "mend or remove it") from error


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
    if len(varying) == 1 and _has_dictionary(varying[0].type):
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


def _has_dictionary(dtype: pa.DataType) -> bool:
    return not (pa.types.is_nested(dtype) or pa.types.is_null(dtype) or isinstance(dtype, pa.BaseExtensionType))


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


def on_storage(kernel: Callable[..., Value], values: Sequence[Value], dtype: pa.DataType) -> Value:
    """A kernel that picks among values of one type; Arrow knows none for vectors, but for what they are stored as."""
    if not isinstance(dtype, pa.BaseExtensionType):
        return kernel(*values)
    stored = [_stored(value, dtype) for value in values]
    return pa.ExtensionArray.from_storage(dtype, array_of(kernel(*stored), 1))


def _stored(value: Value, dtype: pa.DataType) -> Value:
    if not isinstance(value.type, pa.BaseExtensionType):
        return value.cast(dtype.storage_type) if pa.types.is_null(value.type) else value
    return value.storage if isinstance(value, pa.Array) else pa.scalar(value.as_py(), value.type.storage_type)


def constant(value: Value) -> Any:
    """The Python value of a scalar, UNKNOWN for an array."""
    return value.as_py() if isinstance(value, pa.Scalar) else UNKNOWN


def first_type(arguments: Sequence[Argument]) -> pa.DataType:
    """The type of the first argument."""
    return arguments[0].type
