"""How fast jobs were: samples of those that run here, kept on disk, with a bound, when they have ended."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headrace.execution.progress import Progress
from headrace.jobs.record import JobRecord
from headrace.storage.local import write_whole

SECONDS = 5.0
"""Between two samples."""

POINTS = 120
"""Samples that are kept of a job: when there are more, neighbours become one, and the time between two doubles."""

KEPT_JOBS = 2000
"""Runs whose samples are kept on disk, about 12 KB each; the oldest go first."""

CLUSTER_POINTS = int(3600 / SECONDS)
"""Samples of all jobs together: the last hour."""


@dataclass(frozen=True)
class Point:
    """Totals of a job at one moment, since its start. time: seconds since 1970. busy: step id → seconds of work.

    waiting_for_source, waiting_for_sink: see Progress.
    """

    time: float
    read: int = 0
    written: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    rejected: int = 0
    busy: Mapping[int, float] = field(default_factory=dict)
    waiting_for_source: float = 0.0
    waiting_for_sink: float = 0.0

    @classmethod
    def of(cls, progress: Progress, now: float) -> "Point":
        """The totals of a job as it is now."""
        sinks = {step for step, name in progress.names.items() if name.startswith("Sink[")}
        written = [counts for (step, _), counts in progress.counts.items() if step in sinks]
        return cls(
            now,
            progress.rows_read,
            sum(c.rows - c.rejected for c in written),
            progress.bytes_read,
            sum(c.bytes for c in written),
            progress.rows_rejected,
            {step: round(seconds, 4) for step, seconds in progress.busy.items()},
            round(progress.waiting_for_source, 4),
            round(progress.waiting_for_sink, 4),
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Point":
        """What `asdict` gave, read again from JSON."""
        return cls(**{**values, "busy": {int(step): seconds for step, seconds in values["busy"].items()}})


@dataclass
class Series:
    """The samples of one run, oldest first."""

    points: list[Point] = field(default_factory=list)

    def add(self, point: Point) -> None:
        """One more sample."""
        self.points.append(point)
        if len(self.points) > POINTS:
            self.points = [*self.points[0:-1:2], self.points[-1]]


class Rates:
    """Samples the jobs of a service every `SECONDS` on a thread of its own.

    progresses: gives the jobs that run here. folder: where the samples of ended jobs are kept.
    """

    def __init__(
        self, progresses: Callable[[], Iterable[tuple[JobRecord, Progress]]], folder: Path, seconds: float = SECONDS
    ) -> None:
        self._progresses, self._folder, self._seconds = progresses, folder, seconds
        self._running: dict[tuple[int, int], Series] = {}
        self._cluster: list[dict[str, float]] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="rates", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Sample no more; what jobs that go on have so far is kept."""
        self._ended.set()
        self._thread.join()
        for key in list(self._running):
            self._keep(key)

    def of(self, job_id: int, run: int) -> list[Point]:
        """The samples of a run, oldest first; none when nothing is known of it."""
        with self._lock:
            found = self._running.get((job_id, run))
            if found is not None:
                return list(found.points)
        return self._kept(job_id, run)

    def running(self) -> dict[tuple[int, int], list[Point]]:
        """(job id, run) → the samples of each job that runs here."""
        with self._lock:
            return {key: list(series.points) for key, series in self._running.items()}

    def cluster(self) -> list[dict[str, float]]:
        """All jobs of this node together, in the last hour: rows and bytes a second, and how many jobs ran."""
        with self._lock:
            return list(self._cluster)

    def _sample(self) -> None:
        while not self._ended.wait(self._seconds):
            with suppress(OSError):  # a full disk costs samples, nothing else
                self.sample()

    def sample(self) -> None:
        """Take one sample of every job now, and put away those that have ended."""
        now = time.time()
        found = {record.key: Point.of(progress, now) for record, progress in self._progresses()}
        with self._lock:
            before = {key: series.points[-1] for key, series in self._running.items() if key in found}
            for key, point in found.items():
                self._running.setdefault(key, Series(self._kept(*key))).add(point)
            over = [key for key in self._running if key not in found]
            self._cluster = [*self._cluster[-CLUSTER_POINTS + 1 :], _together(now, found, before)]
        for key in over:
            self._keep(key)
        if over:
            self._make_room()

    def _keep(self, key: tuple[int, int]) -> None:
        with self._lock:
            series = self._running.pop(key, None)
        if series is None:
            return
        write_whole(self._file(*key), json.dumps([asdict(point) for point in series.points]).encode(), durable=False)

    def _kept(self, job_id: int, run: int) -> list[Point]:
        try:
            return [Point.from_json(values) for values in json.loads(self._file(job_id, run).read_text())]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _make_room(self) -> None:
        with os.scandir(self._folder) as entries:
            files = sorted((entry.stat().st_mtime, entry.path) for entry in entries if entry.name.endswith(".json"))
        for _, path in files[: max(0, len(files) - KEPT_JOBS)]:
            Path(path).unlink(missing_ok=True)

    def _file(self, job_id: int, run: int) -> Path:
        return self._folder / f"{job_id}-{run}.json"


def _together(
    now: float, points: Mapping[tuple[int, int], Point], before: Mapping[tuple[int, int], Point]
) -> dict[str, float]:
    pairs = [(before[key], point) for key, point in points.items() if key in before]
    seconds = max((point.time - earlier.time for earlier, point in pairs), default=0.0)

    def rate(name: str) -> float:
        grown = sum(max(0, getattr(point, name) - getattr(earlier, name)) for earlier, point in pairs)
        return round(grown / seconds, 3) if seconds > 0 else 0.0

    names = ("read", "written", "read_bytes", "written_bytes")
    return {"time": now, "jobs": len(points), **{name: rate(name) for name in names}}
