"""A streaming job for a long time: workers are killed, the sink is slow for a while; nothing may be lost or doubled.

`--minutes N` (15), `--rows N` (50,000) a second, `--memory SIZE` (600M). A worker is killed every 30 s. At the end
SIGTERM saves the job, and another start with `--restore` writes what is left. Exit code 1 when a row is lost, doubled
or changed, or when the processes held more than the budget.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

sys.path.insert(0, str(Path(__file__).parent.parent))
from headrace.memory import MIB, parse_size
from tests.execution.runs import ENVIRONMENT

KILL_SECONDS = 30
SAMPLE_SECONDS = 0.05
SLOW = (0.4, 0.6)
"""From when until when the sink is slow, as shares of the time."""

JOB = """
env {{ job.mode = STREAMING, parallelism = 2, checkpoint.interval = 1000, job.retry.times = 1000000
  job.retry.interval.seconds = 0, read_limit.rows_per_second = {rate} }}
source {{ Numbers {{ stop = "{folder}/stop" }} }}
sink {{ SlowFile {{ path = "{folder}/out", tmp_path = "{folder}/tmp", file_format_type = csv
  slow = "{folder}/slow" }} }}
"""


class Watch:
    """What was seen of the processes and of the files that became visible."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "out"
        self.memory: list[tuple[float, int]] = []
        self.pause = self.kills = 0
        self._changed, self._files = time.monotonic(), 0

    def look(self, process: psutil.Popen) -> None:
        """Measure once."""
        held = 0
        with suppress(psutil.NoSuchProcess):
            for one in (process, *workers(process)):
                with suppress(psutil.NoSuchProcess):
                    held += one.memory_info().rss
        self.memory.append((time.monotonic(), held))
        files = len(list(self.out.iterdir())) if self.out.is_dir() else 0
        now = time.monotonic()
        if files != self._files:
            if self._files:
                self.pause = max(self.pause, now - self._changed)
            self._changed, self._files = now, files


def workers(process: psutil.Process) -> list[psutil.Process]:
    """The worker processes of a run."""
    found = []
    for child in process.children():
        with suppress(psutil.NoSuchProcess):
            if any("worker_process" in part for part in child.cmdline()):
                found.append(child)
    return found


def start(folder: Path, memory: str, *arguments: str) -> psutil.Popen:
    """`headrace run` with worker processes; its result is left in `result`."""
    command = [sys.executable, "-m", "headrace", "run", str(folder / "job.conf"), "--home", str(folder / "home")]
    options = ["--runner", "processes", "--memory", memory, "--job-id", "1", "--json", *arguments]
    with open(folder / "said", "ab") as said, open(folder / "result", "wb") as result:
        return psutil.Popen([*command, *options], stdout=result, stderr=said, env=ENVIRONMENT)


def run(folder: Path, memory: str, seconds: float) -> Watch:
    """Let the job run, kill its workers, slow its sink down, save it."""
    watch = Watch(folder)
    process = start(folder, memory)
    while not (folder / "out").is_dir() or not any((folder / "out").iterdir()):
        time.sleep(0.1)
    began = time.monotonic()
    kill_at = began + KILL_SECONDS
    while (passed := time.monotonic() - began) < seconds:
        watch.look(process)
        is_slow = SLOW[0] <= passed / seconds < SLOW[1]
        (folder / "slow").touch() if is_slow else (folder / "slow").unlink(missing_ok=True)
        if time.monotonic() >= kill_at:
            kill_at += KILL_SECONDS
            living = workers(process)
            if living:
                living[watch.kills % len(living)].kill()
                watch.kills += 1
        if process.poll() is not None:
            raise RuntimeError((folder / "said").read_text())
        time.sleep(SAMPLE_SECONDS)
    process.send_signal(signal.SIGTERM)
    process.wait(120)
    return watch


def finish(folder: Path, memory: str) -> int:
    """Go on from the savepoint until the source has ended; the rows that the job says it has delivered."""
    (folder / "stop").touch()
    process = start(folder, memory, "--restore")
    while not settled(folder):
        if process.poll() is not None:
            raise RuntimeError((folder / "said").read_text())
        time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    process.wait(120)
    return int(json.loads((folder / "result").read_text())["rowsWritten"])


def settled(folder: Path) -> bool:
    """Whether no file has become visible for a few checkpoints."""
    newest = max((file.stat().st_mtime for file in (folder / "out").iterdir()), default=0)
    return time.time() - max(newest, (folder / "stop").stat().st_mtime) > 10


def delivered(folder: Path) -> tuple[int, list[str]]:
    """How many rows there are, and what is wrong: each split must be 0, 1, 2 … with the text of the number."""
    found: dict[int, list[pa.Array]] = {}
    wrong = []
    names = pacsv.ReadOptions(column_names=["split", "id", "text"])
    for file in (folder / "out").iterdir():
        table = pacsv.read_csv(file, names)
        if not pc.all(
            pc.equal(table["text"], pc.binary_join_element_wise("row", table["id"].cast("string"), " "))
        ).as_py():
            wrong.append(f"{file.name} holds changed rows")
        for split in pc.unique(table["split"]).to_pylist():
            found.setdefault(split, []).append(table.filter(pc.equal(table["split"], split))["id"].combine_chunks())
    total = 0
    for split, parts in found.items():
        ids = pc.sort_indices(whole := pa.concat_arrays(parts))
        expected = pa.array(range(len(whole)))
        if not whole.take(ids).equals(expected):
            distinct = pc.count_distinct(whole).as_py()
            last = pc.max(whole).as_py()
            wrong.append(f"split {split}: {len(whole)} rows, {distinct} distinct, the last is {last}")
        total += len(whole)
    return total, wrong


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--memory", default="600M")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "job.conf").write_text(JOB.format(rate=given.rows // 2, folder=folder))
        watch = run(folder, given.memory, given.minutes * 60)
        said = finish(folder, given.memory)
        total, wrong = delivered(folder)
        if said != total:
            wrong.append(f"the job says that it has delivered {said:,} rows")
    budget = parse_size(given.memory)
    most = max(held for _, held in watch.memory)
    half = len(watch.memory) // 2
    first, second = (max(held for _, held in part) for part in (watch.memory[:half], watch.memory[half:]))
    rate = total / (given.minutes * 60)
    print(f"{total:,} rows in {given.minutes:g} min, {rate:,.0f} a second; {watch.kills} workers killed")
    print(f"lost, doubled or changed: {'; '.join(wrong) or 'none'}")
    print(f"memory: {most / MIB:.0f} of {budget / MIB:.0f} MiB at most, x {most / budget:.2f}; "
          f"first half {first / MIB:.0f}, second half {second / MIB:.0f} MiB")  # fmt: skip
    print(f"the longest pause between two commits: {watch.pause:.1f} s")
    return 1 if wrong or most > budget else 0


if __name__ == "__main__":
    sys.exit(main())
