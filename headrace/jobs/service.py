"""The one service that REST and the command line call: takes jobs, runs them, stops them, remembers them."""

import math
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headrace.checkpoint.history import History
from headrace.checkpoint.store import CheckpointStore, FileStore, stored_histories
from headrace.config.job import JobConfig, parse_job
from headrace.connector import Sink
from headrace.errors import (
    ConfigError,
    HeadraceError,
    JobExists,
    JobNotFound,
    NotEnoughSlots,
    Problem,
    StoreUnavailable,
)
from headrace.execution.delivery import report_path
from headrace.execution.master import JobSettings
from headrace.execution.progress import Progress
from headrace.execution.runner import Runner
from headrace.jobs.known import JobsOfStore
from headrace.jobs.leases import Leases
from headrace.jobs.numbers import check_numbers
from headrace.jobs.outline import Outline, outline_of
from headrace.jobs.permissions import Permissions
from headrace.jobs.placement import Placement
from headrace.jobs.record import JobRecord, JobText, Node
from headrace.jobs.remote_store import AnyStore
from headrace.jobs.roles import Role
from headrace.jobs.rounds import Rounds
from headrace.jobs.running import RunningJob, refusal
from headrace.jobs.slots import Slots
from headrace.jobs.status import JobStatus
from headrace.logs import delete_job_log
from headrace.plan.plan import Plan, make_plan
from headrace.plan.schemas import describe_offline, names_of_tables
from headrace.rows import TableSchema
from headrace.secrets import mask_values

LEAST_FREE_BYTES = 262_144
"""A home with less is full: neither a checkpoint nor a log has room there for long."""

DEFAULT_NAMES = ("SeaTunnel", "SeaTunnel_Job")
"""Names that mean: none was given. SeaTunnel, REST submit-job."""


@dataclass(frozen=True)
class ServiceSettings:
    """How a service treats its jobs.

    default_name: of a job that names itself nowhere. slots: None for any number. wait: whether a job waits for slots;
    else it fails. history: seconds that ended jobs are remembered; delete_logs: whether their logs go then. lease:
    seconds without a sign of life after which a service counts as dead. recover: what becomes of a job whose service
    died: `auto` restarts it where nothing is written twice, `restart` always does, `fail` never. role: see `Role`.
    cluster: whether the services that share the store have homes of their own and give jobs to each other.
    """

    default_name: str = "SeaTunnel_Job"
    slots: int | None = None
    wait: bool = False
    history: float = 1440 * 60.0
    delete_logs: bool = True
    lease: float = 5.0
    recover: str = "auto"
    poll: float = 0.2
    address: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    role: Role = Role.BOTH
    cluster: bool = False
    job: JobSettings = field(default_factory=JobSettings)
    permissions: Permissions = field(default_factory=Permissions)


@dataclass(frozen=True)
class PreparedJob:
    """A job that was checked and can be taken."""

    text: JobText
    plan: Plan
    outline: Outline


@dataclass(frozen=True)
class CheckedJob:
    """What is known of a job text. problems: all that is wrong; plan and outline: None where it cannot be planned.

    tables: step id → its tables, where the file alone tells them.
    """

    problems: tuple[Problem, ...]
    plan: Plan | None = None
    outline: Outline | None = None
    tables: Mapping[int, Sequence[TableSchema]] = field(default_factory=dict)


@dataclass(frozen=True)
class Submission:
    """A job to take. job_id: None for a new one. savepoint: whether it goes on from the saved state of that id."""

    job: PreparedJob
    job_id: int | None = None
    name: str | None = None
    savepoint: bool = False


@dataclass(frozen=True)
class Submitted:
    """A job that was taken. record: None when a job of this id was already running, which changes nothing.

    unplaced: why no node may run it, where its tags fit none; it fails then, as in SeaTunnel.
    """

    job_id: int
    name: str
    record: JobRecord | None
    unplaced: NotEnoughSlots | None = None


@dataclass(frozen=True)
class Overview:
    """Figures of all living services. slots, free: of those that were asked for. counts: status → runs."""

    counts: Mapping[str, int]
    slots: int
    free: int
    workers: int


class JobService:
    """Several services may use one store and one home, on one machine or many; each job has one owner among them.

    A job that was answered survives this process: another service, or this one after its restart, finds it.
    """

    def __init__(
        self,
        home: Path,
        store: AnyStore,
        runner: Runner,
        settings: ServiceSettings | None = None,
        on_log: Callable[[str, str], None] = lambda level, text: None,
        checkpoints: CheckpointStore | None = None,
    ) -> None:
        self.home, self.store, self.runner = home.resolve(), store, runner
        self.checkpoints = checkpoints or FileStore(self.home / "checkpoints")
        self.settings = settings or ServiceSettings()
        self.known_jobs = JobsOfStore(store, self.home, self.checkpoints, cluster=self.settings.cluster)
        self.id = uuid.uuid4().hex
        self.started = time.time()
        self._on_log = on_log
        self._tags: Mapping[str, str] = dict(self.settings.tags)
        self._slots = Slots(self.settings.slots)
        self._running: dict[tuple[int, int], RunningJob] = {}
        self._listeners: list[Callable[[JobRecord, Progress | None], None]] = []
        self._waiting: list[JobRecord] = []
        self._taking: set[tuple[int, int]] = set()
        self._placement = Placement(self.id)
        self._drained = False
        self._joined = threading.Event()
        if not self.settings.cluster:
            self._joined.set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._leases = Leases(self.settings.lease)
        self._beaten = time.monotonic()
        self._steady = self._beaten if self.settings.cluster else -math.inf
        self._unwritable = ""
        self._beat().result()
        self._keep()

    # ----------------------------------------------------------------------------------------------------- submitting

    def prepare(
        self,
        text: str,
        *,
        format: str = "json",  # noqa: A002  the word of the REST API
        variables: Mapping[str, str] | None = None,
        strict: bool = False,
    ) -> PreparedJob:
        """Check a job without taking it. strict: an unknown option is an error.

        Raises ConfigError when it is wrong, NotEnoughSlots or NotEnoughMemory when it can never run.
        """
        job = parse_job(text, format=format, variables=variables)
        check_numbers(job)
        self.settings.permissions.check_plugins(job)
        plan = make_plan(job, strict=strict)
        self.settings.permissions.check(plan)
        self.runner.check(plan)
        outline = outline_of(plan, names_of_tables(plan))
        alone = not self.settings.cluster
        if alone and self.settings.slots is not None and self.settings.wait and outline.slots() > self.settings.slots:
            raise NotEnoughSlots(f"the job needs {outline.slots()} slots, and there are {self.settings.slots}")
        return PreparedJob(JobText(text, format, variables), plan, outline)

    def submit(
        self, job: PreparedJob, *, job_id: int | None = None, name: str | None = None, savepoint: bool = False
    ) -> Submitted:
        """Take a job. Once this returns, it survives a crash: it will be run or reported (guarantee 7).

        Raises JobExists when the id has ended and `savepoint` was not asked for.
        """
        return self.submit_all([Submission(job, job_id, name, savepoint)])[0]

    def submit_all(self, submissions: Sequence[Submission]) -> list[Submitted]:
        """Take several jobs as `submit` takes one, in one change of the store: all of them, or none."""
        while True:
            taken = [self._taken(submission) for submission in submissions]
            pairs = list(zip(taken, submissions, strict=True))
            new = [(one.record, submission.job, one.unplaced) for one, submission in pairs if one.record is not None]
            if not new:
                return taken
            keys = {record.key for record, _, _ in new}
            with self._lock:
                self._taking |= keys
            try:
                if self.store.add_all([(record, job.text) for record, job, _ in new]).result():
                    for record, job, unplaced in new:
                        if record.owner == self.id:
                            self._start(record, job.plan, unplaced=unplaced)
                    return taken
            finally:
                with self._lock:
                    self._taking -= keys

    def check_id(self, job_id: int, *, savepoint: bool) -> JobRecord | None:
        """The last run of a job whose id was given. Raises JobExists where no other run may follow it."""
        before = self.store.get(job_id)
        if before is not None and before.status.is_end and not savepoint:
            raise JobExists(f"The job id {job_id} has already been submitted and is not starting with a savepoint.")
        return before

    def _taken(self, submission: Submission) -> Submitted:
        """What becomes of a submission as the store is now: a new record, or none beside a run that has not ended."""
        config, savepoint = submission.job.plan.job, submission.savepoint
        name, job_id = self._name(submission.name, config), submission.job_id
        before = None if job_id is None else self.check_id(job_id, savepoint=savepoint)
        if before is not None and not before.status.is_end:
            return Submitted(before.job_id, name, None)
        owner, unplaced = self._owner_of(submission.job)
        record = JobRecord(
            job_id=job_id if job_id is not None else self.store.new_id(),
            run=1 if before is None else before.run + 1,
            name=name,
            mode=str(config.env.job_mode),
            status=JobStatus.CREATED,
            env=mask_values(config.env_raw),
            outline=submission.job.outline,
            created=time.time(),
            restore=savepoint,
            from_savepoint=savepoint,
            owner=owner,
            recover=config.env.recover or self.settings.recover,
        )
        return Submitted(record.job_id, name, record, unplaced)

    def _owner_of(self, job: PreparedJob) -> tuple[str, NotEnoughSlots | None]:
        """The service that shall run a new job, or end it for that reason: its tags fit no node.

        Raises NotEnoughSlots where none has room.
        """
        tags = {name: str(value) for name, value in job.plan.job.env.tag_filter.items()}
        if not self.settings.cluster and not tags:
            return self.id, None
        nodes = self.nodes() if self.settings.cluster else [replace(self._node(), slots=None)]
        try:
            return self._placement.choose(nodes, job.outline.slots(), tags), None
        except NotEnoughSlots as error:
            if not tags:
                raise
            return self.id, error

    def _name(self, given: str | None, config: JobConfig) -> str:
        if given and given not in DEFAULT_NAMES:
            return given
        own = config.env.job_name if "job_name" in config.env.model_fields_set else ""
        return own or self.settings.default_name

    def _start(self, record: JobRecord, plan: Plan, note: str = "", *, unplaced: NotEnoughSlots | None = None) -> None:
        job = RunningJob(self, record, plan, unplaced)
        if note:
            job.log("info", note)
        with self._lock:
            self._running[record.key] = job
        job.start()

    # ------------------------------------------------------------------------------------------------------- stopping

    def stop(self, job_id: int, *, savepoint: bool = False) -> bool:
        """Ask for the end of a job, at once or with a savepoint; False when no such job is running.

        Raises ConfigError for a savepoint of a job that waits for slots.
        """
        if savepoint:
            self._refuse_savepoint(job_id)
        request = "savepoint" if savepoint else "cancel"
        try:
            asked = self.store.request(job_id, request).result()
        except HeadraceError as error:
            if not self._act_unstored(job_id, request, error):
                raise
            return True
        self._wake.set()
        return asked

    def _refuse_savepoint(self, job_id: int) -> None:
        record = self.store.get(job_id)
        if record is not None and record.status is JobStatus.PENDING:
            with self._lock:
                job = self._running.get(record.key)
            if job is not None:
                job.refuse_savepoint()
            cure = "cancel it, or ask again when it is RUNNING"
            raise ConfigError([Problem("isStopWithSavePoint", refusal(job_id), cure)])

    def _act_unstored(self, job_id: int, request: str, error: HeadraceError) -> bool:
        """Do what is asked though the store cannot be written: whose disk is full stops jobs first of all."""
        with self._lock:
            job = next((job for key, job in self._running.items() if key[0] == job_id), None)
        if job is None:
            return False
        self.log("warning", f"{request} of job {job_id} is not stored, but done: {error}")
        job.act(request)
        return True

    def wait(self, job_id: int, timeout: float | None = None) -> JobRecord:
        """The job's record when it has ended, or after `timeout` seconds. Raises JobNotFound."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            record = self.store.get(job_id)
            if record is None:
                raise JobNotFound(f"there is no job {job_id}")
            if record.status.is_end or (deadline is not None and time.monotonic() > deadline):
                return record
            job = self._running.get(record.key)
            if job is not None:
                job.done.wait(0.5 if deadline is None else min(0.5, max(0.0, deadline - time.monotonic())))
            else:
                time.sleep(0.02)

    # -------------------------------------------------------------------------------------------------------- looking

    def job(self, job_id: int) -> JobRecord | None:
        """The last run of a job, with the counts of this moment where this service runs it."""
        record = self.store.get(job_id)
        return None if record is None else self._live(record)

    def jobs(self) -> list[JobRecord]:
        """All jobs that have not ended, of all services."""
        return [self._live(record) for record in self.store.unfinished()]

    def finished_keys(self, status: str | None = None) -> list[tuple[int, int, int]]:
        """See JobStore.finished_keys; runs that are too old are left out."""
        return self.store.finished_keys(status, time.time() - self.settings.history)

    def histories(self, job_id: int) -> list[History]:
        """The checkpoints of a job's pipelines: live where this service runs it, else those that are stored."""
        with self._lock:
            running = [job for key, job in self._running.items() if key[0] == job_id]
        return (running[-1].histories() if running else []) or stored_histories(self.checkpoints, job_id)

    def progresses(self) -> list[tuple[JobRecord, Progress]]:
        """The jobs that this service runs, and how far each is at this moment."""
        with self._lock:
            jobs = list(self._running.values())
        return [(job.record, progress) for job in jobs if (progress := job.progress()) is not None]

    def check(self, text: str, *, format: str = "json") -> "CheckedJob":  # noqa: A002
        """What `submit` would say of a job, with all that plain `headrace check` finds: unknown options are problems.

        Nothing is opened and nothing is taken.
        """
        try:
            job = parse_job(text, format=format)
            self.settings.permissions.check_plugins(job)
            plan = make_plan(job, strict=True)
            self.settings.permissions.check(plan)
            self.runner.check(plan)
            tables, problems = describe_offline(plan)
        except ConfigError as error:
            return CheckedJob(tuple(error.problems))
        except HeadraceError as error:
            return CheckedJob((Problem("", str(error)),))
        outline = outline_of(plan, tables or names_of_tables(plan))
        return CheckedJob(tuple(problems), plan, outline, tables)

    def overview(self, tags: Mapping[str, str] | None = None) -> Overview:
        """Figures of all services; slots and workers only of those that have all `tags`."""
        nodes = [n for n in self.nodes() if all(n.tags.get(key) == value for key, value in (tags or {}).items())]
        # dynamic slots exist only while they are used
        slots = sum(node.used if node.slots is None else node.slots for node in nodes)
        free = sum(0 if node.slots is None else node.slots - node.used for node in nodes)
        return Overview(self.store.counts(), slots, free, len(nodes))

    def nodes(self) -> list[Node]:
        """All living services, the master first; this one as it is now."""
        stored = self.store.nodes()
        drained = any(node.drained for node in stored if node.id == self.id)
        mine = replace(self._node(), drained=drained)
        return self._leases.living_now([*(node for node in stored if node.id != self.id), mine])

    def join(self) -> None:
        """This service is proved to be of its cluster: from now on it runs jobs, those of dead ones included."""
        self._joined.set()
        self._beat().result()

    def drain(self, node: Node, *, drained: bool = True) -> None:
        """Have a node give its jobs to others and take none, or take jobs again."""
        self.store.drain(node.id, drained=drained).result()
        self._wake.set()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace this service's attributes."""
        self._tags = dict(tags)
        self._beat().result()

    def threads(self) -> int:
        """How many jobs this service runs or keeps waiting."""
        return len(self._running)

    def _live(self, record: JobRecord) -> JobRecord:
        job = self._running.get(record.key)
        if job is None or record.status.is_end:
            return record
        if job.is_stopping:
            record = replace(record, status=JobStatus.CANCELING)
        metrics = job.metrics()
        return record if metrics is None else replace(record, metrics=metrics)

    # ------------------------------------------------------------------------------- called by the jobs that run here

    def last_checkpoints(self, job_id: int) -> dict[int, int]:
        """Pipeline → the newest checkpoint of a job, to go on from. Raises StoreUnavailable.

        Also one that cannot be read: only its pipeline knows whether it may go on from the one before.
        """
        return {pipeline: number for pipeline, number in sorted(self.checkpoints.numbers(job_id)) if number > 0}

    def take_slots(self, job: RunningJob) -> bool:
        """Take the slots a job needs, waiting for them where the settings say so; False when it was canceled."""
        count, key = job.record.outline.slots(), job.record.job_id
        if not self._slots.take(key, count, job.canceled, wait=False):
            if not self.settings.wait:
                raise NotEnoughSlots(
                    f"the job needs {count} slots, and {self._slots.free()} of {self.settings.slots} are free; raise "
                    "slot-service.slot-num, lower its parallelism, or set job-schedule-strategy: WAIT"
                )
            reason = f"it waits for {count} slots: {self._slots.state()} (by job id)"
            job.log("info", reason)
            job.change(status=JobStatus.PENDING, error=reason)
            return self._slots.take(key, count, job.canceled, wait=True)
        return True

    def ended(self, job: RunningJob) -> None:
        """A job's thread is over."""
        self._slots.give_back(job.record.job_id)
        with self._lock:
            self._running.pop(job.record.key, None)
        self._tell_end(job.record, job.progress())

    def when_a_job_ends(self, listener: Callable[[JobRecord, Progress | None], None]) -> None:
        """Call `listener`, which must be quick, after each run of a job here: its record and how far it came.

        The record of a run that this service had to leave to another one has no end.
        """
        self._listeners.append(listener)

    def _tell_end(self, record: JobRecord, progress: Progress | None) -> None:
        for listener in self._listeners:
            listener(record, progress)

    def slots(self) -> tuple[int | None, int]:
        """How many this service has, None for any number, and how many jobs have taken."""
        return self.settings.slots, self._slots.used()

    def unready(self) -> str:
        """Why no job can be taken now; empty when one can."""
        if self._unwritable:
            return self._unwritable
        try:
            self.store.nodes()
            free = shutil.disk_usage(self.home).free
        except (HeadraceError, OSError) as error:
            return str(error)
        return "" if free >= LEAST_FREE_BYTES else f"the disk of the home {self.home} is full: {free:,} bytes are free"

    def is_surely_alive(self) -> bool:
        """Whether nobody can have taken this service for dead: its last sign of life is younger than half the lease."""
        return time.monotonic() - self._beaten < self.settings.lease / 2

    def log(self, level: str, text: str) -> None:
        """Write into the service's own log."""
        self._on_log(level, text)

    # -------------------------------------------------------------------------------------------------- keeping house

    def close(self, *, keep_jobs: bool = True, timeout: float = 30.0) -> None:
        """Leave. keep_jobs: jobs stop as if this process had died, for another service or a restart to take them."""
        with self._lock:
            jobs = list(self._running.values())
        for job in jobs:
            if keep_jobs:
                job.abandon()
            else:
                self.store.request(job.record.job_id, "cancel").result()
        if not keep_jobs:
            deadline = time.monotonic() + timeout
            for job in jobs:
                job.act("cancel")
                job.done.wait(max(0.0, deadline - time.monotonic()))
        self._ended.set()
        self._rounds.close()
        self.runner.close()
        with suppress(HeadraceError):
            self.store.leave(self.id).result()

    def _node(self) -> Node:
        now = time.time()
        return Node(
            self.id,
            self.settings.address,
            self.started,
            now + self.settings.lease,
            self.settings.slots,
            self._slots.used(),
            self._tags,
            self.settings.role if self._joined.is_set() else Role.JOINING,
        )

    def _beat(self) -> "Future[None]":
        return self.store.beat(self._node())

    def _keep(self) -> None:
        """The sign of life stands alone: whatever else takes long, no other service takes this one for dead."""
        told = "regular work on the store of jobs failed, and is tried again"
        self._rounds = Rounds(lambda text: self.log("error", f"{told}: {text}"))
        self._rounds.every("store-beat", min(1.0, self.settings.lease / 3), self._show_life)
        self._rounds.every("store-requests", self.settings.poll, self._take_requests, self._wake)
        self._rounds.every("store-metrics", 1.0, self._save_metrics)
        self._rounds.every("adopt-jobs", 1.0, self._adopt)
        self._rounds.every("give-away", 1.0, self._give_away)
        at_once = threading.Event()
        at_once.set()  # what grew too old while no server ran does not wait for another minute
        self._rounds.every("forget-jobs", 60.0, self._forget, at_once)

    def _show_life(self) -> None:
        now = time.monotonic()
        try:
            self._beat().result()
        except HeadraceError as error:
            self._unwritable = str(error)
            raise
        if self.settings.cluster and (self._unwritable or now - self._beaten > self.settings.lease):
            self._steady = now
        self._beaten, self._unwritable = now, ""

    def _forget(self) -> None:
        """Jobs that are too old leave no record, log or report behind, and nothing saved but what can be restored."""
        for job_id, runs in self.store.forget(time.time() - self.settings.history).result().items():
            try:
                if self.settings.delete_logs:
                    delete_job_log(self.home, job_id)
                for run in range(1, runs + 1):
                    report_path(self.home, job_id, run).unlink(missing_ok=True)
                # its start alone is nothing that a restore could go on from
                if not self.last_checkpoints(job_id) and self.store.owner(job_id) is None:
                    self.checkpoints.delete(job_id)
            except (OSError, HeadraceError) as error:
                self.log("warning", f"what is left of the old job {job_id} cannot be removed: {error}")

    def _take_requests(self) -> None:
        for job_id, run, request in self.store.requests(self.id):
            job = self._running.get((job_id, run))
            if job is not None:
                job.act(request)
        if self._joined.is_set():
            self._begin_given()

    def _begin_given(self) -> None:
        """Begin the jobs that another service gave to this one; also one of which this service never heard that the
        store had taken it."""
        for job_id, run in self.store.unbegun(self.id):
            with self._lock:
                is_known = (job_id, run) in self._taking or (job_id, run) in self._running
                is_known = is_known or any(record.key == (job_id, run) for record in self._waiting)
            if is_known:
                continue
            record = self.store.get(job_id)
            if record is not None and record.owner == self.id and record.status is JobStatus.CREATED:
                self._recover(record)

    def _give_away(self) -> None:
        """A drained service gives its jobs to others, one that cannot go on elsewhere when it has its checkpoint."""
        if not self.settings.cluster:
            return
        nodes = self.nodes()
        others = [node for node in nodes if node.id != self.id]
        is_drained = any(node.drained for node in nodes if node.id == self.id)
        if is_drained != self._drained:
            self._drained = is_drained
            self.log("info", "it is drained: its jobs go to other nodes" if is_drained else "it takes jobs again")
        if not is_drained or not any(node.runs_jobs for node in others):
            return
        with self._lock:
            jobs = list(self._running.values())
        for job in jobs:
            try:
                if job.record.started is not None and not self.last_checkpoints(job.record.job_id):
                    self._check_repeatable(job.record, job.plan)
                tags = {name: str(value) for name, value in job.plan.job.env.tag_filter.items()}
                owner = self._placement.choose(others, job.record.outline.slots(), tags)
            except HeadraceError as error:
                self.log("warning", f"job {job.record.job_id} stays on this drained node for now: {error}")
                continue
            if job.hand_over(owner):
                address = next(node.address for node in others if node.id == owner)
                self.log("info", f"job {job.record.job_id} goes on at {address}, for this node is drained")

    def _save_metrics(self) -> None:
        with self._lock:
            jobs = list(self._running.values())
        for job in jobs:
            metrics = job.metrics()
            if metrics not in (None, job.record.metrics) and not job.done.is_set():
                job.change(metrics=metrics)

    def _adopt(self) -> None:
        """Take over the jobs of services that are dead.

        Where the store was away for all, nobody could give a sign of life: they get the time of a lease for it.
        """
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            self._recover(record)
        nodes = self.nodes()
        alive = {self.id, *(node.id for node in nodes)}
        if not self._joined.is_set() or time.monotonic() - self._steady < self.settings.lease:
            return
        if any(node.runs_jobs for node in nodes) and not any(node.runs_jobs for node in nodes if node.id == self.id):
            return
        for record in self.store.unfinished(but_of=alive):
            owned = self.store.change(record, owner=self.id, epoch=record.epoch + 1).result()
            if owned is not None:
                self.log("warning", f"job {record.job_id} lost its service and is taken over by this one")
                self._recover(owned)

    def _recover(self, record: JobRecord) -> None:
        """Begin a job that is this service's own by now, unless that is done or being done."""
        with self._lock:
            if record.key in self._taking or record.key in self._running:
                return
            self._taking.add(record.key)
        try:
            self._begin_again(record)
        finally:
            with self._lock:
                self._taking.discard(record.key)

    def _begin_again(self, record: JobRecord) -> None:
        if record.request == "cancel" or record.status is JobStatus.CANCELING:
            self._end_orphan(record, JobStatus.CANCELED, "")
            return
        if record.status is JobStatus.FAILING:
            self._end_orphan(record, JobStatus.FAILED, record.error or "its service died while it was failing")
            return
        try:
            text = self.store.text(record)
            plan = make_plan(parse_job(text.text, format=text.format, variables=text.variables))
            fresh = record.status in (JobStatus.CREATED, JobStatus.PENDING)
            saved = {} if fresh and not record.restore else self.last_checkpoints(record.job_id)
            restore = record.restore or (not fresh and bool(saved))
            if not fresh and not restore:
                self._check_repeatable(record, plan)
        except StoreUnavailable as error:
            self.log("warning", f"job {record.job_id} cannot be started again yet: {error}")
            self._waiting.append(record)
            return
        except HeadraceError as error:
            self._end_orphan(record, JobStatus.FAILED, str(error))
            return
        if self._ended.is_set():  # the place of checkpoints took its time
            return
        # Even before the first checkpoint the first record counts: a transactional target may hold rows already.
        values: dict[str, Any] = {"restore": restore or not fresh}
        if record.status is not JobStatus.CREATED:
            values["status"] = JobStatus.CREATED if not fresh else record.status
        again = self.store.change(record, **values).result()
        if again is not None:
            note = f"job {record.job_id} {_beginning(saved)}"
            self.log("info", note)
            self._start(again, plan, note)

    def _check_repeatable(self, record: JobRecord, plan: Plan) -> None:
        """Raises HeadraceError when starting the job again would write rows a second time."""
        sinks = {step.name: step.instance for pipeline in plan.pipelines for step in pipeline.all_sinks()}
        once = [name for name, sink in sinks.items() if isinstance(sink, Sink) and not sink.is_repeatable()]
        if record.recover == "fail" or (record.recover == "auto" and once):
            cause = f"{', '.join(once)} would get rows a second time" if once else "recover is set to fail"
            raise HeadraceError(
                f"the service that ran job {record.job_id} died before its first checkpoint, and it was not started "
                f"again: {cause}; submit it again, or set env recover = restart to have such a job started again"
            )

    def _end_orphan(self, record: JobRecord, status: JobStatus, error: str) -> None:
        now = time.time()
        before: JobRecord | None = record
        if record.status not in (JobStatus.CREATED, JobStatus.PENDING) and status is JobStatus.CANCELED:
            before = self.store.change(record, status=JobStatus.CANCELING).result()
        if before is not None:
            ended = self.store.change(before, status=status, error=error, ended=now).result()
            if ended is not None:
                self._tell_end(ended, None)


def _beginning(saved: Mapping[int, int]) -> str:
    """Where a job goes on that lost its service. saved: pipeline → checkpoint."""
    if not saved:
        return "starts from the beginning"
    return "goes on from " + ", ".join(
        f"checkpoint {number} of pipeline {pipeline}" for pipeline, number in sorted(saved.items())
    )
