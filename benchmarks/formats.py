"""Files → files, 8 columns, by `headrace run` beside pyarrow, DuckDB and polars; the outputs are compared.

`--rows N` (1,000,000), `--runs N` (3), `--cores 1 2`, `--ways csv:parquet parquet:text …` for some of them.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
from csv_to_parquet import COLUMNS, write_input
from measure import HEADRACE, PYTHON, in_turn, measure, report

WAYS = (
    "csv:parquet",
    "csv:csv",
    "parquet:text",
    "parquet:csv",
    "json:parquet",
    "parquet:json",
    "parquet:parquet",
)
TEXT_DELIMITER = "\x01"
SCHEMA = """schema { fields { id = bigint, at = timestamp, name = string, city = string, price = "decimal(12, 2)",
  amount = int, paid = boolean, score = double } }"""
JOB = """
env {{ job.mode = BATCH }}
source {{ LocalFile {{ path = "{source}", file_format_type = {read} {options} }} }}
sink {{ LocalFile {{ path = "{target}", tmp_path = "{target}.tmp", file_format_type = {written}, batch_size = 100000000
  data_save_mode = DROP_DATA }} }}
"""


def job(read: str, written: str, source: Path, target: Path) -> str:
    """The job file of a way."""
    options = {"csv": f", skip_header_row_number = 1, {SCHEMA}", "json": f", {SCHEMA}"}.get(read, "")
    return JOB.format(source=source, target=target, read=read, written=written, options=options)


def arrow_batches(form: str, source: str) -> Iterator[pa.RecordBatch]:
    """The rows of a file, streamed."""
    if form == "parquet":
        yield from pq.ParquetFile(source).iter_batches(65_536)
    elif form == "json":
        parse = pajson.ParseOptions(explicit_schema=pa.schema(COLUMNS))
        yield from pajson.open_json(source, parse_options=parse)
    else:
        convert = pacsv.ConvertOptions(column_types=COLUMNS, strings_can_be_null=True)
        yield from pacsv.open_csv(source, convert_options=convert)


def by_pyarrow(read: str, written: str, source: str, target: str) -> None:
    """What someone would write with pyarrow alone."""
    if written == "parquet":
        with pq.ParquetWriter(target, pa.schema(COLUMNS)) as writer:
            for batch in arrow_batches(read, source):
                writer.write_batch(batch)
        return
    is_csv = written == "csv"
    options = pacsv.WriteOptions(
        include_header=is_csv,
        delimiter="," if is_csv else TEXT_DELIMITER,
        quoting_style="needed" if is_csv else "none",
    )
    with pacsv.CSVWriter(target, pa.schema(COLUMNS), write_options=options) as writer:
        for batch in arrow_batches(read, source):
            writer.write_batch(batch)


def by_duckdb(read: str, written: str, source: str, target: str) -> None:
    """One COPY."""
    import duckdb

    names = {"int64": "BIGINT", "timestamp[us]": "TIMESTAMP", "string": "VARCHAR", "decimal128(12, 2)": "DECIMAL(12,2)",
             "int32": "INTEGER", "bool": "BOOLEAN", "double": "DOUBLE"}  # fmt: skip
    columns = "{" + ", ".join(f"'{name}': '{names[str(kind)]}'" for name, kind in COLUMNS.items()) + "}"
    rows = {
        "csv": f"read_csv('{source}', header = true, columns = {columns})",
        "json": f"read_json('{source}', format = 'newline_delimited', columns = {columns})",
        "parquet": f"'{source}'",
    }[read]
    how = {
        "csv": "FORMAT csv, HEADER",
        "text": f"FORMAT csv, HEADER false, DELIMITER '{TEXT_DELIMITER}', QUOTE ''",
        "json": "FORMAT json",
        "parquet": "FORMAT parquet",
    }[written]
    connection = duckdb.connect()
    connection.execute(f"SET threads = {len(os.sched_getaffinity(0))}")
    connection.execute(f"COPY (SELECT * FROM {rows}) TO '{target}' ({how})")


def by_polars(read: str, written: str, source: str, target: str) -> None:
    """A scan into a sink."""
    import polars as pl

    schema: Any = {name: pl.from_arrow(pa.array([], kind)).dtype for name, kind in COLUMNS.items()}
    rows = {
        "csv": lambda: pl.scan_csv(source, schema=schema),
        "json": lambda: _typed(pl.scan_ndjson(source, schema=schema | {"at": pl.String, "price": pl.Float64})),
        "parquet": lambda: pl.scan_parquet(source),
    }[read]()
    write: Callable[[], Any] = {
        "csv": lambda: rows.sink_csv(target),
        "text": lambda: rows.sink_csv(target, separator=TEXT_DELIMITER, include_header=False, quote_style="never"),
        "json": lambda: rows.sink_ndjson(target),
        "parquet": lambda: rows.sink_parquet(target),
    }[written]
    write()


def _typed(rows: Any) -> Any:
    """With the types that polars does not read from JSON."""
    import polars as pl

    return rows.with_columns(pl.col("at").str.to_datetime(time_unit="us"), pl.col("price").cast(pl.Decimal(12, 2)))


PEERS = {"pyarrow": by_pyarrow, "duckdb": by_duckdb, "polars": by_polars}


def peers_of(read: str, written: str) -> list[str]:
    """Those that know the way."""
    return [name for name in PEERS if not (name == "pyarrow" and written == "json")]


def table_of(files: Sequence[Path], form: str) -> pa.Table:
    """What files hold, as the benchmark's columns, in the order of their ids."""
    tables = []
    for file in files:
        if form == "parquet":
            tables.append(pq.read_table(file).select(list(COLUMNS)).cast(pa.schema(COLUMNS)))
        elif form == "json":
            tables.append(pajson.read_json(file, parse_options=pajson.ParseOptions(pa.schema(COLUMNS))))
        else:
            with file.open("rb") as stream:
                has_header = stream.read(4).strip(b'"').startswith(b"id")
            tables.append(
                pacsv.read_csv(
                    file,
                    pacsv.ReadOptions(column_names=list(COLUMNS), skip_rows=int(has_header)),
                    pacsv.ParseOptions(delimiter="," if form == "csv" else TEXT_DELIMITER),
                    pacsv.ConvertOptions(column_types=COLUMNS),
                )
            )
    return pa.concat_tables(tables).sort_by("id")


def verify(form: str, target: str, original: str) -> None:
    """Raises AssertionError where what was written are not the rows that were there."""
    place = Path(target)
    files = sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]
    found, wanted = table_of(files, form), pq.read_table(original)
    for name in COLUMNS:
        assert found.column(name).equals(wanted.column(name)), f"{target}: column {name} came out otherwise"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--peer", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--verify", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--input", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        PEERS[given.peer[0]](*given.peer[1:])
    elif given.verify:
        verify(*given.verify)
    elif given.input:
        make_inputs(Path(given.input[0]), int(given.input[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure([PYTHON, __file__, "--input", folder, str(given.rows)])
            for way in given.ways:
                compare(Path(folder), way, given)


def make_inputs(folder: Path, rows: int) -> None:
    """The same rows in each format."""
    write_input(folder / "in.csv", rows)
    pq.write_table(pa.Table.from_batches(arrow_batches("csv", str(folder / "in.csv"))), folder / "in.parquet")
    by_duckdb("parquet", "json", str(folder / "in.parquet"), str(folder / "in.json"))


def compare(folder: Path, way: str, given: argparse.Namespace) -> None:
    """One way, on so many cores each."""
    read, written = way.split(":")
    source, conf = folder / f"in.{read}", folder / "job.conf"
    conf.write_text(job(read, written, source, folder / "headrace"))
    commands = {"headrace run": [*HEADRACE, "run", "--quiet", "--home", str(folder / "home"), str(conf)]}
    for peer in peers_of(read, written):
        commands[peer] = [PYTHON, __file__, "--peer", peer, read, written, str(source), str(folder / peer)]
    for cores in given.cores:
        pinned = {name: ["taskset", "-c", f"0-{cores - 1}", *command] for name, command in commands.items()}
        found = in_turn(pinned, given.runs)
        best = min(found, key=lambda name: found[name].cpu if name != "headrace run" else sys.maxsize)
        report(f"{read} → {written}, {given.rows:,} rows, {cores} core{'s' * (cores > 1)}", given.rows, found, best)
        for name in commands:
            target = folder / name.replace(" run", "")
            measure([PYTHON, __file__, "--verify", written, str(target), str(folder / "in.parquet")])
    for name in commands:
        target = folder / name.replace(" run", "")
        shutil.rmtree(target) if target.is_dir() else target.unlink()


if __name__ == "__main__":
    main()
