"""Columns as texts, each distinct value once: what Python must do by value is done as seldom as possible."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from headrace.javatext import java_texts


def distinct_texts(column: pa.Array) -> tuple[list[str], pa.Array]:
    """The texts that occur, as Java prints the values, and for each row which one it has; null where it has none."""
    if pa.types.is_nested(column.type) or isinstance(column.type, pa.ExtensionType):
        rows = pa.array(range(len(column)), pa.int32())
        return java_texts(column), pc.if_else(column.is_valid(), rows, None)
    encoded = column.dictionary_encode()
    return java_texts(encoded.dictionary), encoded.indices


def map_texts(column: pa.Array, change: Callable[[str], str | None]) -> pa.Array:
    """A column of what `change` makes of each text; null stays null."""
    texts, indices = distinct_texts(column)
    return pa.array([change(text) for text in texts], pa.string()).take(indices)
