"""What a running or ended job looks like from outside: counts per table, times, and which side is slow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from headrace.checkpoint.checkpoint import add_counts


@dataclass(frozen=True)
class Counts:
    """Rows of one table at one step. All are totals over tasks; they never go down. Checksums are modulo 2^64.

    rows, bytes: what came, rows that are retried after a restart counted in the attempt that commits.
    committed, committed_bytes: sinks only, what is visible in the target.
    filtered, added: rows a transform dropped or made. given: rows it passed on. rejected: rows set aside as bad, by the
    step that refused them; what a source sets aside counts as read and as rejected.
    written: what a sink says it wrote. ignored: rows it left out because of their kind.
    padded, cut: rows of a source that had fields too few or too many and were read nevertheless, see Notices.
    like_inserts: rows of other kinds than INSERT that a sink took which does not write kinds.
    checksum: of the rows that came; None when not asked for.
    wrote, found: rows that a sink compares, as it wrote them and as it read them back, with their checksums.
    """

    rows: int = 0
    bytes: int = 0
    committed: int = 0
    committed_bytes: int = 0
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

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**add_counts({k: v for k, v in vars(self).items() if v is not None}, vars(other)))


Flow = tuple[int, str, str]
"""A step's id, a table there, and the table of the source that its rows come from."""


@dataclass(frozen=True)
class Progress:
    """A job at one moment.

    flows: Flow → Counts; step ids are those of the plan. started, ended: seconds since 1970; None before that.
    size_done, size_total: bytes or rows of the splits, 0 when a source does not know. batches: handed to the sinks.
    busy: step id → seconds spent working, over all tasks. waiting_for_source: seconds that the side which writes
    had no rows; waiting_for_sink: that readers, running ahead, had no room. takes_checkpoints: whether the job
    saves its state on the way. checkpoints: how many were done. restarts: of pipelines. restored_from: a
    checkpoint's id, None at a first start. sources: ids of the source steps. unread: see TaskContext, of all
    splits; None where no source says it. names: step id → name, `Sink[0]-Console`.
    """

    job_id: int
    status: str
    flows: Mapping[Flow, Counts] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    size_done: int = 0
    size_total: int = 0
    batches: int = 0
    busy: Mapping[int, float] = field(default_factory=dict)
    waiting_for_source: float = 0.0
    waiting_for_sink: float = 0.0
    checkpoints: int = 0
    restarts: int = 0
    restored_from: int | None = None
    error: str = ""
    sources: frozenset[int] = frozenset()
    names: Mapping[int, str] = field(default_factory=dict)
    takes_checkpoints: bool = False
    unread: int | None = None

    @property
    def lag(self) -> int | None:
        """What the sources know of and have not read, in the unit of their sizes; None where they do not know."""
        of_splits = max(0, self.size_total - self.size_done) if self.size_total else None
        return of_splits if self.unread is None else self.unread + (of_splits or 0)

    @cached_property
    def counts(self) -> Mapping[tuple[int, str], Counts]:
        """(step id, table path) → Counts."""
        found: dict[tuple[int, str], Counts] = {}
        for (step, table, _), counts in self.flows.items():
            known = found.get((step, table))
            found[step, table] = counts if known is None else known + counts
        return found

    @property
    def rows_read(self) -> int:
        """Rows all sources gave."""
        return sum(c.rows for (step, _), c in self.counts.items() if step in self.sources)

    @property
    def bytes_read(self) -> int:
        """Bytes of these rows, as SeaTunnel estimates them."""
        return sum(c.bytes for (step, _), c in self.counts.items() if step in self.sources)

    @property
    def rows_rejected(self) -> int:
        """Rows set aside at all steps."""
        return sum(c.rejected for c in self.counts.values())

    def rows_by_table(self) -> dict[str, int]:
        """Table → rows read."""
        return {table: c.rows for (step, table), c in self.counts.items() if step in self.sources}

    def slow_side(self) -> str:
        """One sentence that says what the job's time goes into; empty while nothing was measured.

        The side that writes tells: it waits for rows, or works in a transform or sink. Readers run ahead of it.
        """
        working = {step: seconds for step, seconds in self.busy.items() if step not in self.sources}
        total = self.waiting_for_source + sum(working.values())
        if total <= 0:
            return ""
        sinks = {step: seconds for step, seconds in working.items() if self.names.get(step, "").startswith("Sink[")}
        transforms = {step: seconds for step, seconds in working.items() if step not in sinks}
        for_sinks, computing = sum(sinks.values()), sum(transforms.values())
        if self.waiting_for_source >= max(for_sinks, computing):
            return f"waits for the source {self.waiting_for_source / total:.0%} of the time"
        slowest, _ = max((sinks if for_sinks >= computing else transforms).items(), key=lambda item: item[1])
        if for_sinks >= computing:
            which = f" {self.names[slowest]}" if len(sinks) > 1 else ""
            return f"waits for the sink{which} {for_sinks / total:.0%} of the time"
        which = f", most of it in {self.names[slowest]}" if len(transforms) > 1 else f", in {self.names[slowest]}"
        return f"computes {computing / total:.0%} of the time{which}"
