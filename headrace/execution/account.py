"""The account of one pipeline: what its tasks and checkpoints counted, and what became of the rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from headrace.checkpoint.checkpoint import Checkpoint
from headrace.config.env import Verify
from headrace.execution.delivery import Delivery, deliveries
from headrace.execution.messages import TaskReport
from headrace.execution.notices import Noticed
from headrace.execution.progress import Counts, Flow
from headrace.execution.set_aside import SHOWN_REASONS
from headrace.execution.tally import read_flow_key
from headrace.plan.plan import Pipeline
from headrace.rows import TableSchema


@dataclass
class Totals:
    """Sums over task reports. busy: step id → seconds."""

    batches: int = 0
    busy: dict[int, float] = field(default_factory=dict)
    for_source: float = 0.0
    for_sink: float = 0.0

    def add(self, reports: Iterable[TaskReport]) -> None:
        """Add what these tasks report."""
        for report in reports:
            self.batches += report.batches
            self.for_source += report.waiting_for_source
            self.for_sink += report.waiting_for_sink
            for step, seconds in report.busy.items():
                self.busy[step] = self.busy.get(step, 0.0) + seconds


class Account:
    """Written by the pipeline's thread, asked by any.

    base: the checkpoint that this start went on from. last: the newest that is saved and committed. refused: one whose
    rows do not balance. reasons: why the first bad rows were set aside. unverified: see execution.delivery.deliveries.
    """

    def __init__(self, pipeline: Pipeline, verify: Verify, unverified: Mapping[int, Mapping[str, str]]) -> None:
        self._pipeline, self._verify, self._unverified = pipeline, verify, unverified
        self._names = {step.id: step.name for step in pipeline.all_steps()}
        self._sinks = {step.id for step in pipeline.all_sinks()}
        self.base: Checkpoint | None = None
        self.last: Checkpoint | None = None
        self.refused: Checkpoint | None = None
        self.reasons: list[str] = []
        self._noticed = Noticed()
        self._reports: dict[int, TaskReport] = {}
        self._past = Totals()

    def started_from(self, base: Checkpoint) -> None:
        """A start goes on from this checkpoint."""
        self.base = self.last = base

    def tasks_start(self) -> None:
        """The reports to come are of new tasks."""
        self._past.add(self._reports.values())
        self._reports = {}

    def take(self, report: TaskReport) -> None:
        """A task told how far it is."""
        self._reports[report.task] = report
        self._noticed.add(report.notices)
        fresh = [reason for reason in report.reasons if reason not in self.reasons]
        self.reasons += fresh[: SHOWN_REASONS - len(self.reasons)]

    def shares(self) -> dict[str, float]:
        """How much of the splits that are being read is through."""
        return {split: share for report in list(self._reports.values()) for split, share in report.shares.items()}

    def unread(self) -> int | None:
        """What the splits are known to hold and was not read, where a source says it without knowing their sizes."""
        told = [size for report in list(self._reports.values()) for size in report.unread.values()]
        return sum(told) if told else None

    def totals(self) -> Totals:
        """Times and batches of all tasks of all starts."""
        totals = replace(self._past, busy=dict(self._past.busy))
        totals.add(list(self._reports.values()))
        return totals

    def counts(self, final: bool) -> dict[Flow, Counts]:
        """Counts of each flow. final: what the last checkpoint holds; else also what the tasks did since."""
        committed = self._counted(self.last, in_all=True)
        total = dict(committed if final else self._counted(self.base, in_all=True))
        if not final:
            for report in list(self._reports.values()):
                for key, counts in report.counts.items():
                    total[key] = total.get(key, Counts()) + counts
        return {
            key: self._with_committed(key[0], counts, committed.get(key, Counts())) for key, counts in total.items()
        }

    def unbalanced(self, checkpoint: Checkpoint) -> list[str]:
        """Why not every row that a checkpoint holds is accounted for; empty when all are."""
        found = self._deliveries(checkpoint, None)
        return [problem for delivery in found for problem in delivery.problems]

    def deliveries(self, tables: Mapping[int, Sequence[TableSchema]]) -> list[Delivery]:
        """What became of the rows up to the last checkpoint, or to the one that was refused. tables: by step."""
        return self._deliveries(self.refused or self.last, tables)

    def _deliveries(
        self, checkpoint: Checkpoint | None, tables: Mapping[int, Sequence[TableSchema]] | None
    ) -> list[Delivery]:
        counts, verify = self._counted(checkpoint), self._verify
        return deliveries(self._pipeline, counts, verify=verify, tables=tables, unverified=self._unverified)

    def warnings(self, *, whole: bool) -> list[str]:
        """What the source told, and which rows the sinks did not take for what they are.

        whole: the pipeline has read all, from its beginning; what an earlier run read of it is not known here.
        """
        sources: dict[str, Counts] = {}
        sinks: dict[tuple[int, str], int] = {}
        for (step, table, _), found in self._counted(self.refused or self.last).items():
            if step == self._pipeline.source.id:
                sources[table] = sources.get(table, Counts()) + found
            elif found.like_inserts:
                sinks[step, table] = sinks.get((step, table), 0) + found.like_inserts
        told = self._noticed.warnings(sources, whole=whole)
        return told + [
            f"{rows:,} row{'s' * (rows != 1)} of table {table} that update or delete others went to "
            f"{self._names[step]} like inserts; see `headrace check`"
            for (step, table), rows in sinks.items()
        ]

    def _counted(self, checkpoint: Checkpoint | None, *, in_all: bool = False) -> dict[Flow, Counts]:
        """in_all: also what was counted before the job file was changed, which is not part of the delivery report."""
        if checkpoint is None:
            return {}
        ids = {name: step for step, name in self._names.items()}
        found = {}
        for key, values in (checkpoint.counts_in_all() if in_all else checkpoint.counts).items():
            name, table, origin = read_flow_key(key)
            if name in ids:
                found[ids[name], table, origin] = Counts(**values)
        return found

    def _with_committed(self, step: int, counts: Counts, committed: Counts) -> Counts:
        if step not in self._sinks:
            return counts
        return replace(counts, committed=committed.written, committed_bytes=committed.bytes)
