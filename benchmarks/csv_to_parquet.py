"""CSV → Parquet, 8 columns: `headrace run` beside plain streaming pyarrow. `--rows N` (4,000,000), `--runs N` (3)."""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
from measure import HEADRACE, PYTHON, in_turn, report

COLUMNS = {
    "id": pa.int64(),
    "at": pa.timestamp("us"),
    "name": pa.string(),
    "city": pa.string(),
    "price": pa.decimal128(12, 2),
    "amount": pa.int32(),
    "paid": pa.bool_(),
    "score": pa.float64(),
}
JOB = """
env {{ job.mode = BATCH }}
source {{ LocalFile {{ path = "{source}", file_format_type = csv, skip_header_row_number = 1, schema {{ fields {{
  id = bigint, at = timestamp, name = string, city = string, price = "decimal(12, 2)", amount = int, paid = boolean,
  score = double }} }} }} }}
sink {{ LocalFile {{ path = "{target}", tmp_path = "{target}.tmp", file_format_type = parquet, batch_size = 100000000,
  data_save_mode = DROP_DATA }} }}
"""


def write_input(path: Path, rows: int) -> None:
    """Made-up rows, the same for the same number."""
    random = np.random.default_rng(1)
    cities = pa.array(["Berlin", "São Paulo", "東京", "New York", "Lagos", "Reykjavík"])
    with pacsv.CSVWriter(path, pa.schema(COLUMNS), write_options=pacsv.WriteOptions(quoting_style="none")) as writer:
        for start in range(0, rows, 200_000):
            n = min(200_000, rows - start)
            score = pa.array(random.normal(size=n), mask=random.random(n) < 0.1)
            columns = [
                pa.array(np.arange(start, start + n)),
                pa.array(random.integers(1_600_000_000, 1_700_000_000, n) * 1_000_000).view(pa.timestamp("us")),
                pc.binary_join_element_wise("customer", pa.array(random.integers(0, 10**9, n)).cast(pa.string()), "-"),
                cities.take(pa.array(random.integers(0, 6, n))),
                pa.array(random.integers(0, 10**9, n)).cast(pa.decimal128(21, 2)).cast(pa.decimal128(12, 2)),
                pa.array(random.integers(0, 100, n).astype(np.int32)),
                pa.array(random.random(n) < 0.5),
                score,
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=pa.schema(COLUMNS)))


def plain(source: str, target: str) -> None:
    """What someone would write with pyarrow alone."""
    options = pacsv.ConvertOptions(column_types=COLUMNS, strings_can_be_null=True)
    with pacsv.open_csv(source, convert_options=options) as reader, pq.ParquetWriter(target, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--plain", nargs=2)
    given = parser.parse_args()
    if given.plain:
        plain(*given.plain)
        return
    with tempfile.TemporaryDirectory() as folder:
        source, target, job = Path(folder, "in.csv"), Path(folder, "out"), Path(folder, "job.conf")
        write_input(source, given.rows)
        job.write_text(JOB.format(source=source, target=target))
        found = in_turn(
            {
                "pyarrow, plain": [PYTHON, __file__, "--plain", str(source), f"{target}.parquet"],
                "headrace run": [*HEADRACE, "run", "--quiet", "--home", f"{folder}/home", str(job)],
            },
            given.runs,
        )
        size = source.stat().st_size / 2**20
        report(f"CSV → Parquet, {given.rows:,} rows, {size:,.0f} MiB", given.rows, found, "pyarrow, plain")
        rows = sum(pq.read_metadata(file).num_rows for file in target.rglob("*.parquet"))
        assert rows == given.rows, f"{rows} rows came out"


if __name__ == "__main__":
    main()
