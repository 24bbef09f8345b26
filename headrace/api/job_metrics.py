"""Prometheus metrics of ours: jobs by state, what each running job moves, its checkpoints, memory and slots."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from headrace.api.event_report import EventReport
from headrace.api.rates import Point
from headrace.checkpoint.checkpoint import CheckpointKind
from headrace.checkpoint.history import COMPLETED, History
from headrace.execution.progress import Progress
from headrace.jobs.record import JobRecord
from headrace.jobs.service import JobService
from headrace.jobs.status import JobStatus

_JOB = ["job_id", "job_name"]

_MOVED = {
    "rows_read": "Rows that sources gave",
    "rows_written": "Rows that sinks took",
    "bytes_read": "Bytes of the rows that sources gave",
    "bytes_written": "Bytes of the rows that sinks took",
    "bad_rows": "Rows set aside as bad",
}


class Moved:
    """What the jobs of this node have moved since it started. They never go down: a job that ends stays counted."""

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._running: dict[tuple[int, int], Mapping[str, int]] = {}
        self._moved = dict.fromkeys(_MOVED, 0)
        self._ends = dict.fromkeys((status for status in JobStatus if status.is_end), 0)
        service.when_a_job_ends(self._ended)

    def now(self) -> tuple[list[tuple[JobRecord, Progress]], Mapping[str, int], Mapping[JobStatus, int]]:
        """The jobs that run here; what all have moved; ends by state."""
        with self._lock:
            progresses = self._service.progresses()
            self._running |= {record.key: _moved(progress) for record, progress in progresses}
            moved = {
                name: count + sum(one[name] for one in self._running.values()) for name, count in self._moved.items()
            }
            return progresses, moved, dict(self._ends)

    def _ended(self, record: JobRecord, progress: Progress | None) -> None:
        with self._lock:
            before = self._running.pop(record.key, {})
            last = before if progress is None else _moved(progress)
            for name, count in last.items():
                self._moved[name] += count
            if record.status.is_end:
                self._ends[record.status] += 1


class JobMetrics:
    """Collects them. budget: bytes that this server and its workers may hold. workers: the pids of these.

    report: where ends of jobs are posted to.
    """

    def __init__(
        self, service: JobService, budget: int, workers: Callable[[], Sequence[int]], report: EventReport | None
    ) -> None:
        self._service, self._budget, self._workers, self._report = service, budget, workers, report
        self._moved = Moved(service)

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        progresses, moved, ends = self._moved.now()
        yield from self._of_node(ends)
        if self._report is not None:
            yield from _of_report(self._report)
        for name, text in _MOVED.items():
            yield CounterMetricFamily(
                f"headrace_{name}", f"{text}, by all jobs of this node since it started", value=moved[name]
            )
        yield from self._of_jobs(progresses)
        yield from self._of_checkpoints(progresses)

    def _of_node(self, ends: Mapping[JobStatus, int]) -> Iterator[Metric]:
        service = self._service
        counts = service.store.counts()
        jobs = GaugeMetricFamily("headrace_jobs", "Runs that the store remembers, by state", labels=["status"])
        for status in JobStatus:
            jobs.add_metric([status.value], counts.get(status, 0))
        yield jobs
        ended = CounterMetricFamily(
            "headrace_jobs_ended", "Jobs of this node that ended since it started, by state", labels=["status"]
        )
        for status, count in ends.items():
            ended.add_metric([status.value], count)
        yield ended
        total, used = service.slots()
        slots = float("inf") if total is None else total
        yield GaugeMetricFamily("headrace_slots", "Slots of this node, +Inf where their number is not fixed", slots)
        yield GaugeMetricFamily("headrace_slots_used", "Slots that jobs have", used)
        pids = self._workers()
        yield GaugeMetricFamily("headrace_workers", "Worker processes", len(pids))
        yield GaugeMetricFamily(
            "headrace_memory_budget_bytes", "What this server and its workers may hold", self._budget
        )
        yield GaugeMetricFamily("headrace_memory_used_bytes", "What they hold", _resident(pids))

    def _of_jobs(self, progresses: Sequence[tuple[JobRecord, Progress]]) -> Iterator[Metric]:
        moved = [(_labels(record), _moved(progress)) for record, progress in progresses]
        for name, text in _MOVED.items():
            family = CounterMetricFamily(f"headrace_job_{name}", f"{text}, of a running job", labels=_JOB)
            for labels, counts in moved:
                family.add_metric(labels, counts[name])
            yield family
        values: dict[str, tuple[str, Callable[[Progress], float]]] = {
            "restarts": ("Restarts of its pipelines", lambda p: p.restarts),
            "waiting_for_source_seconds": (
                "Time in which the side that writes had no rows",
                lambda p: p.waiting_for_source,
            ),
            "waiting_for_sink_seconds": ("Time in which readers had no room", lambda p: p.waiting_for_sink),
        }
        for name, (text, value_of) in values.items():
            family = CounterMetricFamily(f"headrace_job_{name}", f"{text}, of a running job", labels=_JOB)
            for record, progress in progresses:
                family.add_metric(_labels(record), value_of(progress))
            yield family
        started = GaugeMetricFamily("headrace_job_start_time_seconds", "When a running job began", labels=_JOB)
        lag = GaugeMetricFamily(
            "headrace_job_lag", "What its sources know of and have not read, in their unit: bytes or rows", labels=_JOB
        )
        for record, progress in progresses:
            started.add_metric(_labels(record), record.started or record.created)
            if (behind := progress.lag) is not None:
                lag.add_metric(_labels(record), behind)
        yield started
        yield lag

    def _of_checkpoints(self, progresses: Sequence[tuple[JobRecord, Progress]]) -> Iterator[Metric]:
        counted = CounterMetricFamily(
            "headrace_job_checkpoints", "Checkpoints of a running job", labels=[*_JOB, "result"]
        )
        families = {
            name: GaugeMetricFamily(f"headrace_job_checkpoint_{name}", f"{text}, of a running job", labels=_JOB)
            for name, text in (
                ("duration_seconds", "How long its newest checkpoint took"),
                ("size_bytes", "How large its newest checkpoint is"),
                ("age_seconds", "How long ago its newest checkpoint was taken; before the first one, how long it runs"),
            )
        }
        for record, progress in progresses:
            labels = _labels(record)
            histories = self._service.histories(record.job_id)
            counted.add_metric([*labels, "completed"], sum(history.completed for history in histories))
            counted.add_metric([*labels, "failed"], sum(history.failed for history in histories))
            if progress.takes_checkpoints:
                for name, value in _newest(histories, record.started or record.created).items():
                    families[name].add_metric(labels, value)
        yield counted
        yield from families.values()


def _of_report(report: EventReport) -> Iterator[Metric]:
    yield CounterMetricFamily("headrace_events_posted", "Ends of jobs that event-report-http got", value=report.posted)
    yield GaugeMetricFamily("headrace_events_waiting", "Ends of jobs that wait to be posted", report.waiting)
    yield CounterMetricFamily(
        "headrace_events_dropped", "Ends of jobs that were too many to wait", value=report.dropped
    )


def _newest(histories: Sequence[History], started: float) -> dict[str, float]:
    """Of the newest checkpoint of each pipeline that has not ended: the slowest, their size, the age of the oldest."""
    newest = [next(iter(history.of_status(COMPLETED)), None) for history in histories]
    found = [entry for entry in newest if entry is None or entry.kind is not CheckpointKind.COMPLETED]
    taken = [entry for entry in found if entry is not None]
    times = [started if entry is None else entry.completed or entry.triggered for entry in found]
    values = {"age_seconds": max(0.0, time.time() - min(times))} if times else {}
    if taken:
        values["duration_seconds"] = max((e.completed or e.triggered) - e.triggered for e in taken)
        values["size_bytes"] = sum(entry.size for entry in taken)
    return values


def _moved(progress: Progress) -> dict[str, int]:
    point = Point.of(progress, 0.0)
    return {
        "rows_read": point.read,
        "rows_written": point.written,
        "bytes_read": point.read_bytes,
        "bytes_written": point.written_bytes,
        "bad_rows": point.rejected,
    }


def _labels(record: JobRecord) -> list[str]:
    return [str(record.job_id), record.name]


def _resident(pids: Sequence[int]) -> int:
    """Resident bytes of this process and of these."""
    found = psutil.Process().memory_info().rss
    for pid in pids:
        with suppress(psutil.Error):  # it has just ended
            found += psutil.Process(pid).memory_info().rss
    return int(found)
