"""A job's counts under SeaTunnel's names, those of 2.3.3 and the later ones."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from headrace.api.dag import NO_TABLE, table_path
from headrace.execution.progress import Counts
from headrace.javatext import java_double
from headrace.jobs.outline import Part
from headrace.jobs.record import JobRecord
from headrace.server_settings import Wire

_SIDES: tuple[tuple[str, str, Callable[[Counts], int], Callable[[Counts], int]], ...] = (
    ("SourceReceived", "source", lambda c: c.rows, lambda c: c.bytes),
    ("SinkWrite", "sink", lambda c: c.rows - c.rejected, lambda c: c.bytes),
    ("SinkCommitted", "sink", lambda c: c.committed, lambda c: c.committed_bytes),
)


def metrics(record: JobRecord, wire: Wire) -> dict[str, Any]:
    """Counts are texts of whole numbers, rates texts as Java prints doubles: the mean since the start.

    Tables are keyed by their path, or with the wire of 2.3.13 by `Source[0].path`. Rows set aside as bad are ours: they
    are left out while there are none.
    """
    seconds = _seconds(record)
    found: dict[str, Any] = {}
    for name, kind, rows_of, bytes_of in _SIDES:
        rows, sizes = _tables(record, kind, rows_of, wire), _tables(record, kind, bytes_of, wire)
        for suffix, values, rate in (("Count", rows, "QPS"), ("Bytes", sizes, "BytesPerSeconds")):
            found[f"{name}{suffix}"] = str(sum(values.values()))
            found[f"{name}{rate}"] = _rate(sum(values.values()), seconds)
            found[f"Table{name}{suffix}"] = {table: str(value) for table, value in values.items()}
            found[f"Table{name}{rate}"] = {table: _rate(value, seconds) for table, value in values.items()}
    rejected = [_tables(record, kind, lambda c: c.rejected, wire) for kind in ("source", "transform", "sink")]
    if any(count for tables in rejected for count in tables.values()):
        found["RejectedCount"] = str(sum(count for tables in rejected for count in tables.values()))
        found["TableRejectedCount"] = _sums(rejected)
    found["IntermediateQueueSize"] = "0"
    found["sourceReceivedCount"] = found["SourceReceivedCount"]
    found["sinkWriteCount"] = found["SinkWriteCount"]
    return found


def _tables(record: JobRecord, kind: str, value_of: Callable[[Counts], int], wire: Wire) -> dict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    parts = {part.step: part for part in _parts(record, kind)}
    for part in parts.values():
        for path in part.tables:
            found[_key(part, path, wire)] += 0
    for (step, path), counts in record.metrics.counts.items():
        if step in parts:
            found[_key(parts[step], path, wire)] += value_of(counts)
    return dict(found)


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, str]:
    """The sums by table, as texts; tables without a count are left out."""
    found: defaultdict[str, int] = defaultdict(int)
    for tables in counts:
        for table, count in tables.items():
            found[table] += count
    return {table: str(count) for table, count in found.items() if count}


def _parts(record: JobRecord, kind: str) -> Iterable[Part]:
    return (part for part in record.outline.parts() if part.kind == kind)


def _key(part: Part, path: str, wire: Wire) -> str:
    if wire is Wire.V2_3_3:
        return table_path(path)
    if part.kind == "sink" and len(part.inputs) > 1:
        return NO_TABLE
    return f"{part.kind.capitalize()}[{part.index}].{table_path(path)}"


def _seconds(record: JobRecord) -> float:
    started = record.metrics.started
    if started is None:
        return 0.0
    return (record.metrics.ended or record.ended or time.time()) - started


def _rate(value: int, seconds: float) -> str:
    return java_double(value / seconds) if seconds > 0 else "0.0"
