"""A server under many small jobs: jobs a second, a job alone, memory, lists, and answers while the cores are busy."""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from measure import HEADRACE

from headrace.client import Client

FIVE = {
    "env": {"job.mode": "BATCH"},
    "source": [{"plugin_name": "FakeSource", "row.num": 5, "schema": {"fields": {"id": "bigint", "name": "string"}}}],
    "sink": [{"plugin_name": "Console", "log.print.data": False}],
}
EARLY = 260
"""Jobs that have run before the last ones: 10 to begin with, 50 alone, 200 at once."""
BUSY = {
    "env": {"job.mode": "BATCH", "parallelism": os.cpu_count()},
    "source": [
        {
            "plugin_name": "FakeSource",
            "row.num": 2_000_000_000,
            "split.num": 1000,
            "schema": {"fields": {"id": "bigint", "name": "string", "price": "decimal(10, 2)"}},
        }
    ],
    "sink": [{"plugin_name": "Console", "log.print.data": False}],
}


@contextmanager
def served() -> Iterator[tuple[str, psutil.Process]]:
    """A server of its own: its URL and its process."""
    with tempfile.TemporaryDirectory() as home:
        command = [*HEADRACE, "server", "--home", f"{home}/home", "--port", "0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=home)
        assert process.stderr is not None
        found = None
        while found is None:
            found = re.search(r"http://[^/]+", process.stderr.readline())
        try:
            yield found[0], psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def wait_for_all(client: Client, count: int) -> None:
    """Until so many jobs have FINISHED."""
    while int(client.overview()["finishedJobs"]) < count:
        time.sleep(0.01)


def alone(client: Client, jobs: int) -> float:
    """Milliseconds from submit to FINISHED, the median of jobs one after the other."""
    took = []
    for _ in range(jobs):
        began = time.perf_counter()
        number = client.submit(FIVE)
        while not client.job(number).is_ended:
            time.sleep(0.001)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def many(client: Client, jobs: int, done: int) -> float:
    """Jobs per second, submitted as fast as they are accepted; `done` have finished before."""
    began = time.perf_counter()
    numbers = [client.submit(FIVE) for _ in range(jobs)]
    wait_for_all(client, done + jobs)
    took = time.perf_counter() - began
    lost = set(numbers) - {job.id for job in client.finished("FINISHED")}
    assert not lost, f"lost: {sorted(lost)}"
    return jobs / took


def answers(client: Client, requests: int) -> list[float]:
    """Milliseconds that running-jobs takes, request by request."""
    took = []
    for _ in range(requests):
        began = time.perf_counter()
        client.jobs()
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(0.01)
    return sorted(took)


def _many_jobs(text: str) -> int:
    if int(text) <= EARLY:
        raise argparse.ArgumentTypeError(f"{text} are too few: the memory after {EARLY} jobs is compared with the last")
    return int(text)


def main() -> None:
    """Print the figures, each beside its promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=_many_jobs, default=2000, help=f"how many jobs in all, at least {EARLY + 1}")
    parser.add_argument("--requests", type=int, default=500, help="how many requests while the cores are busy")
    options = parser.parse_args()
    with served() as (url, process), Client(url) as client:
        for _ in range(10):
            client.wait(client.submit(FIVE), 60, 0.01)
        print(f"a job of 5 rows, alone      {alone(client, 50):8.1f} ms       (promise: under 70)")
        print(f"200 jobs at once            {many(client, 200, 60):8.1f} jobs/s   (promise: at least 50), none lost")
        early = process.memory_info().rss
        many(client, options.jobs - EARLY, EARLY)
        late = process.memory_info().rss
        print(
            f"memory of the server        {late / early:8.2f} x after {options.jobs} jobs of that after {EARLY}, "
            f"{late / 2**20:.0f} MiB (promise: within 1.2)"
        )
        took = []
        for _ in range(5):
            began = time.perf_counter()
            with urllib.request.urlopen(f"{url}/hazelcast/rest/maps/finished-jobs") as answer:
                content = answer.read()
            took.append((time.perf_counter() - began) * 1000)
            assert content.count(b'"jobName"') == options.jobs
        print(f"listing {options.jobs} jobs           {statistics.median(took):8.1f} ms       (promise: under 100)")
        number = client.submit(BUSY)
        while client.job(number).status != "RUNNING":
            time.sleep(0.05)
        times = answers(client, options.requests)
        print(f"running-jobs, cores busy    {times[int(len(times) * 0.99)]:8.1f} ms p99   (promise: under 30)")
        client.stop(number)
        client.wait(number, 60)


if __name__ == "__main__":
    main()
