"""What a running or ended job looks like from outside: counts per table, times, and which side is slow."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Counts:
    """Rows of one table at one step. All are totals over tasks; they never go down.

    rows, bytes: what passed, rows that are retried after a restart counted in the attempt that commits.
    committed, committed_bytes: sinks only, what is visible in the target.
    filtered, added: rows a transform dropped or made. rejected: rows set aside as bad, by the step that refused them;
    what a source sets aside counts as read and as rejected. So rows + added = passed on + filtered + rejected.
    ignored: row kinds that the sink leaves out by its nature. checksum: order-independent, None when not asked for.
    """

    rows: int = 0
    bytes: int = 0
    committed: int = 0
    committed_bytes: int = 0
    filtered: int = 0
    added: int = 0
    rejected: int = 0
    ignored: int = 0
    checksum: int | None = None


@dataclass(frozen=True)
class Progress:
    """A job at one moment.

    counts: (step id, table path) → Counts; step ids are those of the plan. started, ended: seconds since 1970; None
    before that. size_done, size_total: bytes or rows of the splits, 0 when a source does not know. batches: handed to
    the sinks. busy: step id → seconds spent working, over all tasks; waiting_for_source, waiting_for_sink: likewise.
    checkpoints: how many were done. restarts: of pipelines. restored_from: a checkpoint's id, None at a first
    start. sources: ids of the source steps.
    """

    job_id: int
    status: str
    counts: Mapping[tuple[int, str], Counts] = field(default_factory=dict)
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
        """One sentence that says what the job waits for; empty while nothing was measured."""
        working = sum(self.busy.values())
        total = working + self.waiting_for_source + self.waiting_for_sink
        if total <= 0:
            return ""
        side, seconds = max(
            (("waits for the source", self.waiting_for_source), ("waits for the sink", self.waiting_for_sink)),
            key=lambda pair: pair[1],
        )
        if seconds * 2 < total:
            return f"computes {working / total:.0%} of the time"
        return f"{side} {seconds / total:.0%} of the time"
