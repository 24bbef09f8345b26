"""What the routes share: the service of jobs, the settings, and what is measured about the requests themselves."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from headrace.api import answers
from headrace.api.event_report import EventReport
from headrace.api.events import Broadcast
from headrace.api.job_files import JobFiles
from headrace.api.job_metrics import JobMetrics
from headrace.api.log_files import LogFiles
from headrace.api.monitoring import Monitor
from headrace.api.neighbours import Neighbours
from headrace.api.operations import Operations
from headrace.api.rates import Rates
from headrace.api.telemetry import Telemetry
from headrace.cluster.peers import Peers
from headrace.errors import told
from headrace.execution.budget import default_budget
from headrace.jobs.record import JobRecord
from headrace.jobs.service import JobService
from headrace.jobs.status import JobStatus
from headrace.server_settings import ServerSettings, Wire

REMEMBERED = 4000
"""Answers about ended jobs that are kept, of each kind."""

Ended = tuple[int, int, int]
"""An ended run: job id, run, version."""


@dataclass
class Traffic:
    """Counts of requests and connections. connections: gives the open ones as (client address, …) pairs."""

    answered: int = 0
    running: int = 0
    waiting: Callable[[], int] = lambda: 0
    connections: Callable[[], list[str]] = list
    lock: threading.Lock = field(default_factory=threading.Lock)


class State:
    """One server's share of everything its routes need.

    workers: the pids of its worker processes. peers: by which it asks other members of its cluster; None without one.
    """

    def __init__(
        self,
        service: JobService,
        settings: ServerSettings,
        workers: Callable[[], Sequence[int]],
        peers: Peers | None = None,
    ) -> None:
        self.service, self.settings = service, settings
        self.neighbours = Neighbours(service, peers)
        self.job_files = JobFiles(service.home / "job-files")
        self.operations = Operations(service, self.job_files.keep)
        self.traffic = Traffic()
        self.rates = Rates(service.progresses, service.home / "rates")
        self.broadcast = Broadcast(service)
        self.logs = LogFiles(service.home / "logs", settings.max_log)
        figures: dict[str, Callable[[], int]] = {
            "waiting_jobs": lambda: service.store.counts().get(JobStatus.PENDING, 0),
            "waiting_writes": service.store.waiting,
            "waiting_requests": lambda: self.traffic.waiting(),
            "running_requests": lambda: self.traffic.running,
            "answered_requests": lambda: self.traffic.answered,
            "asked_jobs": lambda: len(service.store.requests(service.id)),
            "running_jobs": service.threads,
            "connections": lambda: len(self.traffic.connections()),
            "clients": lambda: len(set(self.traffic.connections())),
            "workers": lambda: len(workers()),
        }
        self.monitor = Monitor(figures)
        self.report = _event_report(service, settings)
        self.telemetry: Telemetry | None = None
        if settings.telemetry:
            ours = JobMetrics(service, settings.memory or default_budget(), workers, self.report)
            self.telemetry = Telemetry(service, settings.cluster_name, figures, self.monitor, ours)
        self._finished: dict[Wire, dict[Ended, bytes]] = {wire: {} for wire in Wire}
        self._brief: dict[Ended, bytes] = {}
        self._finished_lock = threading.Lock()

    def close(self) -> None:
        """Stop measuring, and post what ended."""
        if self.report is not None:
            self.report.close()
        self.operations.close()
        self.rates.close()
        self.monitor.close()

    def finished_jobs(self, keys: Sequence[Ended], wire: Wire) -> bytes:
        """The JSON array of ended jobs."""
        known = self._ended(self._finished[wire], keys, partial(answers.finished_job, wire=wire))
        return b"[" + b",".join(known[key] for key in keys if key in known) + b"]"

    def brief_jobs(self, keys: Sequence[Ended]) -> dict[Ended, bytes]:
        """The JSON objects of ended jobs without their plans."""
        return self._ended(self._brief, keys, answers.brief_job)

    def _ended(
        self, kept: dict[Ended, bytes], keys: Sequence[Ended], make: Callable[[JobRecord], Any]
    ) -> dict[Ended, bytes]:
        """An ended job never changes: what is made of it is made once and kept.

        A record that cannot be read is left out and logged; it does not break the list.
        """
        with self._finished_lock:
            known = {key: found for key in keys if (found := kept.get(key)) is not None}
        missing = [(job_id, run) for job_id, run, version in keys if (job_id, run, version) not in known]
        new = {}
        for record in self.service.store.runs(missing):
            try:
                new[record.job_id, record.run, record.version] = orjson.dumps(make(record))
            except Exception as error:
                self.service.log("error", f"job {record.job_id} cannot be shown: {told(error)}")
        if new:
            known |= new
            with self._finished_lock:
                kept.update(new)
                while len(kept) > REMEMBERED:
                    kept.pop(next(iter(kept)))
        return known

    def shown(self, make: Callable[[], Any], job_id: int) -> Any:
        """What `make` gives, or None, logged, when this job's record is broken."""
        try:
            return make()
        except Exception as error:
            self.service.log("error", f"job {job_id} cannot be shown: {told(error)}")
            return None


def _event_report(service: JobService, settings: ServerSettings) -> EventReport | None:
    if settings.event_report_url is None:
        return None
    headers = {name: value.get_secret_value() for name, value in settings.event_report_headers.items()}
    report = EventReport(settings.event_report_url.get_secret_value(), headers, service.home / "events", service.log)
    service.when_a_job_ends(report.job_ended)
    return report
