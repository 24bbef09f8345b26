"""One kill: a job is stopped at a point, its processes are killed, it is restored, and its target is looked at."""

import hashlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.crash.probe.headrace_crash.points import AFTER_THE_END, POINTS, Phase, Point
from tests.crash.probe.headrace_crash.stage import BEFORE_A_SAVEPOINT, Stage
from tests.execution.runs import Run

PROBE = Path(__file__).parent / "probe"
SINKS = ("LocalFile", "Jdbc")
RUNNERS = ("embedded", "processes")
ALL, WORKER = "all", "worker"
"""Who is killed: every process of the job, or the worker that has reached the point."""

ROWS, SPLITS, PARALLELISM = 150, 2, 2
EXPECTED_ROWS = ROWS * PARALLELISM

JOB = """
env {{ job.mode = {mode}, parallelism = {parallelism}, checkpoint.interval = 50, verify = checksum
  job.retry.interval.seconds = 0 }}
source {{ FakeSource {{ row.num = {rows}, split.num = {splits}, auto.increment.enabled = true
  schema {{ table = people, fields {{ id = bigint, name = string, born = date, height = double }} }} }} }}
sink {{ {sink} }}"""

TARGETS = {
    "LocalFile": 'LocalFile {{ path = "{folder}/out.d", tmp_path = "{folder}/tmp", file_format_type = csv, '
    "batch_size = 7 }}",
    "Jdbc": 'Jdbc {{ url = "jdbc:sqlite:{folder}/db/target.db", table = people, generate_sink_sql = true }}',
}


@dataclass(frozen=True)
class Kill:
    """A cell of the matrix."""

    phase: str
    point: str
    sink: str
    runner: str
    victim: str

    @property
    def id(self) -> str:
        return "-".join([self.phase, self.point, self.sink, self.runner, self.victim])

    @property
    def mode(self) -> str:
        return "STREAMING" if self.phase == Phase.SAVEPOINT else "BATCH"

    @property
    def is_quick(self) -> bool:
        """Whether it is in every test run: each point once, and the other dimensions here and there."""
        return self in QUICK or ((self.victim, self.runner) == (ALL, "embedded") and self == _first_choice(self.point))


def _first_choice(name: str) -> Kill:
    """A point's kill that is made in every test run: in the middle of the job where it can be, sinks in turn."""
    number, point = next((i, point) for i, point in enumerate(POINTS) if point.name == name)
    phase = Phase.CHECKPOINT if Phase.CHECKPOINT in point.phases else point.phases[0]
    return Kill(phase, name, point.sinks[number % len(point.sinks)], "embedded", ALL)


QUICK = (
    Kill(Phase.CHECKPOINT, "write", "LocalFile", "processes", WORKER),
    Kill(Phase.CHECKPOINT, "positions-committed", "Jdbc", "processes", WORKER),
    Kill(Phase.LAST, "half-committed", "LocalFile", "processes", ALL),
    Kill(Phase.LAST, "sink-end", "Jdbc", "processes", WORKER),
    Kill(Phase.SAVEPOINT, "saved", "LocalFile", "embedded", ALL),
    Kill(Phase.RESTART, "save", "Jdbc", "embedded", ALL),
)


def kills() -> list[Kill]:
    """The whole matrix, in the order of a job's life."""
    return [
        Kill(phase, point.name, sink, runner, victim)
        for phase in Phase
        for point in POINTS
        if phase in point.phases
        for sink in point.sinks
        for runner in RUNNERS
        for victim in _victims(point, runner)
    ]


def _victims(point: Point, runner: str) -> Iterator[str]:
    yield ALL
    if point.in_worker and runner == "processes":
        yield WORKER


@dataclass(frozen=True)
class Content:
    """What a target holds: how many rows, and a digest of them in the order of their text."""

    rows: int
    digest: str


def content(folder: Path) -> Content:
    rows = sorted(_rows(folder))
    return Content(len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())


def _rows(folder: Path) -> Iterator[str]:
    database = folder / "db" / "target.db"
    if database.exists():
        with closing(sqlite3.connect(database)) as connection, suppress(sqlite3.OperationalError):
            yield from (repr(row) for row in connection.execute("SELECT * FROM people"))
    for place, folders, files in os.walk(folder / "out.d"):  # a folder that goes meanwhile is no trouble to it
        folders[:] = [name for name in folders if name != ".headrace-staging"]
        for name in files:
            yield from (Path(place) / name).read_text().splitlines()


def leftovers(folder: Path, mode: str) -> list[str]:
    """What should be gone: staged rows, and of a job that has ended everything else beside its target and records.

    A job that was saved keeps the marks of what it has published.
    """
    found = [f for place in ("tmp", "home/owners") for f in (folder / place).rglob("*") if f != folder / "tmp"]
    found += [f for f in (folder / "out.d").rglob("*") if f.suffix != ".csv"]
    if mode == "STREAMING":
        found = [f for f in found if f.is_file() and f.suffix != ".published"]
    found += [f for f in (folder / "db").rglob("*") if f.name != "target.db"]
    if mode == "BATCH":
        found += [f for f in (folder / "home" / "checkpoints").rglob("*") if f.name != ".lock"]
    names = [str(file.relative_to(folder)) for file in found]
    if (database := folder / "db" / "target.db").exists() and mode == "BATCH":
        with closing(sqlite3.connect(database)) as connection:
            names += [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE name != 'people'")]
    return sorted(names)


class Scene:
    """A folder in which one job is run, killed and restored."""

    def __init__(self, folder: Path, sink: str, mode: str, runner: str, workers: int = 1) -> None:
        self.folder, self.mode, self.runner, self.workers = folder, mode, runner, workers
        (folder / "db").mkdir()
        target = TARGETS[sink].format(folder=folder)
        self.job = JOB.format(mode=mode, parallelism=PARALLELISM, rows=ROWS, splits=SPLITS, sink=target)
        self.run: Run | None = None

    def start(self, *arguments: str, **env: str) -> Run:
        path = os.pathsep.join([str(PROBE), os.environ.get("PYTHONPATH", "")])
        given = {"HEADRACE_WORKERS": str(self.workers), "HEADRACE_CRASH": "", "PYTHONPATH": path, **env}
        self.run = Run(self.folder, self.job, "--runner", self.runner, *arguments, **given)
        return self.run

    def close(self) -> None:
        if self.run is not None:
            self.run.kill()

    def start_towards(self, point: str, phase: Phase, *arguments: str) -> Stage:
        """Start a run that will stop at the point."""
        place = self.folder / f"stage-{point}-{phase}"
        place.mkdir()
        (place / "wanted").write_text(f"{point} {phase}")
        stage = Stage(place)
        if phase in (Phase.START, Phase.RESTART):
            stage.armed.touch()
        env = {"HEADRACE_CHECKPOINT_RETAIN": "1"} if point == "retention" else {}
        run = self.start(*arguments, HEADRACE_CRASH=str(place), **env)
        if phase is Phase.SAVEPOINT:
            run.until(lambda: stage.handled == BEFORE_A_SAVEPOINT * PARALLELISM)
            run.process.send_signal(signal.SIGTERM)
        run.until(stage.reached.exists)
        return stage

    def kill_all(self) -> None:
        """Every process of the run at once; none is left."""
        assert self.run is not None
        mine = psutil.Process(self.run.process.pid)
        family = [mine, *mine.children(recursive=True)]
        self.run.kill()
        psutil.wait_procs(family, 30)
        assert not [process for process in family if _lives(process)]

    def kill_worker(self, stage: Stage) -> None:
        """The worker that has reached the point."""
        assert self.run is not None
        pid = int(stage.reached.read_text())
        assert pid in [worker.pid for worker in self.run.workers()]
        os.kill(pid, signal.SIGKILL)

    def finish(self, *arguments: str) -> None:
        """Run the job to its end; a streaming one is saved once all rows are there."""
        self.end(self.start(*arguments))

    def end(self, run: Run) -> None:
        if self.mode == "STREAMING":
            run.until(lambda: content(self.folder).rows >= EXPECTED_ROWS)
            time.sleep(0.2)  # rows that come twice would come now
            run.process.send_signal(signal.SIGTERM)
        assert run.end()["status"] == ("FINISHED" if self.mode == "BATCH" else "SAVEPOINT_DONE"), run.said

    def find_it_finished(self) -> None:
        """A restore has nothing to do."""
        run = self.start("--restore")
        run.process.wait(120)
        assert "is FINISHED, all its rows are delivered" in run.said

    def report(self) -> list[dict]:
        """The lines of the last delivery report."""
        newest = max((self.folder / "home" / "reports").glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
        return json.loads(newest.read_text())["deliveries"]


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


LEAVES_MOST = {"LocalFile": "saved", "Jdbc": "positions-committed"}
"""Where the first of two kills is: commits are owed, or the target is ahead of what is saved."""


def play(scene: Scene, kill: Kill) -> None:
    """Kill at the point and let the job come to its end."""
    phase = Phase(kill.phase)
    if phase is Phase.RESTART:
        scene.start_towards(LEAVES_MOST[kill.sink], Phase.CHECKPOINT)
        scene.kill_all()
        stage = scene.start_towards(kill.point, phase, "--restore")
    else:
        stage = scene.start_towards(kill.point, phase)
    if kill.victim == WORKER:
        _go_on_without_the_worker(scene, stage, phase)
        return
    scene.kill_all()
    if phase is Phase.LAST and kill.point in AFTER_THE_END:
        scene.find_it_finished()
    else:
        scene.finish("--restore")


def _go_on_without_the_worker(scene: Scene, stage: Stage, phase: Phase) -> None:
    scene.kill_worker(stage)
    assert scene.run is not None
    if phase is Phase.SAVEPOINT:
        assert scene.run.end()["status"] == "SAVEPOINT_DONE", scene.run.said
        scene.finish("--restore")
    else:
        scene.end(scene.run)


# -------------------------------------------------------------------------------------------------------- the results

RESULTS = Path(__file__).parent / "results.json"


def write_results(outcomes: Mapping[Kill, bool], file: Path = RESULTS) -> None:
    """What the whole matrix has shown, a line for each kill."""
    lines = [json.dumps({**asdict(kill), "kept": kept}) for kill, kept in outcomes.items()]
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def read_results(file: Path = RESULTS) -> dict[Kill, bool]:
    """Kill → whether every row was there once."""
    found = {}
    for line in json.loads(file.read_text()):
        kept = line.pop("kept")
        found[Kill(**line)] = kept
    return found
