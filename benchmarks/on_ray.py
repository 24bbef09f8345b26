"""What Ray costs: `python -m benchmarks.on_ray`.

Fused chains with worker processes and with Ray actors, turn by turn, as many workers of either kind; how long until
100 jobs of two tasks each run; what Ray's own processes and a worker hold in memory.
"""

import statistics
import tempfile
import threading
import time
from pathlib import Path

import psutil

from headrace.checkpoint.store import FileStore
from headrace.config.job import parse_job
from headrace.execution.master import JobMaster
from headrace.execution.processes import ProcessesRunner
from headrace.execution.ray_cluster import RayCluster
from headrace.execution.ray_runner import RayRunner
from headrace.execution.runner import Runner
from headrace.memory import MIB
from headrace.plan.plan import make_plan

WORKERS = 2
ROWS = 4_000_000
ROUNDS = 5
JOBS = 100

CHAIN = """
env {{ job.mode = BATCH, parallelism = 2 }}
source {{ FakeSource {{ plugin_output = fake, row.num = {rows}, split.num = 8, schema {{ fields {{ id = bigint,
  name = string, price = double }} }} }} }}
transform {{ Sql {{ plugin_input = fake, plugin_output = out,
  query = "select id, upper(name) as name, price * 2 as price from fake where price > 0" }} }}
sink {{ LocalFile {{ plugin_input = out,
  path = "{folder}/out", tmp_path = "{folder}/tmp", file_format_type = parquet }} }}
"""
ENDLESS = """
env { job.mode = STREAMING, parallelism = 2 }
source { FakeSource { row.num = 1, split.num = 2, split.read-interval = 1000, schema { fields { id = bigint } } } }
sink { Console { log.print.data = false } }
"""


def chain(runner: ProcessesRunner | RayRunner) -> float:
    """Rows for each second that a core worked: other programs may use the machine, too."""
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(parse_job(CHAIN.format(rows=ROWS // WORKERS, folder=folder)))
        job = JobMaster(plan, runner, FileStore(Path(folder)), job_id=1, run=1, on_print=lambda text: None)
        before = seconds_of(runner.pids())
        result = job.run()
        took = seconds_of(runner.pids()) - before
        assert result.status == "FINISHED", result.error
        return result.progress.rows_read / took


def seconds_of(pids: list[int]) -> float:
    """CPU seconds."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def chains(processes: ProcessesRunner, ray: RayRunner) -> None:
    found: dict[str, list[float]] = {"processes": [], "ray": []}
    for _ in range(ROUNDS):
        found["processes"].append(chain(processes))
        found["ray"].append(chain(ray))
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    for name, rate in medians.items():
        print(f"chain, {name:<10} {rate / 1e6:.2f} million rows for each second of a core")
    ratios = [one / other for one, other in zip(found["ray"], found["processes"], strict=True)]
    print(f"ray : processes {statistics.median(ratios):.2f} (each round: {', '.join(f'{r:.2f}' for r in ratios)})")


def many(runner: Runner) -> None:
    plan = make_plan(parse_job(ENDLESS))
    with tempfile.TemporaryDirectory() as folder:
        store, running = FileStore(Path(folder)), threading.Semaphore(0)

        def on_status(status: str) -> None:
            if status == "RUNNING":
                running.release()

        masters = [
            JobMaster(plan, runner, store, job_id=n, run=1, on_status=on_status, on_print=lambda text: None)
            for n in range(1, JOBS + 1)
        ]
        threads = [threading.Thread(target=master.run) for master in masters]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for _ in range(JOBS):
            assert running.acquire(timeout=120)
        print(f"{JOBS} jobs of 2 tasks: {time.perf_counter() - began:.1f} s until all run")
        for master in masters:
            master.cancel()
        for thread in threads:
            thread.join()


def memory(workers: list[int]) -> None:
    found = {p: p.memory_full_info().pss / MIB for p in psutil.Process().children(recursive=True)}
    own = sum(pss for process, pss in found.items() if process.pid not in workers)
    print(f"memory: Ray's processes {own:.0f} MiB", end="; ")
    print(f"each of {len(workers)} workers {sum(found[psutil.Process(pid)] for pid in workers) / len(workers):.0f} MiB")


def main() -> None:
    began = time.perf_counter()
    cluster = RayCluster(cpus=WORKERS, memory=4 << 30)
    print(f"Ray starts in {time.perf_counter() - began:.1f} s")
    ray = RayRunner(cluster, WORKERS, on_close=cluster.close)
    began = time.perf_counter()
    ray.warm_up()
    print(f"{WORKERS} workers start in {time.perf_counter() - began:.1f} s")
    memory(ray.pids())
    many(ray)
    processes = ProcessesRunner(WORKERS)
    processes.warm_up()
    chains(processes, ray)
    processes.close()
    ray.close()


if __name__ == "__main__":
    main()
