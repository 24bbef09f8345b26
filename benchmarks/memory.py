"""Peak memory of jobs against their budget: all processes together, each 20 ms. `--seconds N` (8) for each job."""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from measure import HEADRACE

MIB = 1024 * 1024
WIDE = """FakeSource {{ row.num = {rows}, string.length = 200
  schema {{ fields {{ id = bigint, a = string, b = string, c = string }} }} }}"""
JOB = """
env {{ job.mode = BATCH, parallelism = {parallelism} }}
source {{ {source} }}
transform {{ {transform} }}
sink {{ {sink} }}
"""
FILES = 'LocalFile {{ path = "{folder}/out", tmp_path = "{folder}/tmp", file_format_type = {form} }}'
TABLE = 'Jdbc { url = "jdbc:sqlite:%s/target.db", generate_sink_sql = true, table = t }'
SLOW = "Console { log.print.data = false, log.print.delay.ms = 1 }"
BY_ROW = """Python { columns = [{ dest_field = n, dest_type = int }],
  source_code = "def process(row, context):\\n    return len(row['a'])" }"""


def jobs(folder: str) -> dict[str, tuple[str, str, str]]:
    """Name → source, transform, sink; all of them have rows for longer than they are looked at."""
    wide = WIDE.format(rows=10**9)
    csv = FILES.format(folder=folder, form="csv")
    read = f"""LocalFile {{ path = "{folder}/in.csv", file_format_type = csv
      schema {{ fields {{ id = bigint, a = string, b = string, c = string }} }} }}"""
    return {
        "fast source, slow sink": (wide, "", SLOW),
        "Python on rows": (wide, BY_ROW, SLOW),
        "→ CSV": (wide, "", csv),
        "→ JSON": (wide, "", FILES.format(folder=folder, form="json")),
        "→ Parquet": (wide, "", FILES.format(folder=folder, form="parquet")),
        "→ Orc": (wide, "", FILES.format(folder=folder, form="orc")),
        "→ SQLite": (wide, "", TABLE % folder),
        "CSV → Parquet": (read, "", FILES.format(folder=folder, form="parquet")),
    }


def peak(command: list[str], home: Path, seconds: float) -> int:
    """The most that a command and its workers held together; it is ended when it has moved rows for so many seconds."""
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    most, moved = 0, 0.0
    while process.poll() is None and (not moved or time.monotonic() < moved + seconds):
        if not moved and any((home / "checkpoints").glob("*/*.json")):
            moved = time.monotonic()
        with suppress(psutil.NoSuchProcess):
            held = 0
            for one in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    held += one.memory_info().rss
            most = max(most, held)
        time.sleep(0.02)
    if process.poll() not in (None, 0):
        raise RuntimeError(process.stderr.read().decode())
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    process.communicate()
    return most


def write_input(file: Path, size: int) -> None:
    """A CSV file of about so many bytes."""
    lines = "".join(f"{number},{'a' * 200},{'b' * 200},{'c' * 200}\n" for number in range(2000))
    with file.open("w") as stream:
        for _ in range(size // len(lines)):
            stream.write(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--file", type=int, default=1024, help="MiB of the CSV file that is read")
    given = parser.parse_args()
    print("peak of all processes : budget")
    for runner, budget, parallelism in (("embedded", 256, 2), ("embedded", 400, 8), ("processes", 512, 4)):
        print(f"--runner {runner} --memory {budget}M, {parallelism} tasks")
        with tempfile.TemporaryDirectory() as folder:
            write_input(Path(folder, "in.csv"), given.file * MIB)
            home = Path(folder, "home")
            for name, (source, transform, sink) in jobs(folder).items():
                job = Path(folder, "job.conf")
                job.write_text(JOB.format(source=source, transform=transform, sink=sink, parallelism=parallelism))
                shutil.rmtree(home, ignore_errors=True)
                options = ["--home", str(home), "--runner", runner, "--memory", f"{budget}M"]
                most = peak([*HEADRACE, "run", "-q", *options, str(job)], home, given.seconds)
                print(f"  {name:<24} {most / MIB:6.0f} : {budget} MiB  x {most / MIB / budget:5.2f}", flush=True)


if __name__ == "__main__":
    main()
