"""What a task counts: rows by step, table and the source's table they come from; checksums where the job asks for them.

A batch passes all steps on the task's thread before the next one is taken, so what is counted between two calls of
`read` comes from the table that `read` was told, however transforms rename, merge or split tables.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.checksums import RowHasher, add, checksum
from headrace.config.env import Verify
from headrace.config.error_handlers import Stage
from headrace.connector import Batch, Sink, Source, Transform, Verifier, Written
from headrace.errors import Undelivered
from headrace.execution.progress import Counts, Flow
from headrace.plan.plan import Pipeline, Step
from headrace.rows import EncodedBatch, RowKind


@dataclass
class _Counter:
    """Counts while they grow; see Counts."""

    rows: int = 0
    bytes: int = 0
    filtered: int = 0
    added: int = 0
    given: int = 0
    rejected: int = 0
    written: int = 0
    ignored: int = 0
    padded: int = 0
    cut: int = 0
    like_inserts: int = 0
    checksum: int | None = None
    wrote: int = 0
    wrote_checksum: int | None = None
    found: int = 0
    found_checksum: int | None = None


def flow_key(name: str, table: str, origin: str) -> str:
    """How counts are named in a checkpoint, by the step's name: `name|table`, with the origin where it is another."""
    return f"{name}|{table}" if table == origin else f"{name}|{table}\t{origin}"


def read_flow_key(key: str) -> tuple[str, str, str]:
    """The step's name, the table and the origin."""
    name, _, tables = key.partition("|")
    table, _, origin = tables.partition("\t")
    return name, table, origin or table


class Tally:
    """The counts of one task since its start."""

    def __init__(self, pipeline: Pipeline, verify: Verify = Verify.COUNT) -> None:
        self._steps = {step.id: step for step in pipeline.steps()}
        self._verify = verify
        self._hasher = None if verify is Verify.COUNT else RowHasher()
        self._counters: dict[Flow, _Counter] = {}
        self._flows: dict[tuple[int, str], Flow] = {}
        self._origin = ""
        self._rejected_now = 0
        self._closed: dict[tuple[int, str], Written] = {}
        self._counting: set[tuple[int, str]] = set()
        self._sized: tuple[Any, int] = (None, 0)
        self._before: dict[str, dict[str, int]] = {}

    # ----------------------------------------------------------------------------------------- while rows pass

    def read(self, step: Step, batch: Batch) -> None:
        """A source gave a batch; what is counted from now on comes from its table."""
        self._origin = batch.table
        if self._hasher is not None:
            self._hasher.forget()
        self.handed(step, batch)

    def handed(self, step: Step, batch: Batch) -> None:
        """A batch came from a source, or was handed to a sink."""
        counter = self._at(step.id, batch.table)
        counter.rows += batch.num_rows
        counter.bytes += self._size(batch)
        if self._hasher is not None:
            counter.checksum = add(counter.checksum, self._checksum(batch))

    def transformed(self, step: Step, batch: Batch, results: Sequence[Batch]) -> None:
        """A transform made `results` of `batch`. Rows that it may neither drop nor add are left to `check`."""
        counter = self._at(step.id, batch.table)
        given = sum(out.num_rows for out in results)
        counter.rows += batch.num_rows
        counter.given += given
        change = given + self._rejected_now - batch.num_rows
        self._rejected_now = 0
        if change > 0 and step.transform.adds_rows:
            counter.added += change
        elif change < 0 and step.transform.drops_rows:
            counter.filtered -= change

    def like_inserts(self, step: Step, batch: Batch) -> None:
        """A sink took a batch with kinds that it does not write."""
        kinds = pc.not_equal(batch.kind_array(), int(RowKind.INSERT))
        self._at(step.id, batch.table).like_inserts += pc.sum(kinds).as_py() or 0

    def rejected(self, step: Step, table: str) -> None:
        """A row was set aside. One that a source set aside was read and rejected; elsewhere it was counted before."""
        is_transform = isinstance(step.instance, Transform)
        counter = self._at(step.id, table) if is_transform else self._known(step.id, table)
        counter.rejected += 1
        if is_transform:
            self._rejected_now += 1
        elif isinstance(step.instance, Source):
            counter.rows += 1

    def mended(self, step: Step, table: str, rows: Mapping[str, int]) -> None:
        """Rows of a source were not as they should be. rows: how, see Notices → their number."""
        counter = self._known(step.id, table)
        counter.padded += rows.get("padded", 0)
        counter.cut += rows.get("cut", 0)

    def rejected_in(self, stages: Collection[Stage]) -> int:
        """How many rows were set aside at these stages."""
        return sum(
            counter.rejected
            for (step, _, _), counter in self._counters.items()
            if counter.rejected and Stage(self._steps[step].plugin.kind.upper()) in stages
        )

    # -------------------------------------------------------------------------------------------- at a barrier

    def check(self) -> None:
        """Raises Undelivered when a transform lost or made rows though it is none that does."""
        for (step, table, _), counter in self._counters.items():
            instance = self._steps[step].instance
            if isinstance(instance, Transform) and counter.rows + counter.added != (
                counter.given + counter.filtered + counter.rejected
            ):
                name, means = self._steps[step].name, "drop" if counter.rows > counter.given else "add"
                raise Undelivered(
                    f"the rows of table {table} do not balance: {name} took {counter.rows:,} and gave "
                    f"{counter.given:,}, {counter.rejected:,} were rejected; none since the last checkpoint is "
                    f"committed. A transform that means to {means} rows says {means}s_rows = True"
                )

    def told(self, step: int, table: str, written: Written | None, *, last: bool = False) -> None:
        """What a writer or session says it wrote since it was opened. last: it is closed, another may follow."""
        if written is None:
            return
        before = self._closed.get((step, table), Written(0))
        total = Written(before.rows + written.rows, before.ignored + written.ignored)
        if last:
            self._closed[step, table] = total
        self._counting.add((step, table))
        if total != (0, 0) or (step, table) in self._flows:
            counter = self._known(step, table)
            counter.written, counter.ignored = total

    def settle(self) -> None:
        """All sinks have told what they wrote; where one does not count, it is what it was handed."""
        for (step, table, _), counter in self._counters.items():
            if isinstance(self._steps[step].instance, Sink) and (step, table) not in self._counting:
                counter.written = counter.rows - counter.rejected

    # -------------------------------------------------------------------------------------------------- outside

    def verifier(self, step: int) -> Verifier | None:
        """Where a sink says what it reads back; None when the job does not ask."""
        return _Verifier(self, step) if self._verify is Verify.TARGET else None

    def counts(self) -> dict[Flow, Counts]:
        """As they are now."""
        return {key: Counts(**vars(counter)) for key, counter in list(self._counters.items())}

    def by_name(self) -> dict[str, dict[str, int]]:
        """For a checkpoint: see flow_key; what is zero is left out."""
        return {
            flow_key(self._steps[step].name, table, origin): {k: v for k, v in vars(counter).items() if v}
            for (step, table, origin), counter in self._counters.items()
        }

    def fresh(self) -> dict[str, dict[str, int]]:
        """What was counted since the last call, as `by_name`."""
        before, self._before = self._before, self.by_name()
        found = {
            key: {k: (v - before.get(key, {}).get(k, 0)) % 2**64 for k, v in counts.items()}
            for key, counts in self._before.items()
            if counts != before.get(key)
        }
        return {key: {k: v for k, v in counts.items() if v} for key, counts in found.items()}

    # ----------------------------------------------------------------------------------------------------- parts

    def _at(self, step: int, table: str) -> _Counter:
        key = step, table, self._origin
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = _Counter()
            self._flows.setdefault((step, table), key)
        return counter

    def _known(self, step: int, table: str) -> _Counter:
        """A counter of a table at a step when no batch is on its way; the report sums up all of a table at a sink."""
        key = self._flows.setdefault((step, table), (step, table, table))
        return self._counters.setdefault(key, _Counter())

    def _size(self, batch: Batch) -> int:
        """SeaTunnel's estimate; the same rows are estimated once for the source and all sinks."""
        rows = batch.encoded if isinstance(batch, EncodedBatch) else batch.rows
        if self._sized[0] is not rows:
            self._sized = (rows, batch.estimated_bytes)
        return self._sized[1]

    def _checksum(self, batch: Batch) -> int:
        assert self._hasher is not None
        try:
            return self._hasher.checksum(batch)
        except TypeError as error:
            text = f"cannot verify table {batch.table}: {error}; set env.verify = count, or convert the column first"
            raise Undelivered(text) from error


class _Verifier(Verifier):
    def __init__(self, tally: Tally, step: int) -> None:
        self._tally, self._step = tally, step

    def wrote(self, table: str, rows: pa.RecordBatch) -> None:
        counter = self._tally._known(self._step, table)
        counter.wrote += rows.num_rows
        counter.wrote_checksum = add(counter.wrote_checksum, checksum(rows))

    def found(self, table: str, rows: pa.RecordBatch) -> None:
        counter = self._tally._known(self._step, table)
        counter.found += rows.num_rows
        counter.found_checksum = add(counter.found_checksum, checksum(rows))
