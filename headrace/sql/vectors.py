"""Functions of vectors: distances, norms and fewer dimensions."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.rows import VectorType
from headrace.sql.functions import COUNTS, TEXTS, Kind, Value, array_of, function, list_of

INT, DOUBLE = pa.int32(), pa.float64()
VECTORS = Kind(
    "vectors and arrays of numbers",
    lambda t: isinstance(t, VectorType) or (pa.types.is_list(t) and pa.types.is_floating(t.value_type)),
    "declare the column as float_vector or array<float>",
)
_FLOATS = VectorType("float_vector")


def _numbers(value: Value, rows: int) -> list[Any]:
    """Each row's vector as numpy has it, None for null."""
    column = array_of(value, rows)
    name = column.type.name if isinstance(column.type, VectorType) else ""
    storage = column.storage if isinstance(column, pa.ExtensionArray) else column
    return [None if item is None else _vector(item, name) for item in storage.to_pylist()]


def _vector(item: Any, name: str) -> Any:
    if name == "sparse_float_vector":
        made = np.zeros(max((place for place, _ in item), default=-1) + 1, np.float32)
        for place, number in item:
            made[place] = number
        return made
    if name == "bfloat16_vector":
        return (np.frombuffer(item, "<u2").astype(np.uint32) << 16).view(np.float32)
    if name == "binary_vector":
        raise ValueError("a binary vector has no numbers; use a float vector")
    return np.asarray(item, np.float32)


def _of_two(name: str, compute: Callable[[Any, Any], float]) -> None:
    @function(name, result=DOUBLE, least=2, takes=(VECTORS, VECTORS))
    def apply(left: Value, right: Value, rows: int) -> Value:
        out: list[float | None] = []
        for a, b in zip(_numbers(left, rows), _numbers(right, rows), strict=True):
            if a is not None and b is not None and len(a) != len(b):
                raise ValueError(f"{name} takes vectors of one size, not {len(a)} and {len(b)}")
            out.append(None if a is None or b is None else float(compute(a.astype(float), b.astype(float))))
        return pa.array(out, DOUBLE)


def _cosine(a: Any, b: Any) -> float:
    norms = np.sqrt(a @ a) * np.sqrt(b @ b)
    return 1.0 if norms == 0 else 1.0 - (a @ b) / norms


_of_two("COSINE_DISTANCE", _cosine)
_of_two("INNER_PRODUCT", lambda a, b: a @ b)
_of_two("L1_DISTANCE", lambda a, b: np.abs(a - b).sum())
_of_two("L2_DISTANCE", lambda a, b: np.sqrt(((a - b) ** 2).sum()))


@function("VECTOR_DIMS", result=INT, takes=VECTORS)
def _dims(vector: Value, rows: int) -> Value:
    return pa.array([None if v is None else len(v) for v in _numbers(vector, rows)], INT)


@function("VECTOR_NORM", result=DOUBLE, takes=VECTORS)
def _norm(vector: Value, rows: int) -> Value:
    return pa.array(
        [None if v is None else float(np.linalg.norm(v.astype(float))) for v in _numbers(vector, rows)], DOUBLE
    )


def _as_vectors(vectors: list[Any]) -> pa.Array:
    storage = pa.array([None if v is None else v.astype(np.float32) for v in vectors], _FLOATS.storage_type)
    return pa.ExtensionArray.from_storage(_FLOATS, storage)


@function("VECTOR_NORMALIZE", result=_FLOATS, takes=VECTORS)
def _normalize(vector: Value, rows: int) -> Value:
    """To length 1; a vector of zeros stays."""
    made: list[Any] = []
    for v in _numbers(vector, rows):
        length = 0.0 if v is None else np.linalg.norm(v.astype(float))
        made.append(v / length if length else v)
    return _as_vectors(made)


@function("VECTOR_REDUCE", result=_FLOATS, least=3, takes=(VECTORS, COUNTS, TEXTS))
def _reduce(vector: Value, size: Value, method: Value, rows: int) -> Value:
    """TRUNCATE, RANDOM_PROJECTION or SPARSE_RANDOM_PROJECTION; the projections are the same in every row and run."""
    made: list[Any] = []
    for v, n, m in zip(_numbers(vector, rows), list_of(size, rows), list_of(method, rows), strict=True):
        if v is None or n is None or m is None:
            made.append(None)
        elif m.upper() not in _METHODS:
            raise ValueError(f"VECTOR_REDUCE knows no method {m!r}; the methods are {', '.join(_METHODS)}")
        else:
            made.append(v if len(v) <= n else _METHODS[m.upper()](v, n))
    return _as_vectors(made)


@lru_cache(16)
def _projection(size: int, target: int, sparse: bool) -> Any:
    random = np.random.default_rng(42)
    if not sparse:
        return random.normal(0, np.sqrt(1 / target), (target, size))
    return np.sqrt(3) * random.choice([1, -1, 0], (target, size), p=[1 / 6, 1 / 6, 2 / 3])


_METHODS: dict[str, Callable[[Any, int], Any]] = {
    "TRUNCATE": lambda v, n: v[:n],
    "RANDOM_PROJECTION": lambda v, n: _projection(len(v), n, sparse=False) @ v,
    "SPARSE_RANDOM_PROJECTION": lambda v, n: _projection(len(v), n, sparse=True) @ v,
}
