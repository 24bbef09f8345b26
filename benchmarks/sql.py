"""The Sql transform on batches of 65,536 rows: million rows a second on one core.

Each query has five expressions and a WHERE that keeps about half of the rows.

    python -m benchmarks.sql
"""

import time

import numpy as np
import pyarrow as pa

from headrace.rows import TARGET_ROWS, Batch, TableSchema
from headrace.testing import make, task
from headrace.transforms.sql import SqlTransform

QUERIES = {
    "numbers": "select a + b as s, a * 2 as m, x * y as p, x / y as q, a - 7 as d from t where a > 500000",
    "numbers, whole rows": "select a, b, x, y, a + b as s from t where x > 0.5 and b < 900000",
    "rounding": "select round(x, 2) as r, abs(a) as n, floor(y) as f, mod(a, 10) as o, x * 2 as z from t where a > 0",
    "case": (
        "select case when a > 900000 then 'high' when a > 700000 then 'mid' else 'low' end as c, coalesce(b, a) as k,"
        " ifnull(x, 0.0) as i, a in (1, 2, 3) as w, b is null as u from t where a > 500000"
    ),
    "texts": (
        "select upper(name) as u, concat(name, '_', city) as c, substring(name, 1, 4) as s, length(city) as l,"
        " replace(city, 'a', 'b') as r from t where city like 'B%' or city = 'Paris'"
    ),
    "patterns": (
        "select regexp_replace(name, '[0-9]+', '#') as r, trim(city) as t, lpad(city, 10, '*') as p,"
        " left(name, 3) as l, locate('a', city) as f"
        " from t where regexp_like(name, '7')"
    ),
    "times": (
        "select year(ts) as y, date_trunc(ts, 'HOUR') as h, dateadd(ts, 1, 'DAY') as d, cast(ts as date) as c,"
        " formatdatetime(ts, 'yyyy-MM-dd HH:mm:ss') as f from t where hour(ts) < 12"
    ),
    "casts": (
        "select cast(a as string) as s, cast(x as int) as i, cast(a as decimal(12,2)) as d,"
        " cast(digits as bigint) as l, try_cast(digits as double) as f from t where a > 500000"
    ),
}


def rows() -> pa.RecordBatch:
    """Numbers, texts of which some repeat, and times."""
    random = np.random.default_rng(1)
    cities = np.array(["Berlin", "Paris", "Bogota", "Lagos", "Osaka"])
    return pa.record_batch(
        {
            "a": pa.array(random.integers(0, 1_000_000, TARGET_ROWS), pa.int32()),
            "b": pa.array(random.integers(0, 1_000_000, TARGET_ROWS), mask=random.random(TARGET_ROWS) < 0.1),
            "x": pa.array(random.random(TARGET_ROWS)),
            "y": pa.array(random.random(TARGET_ROWS) + 1),
            "name": pa.array([f"customer {n}" for n in random.integers(0, 1_000_000, TARGET_ROWS)]),
            "city": pa.array(cities[random.integers(0, len(cities), TARGET_ROWS)]),
            "digits": pa.array([str(n) for n in random.integers(0, 1_000_000, TARGET_ROWS)]),
            "ts": pa.array(random.integers(0, 1_700_000_000_000_000, TARGET_ROWS), pa.timestamp("us")),
        }
    )


def seconds(query: str, table: TableSchema, batch: Batch) -> float:
    """For one batch: the best of several tries."""
    transform = make(SqlTransform, query=query)
    assert transform.tables([table])[0].names
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        transform.apply(batch, task())
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    pa.set_cpu_count(1)
    made = rows()
    batch, table = Batch(made, "db.t"), TableSchema.from_arrow(made.schema, "db.t")
    for name, query in QUERIES.items():
        print(f"{name:22} {TARGET_ROWS / seconds(query, table, batch) / 1e6:8.1f} million rows/s")


if __name__ == "__main__":
    main()
