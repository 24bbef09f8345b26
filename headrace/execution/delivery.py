"""The delivery report: what became of every row that was read, for each table of a source and each sink.

For each pair `read + added = written + filtered + rejected + ignored` must hold. Tables that a transform merged or
split are one line, for only together they balance.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headrace.checksums import to_text
from headrace.config.env import Verify
from headrace.connector import Sink, SinkKind
from headrace.execution.progress import Counts, Flow
from headrace.plan.plan import Pipeline, Step
from headrace.rows import TableSchema
from headrace.storage.local import write_whole
from headrace.texts import storable_values


@dataclass(frozen=True)
class Delivery:
    """Some tables of a source at one sink.

    tables: at the source; targets: at the sink, none when no row came there. handed: rows that reached the sink.
    is_plain: whether the sink writes rows as they come, so that those of a job that failed are there, too.
    padded, cut: rows of those that were read that had fields too few or too many, see Notices.
    read_checksum, handed_checksum, committed_checksum: None where the job does not ask; the last one also where the
    sink left rows out, of which only the number is known. found: rows that were read back, with their checksum; None
    where none were. unverified: why, where the job asks for it. problems: what does not hold, as sentences.
    """

    source: str
    sink: str
    tables: tuple[str, ...]
    targets: tuple[str, ...]
    read: int = 0
    added: int = 0
    handed: int = 0
    written: int = 0
    filtered: int = 0
    rejected: int = 0
    ignored: int = 0
    padded: int = 0
    cut: int = 0
    read_checksum: int | None = None
    handed_checksum: int | None = None
    committed_checksum: int | None = None
    found: int | None = None
    found_checksum: int | None = None
    unverified: str = ""
    problems: tuple[str, ...] = ()
    is_plain: bool = False

    def to_json(self) -> dict[str, Any]:
        """As values of JSON, with names in camelCase."""
        values: dict[str, Any] = {
            "source": self.source,
            "sink": self.sink,
            "tables": list(self.tables),
            "targets": list(self.targets),
            **{name: getattr(self, name) for name in ("read", "added", "written", "filtered", "rejected", "ignored")},
            "balanced": not self.problems,
        }
        sums = {"read": self.read_checksum, "handed": self.handed_checksum, "committed": self.committed_checksum}
        if self.read_checksum is not None:
            values["checksum"] = {name: to_text(value) for name, value in sums.items()}
        if self.found is not None:
            values["verified"] = {"rows": self.found, "checksum": to_text(self.found_checksum)}
        if self.padded or self.cut:
            values["mended"] = {"padded": self.padded, "cut": self.cut}
        if self.unverified:
            values["notVerified"] = self.unverified
        if self.problems:
            values["problems"] = list(self.problems)
        return values


@dataclass(frozen=True)
class DeliveryReport:
    """All deliveries of a run of a job. status: FINISHED, SAVEPOINT_DONE, CANCELED or FAILED.

    warnings: what was delivered and may not be what was meant, as sentences.
    """

    job_id: int
    run: int
    name: str
    status: str
    verify: Verify
    started: float | None
    ended: float | None
    deliveries: tuple[Delivery, ...] = field(default_factory=tuple)
    warnings: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """What does not hold; empty when everything is balanced."""
        return [problem for delivery in self.deliveries for problem in delivery.problems]

    @property
    def balanced(self) -> bool:
        """Whether every row that was read is accounted for."""
        return not self.problems

    @property
    def summary(self) -> str:
        """One line: `delivered: 5 rows, 1 table, balanced`, what does not balance, or what a job left that failed."""
        if self.problems:
            more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
            return f"not balanced: {self.problems[0]}{more}"
        if self.status not in ("FINISHED", "SAVEPOINT_DONE"):
            return self._left
        if self.all_rejected:
            return f"nothing delivered: {self.all_rejected}"
        tables = len({(d.source, table) for d in self.deliveries for table in d.tables})
        proofs = ", ".join(["balanced", *self._proofs()])
        return f"delivered: {counted(self.written)}, {tables} table{'s' * (tables != 1)}, {proofs}"

    @property
    def written(self) -> int:
        """Rows in all targets."""
        return sum(d.written for d in self.deliveries)

    @property
    def rejected(self) -> int:
        """Rows that were set aside, for each sink that lacks them."""
        return sum(d.rejected for d in self.deliveries)

    @property
    def filtered(self) -> int:
        """Rows that transforms dropped, for each sink that lacks them."""
        return sum(d.filtered for d in self.deliveries)

    @property
    def all_rejected(self) -> str:
        """Says that no row is in a target because rows were rejected; empty where that is not so."""
        if self.written or not self.rejected:
            return ""
        others = f", {counted(self.filtered)} filtered" if self.filtered else ""
        return f"{f'all {self.rejected:,} rows' if self.rejected > 1 else 'the only row'} rejected{others}"

    @property
    def _left(self) -> str:
        """What is in the targets of a job that came to no good end."""
        end = {"CANCELED": "the job was canceled"}.get(self.status, "the job failed")
        plain = list(dict.fromkeys(d.sink for d in self.deliveries if d.is_plain))
        more = (
            f"; {', '.join(plain)} may hold {'more' if self.written else 'some'}, written as they came" if plain else ""
        )
        if self.written:
            return f"in the target: {counted(self.written)} that were committed before {end}{more}"
        return f"nothing is committed: {end}{more}" if plain else f"nothing delivered: {end}"

    def _proofs(self) -> Iterable[str]:
        if self.verify is Verify.TARGET:
            found = [d for d in self.deliveries if d.found is not None]
            reasons = dict.fromkeys(f"{d.sink}: {d.unverified}" for d in self.deliveries if d.unverified)
            if found:
                yield "read back and equal"
            yield from (f"not verified ({reason})" for reason in reasons)

    def to_json(self) -> dict[str, Any]:
        """As values of JSON, with names in camelCase."""
        return {
            "jobId": str(self.job_id),
            "run": self.run,
            "jobName": self.name,
            "status": self.status,
            "verify": self.verify.value,
            "started": self.started,
            "ended": self.ended,
            "balanced": self.balanced,
            "summary": self.summary,
            "deliveries": [delivery.to_json() for delivery in self.deliveries],
            **({"warnings": list(self.warnings)} if self.warnings else {}),
        }


def counted(rows: int) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{rows:,} row{'s' * (rows != 1)}"


def report_path(home: Path, job_id: int, run: int) -> Path:
    """Where the report of a run of a job is kept."""
    return home / "reports" / f"{job_id}.{run}.json"


def save_report(report: DeliveryReport, home: Path, *, durable: bool = True) -> Path:
    """Write the report, whole or not at all; the file. Raises OSError.

    durable: False where the store of jobs keeps it, too.
    """
    path = report_path(home, report.job_id, report.run)
    text = json.dumps(storable_values(report.to_json()), indent=2, ensure_ascii=False)
    write_whole(path, f"{text}\n".encode(), durable=durable)
    return path


# ------------------------------------------------------------------------------------------------------- balancing


def deliveries(
    pipeline: Pipeline,
    counts: Mapping[Flow, Counts],
    *,
    verify: Verify = Verify.COUNT,
    tables: Mapping[int, Sequence[TableSchema]] | None = None,
    unverified: Mapping[int, Mapping[str, str]] | None = None,
) -> list[Delivery]:
    """What became of the rows of a pipeline.

    tables: step id → its tables, so that those without rows are in the report. unverified: sink's step id → table →
    why it cannot be read back; sinks and tables that are not in it can.
    """
    by_step: dict[int, dict[str, dict[str, Counts]]] = {}
    for (step, table, origin), value in counts.items():
        by_step.setdefault(step, {}).setdefault(origin, {})[table] = value
    found = []
    for sink in pipeline.sinks():
        path = _Path(pipeline, sink)
        known = {s: [t.path for t in (tables or {}).get(s, ())] for s in (pipeline.source.id, sink.id)}
        for origins, targets in _groups(pipeline.source.id, sink.id, by_step, known):
            reasons = (unverified or {}).get(sink.id, {})
            why = next((reasons[target] for target in targets if reasons.get(target)), "")
            found.append(_Group(path, by_step, origins, targets, verify, why).delivery())
    return found


def _is_plain(step: Step) -> bool:
    return isinstance(step.instance, Sink) and step.instance.kind is SinkKind.PLAIN


class _Path:
    """The steps of a pipeline that lead to one sink. copies: step id → how often its rows go on towards it."""

    def __init__(self, pipeline: Pipeline, sink: Step) -> None:
        self.source, self.sink = pipeline.source, sink
        self.copies: dict[int, int] = {}
        self._count(pipeline.source)
        self.transforms = [s for s in pipeline.steps() if s.outputs and s is not pipeline.source and self.copies[s.id]]

    def _count(self, step: Step) -> bool:
        if step.id not in self.copies:
            self.copies[step.id] = 0
            self.copies[step.id] = sum(self._count(output) for output in step.outputs)
        return step is self.sink or self.copies[step.id] > 0

    @property
    def is_direct(self) -> bool:
        """Whether the sink gets the very rows that the source gave."""
        return not self.transforms


def _groups(
    source: int,
    sink: int,
    by_step: Mapping[int, Mapping[str, Mapping[str, Counts]]],
    known: Mapping[int, Sequence[str]],
) -> list[tuple[list[str], list[str]]]:
    """Tables of the source with the tables of the sink that hold their rows, such that nothing crosses."""
    origins = dict.fromkeys([*known[source], *by_step.get(source, {})])
    groups: dict[str, tuple[list[str], list[str]]] = {origin: ([origin], []) for origin in origins}
    owners: dict[str, str] = {}
    reached = by_step.get(sink, {})
    pairs = [(target, origin) for origin, targets in reached.items() for target in targets]
    pairs += [(path, path) for path in known[sink] if path in origins and path not in reached]
    for target, origin in pairs:
        mine = groups.setdefault(origin, ([origin], []))
        other = groups[owners[target]] if target in owners else mine
        if other is not mine:
            other[0].extend(mine[0])
            other[1].extend(mine[1])
            for name in mine[0]:
                groups[name] = other
        elif target not in owners:
            mine[1].append(target)
        owners[target] = origin
    unique = {id(group): group for group in groups.values()}
    return list(unique.values())


class _Group:
    """Tables that balance together, at one sink."""

    def __init__(
        self,
        path: _Path,
        by_step: Mapping[int, Mapping[str, Mapping[str, Counts]]],
        origins: Sequence[str],
        targets: Sequence[str],
        verify: Verify,
        unverified: str,
    ) -> None:
        self._path, self._by_step = path, by_step
        self._origins, self._targets, self._verify, self._unverified = origins, targets, verify, unverified
        self._source = self._sum(path.source)
        self._sink = self._sum(path.sink)

    def _sum(self, step: Step) -> Counts:
        by_origin = self._by_step.get(step.id, {})
        return sum((counts for origin in self._origins for counts in by_origin.get(origin, {}).values()), Counts())

    def delivery(self) -> Delivery:
        """The line of the report."""
        path, source, sink = self._path, self._source, self._sink
        added = max(path.copies[path.source.id] - 1, 0) * (source.rows - source.rejected)
        filtered, rejected = 0, source.rejected + sink.rejected
        for step in path.transforms:
            counts = self._sum(step)
            added += counts.added + (path.copies[step.id] - 1) * counts.given
            filtered += counts.filtered
            rejected += counts.rejected
        is_hashed, asks = self._verify is not Verify.COUNT, self._verify is Verify.TARGET
        handed = (sink.checksum or 0) if is_hashed else None
        is_whole = not sink.ignored and not sink.rejected
        is_verified = asks and not self._unverified
        made = Delivery(
            path.source.name,
            path.sink.name,
            tuple(self._origins),
            tuple(self._targets),
            source.rows,
            added,
            sink.rows,
            sink.written,
            filtered,
            rejected,
            sink.ignored,
            source.padded,
            source.cut,
            (source.checksum or 0) if is_hashed else None,
            handed,
            handed if is_whole else None,
            sink.found if is_verified else None,
            (sink.found_checksum or 0) if is_verified else None,
            self._unverified if asks else "",
            is_plain=_is_plain(path.sink),
        )
        return replace(made, problems=tuple(self._problems(made)))

    def _problems(self, made: Delivery) -> Iterable[str]:
        path, sink = self._path, self._sink
        where = f"{', '.join(self._origins)} → {path.sink.name}"
        missing = made.read + made.added - made.written - made.filtered - made.rejected - made.ignored
        if missing:
            what = f"{missing:,} are missing" if missing > 0 else f"{-missing:,} are too many"
            text = (
                f"{where}: {made.read:,} rows read + {made.added:,} added, but {made.written:,} written + "
                f"{made.filtered:,} filtered + {made.rejected:,} rejected + {made.ignored:,} ignored: {what}"
            )
            if sink.rows != sink.written + sink.rejected + sink.ignored:
                text += f"; the sink was handed {sink.rows:,}"
            yield text
        if path.is_direct and path.copies[path.source.id] == 1 and made.read_checksum != made.handed_checksum:
            sums = f"{to_text(made.read_checksum)} read, {to_text(made.handed_checksum)} handed to the sink"
            yield f"{where}: no transform changed the rows, but their checksums differ: {sums}"
        if made.found is None:
            return
        if sink.wrote != made.written:
            yield f"{where}: the sink says it wrote {made.written:,} rows, but compared {sink.wrote:,}"
        if sink.found != sink.wrote:
            yield f"{where}: {sink.wrote:,} rows were written, the target gives back {sink.found:,}"
        elif (sink.found_checksum or 0) != (sink.wrote_checksum or 0):
            sums = f"{to_text(sink.wrote_checksum)} written, {to_text(sink.found_checksum)} found"
            yield f"{where}: the target gives back other rows than were written: checksum {sums}"
