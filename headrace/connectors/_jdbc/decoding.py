"""What the decoders of all databases share: values cut out of what came, rows with bad ones set aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.connector import Rejects
from headrace.rows import Column


@dataclass
class BadValues:
    """Rows of a batch without a value of their column's type, and why."""

    column: Column
    mask: np.ndarray
    reason: str


def cut(data: np.ndarray, begin: np.ndarray, lengths: np.ndarray, nulls: np.ndarray | None) -> pa.Array:
    """The bytes of each value. The buffer is cut where values begin and end, and what is between them left out."""
    count = len(begin)
    cuts = np.empty(2 * count + 1, np.int32)
    cuts[0:-1:2], cuts[1::2] = begin, begin + lengths
    cuts[-1] = cuts[-2]
    parts = pa.Array.from_buffers(pa.binary(), 2 * count, [None, pa.py_buffer(cuts), pa.py_buffer(data)])
    return parts.take(pa.array(np.arange(0, 2 * count, 2, dtype=np.int32), mask=nulls))


def set_aside(rows: pa.RecordBatch, bad: Sequence[BadValues], path: str, rejects: Rejects, cure: str) -> pa.RecordBatch:
    """The rows that are good; the others are set aside, one by one, with the first reason of each.

    cure: what stands behind the reason.
    """
    mask = reduce(np.logical_or, [item.mask for item in bad])
    for row in np.flatnonzero(mask).tolist():
        item = next(item for item in bad if item.mask[row])
        reason = f"column {item.column.name} ({item.column.source_type}): {item.reason}{cure}"
        values = {name: shown_value(rows.column(name)[row]) for name in rows.schema.names}
        rejects.add_raw(path, [str(values)], reason, f"{path} row {row + 1} of a batch")
    return rows.filter(good_rows(mask))


def good_rows(mask: np.ndarray) -> pa.BooleanArray:
    """The rows that a mask of bad ones leaves."""
    return pc.invert(pa.array(mask))


def shown_value(value: pa.Scalar) -> Any:
    """A value for people; as Arrow shows it where Python has none."""
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        return pa.repeat(value, 1).to_string()
