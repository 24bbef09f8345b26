"""What checksums cost: rows hashed per second by type, and whole jobs with `env.verify` beside the same job without."""

import argparse
import tempfile
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from measure import HEADRACE, in_turn, report

from headrace.checksums import hashes
from headrace.rows import TARGET_ROWS

JOB = """
env {{ job.mode = BATCH, verify = {verify} }}
source {{ FakeSource {{ row.num = {rows}, auto.increment.enabled = true, schema {{ fields {{ {columns} }} }} }} }}
sink {{ {sink} }}
"""
SINKS = {
    "parquet": 'LocalFile {{ path = "{folder}/out-{verify}", tmp_path = "{folder}/tmp", file_format_type = parquet }}',
    "SQLite, appended": 'Jdbc {{ url = "jdbc:sqlite:{folder}/{verify}.db", generate_sink_sql = true, table = t, '
    "schema_save_mode = RECREATE_SCHEMA }}",
    "SQLite, upserted by id": 'Jdbc {{ url = "jdbc:sqlite:{folder}/{verify}.db", generate_sink_sql = true, table = t, '
    "schema_save_mode = RECREATE_SCHEMA, primary_keys = [id] }}",
}

SHARES = {"parquet": 1, "SQLite, appended": 10, "SQLite, upserted by id": 10}
"""A database takes so many times fewer rows in the same time."""
COLUMNS = (
    "id = bigint, a = int, b = bigint, c = string, d = string, e = double, f = boolean, g = timestamp, "
    'h = "decimal(10, 2)"'
)


def columns() -> dict[str, pa.Array]:
    """A batch of each type."""
    random = np.random.default_rng(1)
    numbers = random.integers(-(2**62), 2**62, TARGET_ROWS)
    start = datetime(2024, 1, 1)  # noqa: DTZ001  zone-less on purpose
    texts: dict[str, Any] = {
        f"text of {size}": pa.array([f"{number:020d}"[-20:].ljust(size, "x")[-size:] for number in numbers])
        for size in (8, 36, 200)
    }
    return {
        "bigint": pa.array(numbers),
        "bigint, a tenth null": pa.array(numbers, mask=random.random(TARGET_ROWS) < 0.1),
        "double": pa.array(random.random(TARGET_ROWS)),
        "boolean": pa.array(random.random(TARGET_ROWS) < 0.5),
        "decimal(10, 2)": pa.array(numbers % 10**7).cast(pa.decimal128(21, 2)).cast(pa.decimal128(10, 2)),
        "date": pa.array([date(2024, 1, 1) + timedelta(int(n % 1000)) for n in numbers]),
        "timestamp": pa.array([start + timedelta(microseconds=int(n % 10**12)) for n in numbers]),
        **texts,
        "text, dictionary": pa.array([f"value {n % 100}" for n in numbers]).dictionary_encode(),
        "array of 3 bigint": pa.array([[int(n), 1, 2] for n in numbers]),
        "map of 2": pa.array([[("a", int(n)), ("b", 1)] for n in numbers], pa.map_(pa.string(), pa.int64())),
        "row of 2": pa.array([{"a": int(n), "b": "x"} for n in numbers]),
    }


def by_type(runs: int) -> None:
    """Rows hashed per CPU-second, each column by itself."""
    print("hashed, M rows per CPU-second")
    for name, column in columns().items():
        hashes(column)
        began = time.process_time()
        for _ in range(runs):
            hashes(column)
        print(f"  {name:<24} {len(column) * runs / (time.process_time() - began) / 1e6:8.1f}")


def whole_jobs(rows: int, runs: int) -> None:
    """Made-up rows into files and tables."""
    for name, sink in SINKS.items():
        with tempfile.TemporaryDirectory() as folder:
            commands, count = {}, rows // SHARES[name]
            for verify in ("count", "checksum", "target"):
                job = Path(folder, f"{verify}.conf")
                target = sink.format(verify=verify, folder=folder)
                job.write_text(JOB.format(verify=verify, rows=count, columns=COLUMNS, sink=target))
                commands[verify] = [*HEADRACE, "run", "-q", "--home", f"{folder}/home", str(job)]
            report(f"FakeSource → {name}, {count:,} rows x 9 columns", count, in_turn(commands, runs), "count")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    by_type(20)
    whole_jobs(given.rows, given.runs)


if __name__ == "__main__":
    main()
