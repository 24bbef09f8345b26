"""/metrics/realtime: samples of a running job as SeaTunnel 3 shows them. Its page «realtime-observability»."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.api.dag import vertex_ids
from headrace.api.rates import SECONDS, Point
from headrace.jobs.outline import Line, Outline

BUCKET_MS = int(SECONDS * 1000)
WINDOW_MS, LONGEST_MS = 180_000, 600_000
"""How far back an answer goes by default, and at most."""

_RATIOS = ("sourceReadRatio", "sourceIdleRatio", "transformBusyRatio", "sinkBusyRatio")


def jobs(running: Mapping[tuple[int, int], Sequence[Point]]) -> list[dict[str, Any]]:
    """The jobs that are sampled."""
    return [
        {
            "jobId": job_id,
            "enabled": True,
            "bucketMs": BUCKET_MS,
            "retentionMinutes": LONGEST_MS // 60_000,
            "latestBucketStartMs": _bucket(points[-1].time) if points else 0,
        }
        for (job_id, _), points in running.items()
    ]


@dataclass(frozen=True)
class Series:
    """The samples of a job, and its plan. window_ms: how far back an answer goes."""

    outline: Outline
    points: Sequence[Point]
    window_ms: int

    def vertices(self) -> dict[str, Any]:
        """For each vertex the share of time its tasks worked; what does not apply to its kind is 0."""
        ids = vertex_ids(self.outline)
        found: dict[int, list[dict[str, Any]]] = {}
        for line in self.outline.lines:
            for part in line.parts:
                number = ids[line.id, part.step]
                points = [
                    {"ts": _bucket(b.time), **dict.fromkeys(_RATIOS, 0.0), **_ratios(part.kind, part.step, line, a, b)}
                    for a, b in self._steps()
                ]
                found[number] = _added(found[number], points) if number in found else points
        return self._answer("vertices", [{"vertexId": number, "points": found[number]} for number in sorted(found)])

    def edges(self) -> dict[str, Any]:
        """For each pipeline the share of time that its readers, running ahead, had no room."""
        ids, tasks = vertex_ids(self.outline), sum(line.parallelism for line in self.outline.lines)
        edges = []
        for line in self.outline.lines:
            target = ids[line.id, line.parts[0].next[0]] if line.parts[0].next else 0
            points = [
                {"ts": _bucket(b.time), "bpRatio": _share(b.waiting_for_sink - a.waiting_for_sink, a, b, tasks)}
                for a, b in self._steps()
            ]
            edges.append({"queueId": line.id, "targetVertexId": target, "points": points})
        return self._answer("edges", edges)

    def _answer(self, name: str, found: list[dict[str, Any]]) -> dict[str, Any]:
        now = int(time.time() * 1000)
        return {"enabled": True, "bucketMs": BUCKET_MS, "fromMs": now - self.window_ms, "toMs": now, name: found}

    def _steps(self) -> Iterator[tuple[Point, Point]]:
        first = time.time() - self.window_ms / 1000
        pairs = zip(self.points, self.points[1:], strict=False)
        return ((a, b) for a, b in pairs if b.time >= first and b.time > a.time)


def _ratios(kind: str, step: int, line: Line, a: Point, b: Point) -> dict[str, float]:
    busy = _share(b.busy.get(step, 0.0) - a.busy.get(step, 0.0), a, b, line.parallelism)
    if kind != "source":
        return {f"{kind}BusyRatio": busy}
    idle = _share(b.waiting_for_source - a.waiting_for_source, a, b, line.parallelism)
    return {"sourceReadRatio": busy, "sourceIdleRatio": idle}


def _share(seconds: float, a: Point, b: Point, tasks: int) -> float:
    return round(min(max(seconds / (b.time - a.time) / max(tasks, 1), 0.0), 1.0), 4)


def _added(some: list[dict[str, Any]], more: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The transforms of a chain are one vertex: their shares are added."""
    return [
        {"ts": one["ts"], **{name: min(1.0, round(one[name] + other[name], 4)) for name in _RATIOS}}
        for one, other in zip(some, more, strict=True)
    ]


def _bucket(seconds: float) -> int:
    return int(seconds * 1000) // BUCKET_MS * BUCKET_MS
