"""/hazelcast/rest/instance/metrics: SeaTunnel's metric names with figures of this server, for Prometheus."""

import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pyarrow as pa
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric, SummaryMetricFamily

from headrace import __version__
from headrace.api.exposition import open_metrics_text, plain_text
from headrace.api.job_metrics import JobMetrics
from headrace.api.monitoring import Monitor, thread_states
from headrace.jobs.service import JobService
from headrace.jobs.status import JobStatus

_JOB_TYPES = {
    "canceled": JobStatus.CANCELED,
    "cancelling": JobStatus.CANCELING,
    "created": JobStatus.CREATED,
    "pending": JobStatus.PENDING,
    "failed": JobStatus.FAILED,
    "failing": JobStatus.FAILING,
    "finished": JobStatus.FINISHED,
    "running": JobStatus.RUNNING,
    "scheduled": JobStatus.SCHEDULED,
}
_EXECUTORS = ("async", "client", "clientBlocking", "clientQuery", "io", "offloadable", "scheduled", "system")


class Telemetry:
    """The metrics of one server. cluster: its name. figures: see Monitor. ours: those that SeaTunnel does not have."""

    def __init__(
        self,
        service: JobService,
        cluster: str,
        figures: dict[str, Callable[[], int]],
        monitor: Monitor,
        ours: JobMetrics,
    ) -> None:
        self._service, self._cluster, self._figures, self._monitor = service, cluster, figures, monitor
        self._ours = ours
        self._registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self._registry.register(collector)
        self._registry.register(self)

    def text(self, *, openmetrics: bool) -> bytes:
        """All metrics in either format."""
        metrics = self._registry.collect()
        return open_metrics_text(metrics) if openmetrics else plain_text(metrics)

    def collect(self) -> Iterator[Metric]:
        """Called by the Prometheus client."""
        yield from self._of_cluster()
        yield from self._of_executors()
        yield from self._of_jobs()
        yield from self._of_process()
        yield from self._ours.collect()

    def describe(self) -> list[Metric]:
        """Names are told by `collect` only: nothing is measured while the server is being put together."""
        return []

    def _of_cluster(self) -> Iterator[Metric]:
        nodes = self._service.nodes()
        master = nodes[0].address if nodes else ""
        cluster, address = self._cluster, self._service.settings.address
        yield _gauge("cluster_info", "Cluster info", 1, cluster=cluster, hazelcastVersion=__version__, master=master)
        now = time.time() * 1000
        yield _gauge("cluster_time", "Cluster start time", now, cluster=cluster, hazelcastVersion=__version__)
        yield _gauge("node_count", "Cluster node total count ", len(nodes), cluster=cluster)
        yield _gauge("node_state", "Whether is up of seatunnel node ", 1, cluster=cluster, address=address)
        for name, value in (
            ("partitionCount", 1),
            ("activePartition", 1),
            ("isClusterSafe", 1),
            ("isLocalMemberSafe", 1),
        ):
            help_text = f"The {name} of the store of jobs"
            yield _gauge(f"hazelcast_partition_{name}", help_text, value, cluster=cluster, address=address)

    def _of_executors(self) -> Iterator[Metric]:
        sizes = {
            "io": self._figures["waiting_writes"](),
            "client": self._figures["waiting_requests"](),
            "scheduled": self._figures["waiting_jobs"](),
        }
        values: dict[str, Callable[[str], float]] = {
            "executedCount": lambda kind: self._figures["answered_requests"]() if kind == "client" else 0,
            "isShutdown": lambda kind: 0,
            "isTerminated": lambda kind: 0,
            "maxPoolSize": lambda kind: 40 if kind == "client" else 1,
            "poolSize": lambda kind: 1,
            "queueRemainingCapacity": lambda kind: 2**31 - 1,
            "queueSize": lambda kind: sizes.get(kind, 0),
        }
        labels = ["cluster", "address", "type"]
        for name, value_of in values.items():
            family = GaugeMetricFamily(
                f"hazelcast_executor_{name}", f"The {name} of this server's queues", labels=labels
            )
            for kind in _EXECUTORS:
                family.add_metric([self._cluster, self._service.settings.address, kind], value_of(kind))
            yield family

    def _of_jobs(self) -> Iterator[Metric]:
        cluster, address = self._cluster, self._service.settings.address
        running = self._service.threads()
        counts = self._service.store.counts()
        gauges = {
            "activeCount": running,
            "corePoolSize": 0,
            "maximumPoolSize": 2**31 - 1,
            "poolSize": threading.active_count(),
            "queueTaskCount": self._figures["waiting_jobs"](),
        }
        for name, value in gauges.items():
            text = f"The {name} of the threads that run jobs"
            yield _gauge(f"job_thread_pool_{name}", text, value, cluster=cluster, address=address, type=name)
        ended = sum(count for status, count in counts.items() if JobStatus(status).is_end)
        for name, kind, value in (
            ("completedTask", "completedTask", ended),
            ("task", "taskCount", ended + running),
            ("rejection", "rejectionCount", 0),
        ):
            counter = CounterMetricFamily(
                f"job_thread_pool_{name}",
                f"The {name} of the threads that run jobs",
                labels=["cluster", "address", "type"],
            )
            counter.add_metric([cluster, address, kind], value)
            yield counter
        family = GaugeMetricFamily("job_count", "All job counts of seatunnel cluster ", labels=["cluster", "type"])
        for kind, status in _JOB_TYPES.items():
            family.add_metric([cluster, kind], counts.get(status, 0))
        yield family

    def _of_process(self) -> Iterator[Metric]:
        """The JVM's words for what this process has, too; docs/monitoring.md says what each one means here."""
        arrow = pa.default_memory_pool()
        used, most_ever, limit = self._monitor.memory()
        yield _gauge("jvm_memory_bytes_used", "Resident memory of the server process", used, area="heap")
        yield _gauge("jvm_memory_bytes_committed", "The most it ever held", most_ever, area="heap")
        yield _gauge("jvm_memory_bytes_max", "What its control group allows, or all there is", limit, area="heap")
        yield _gauge("jvm_buffer_pool_used_bytes", "Bytes of Arrow's buffers", arrow.bytes_allocated(), pool="direct")
        yield _gauge(
            "jvm_buffer_pool_capacity_bytes", "The most there ever were", arrow.max_memory() or 0, pool="direct"
        )
        yield _gauge("jvm_classes_currently_loaded", "Python modules that are loaded", len(sys.modules))
        threads = threading.enumerate()
        yield _gauge("jvm_threads_current", "Python threads", len(threads))
        yield _gauge("jvm_threads_daemon", "Python threads that do not hold up its end", sum(t.daemon for t in threads))
        yield _gauge("jvm_threads_peak", "The most there were when somebody looked", self._monitor.peak_threads())
        states = GaugeMetricFamily("jvm_threads_state", "Threads by what the kernel says of them", labels=["state"])
        for state, count in thread_states().items():
            states.add_metric([state], count)
        yield states
        spent = SummaryMetricFamily("jvm_gc_collection_seconds", "Time spent in collections", labels=["gc"])
        for name, (count, seconds) in self._monitor.collections().items():
            spent.add_metric([name], count, seconds)
        yield spent
        told = {"runtime": platform.python_implementation(), "vendor": "Python Software Foundation"}
        yield InfoMetricFamily("jvm", "The Python it runs in", {**told, "version": platform.python_version()})


def _gauge(name: str, text: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family
