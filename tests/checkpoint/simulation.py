"""One pipeline under simulated time: the real PipelineRun, Coordinator and SplitAssigner against a world of dice.

The world is one heap of events on one thread. Its inputs are the clock, a store that fails before or after it has
stored, messages that are late and overtake each other between tasks, tasks and workers that die or live on unseen, and
masters that die or freeze at any call they make. A frozen master lies on Python's stack while its successor runs, then
thaws and goes on with what it knew. Every `Violation` names the guarantee of docs/guarantees.md that was broken.
"""

import heapq
import itertools
import queue
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from headrace.checkpoint.checkpoint import Checkpoint, CheckpointKind
from headrace.checkpoint.coordinator import Ack, CheckpointSettings
from headrace.checkpoint.store import CheckpointStore
from headrace.config.job import Plugin
from headrace.connector import JobContext, Sink, SinkKind, Source, Split, TargetPositions
from headrace.errors import HeadraceError, JobCanceled, Rejected, Replaced, StoreUnavailable, Unavailable
from headrace.execution import pipeline as pipeline_module
from headrace.execution.messages import (
    Acked,
    Assign,
    Barrier,
    Continue,
    Idle,
    StartTask,
    StopTask,
    TaskEnded,
    TaskFailed,
    WorkerGone,
)
from headrace.execution.notes import Notes
from headrace.execution.pipeline import Cancel, PipelineRun
from headrace.execution.runner import Lane
from headrace.execution.savepoints import Savepoint, Savepoints
from headrace.execution.staged_at import by_machine, with_machine
from headrace.execution.terms import PipelineSettings
from headrace.jobs.owned import OwnedStore
from headrace.plan.plan import Pipeline, Step

JOB = 7
SOURCE, SINK = "Source[0]-Rows", "Sink[0]-Target"
QUIET_SECONDS = 2_000.0
"""Simulated time within which a job must end once nothing fails any more."""

MAX_EVENTS = 60_000


class Violation(BaseException):
    """A guarantee does not hold. number: see docs/guarantees.md. Nothing of the engine may catch it."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"guarantee {number}: {text}")
        self.number = number


class Died(BaseException):
    """A simulated process is gone; nothing of the engine may catch it."""


@dataclass(frozen=True)
class Shape:
    """What the dice do not decide. faults: how many things may go wrong; None lets the dice say.

    busy: the source is told of checkpoints, and savepoints are asked for again and again.
    """

    kind: SinkKind = SinkKind.STAGED
    bounded: bool = True
    interval: float | None = 5.0
    faults: int | None = None
    busy: bool = False


class _Rows(Source):
    """Stands in the plan only; the tasks of the simulation read."""

    bounded = True

    def is_bounded(self, mode: str) -> bool:
        return self.bounded

    def tables(self):
        return []

    def splits(self, parallelism: int):
        return []

    def read(self, split, position, task):
        return iter(())


class _Endless(_Rows):
    bounded = False


class _Told(_Rows):
    def checkpointed(self, positions):
        raise NotImplementedError


class _ToldEndless(_Told):
    bounded = False


class _Staged(Sink):
    """Its calls are answered by the simulated master."""

    kind = SinkKind.STAGED

    def writer(self, table, task, state):
        raise NotImplementedError

    def start(self, job):
        raise NotImplementedError

    def finish(self, tables, states):
        raise NotImplementedError

    def end(self, job):
        raise NotImplementedError


class _Transactional(_Staged):
    kind = SinkKind.TRANSACTIONAL


class _Plain(_Staged):
    kind = SinkKind.PLAIN


_SOURCES = {(True, False): _Rows, (False, False): _Endless, (True, True): _Told, (False, True): _ToldEndless}
_SINKS = {SinkKind.STAGED: _Staged, SinkKind.TRANSACTIONAL: _Transactional, SinkKind.PLAIN: _Plain}


def _pipeline(shape: Shape, parallelism: int) -> Pipeline:
    sink = Step(2, Plugin("sink", 0, "Target", {}), _SINKS[shape.kind](None))
    kind = _SOURCES[shape.bounded, shape.busy]
    source = Step(1, Plugin("source", 0, "Rows", {}), kind(None), (sink,))
    return Pipeline(1, source, parallelism)


# ------------------------------------------------------------------------------------------------------- the store


class MemoryStore(CheckpointStore):
    """The contract of CheckpointStore in the plainest way; content goes through JSON as in the real ones."""

    def __init__(self) -> None:
        self.epochs: dict[tuple[int, int], int] = {}
        self.saved: dict[tuple[int, int], dict[int, bytes]] = {}
        self._next = itertools.count(1)

    def claim_epoch(self, job_id: int, pipeline: int, held: int = 0) -> int:
        newest = self.epochs.get((job_id, pipeline), 0)
        if held and newest != held:
            raise Replaced(f"epoch {held} was replaced by epoch {newest}")
        self.epochs[job_id, pipeline] = next(self._next)
        return self.epochs[job_id, pipeline]

    def epoch(self, job_id: int, pipeline: int) -> int:
        return self.epochs.get((job_id, pipeline), 0)

    def save(self, checkpoint: Checkpoint, retain: int) -> int:
        key = checkpoint.job_id, checkpoint.pipeline
        if self.epochs.get(key) != checkpoint.epoch:
            raise Replaced(f"epoch {checkpoint.epoch} was replaced by epoch {self.epochs.get(key)}")
        of = self.saved.setdefault(key, {})
        of[checkpoint.id] = orjson.dumps(checkpoint.to_json())
        for old in sorted(of)[:-retain]:
            del of[old]
        return len(of[checkpoint.id])

    def all(self, job_id: int, pipeline: int | None = None, on_broken=None) -> list[Checkpoint]:
        found = [(n, c) for (j, p), of in self.saved.items() if j == job_id for n, c in of.items()]
        return [Checkpoint.from_json(orjson.loads(content)) for _, content in sorted(found)]

    def numbers(self, job_id: int) -> list[tuple[int, int]]:
        return [(checkpoint.pipeline, checkpoint.id) for checkpoint in self.all(job_id)]

    def delete(self, job_id: int) -> None:
        for kept in (self.epochs, self.saved):
            for key in [key for key in kept if key[0] == job_id]:
                del kept[key]


class _FaultyStore(CheckpointStore):
    """The real thing below, with everything that can happen on the way there and back; one for each master."""

    def __init__(self, world: "World", master: "_Master", inner: CheckpointStore) -> None:
        self._world, self._master, self._inner = world, master, inner

    def claim_epoch(self, job_id: int, pipeline: int, held: int = 0) -> int:
        return self._inner.claim_epoch(job_id, pipeline, held)

    def epoch(self, job_id: int, pipeline: int) -> int:
        self._master.hook()
        return self._inner.epoch(job_id, pipeline)

    def save(self, checkpoint: Checkpoint, retain: int) -> int:
        world = self._world
        self._master.hook()
        if world.store_away_until > world.now or world.fault(0.1):
            raise StoreUnavailable("cannot save: the store is away")
        size = self._inner.save(checkpoint, retain)
        world.stored(checkpoint)
        self._master.hook()
        if world.fault(0.1):
            raise StoreUnavailable("cannot save: no answer")
        return size

    def all(self, job_id: int, pipeline: int | None = None, on_broken=None) -> list[Checkpoint]:
        self._master.hook()
        return self._inner.all(job_id, pipeline)

    def numbers(self, job_id: int) -> list[tuple[int, int]]:
        self._master.hook()
        return self._inner.numbers(job_id)

    def delete(self, job_id: int) -> None:
        self._inner.delete(job_id)


# ------------------------------------------------------------------------------------------------------ the target


class Target:
    """Rows are (split, number). visible: how often each is seen. staged: name → rows that nobody sees yet.

    What a transactional one keeps beside the rows goes with the end of the job, also which epoch is the newest.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self.visible: Counter[tuple[str, int]] = Counter()
        self.staged: dict[str, list[tuple[str, int]]] = {}
        self.committed: set[str] = set()
        self.epoch = 0
        self.positions: dict[str, int] = {}
        self.finished: set[str] = set()
        self.known = False
        self._names = itertools.count(1)

    def prepare(self, rows: list[tuple[str, int]], epoch: int, machine: str) -> str:
        name = f"{epoch}-{next(self._names)}@{machine}"
        self.staged[name] = rows
        return name

    def commit(self, names: list[str]) -> None:
        for name in names:
            if name not in self._world.durable_names:
                raise Violation(2, f"{name} is committed, but no saved checkpoint names it")
            if name in self.staged:
                self.visible.update(self.staged.pop(name))
                self.committed.add(name)
            elif name not in self.committed:
                raise Violation(4, f"{name} is to be committed, but was removed before")

    def abort(self, names: list[str]) -> None:
        for name in names:
            if name in self._world.durable_names and name not in self.committed:
                raise Violation(4, f"{name} is removed, but a saved checkpoint names it")
            self.staged.pop(name, None)

    def transact(self, epoch: int, rows: list[tuple[str, int]], positions: Mapping[str, int], finished: set[str]):
        if epoch != self.epoch:
            raise Rejected(f"epoch {epoch} was replaced by {self.epoch or 'nothing: the job has ended'}")
        self.known = True
        self.visible.update(rows)
        self.positions.update(positions)
        self.finished |= finished


# -------------------------------------------------------------------------------------------------- workers, tasks


class _Lane(Lane):
    def __init__(self, world: "World", master: "_Master") -> None:
        number = next(world.numbers)
        self.name, self.machine = f"worker-{number}", ("north", "south")[number % 2]
        self.world, self.master, self.alive = world, master, True
        self.tasks: dict[tuple[int, int], _Task] = {}

    def send(self, command: Any) -> None:
        self.master.alive()
        if not self.alive:
            return
        if isinstance(command, StartTask):
            key = command.spec.context.epoch, command.spec.index
            self.tasks[key] = _Task(self, command)
        else:
            self.world.fifo((self.name, command.task), lambda: self._deliver(command))

    def _deliver(self, command: Any) -> None:
        task = self.tasks.get((command.epoch, command.task))
        if self.alive and task is not None:
            task.take(command)

    def die(self, *, told: bool) -> None:
        """The process ends; `told`: its socket closes, so the master learns of it."""
        if self.alive:
            self.alive = False
            self.tasks.clear()
            if told:
                self.master.post(WorkerGone("7.1", self.name, "it was killed"))


class _Task:
    """What execution.task does, row by row."""

    def __init__(self, lane: _Lane, start: StartTask) -> None:
        spec = start.spec
        self.lane, self.world, self.epoch = lane, lane.world, spec.context.epoch
        self.address = ("7.1", 1, self.epoch, spec.index)
        self.kind, self.machine = self.world.shape.kind, spec.machine
        self.reading: dict[str, int] = {}
        self.bounded = True
        self.rows: list[tuple[str, int]] = []
        self.positions: dict[str, int] = {}
        self.finished: set[str] = set()
        self.written, self.read = spec.states.get(2, {}).get("t", 0), 0
        self.notes, self.noted = Notes(spec.index, self.epoch), 0
        self.waiting_for: int | None = None
        self.ended = False
        self.stepping = False
        self.send(Idle(*self.address, None))

    def send(self, event: Any) -> None:
        lane = self.lane
        self.world.fifo((lane.name, self.address, "back"), lambda: lane.alive and lane.master.post(event))

    def take(self, command: Any) -> None:
        if isinstance(command, StopTask):
            self.end(TaskEnded(*self.address))
        elif isinstance(command, Assign):
            self.bounded = command.bounded
            self.reading[command.split.id] = command.position or 0
            self.go_on()
        elif isinstance(command, Barrier):
            self.answer(command)
        elif isinstance(command, Continue) and command.checkpoint_id >= (self.waiting_for or float("inf")):
            self.waiting_for = None
            self.go_on()

    def end(self, message: Any) -> None:
        self.send(message)
        self.ended, self.reading, self.rows = True, {}, []
        self.lane.tasks.pop((self.epoch, self.address[3]), None)

    def go_on(self) -> None:
        if not self.stepping and not self.ended:
            self.stepping = True
            self.world.after(self.world.random.expovariate(2.0), self.step)

    def step(self) -> None:
        """Read and write a few rows of one split."""
        self.stepping = False
        if self.ended or not self.lane.alive or self.waiting_for is not None or not self.reading:
            return None
        if self.world.fault(0.01):
            return self.end(TaskFailed(*self.address, Unavailable("the dice said so")))
        split = self.world.random.choice(sorted(self.reading))
        start, size = self.reading[split], self.world.sizes[split]
        upto = min(size, start + self.world.random.randint(1, 4))
        self.world.read(self.epoch, split)
        self.rows += [(split, n) for n in range(start, upto)]
        self.written, self.read = self.written + upto - start, self.read + upto - start
        if upto > start:
            self.positions[split] = self.reading[split] = upto
        if upto == size and self.bounded:
            del self.reading[split]
            self.finished.add(split)
            self.send(Idle(*self.address, split))
        return self.go_on()

    def answer(self, barrier: Barrier) -> None:
        """Flush, prepare or commit what was written, then tell."""
        target, rows, prepared, states = self.world.target, self.rows, {}, {SINK: {"t": self.written}}
        self.rows = []
        (moved, self.positions), (finished, self.finished) = (self.positions, {}), (self.finished, set())
        if self.kind is SinkKind.STAGED and rows:
            prepared = {SINK: [target.prepare(rows, self.epoch, self.lane.machine)]}
            prepared = with_machine(prepared, self.lane.master.run.sinks(), self.machine)
        elif self.kind is SinkKind.PLAIN:
            target.visible.update(rows)
        elif self.kind is SinkKind.TRANSACTIONAL:
            fresh, self.noted = _counts(self.read - self.noted), self.read
            notes = self.notes.take(barrier.checkpoint_id, barrier.committed, {}, fresh, states)
            try:
                target.transact(self.epoch, rows, {**moved, **notes}, finished)
            except Rejected as error:
                return self.end(TaskFailed(*self.address, error))
        ack = Ack(moved, frozenset(finished), states, prepared, _counts(self.read))
        self.send(Acked(*self.address, barrier.checkpoint_id, ack))
        if barrier.pause:
            self.waiting_for = barrier.checkpoint_id
        return None


def _named(checkpoint: Checkpoint) -> list[str]:
    """What a checkpoint names to be made visible."""
    return [name for of in checkpoint.committables.values() for names in by_machine(of).values() for name in names]


def _counts(rows: int) -> dict[str, dict[str, int]]:
    return {f"{SOURCE}|t": {"rows": rows}, f"{SINK}|t": {"rows": rows, "written": rows}} if rows else {}


# ------------------------------------------------------------------------------------------------------ the master


class _Inbox:
    """In place of the queue: waiting for the next event is what moves the world."""

    def __init__(self, master: "_Master") -> None:
        self._master, self._items = master, deque[Any]()

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, timeout: float) -> Any:
        world, deadline = self._master.world, self._master.world.now + timeout
        while True:
            self._master.hook()
            if self._items:
                return self._items.popleft()
            if not world.step(deadline):
                raise queue.Empty


@dataclass
class _Future:
    master: "_Master"
    done: bool = False

    def result(self, timeout: float) -> None:
        world, deadline = self.master.world, self.master.world.now + timeout
        while not self.done:
            self.master.alive()
            if not world.step(deadline):
                raise TimeoutError


class _Side:
    """In place of the second thread: one piece of work after the other, each after a while."""

    def __init__(self, master: "_Master") -> None:
        self._master, self._waiting, self._busy = master, deque[tuple[_Future, Callable[..., Any], Any]](), False

    def submit(self, work: Callable[..., Any], *arguments: Any) -> _Future:
        future = _Future(self._master)
        self._waiting.append((future, work, arguments))
        self._start()
        return future

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        self._waiting.clear()

    def _start(self) -> None:
        if not self._busy and self._waiting:
            self._busy = True
            self._master.later(self._master.world.random.expovariate(1.0), self._run)

    def _run(self) -> None:
        self._busy = False
        if self._waiting:
            future, work, arguments = self._waiting.popleft()
            work(*arguments)
            future.done = True
            self._start()


class _Master:
    """A process that runs the pipeline: the Job that PipelineRun asks for, and the way it ends."""

    def __init__(self, world: "World", parallelism: int) -> None:
        self.world, self.dead, self.frozen, self.over, self.lost = world, False, False, False, False
        self.number = next(world.numbers)
        self._kept: list[Callable[[], None]] = []
        self._lanes: list[_Lane] = []
        self._in_hook = False
        shape = world.shape
        settings = PipelineSettings(
            CheckpointSettings(shape.interval, timeout=20.0, min_pause=0.0, patience=60.0, retry_save=2.0),
            restarts=3,
            restart_wait=1.0,
            retain=world.random.choice([1, 3]),
        )
        mode = "BATCH" if shape.bounded else "STREAMING"
        context = JobContext(JOB, self.number, mode=mode)
        world.owner = self
        store = OwnedStore(_FaultyStore(world, self, world.store), lambda: self.hook() is None and world.owner is self)
        self.run = PipelineRun(self, "7.1", _pipeline(shape, parallelism), context, store, settings)
        self.run.inbox = self.inbox = _Inbox(self)
        self.run._side, self.run._telling, self.run._discovery._thread = _Side(self), _Side(self), _Side(self)
        self.savepoints = Savepoints()
        self.other = _OtherPipeline(self)
        self.savepoints.join({1: self.inbox, 2: self.other})

    def alive(self) -> None:
        """Raises Died in a process that is gone."""
        if self.dead:
            raise Died

    def hook(self) -> None:
        """A moment at which this process may die, or freeze while another takes its place."""
        self.alive()
        world = self.world
        if self._in_hook or self.over or world.quiet:
            return
        if world.fault(0.004):
            self.die()
            raise Died
        if world.depth < 2 and world.fault(0.003):
            self._in_hook = self.frozen = True
            world.run_master()
            self._in_hook = self.frozen = False
            self.world.after(world.random.uniform(0, 5), self.learn)
            for work in self._kept:
                world.after(world.random.random(), work)
            self._kept = []

    def learn(self) -> None:
        """A service that thaws reads in the store of jobs that it has lost the job, and stops."""
        if not self.dead:
            self.lost = True
            self.inbox.put(Cancel())

    def die(self) -> None:
        """kill -9; its workers see their sockets close, or hang on a while where they are frozen."""
        self.dead = True
        for lane in self._lanes:
            if lane.alive and self.world.random.random() < 0.7:
                lane.die(told=False)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Work of this process after a while; never once it is dead, later while it is frozen."""

        def guarded() -> None:
            if self.frozen:
                self._kept.append(guarded)
            elif not self.dead:
                with suppress(Died):
                    work()

        self.world.after(seconds, guarded)

    def post(self, event: Any) -> None:
        if not self.dead:
            self.inbox.put(event)

    # what a pipeline needs of its job

    def call_sink(self, name: str, step: Step, *arguments: Any) -> None:
        self.call(name, step.id, *arguments)

    def call(self, name: str, *arguments: Any, deadline: float | None = 300.0, machine: str = "") -> Any:
        self.hook()
        if self.world.fault(0.01):
            raise Unavailable(f"{name}: the dice said so")
        if name in ("commit", "abort") and any(not staged.endswith(f"@{machine}") for staged in arguments[1]):
            raise Violation(4, f"{name} of {arguments[1]} is asked for at {machine or 'any machine'}")
        result = getattr(self, f"_call_{name}")(*arguments)
        self.hook()
        if name in ("commit", "abort", "start_sink") and self.world.fault(0.05):
            raise Unavailable(f"{name}: no answer")
        return result

    def _call_splits(self, step: int, parallelism: int) -> list[Split]:
        return self.world.first_splits()

    def _call_new_splits(self, step: int, known: list[str]) -> list[Split]:
        return [split for split in self.world.splits.values() if split.id not in known]

    def _call_target_positions(self, step: int, context: JobContext) -> TargetPositions | None:
        target = self.world.target
        return TargetPositions(dict(target.positions), frozenset(target.finished)) if target.known else None

    def _call_start_sink(self, step: int, context: JobContext) -> None:
        target = self.world.target
        if target.epoch > context.epoch and self.world.shape.kind is SinkKind.TRANSACTIONAL:
            raise Rejected(f"epoch {context.epoch} was replaced by {target.epoch}")
        target.epoch = max(target.epoch, context.epoch)

    def _call_merge_states(self, step: int, states: Mapping[str, list[int]]) -> dict[str, int]:
        return {table: sum(of) for table, of in states.items()}

    def _call_finish(self, step: int, states: Mapping[str, list[int]]) -> None:
        self.world.check_all_read(sum(states["t"]))

    def _call_commit(self, step: int, names: list[str], context: JobContext) -> None:
        self.world.target.commit(names)

    def _call_abort(self, step: int, names: list[str], context: JobContext) -> None:
        self.world.target.abort(names)

    def _call_checkpointed(self, step: int, positions: Mapping[str, int]) -> None:
        self.world.check_told(positions)

    def _call_end_sink(self, step: int, context: JobContext) -> None:
        target = self.world.target
        if target.epoch > context.epoch:
            return
        target.known, target.positions, target.finished, target.epoch = False, {}, set(), 0

    def tables_of(self, step: int) -> list[str]:
        return ["t"]

    def check_bad_rows(self) -> None:
        pass

    def lanes(self, count: int) -> list[Lane]:
        self.alive()
        if self.run.context.epoch == self.world.store.epoch(JOB, 1):  # else it has been replaced and will learn it
            self.world.check_owed_is_done()
        self._lanes = [lane for lane in self._lanes if lane.alive]
        while len(self._lanes) < 2:
            self._lanes.append(_Lane(self.world, self))
        return list(self._lanes)

    def is_spared(self, lane: Lane) -> bool:
        return False

    def replace(self, lane: Lane) -> list[str]:
        assert isinstance(lane, _Lane)
        if self.world.random.random() < 0.7:
            lane.die(told=False)
        self._lanes.remove(lane)  # else it is out of reach and works on: its epoch is over all the same
        return []

    def log(self, level: str, text: str) -> None:
        self.world.note(f"master {self.number}: {text}")

    def savepoint_taken(self, pipeline: int, problem: str) -> None:
        self.world.savepoint_answered(self, problem)
        self.savepoints.answered(pipeline, problem)


class _OtherPipeline:
    """The job's second pipeline, as far as savepoints concern it: it answers once the first one has, or earlier.

    problem: why it had none at the last request.
    """

    def __init__(self, master: _Master) -> None:
        self._master, self._waiting, self.problem = master, False, ""

    def put(self, item: Any) -> None:
        if isinstance(item, Savepoint):
            world = self._master.world
            can = world.quiet or world.random.random() < 0.7
            self._waiting, self.problem = True, "" if can else "the other pipeline cannot"
            if world.shape.busy and world.random.random() < 0.5:
                self.answer(world.random.expovariate(0.2))

    def answer(self, seconds: float) -> None:
        """Answer after a while, once."""
        if self._waiting:
            self._waiting, problem = False, self.problem
            self._master.later(seconds, lambda: self._master.savepoints.answered(2, problem))


# ------------------------------------------------------------------------------------------------------- the world


@dataclass
class World:
    """One history. `play` runs it to its end and checks it; raises Violation."""

    seed: int
    shape: Shape = field(default_factory=Shape)
    store: CheckpointStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now = 0.0
        self.numbers = itertools.count(1)
        self.depth = 0
        self.quiet = False
        self.notes: list[str] = []
        self.store_away_until = 0.0
        self.durable_names: set[str] = set()
        self._durable_positions: dict[str, int] = {}
        self.told = 0
        self.canceled_at: float | None = None
        self.ended: CheckpointKind | None = None
        self.savepoints: dict[int, Checkpoint] = {}
        self.target = Target(self)
        self._events: list[tuple[float, int, Callable[[], Any]]] = []
        self._played = 0
        self._last_of: dict[Any, float] = {}
        self._given: set[tuple[int, str]] = set()
        self._finished_before: dict[int, frozenset[str]] = {}
        dice = self.random
        self._faults_left = dice.choice([0, 1, 1, 2, 3, 5, 8]) if self.shape.faults is None else self.shape.faults
        count = dice.randint(0 if self.shape.bounded else 1, 5)
        names = [f"s{i}" for i in range(count)]
        self.sizes = {name: dice.randint(0, 25) for name in names}
        after = {n: (names[0],) if i and dice.random() < 0.2 else () for i, n in enumerate(names)}
        self.splits = {n: Split(n, self.sizes[n], after=after[n] if self.shape.bounded else ()) for n in names}
        self._late = [] if self.shape.bounded else [n for n in names[1:] if dice.random() < 0.3]
        self._all_splits = dict(self.splits)
        for name in self._late:
            del self.splits[name]
            self.after(dice.uniform(0, 40), lambda n=name: self.splits.update({n: self._all_splits[n]}))

    # ------------------------------------------------------------------------------------------------- the clock

    def after(self, seconds: float, work: Callable[[], Any]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self.numbers), work))

    def fifo(self, way: Any, work: Callable[[], Any]) -> None:
        """Bring a message on its way: late by chance, but never before what went the same way earlier."""
        at = max(self.now + self.random.expovariate(5.0), self._last_of.get(way, 0.0))
        self._last_of[way] = at
        heapq.heappush(self._events, (at, next(self.numbers), work))

    def step(self, deadline: float) -> bool:
        """Play the next event that is due by `deadline`; False when there is none, and it is `deadline`."""
        if not self._events or self._events[0][0] > deadline:
            self.now = max(self.now, deadline)
            return False
        at, _, work = heapq.heappop(self._events)
        self.now = max(self.now, at)
        self._played += 1
        if self._played > MAX_EVENTS:
            raise Violation(8, f"the job does not end: {MAX_EVENTS} events")
        work()
        return True

    def fault(self, chance: float) -> bool:
        """Whether something goes wrong here."""
        if self.quiet or self._faults_left <= 0 or self.random.random() >= chance:
            return False
        self._faults_left -= 1
        return True

    def note(self, text: str) -> None:
        self.notes.append(f"{self.now:8.2f} {text}")

    # ------------------------------------------------------------------------------------------- the whole history

    def play(self) -> None:
        """Run the job, start it again as often as it takes, check what is there at its end."""
        with _simulated_time(self):
            self._plan_disasters()
            tries = 0
            while self.ended is None and self.canceled_at is None:
                tries += 1
                if tries > 60:
                    raise Violation(4, "the job never ends: it was started 60 times")
                self.run_master()
            self._drain()
        self._check_end()

    def run_master(self) -> None:
        """One run of the job, from its start to its end, whatever that is."""
        if self.ended is not None or self.canceled_at is not None:
            return
        self.depth += 1
        master = _Master(self, self.random.randint(1, 3))
        self.note(f"master {master.number} starts")
        self.current = master
        try:
            end = master.run.run()
            self.note(f"master {master.number} ends: {end}")
            self._take_end(master, end)
        except Died:
            self.note(f"master {master.number} died")
        except JobCanceled:
            self._take_cancel(master)
        except HeadraceError as error:
            self.note(f"master {master.number} failed: {error}")
        finally:
            master.over = True
            master.dead = True
            self.depth -= 1

    def _take_end(self, master: _Master, end: CheckpointKind) -> None:
        if end is CheckpointKind.COMPLETED:
            if self.ended is None:
                self._clean_up(master, end)
        elif end is CheckpointKind.SAVEPOINT:
            if master.other.problem:
                raise Violation(8, "the pipeline stopped, though the job goes on")
            if not self.shape.bounded and self._rows_visible():
                self.ended = end

    def _clean_up(self, master: _Master, end: CheckpointKind) -> None:
        """As a job master does at the end: the targets, then the end is recorded, then the state goes."""
        if self.store.epoch(JOB, 1) != master.run.context.epoch:
            return
        if self.shape.kind is SinkKind.TRANSACTIONAL:
            master._call_end_sink(2, master.run.context)
        if self.fault(0.3):
            self.note(f"master {master.number} dies in the middle of the clean-up")
            return
        self.ended = end
        self.store.delete(JOB)

    def _take_cancel(self, master: _Master) -> None:
        if master.lost:
            return
        assert self.canceled_at is not None
        self.note(f"master {master.number} was canceled")
        if self.now - self.canceled_at > 5.0:
            raise Violation(8, f"canceling took {self.now - self.canceled_at:.1f} s")

    def _plan_disasters(self) -> None:
        dice = self.random
        for _ in range(dice.randint(0, 2) + 6 * self.shape.busy):
            self.after(dice.uniform(0, 40), self._ask_savepoint)
        if self.fault(0.3):
            self.after(dice.uniform(0, 30), lambda: setattr(self, "store_away_until", self.now + dice.uniform(1, 40)))
        if self.fault(0.3):
            self.after(dice.uniform(0, 40), self._kill_worker)
        if self.fault(0.3):
            self.after(dice.uniform(0, 40), self._freeze_task)
        if dice.random() < 0.05:
            self.after(dice.uniform(0, 40), self._cancel)
        self.after(120.0, self._be_quiet)

    def _be_quiet(self) -> None:
        self.quiet = True
        self.after(QUIET_SECONDS, self._too_late)
        if not self.shape.bounded:
            self._stop_when_all_is_there()

    def _stop_when_all_is_there(self) -> None:
        """An endless job is stopped by a savepoint once its rows are there."""
        if self.ended is None and self.canceled_at is None:
            if self._rows_visible():
                self._ask_savepoint()
            self.after(15.0, self._stop_when_all_is_there)

    def _too_late(self) -> None:
        if self.ended is None and self.canceled_at is None:
            raise Violation(4, f"nothing happens any more: {self.notes[-3:]}")

    def _ask_savepoint(self) -> None:
        """Ask for a savepoint, perhaps while another one is under way."""
        master = self.current
        if master.dead or master.frozen:
            return
        self.note(f"a savepoint is asked of master {master.number}")
        answer = master.savepoints.ask()
        self.after(500.0, lambda: self._check_answered(master, answer))

    def _check_answered(self, master: _Master, answer: "Future[str]") -> None:
        if not answer.done() and not master.dead and not master.frozen and not master.over:
            raise Violation(8, "a savepoint was asked for, and nothing was ever said of it")

    def savepoint_answered(self, master: _Master, problem: str) -> None:
        self.note(f"master {master.number}: savepoint {problem or 'taken'}")
        master.other.answer(0.0 if problem else self.random.expovariate(1.0))
        if not problem:
            saved = self.savepoints.get(master.number)
            if saved is None:
                raise Violation(8, "a savepoint was announced, but none is stored")
            self._check_visible(saved, 8)

    def _kill_worker(self) -> None:
        lanes = [lane for lane in self.current._lanes if lane.alive]
        if lanes and not self.current.dead:
            lane = self.random.choice(lanes)
            self.note(f"{lane.name} is killed")
            lane.die(told=True)

    def _freeze_task(self) -> None:
        """A worker that does not answer for a while."""
        tasks = [task for lane in self.current._lanes for task in lane.tasks.values()]
        if tasks:
            task = self.random.choice(tasks)
            self.note(f"task {task.address} freezes")
            until = self.now + self.random.uniform(5, 60)
            for way in ((task.lane.name, task.address, "back"), (task.lane.name, task.address[3])):
                self._last_of[way] = until

    def _cancel(self) -> None:
        if self.ended is None and not self.current.dead and not self.current.frozen and self.depth == 1:
            self.canceled_at = self.now
            self.current.post(Cancel())

    def _drain(self) -> None:
        """What lives on after the end: workers out of reach, messages on their way."""
        deadline = self.now + 200.0
        while self.step(deadline):
            pass

    # -------------------------------------------------------------------------------------------------- the checks

    def first_splits(self) -> list[Split]:
        return list(self.splits.values())

    def stored(self, checkpoint: Checkpoint) -> None:
        """Called once a checkpoint is in the store."""
        newest = self.store.epochs.get((JOB, 1)) if isinstance(self.store, MemoryStore) else None
        if newest is not None and newest != checkpoint.epoch:
            raise Violation(9, f"epoch {checkpoint.epoch} saved, epoch {newest} is the newest")
        if self.ended is not None:
            raise Violation(9, f"epoch {checkpoint.epoch} saved after the job had ended")
        names = _named(checkpoint)
        self.durable_names.update(names)
        self._durable_positions.update(checkpoint.positions)
        if checkpoint.kind is CheckpointKind.SAVEPOINT:
            self.savepoints[checkpoint.run] = checkpoint
        self._check_counted(checkpoint)
        if self.shape.kind is SinkKind.STAGED:
            self._check_exact(checkpoint, names)

    def _ends(self, checkpoint: Checkpoint) -> dict[str, int]:
        """Split → how many of its rows are through; where a finished one ended is told once."""
        return {**{split: self.sizes[split] for split in checkpoint.finished}, **checkpoint.positions}

    def _check_counted(self, checkpoint: Checkpoint) -> None:
        """Guarantee 1, for states and counts."""
        total = sum(self._ends(checkpoint).values())
        counted = checkpoint.counts.get(f"{SOURCE}|t", {}).get("rows", 0)
        states = sum(checkpoint.states.get(SINK, {}).get("t", [total] if checkpoint.id == 0 else []))
        if (counted, states) != (total, total):
            raise Violation(1, f"checkpoint {checkpoint.id}: {total} rows, {counted} counted, {states} in states")

    def _check_exact(self, checkpoint: Checkpoint, names: list[str]) -> None:
        """Guarantee 1, for rows."""
        rows = Counter(self.target.visible)
        for name in names:
            if name not in self.target.committed:
                if name not in self.target.staged:
                    raise Violation(1, f"checkpoint {checkpoint.id} names {name}, which is not there")
                rows.update(self.target.staged[name])
        wanted = Counter((split, n) for split, end in self._ends(checkpoint).items() for n in range(end))
        if rows != wanted:
            less, more = wanted - rows, rows - wanted
            raise Violation(1, f"checkpoint {checkpoint.id}: without {sorted(less)[:3]}, too much {sorted(more)[:3]}")
        for split in checkpoint.finished:
            if checkpoint.positions.get(split, self.sizes[split]) != self.sizes[split]:
                raise Violation(6, f"{split} is finished at {checkpoint.positions.get(split)} of {self.sizes[split]}")

    def _check_visible(self, checkpoint: Checkpoint, number: int) -> None:
        names = _named(checkpoint)
        if missing := [name for name in names if name not in self.target.committed]:
            raise Violation(number, f"checkpoint {checkpoint.id} is over, {missing} are not committed")

    def check_owed_is_done(self) -> None:
        """Before tasks start, all that the stored checkpoints name is visible."""
        latest = self.store.latest(JOB, 1)
        if latest is not None and self.shape.kind is SinkKind.STAGED:
            self._check_visible(latest, 4)

    def read(self, epoch: int, split: str) -> None:
        """A task reads rows of a split, or looks whether there are any."""
        if epoch not in self._finished_before:
            latest = self.store.latest(JOB, 1)
            finished = self.target.finished if self.shape.kind is SinkKind.TRANSACTIONAL else ()
            self._finished_before[epoch] = frozenset({*(latest.finished if latest else ()), *finished})
        newest = max([*self._finished_before, self.store.epoch(JOB, 1)])
        if epoch == newest and split in self._finished_before[epoch]:
            raise Violation(6, f"{split} was finished and is read again")

    def check_all_read(self, rows: int) -> None:
        """Before the last checkpoint: what the sinks' states say was written in all starts."""
        if rows != sum(self.sizes.values()):
            raise Violation(4, f"the last checkpoint is taken after {rows} of {sum(self.sizes.values())} rows")

    def check_told(self, positions: Mapping[str, int]) -> None:
        """A source is told only of what is saved."""
        for split, position in positions.items():
            if position > self._durable_positions.get(split, 0):
                raise Violation(2, f"the source is told of {split} at {position}, which no checkpoint holds")
        self.told += 1

    def _rows_visible(self) -> bool:
        return all(self.target.visible[split, n] for split, size in self.sizes.items() for n in range(size))

    def _check_end(self) -> None:
        visible, exact = self.target.visible, self.shape.kind is not SinkKind.PLAIN
        wanted = {(split, n) for split, size in self.sizes.items() for n in range(size)}
        if exact and (twice := [row for row, times in visible.items() if times > 1]):
            raise Violation(3, f"{len(twice)} rows are there twice: {twice[:3]}")
        if self.canceled_at is None and (missing := sorted(wanted - visible.keys())):
            raise Violation(4, f"{len(missing)} rows are missing: {missing[:3]}")
        if self.ended is CheckpointKind.COMPLETED and self.store.all(JOB):
            raise Violation(9, "state came back after the job had ended")


@contextmanager
def _simulated_time(world: World):
    """PipelineRun asks the world for the time."""

    class Clock:
        monotonic = time = staticmethod(lambda: world.now)

    real, pipeline_module.time = pipeline_module.time, Clock
    try:
        yield
    finally:
        pipeline_module.time = real
