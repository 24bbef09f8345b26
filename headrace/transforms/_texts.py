"""Columns as texts, each distinct value once: what Python must do by value is done as seldom as possible."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import TaskContext
from headrace.javatext import java_texts


def distinct_texts(column: pa.Array) -> tuple[list[str], pa.Array]:
    """The texts that occur, as Java prints the values, and for each row which one it has; null where it has none."""
    if pa.types.is_nested(column.type) or isinstance(column.type, pa.ExtensionType):
        rows = pa.array(range(len(column)), pa.int32())
        return java_texts(column), pc.if_else(column.is_valid(), rows, None)
    encoded = column.dictionary_encode()
    return java_texts(encoded.dictionary), encoded.indices


def map_texts(column: pa.Array, change: Callable[[str], str | None], task: TaskContext) -> pa.Array:
    """A column of what `change` makes of each text; null stays null. Raises Rejected for more than fits into memory."""
    texts, indices = distinct_texts(column)
    made: list[str | None] = []
    size = 0
    for text in texts:
        made.append(change(text))
        size += len(made[-1] or "")
        check_made(size, task)
    changed = pa.array(made, pa.string())
    check_made(pc.sum(pc.binary_length(changed).take(indices)).as_py() or 0, task)
    return changed.take(indices)


def check_made(size: int, task: TaskContext) -> None:
    """Raises Rejected where the texts that a transform makes of one batch would fill the memory. size: their bytes."""
    task.check_size(size, "the text that is made of one batch", "make less of each text")
