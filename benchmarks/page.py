"""The page and REST v2 beside a server without them: lists, first paint, frames, open pages, jobs alone and many."""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from measure import HEADRACE
from server import FIVE, alone, answers, many

from headrace.client import Client
from headrace.jobs.record import JobText
from headrace.jobs.store import store_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ENDLESS = {
    "env": {"job.mode": "STREAMING", "checkpoint.interval": 10_000, "read_limit.rows_per_second": 200},
    "source": [
        {
            "plugin_name": "FakeSource",
            "row.num": 10_000_000,
            "schema": {"fields": {"id": "bigint", "name": "string"}},
        }
    ],
    "sink": [{"plugin_name": "Console", "log.print.data": False}],
}
SCROLL = """async () => {
    const body = document.querySelector('.jobs-body');
    const frames = [];
    let last = performance.now();
    for (let frame = 0; frame < 120; frame++) {
        body.scrollTop += 800;
        await new Promise(requestAnimationFrame);
        frames.push(performance.now() - last);
        last = performance.now();
    }
    return frames;
}"""


@contextmanager
def served(home: Path, *, v2: bool = True) -> Iterator[tuple[str, str, psutil.Process]]:
    """A server: the addresses of v1 and v2, and its process."""
    home.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "HEADRACE_HTTP_ENABLED": str(v2).lower()}
    command = [*HEADRACE, "server", "--home", str(home), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=home.parent, env=environment)
    assert process.stderr is not None
    said = ""
    while " answers on " not in said:
        said = process.stderr.readline()
    threading.Thread(target=process.stderr.read, daemon=True).start()  # nothing waits for room in the pipe
    found = re.findall(r"http://[^/ ]+", said)
    try:
        yield found[0], found[1] if v2 else "", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def fill(home: Path, jobs: int) -> None:
    """A store that has so many finished jobs."""
    with served(home) as (url, _, _), Client(url) as client:
        number = client.submit(FIVE)
        client.wait(number, 60, 0.01)
    store = store_in(home.resolve(), None)
    record = store.get(number)
    assert record is not None
    copies = [replace(record, job_id=10_000 + n, name=f"job {n}", created=record.created - n) for n in range(jobs - 1)]
    assert store.add_all([(copy, JobText("")) for copy in copies]).result()
    store.close()


def listed(url: str) -> float:
    """Milliseconds of a list of all finished jobs, the median of ten."""
    took = []
    for _ in range(10):
        began = time.perf_counter()
        with urllib.request.urlopen(f"{url}/hazelcast/rest/maps/finished-jobs") as answer:
            answer.read()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def listening(url: str, process: psutil.Process, pages: int, seconds: float) -> float:
    """The share of a core that the server takes while so many pages listen to /events."""
    ended = threading.Event()

    def listen() -> None:
        with urllib.request.urlopen(f"{url}/events", timeout=60) as stream:
            while not ended.is_set() and stream.readline():
                pass

    threads = [threading.Thread(target=listen, daemon=True) for _ in range(pages)]
    for thread in threads:
        thread.start()
    time.sleep(5.0)
    before = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    used = (sum(process.cpu_times()[:2]) - before) / seconds
    ended.set()
    return used


EMPTY = """data:text/html,<div class="jobs-body" style="height: 500px; overflow-y: auto">
<div class="jobs-row" style="height: 200000px">nothing</div></div>"""
"""A page that has to do nothing and scrolls: what the browser itself takes on this machine now."""


def visited(browser: "Browser", address: str) -> dict[str, float]:
    """One visit by a browser that knows nothing of the page: seconds and CPU seconds of all its processes until the
    first rows are there; then milliseconds of each frame while they are scrolled, the longest and the median, and CPU.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    began, before = time.perf_counter(), _browser_cpu()
    page.goto(address)
    page.locator(".jobs-body .jobs-row").first.wait_for()
    paint, paint_cpu = time.perf_counter() - began, _browser_cpu() - before
    before = _browser_cpu()
    frames = page.evaluate(SCROLL)
    found = {
        "paint_s": paint,
        "paint_cpu_s": paint_cpu,
        "frame_ms": statistics.median(frames),
        "longest_frame_ms": max(frames),
        "scroll_cpu_s": _browser_cpu() - before,
    }
    context.close()
    return found


def _browser_cpu() -> float:
    used = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "chrom" in process.name():
                used += sum(process.cpu_times()[:2])
    return used


def painted(url: str, rounds: int) -> dict[str, list[float]]:
    """Visits of the list of jobs and of an empty page in turn: of each figure best and median, the same of the empty
    page, and the ratio of the medians.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        pairs = [(visited(browser, f"{url}/#/jobs"), visited(browser, EMPTY)) for _ in range(rounds)]
        browser.close()
    found = {}
    for name in pairs[0][0]:
        ours, empty = ([pair[n][name] for pair in pairs] for n in (0, 1))
        middle, least = statistics.median(ours), statistics.median(empty)
        found[name] = [round(n, 2) for n in (min(ours), middle, min(empty), least, middle / max(least, 0.001))]
    return found


def load(home: Path, *, v2: bool, jobs: int) -> dict[str, float]:
    """A job alone (ms), jobs a second, p99 of running-jobs (ms) while a job runs."""
    with served(home, v2=v2) as (url, _, _), Client(url) as client:
        for _ in range(5):
            client.wait(client.submit(FIVE), 60, 0.01)
        found = {"alone_ms": alone(client, 20), "jobs_s": many(client, jobs, 25)}
        number = client.submit(ENDLESS)
        while client.job(number).status != "RUNNING":
            time.sleep(0.05)
        times = answers(client, 200)
        client.stop(number)
        return {**found, "p99_ms": times[int(len(times) * 0.99)]}


def compared(folder: Path, pairs: int, jobs: int) -> dict[str, Any]:
    """With v2 and the page over without, pair by pair: the medians of the ratios."""
    ratios: dict[str, list[float]] = {}
    for number in range(pairs):
        order = (True, False) if number % 2 else (False, True)
        found = {v2: load(folder / f"{number}-{v2}" / "home", v2=v2, jobs=jobs) for v2 in order}
        for name in found[True]:
            ratios.setdefault(name, []).append(found[True][name] / found[False][name])
    return {
        name: [round(ratio, 3) for ratio in (statistics.median(of), min(of), max(of))] for name, of in ratios.items()
    }


def main() -> None:
    """Print the figures as JSON, one object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000, help="finished jobs in the store")
    parser.add_argument("--running", type=int, default=20, help="jobs that run beside them")
    parser.add_argument("--pages", type=int, default=50, help="open pages")
    parser.add_argument("--pairs", type=int, default=3, help="servers with and without v2 and page")
    parser.add_argument(
        "--visits", type=int, default=5, help="of the list of jobs by a browser, each beside an empty page"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="how long the open pages are measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        fill(home, options.jobs)
        with served(home) as (v1, v2, process), Client(v1) as client:
            print(json.dumps({"list_ms": round(listed(v1), 1)}), flush=True)
            print(
                json.dumps({"pages_idle": round(listening(v2, process, options.pages, options.seconds), 3)}), flush=True
            )
            print(json.dumps({"quiet": painted(v2, options.visits)}), flush=True)
            numbers = [client.submit(ENDLESS) for _ in range(options.running)]
            while len(client.jobs()) < len(numbers) or any(job.status != "RUNNING" for job in client.jobs()):
                time.sleep(0.2)
            alone_cpu = listening(v2, process, 0, options.seconds)
            shared = listening(v2, process, options.pages, options.seconds)
            print(json.dumps({"pages_running": round(shared, 3), "no_pages": round(alone_cpu, 3)}), flush=True)
            print(json.dumps({"running": painted(v2, options.visits)}), flush=True)
            for number in numbers:
                client.stop(number)
        if options.pairs:
            print(json.dumps(compared(Path(folder), options.pairs, 100)), flush=True)


if __name__ == "__main__":
    main()
