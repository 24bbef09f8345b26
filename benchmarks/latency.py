"""How long a row that comes alone is under way from a source to a plain sink, in every runner, with checkpoints."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from measure import HEADRACE

PROBE = Path(__file__).parent.parent / "tests" / "execution" / "probe"
JOB = """
env {{ job.mode = STREAMING, checkpoint.interval = {interval} }}
source {{ Paced {{ seconds = 0.05 }} }}
sink {{ Arrivals {{ path = "{folder}/arrivals" }} }}"""
PROMISE_MS = 200


def delays(runner: str, interval: int, seconds: float) -> list[float]:
    """Milliseconds of each row."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "job.conf").write_text(JOB.format(interval=interval, folder=folder))
        command = [*HEADRACE, "run", "-q", f"{folder}/job.conf", "--home", f"{folder}/home", "--runner", runner]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(PROBE)})
        file = Path(folder, "arrivals")
        try:
            while not file.exists():
                time.sleep(0.05)
            time.sleep(seconds)
        finally:
            process.kill()
            process.wait()
        lines = file.read_text().splitlines()
    return [float(line.split()[1]) * 1000 for line in lines]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=20)
    seconds = arguments.parse_args().seconds
    for runner in ("embedded", "processes"):
        for interval in (10_000, 200):
            found = sorted(delays(runner, interval, seconds))
            p99 = found[int(len(found) * 0.99)]
            middle = statistics.median(found)
            print(
                f"{runner}, a checkpoint every {interval / 1000:g} s: {len(found)} rows, median {middle:.1f} ms, "
                f"99 % {p99:.1f} ms, longest {found[-1]:.1f} ms (promise {PROMISE_MS} ms)"
            )


if __name__ == "__main__":
    main()
