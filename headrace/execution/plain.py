"""Values of declared types as plain data and back: dataclasses and what they hold as lists, texts, numbers and null.

What a value may be is told by the type that is declared for it, so data names no class, and nothing runs when it is
read.
"""

import base64
import math
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

from headrace.checkpoint.checkpoint import split_from_json, split_to_json
from headrace.connector import Split
from headrace.errors import Rejected

Change = Callable[[Any], Any]

_AS_IT_IS = frozenset({str, int, float, bool, NoneType})


@dataclass(frozen=True)
class Form:
    """How values of one type are told. None: as they are."""

    to_data: Change | None = None
    from_data: Change | None = None


FORMS: dict[Any, Form] = {}
"""Types that are told in a way of their own."""


def to_data(kind: Any, value: Any) -> Any:
    """A value of a declared type as plain data. Raises Rejected for what is none, such as a set in a position."""
    form = form_of(kind)
    return value if form.to_data is None else form.to_data(value)


def from_data(kind: Any, data: Any) -> Any:
    """The inverse. Raises ValueError, TypeError, KeyError or IndexError for what `to_data` did not make."""
    form = form_of(kind)
    return data if form.from_data is None else form.from_data(data)


@cache
def form_of(kind: Any) -> Form:
    """How values of a type are told. Raises TypeError for a type that has no form."""
    if kind in FORMS:
        return FORMS[kind]
    if kind in _AS_IT_IS:
        return Form()
    if kind is Any:
        return Form(plain)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _optional(*[part for part in arguments if part is not NoneType])
    if origin is tuple and arguments[-1] is not Ellipsis:
        return _row(tuple, arguments, list)
    if origin in (list, tuple, Collection, Sequence):
        return _items(form_of(arguments[0]), tuple if origin is tuple else list)
    if origin in (Set, frozenset, set):
        return _items(form_of(arguments[0]), set if origin is set else frozenset)
    if origin in (Mapping, dict) and arguments == (str, Any):
        return Form(plain)
    if origin in (Mapping, dict):
        return _mapping(*map(form_of, arguments), is_object=arguments[0] is str)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return Form(attrgetter("value"), kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        names = [field.name for field in fields(kind)]
        return _row(lambda values: kind(*values), [hints[name] for name in names], attrgetter(*names), len(names))
    if isinstance(kind, type) and issubclass(kind, tuple):
        hints = get_type_hints(kind)
        return _row(lambda values: kind(*values), list(hints.values()), list)
    raise TypeError(f"values of the type {kind} cannot be told as plain data")


def _optional(kind: Any) -> Form:
    inner = form_of(kind)
    return Form(*(change and _unless_none(change) for change in (inner.to_data, inner.from_data)))


def _unless_none(change: Change) -> Change:
    return lambda value: None if value is None else change(value)


def _items(inner: Form, make: Callable[[Any], Any]) -> Form:
    return Form(_each(inner.to_data, list), _each(inner.from_data, make))


def _each(change: Change | None, make: Callable[[Any], Any]) -> Change:
    return make if change is None else lambda values: make(map(change, values))


def _mapping(key: Form, value: Form, *, is_object: bool) -> Form:
    """A JSON object where the keys are texts, else pairs."""
    if is_object:
        return Form(_values(value.to_data), _values(value.from_data))
    pair = _row(tuple, (), list, forms=(key, value))
    assert pair.to_data is not None
    assert pair.from_data is not None
    one, other = pair.to_data, pair.from_data
    return Form(lambda found: [one(item) for item in found.items()], lambda data: dict(map(other, data)))


def _values(change: Change | None) -> Change:
    return dict if change is None else lambda found: {key: change(value) for key, value in found.items()}


def _row(
    make: Callable[[Any], Any],
    kinds: Any,
    parts: Callable[[Any], Any],
    count: int | None = None,
    forms: tuple[Form, ...] = (),
) -> Form:
    """A list of values, each of a type of its own. parts: takes them out of the whole; a bare one when `count` is 1."""
    forms = forms or tuple(map(form_of, kinds))
    there = [(i, form.to_data) for i, form in enumerate(forms) if form.to_data is not None]
    back = [(i, form.from_data) for i, form in enumerate(forms) if form.from_data is not None]

    def tell(value: Any) -> list[Any]:
        found = [parts(value)] if count == 1 else list(parts(value))
        for i, change in there:
            found[i] = change(found[i])
        return found

    def read(data: Any) -> Any:
        found = list(data)
        if len(found) != len(forms):
            raise ValueError(f"there are {len(found)} values for {len(forms)} fields")
        for i, change in back:
            found[i] = change(found[i])
        return make(found)

    return Form(tell, read)


# --------------------------------------------------------------------------------------- what plugins put into Any


class _NotFinite(float):
    """A number that JSON has no word for; see json_values, which then writes all values as Python does."""


def plain(value: Any) -> Any:
    """JSON's values as they are, with tuples as lists. Raises Rejected for others, naming where they are."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return value if math.isfinite(value) else _NotFinite(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _within(f".{key}", inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_within(f"[{i}]", inner) for i, inner in enumerate(value)]
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    raise _NotPlainError("", value)


class _NotPlainError(Rejected):
    """A value that is no JSON, within another one."""

    def __init__(self, path: str, value: Any) -> None:
        super().__init__(
            f"{path.removeprefix('.') or 'it'} is {_what(value)}, and what is kept or sent is JSON: texts, numbers, "
            "true, false, null, lists, and objects whose keys are texts"
        )
        self.path, self.value = path, value


def _what(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"an object with the key {next(key for key in value if not isinstance(key, str))!r}"
    return f"of the type {type(value).__qualname__}"


def _within(step: str, value: Any) -> Any:
    try:
        return plain(value)
    except _NotPlainError as error:
        raise _NotPlainError(step + error.path, error.value) from None


# --------------------------------------------------------------------------------------------- types of their own


def _type_to_text(dtype: pa.DataType) -> str:
    """Arrow's name of a type, or where it has none the type as Arrow writes it into files.

    Not remembered: types that Arrow calls equal may name their inner fields differently.
    """
    try:
        if pa.type_for_alias(str(dtype)).equals(dtype, check_metadata=True):
            return str(dtype)
    except ValueError:
        pass
    return f"={base64.b64encode(pa.schema([pa.field('', dtype)]).serialize().to_pybytes()).decode()}"


@cache
def _type_from_text(text: str) -> pa.DataType:
    if not text.startswith("="):
        return pa.type_for_alias(text)
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text[1:]))).field(0).type


def _split_to_data(split: Split) -> dict[str, Any]:
    return {**split_to_json(split), "data": plain(split.data)}


FORMS[pa.DataType] = Form(_type_to_text, _type_from_text)
FORMS[Split] = Form(_split_to_data, split_from_json)
