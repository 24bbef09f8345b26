"""What a checkpoint every second costs: the same jobs with and without, in turn. Promised: under 5 % of throughput.

`--seconds N` (10): about how long each run takes. `--runs N` (3) of each, beside one that is not counted.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from measure import HEADRACE, in_turn

JOB = """
env {{ job.mode = BATCH, {env} }}
source {{ FakeSource {{ row.num = {rows}, split.num = 4
  schema {{ fields {{ id = bigint, name = string, at = timestamp, price = "decimal(10, 2)" }} }} }} }}
sink {{ {sink} }}
"""
FILES = 'LocalFile {{ path = "{0}/out", tmp_path = "{0}/tmp", file_format_type = {1}, data_save_mode = DROP_DATA }}'
TABLE = 'Jdbc {{ url = "jdbc:sqlite:{0}/target.db", generate_sink_sql = true, table = t, data_save_mode = DROP_DATA }}'
JOBS = {
    "a sink that counts": ("Console {{ log.print.data = false }}", 10_000_000),
    "CSV files (staged)": (FILES.replace("{1}", "csv"), 400_000),
    "Parquet files (staged)": (FILES.replace("{1}", "parquet"), 1_500_000),
    "SQLite (transactional)": (TABLE, 150_000),
}
"""Name → sink, and the rows that take about a second."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    print("rows per second with a checkpoint every second : without")
    for name, (sink, rate) in JOBS.items():
        rows = int(rate * given.seconds)
        with tempfile.TemporaryDirectory() as folder:
            commands = {}
            for kind, env in (("with", "checkpoint.interval = 1000"), ("without", "")):
                job = Path(folder, f"{kind}.conf")
                job.write_text(JOB.format(env=env, rows=rows, sink=sink.format(folder)))
                commands[kind] = [*HEADRACE, "run", "-q", "--home", f"{folder}/home-{kind}", str(job)]
            found = in_turn(commands, given.runs)
        wall, cpu = (found["without"].wall / found["with"].wall, found["without"].cpu / found["with"].cpu)
        rates = " : ".join(f"{rows / found[kind].wall / 1e6:6.2f}" for kind in ("with", "without"))
        print(f"  {name:<24} {rates} M rows/s   x {wall:4.2f} by the clock, x {cpu:4.2f} per CPU-second", flush=True)


if __name__ == "__main__":
    main()
