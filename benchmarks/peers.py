"""Three jobs beside other programs, whole processes in turn: CSV → Parquet, CSV → SQLite, five rows.

`--sling PROGRAM`, `--ingestr PROGRAM` and `--dlt PYTHON` name those that are installed, each in an environment of its
own. `--rows N` (1,000,000), `--runs N` (3), `--only JOB`. ingestr writes no Parquet, and Sling fetches a program for it
from GitHub unless `--sling-parquet` says that it is there; dlt writes into DuckDB in the place of SQLite. The rows that
came out are counted.
"""

import argparse
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import duckdb
import pyarrow.dataset as ds

sys.path.insert(0, str(Path(__file__).parent))
from csv_to_parquet import write_input
from measure import HEADRACE, Usage, in_turn

DLT = """
import sys, dlt
from dlt.sources.filesystem import filesystem, read_csv_duckdb
source, target, folder = sys.argv[1:]
if target == "parquet":
    destination = dlt.destinations.filesystem(f"file://{folder}/dlt-out")
else:
    destination = dlt.destinations.duckdb(f"{folder}/dlt.duckdb")
folder_of, _, name = source.rpartition("/")
rows = filesystem(bucket_url=folder_of, file_glob=name) | read_csv_duckdb(use_pyarrow=True)
pipeline = dlt.pipeline("peers", pipelines_dir=f"{folder}/dlt-home", destination=destination, dataset_name="main")
pipeline.run(rows.with_name("orders"), write_disposition="replace", loader_file_format="parquet")
"""


def rows_in(place: Path) -> int:
    """Rows of a Parquet file, a directory of them, or of the table `orders` of a database."""
    if place.suffix == ".db":
        with sqlite3.connect(place) as database:
            return int(database.execute("select count(*) from orders").fetchone()[0])
    if place.suffix == ".duckdb":
        with duckdb.connect(str(place), read_only=True) as database:
            found = database.execute("select count(*) from main.orders").fetchone()
            return int(found[0]) if found else 0
    return int(ds.dataset(place, format="parquet").count_rows())


def shown(title: str, found: dict[str, Usage]) -> None:
    """Each beside Headrace: below 1 it needed less."""
    base = found["Headrace"]
    print(f"\n{title}")
    for name, usage in found.items():
        print(
            f"  {name:<22} {usage.wall:7.2f} s  x {usage.wall / base.wall:5.2f}   "
            f"{usage.cpu:7.2f} CPU-s  x {usage.cpu / base.cpu:5.2f}"
        )


def commands(given: argparse.Namespace, source: Path, folder: Path, to: str) -> dict[str, tuple[list[str], Path]]:
    """(command, where its rows are) of each program for one job."""
    is_parquet = to == "parquet"
    mine, other = folder / f"mine.{to}", folder / f"sling.{to}"
    target = str(mine) if is_parquet else f"sqlite:///{mine}"
    copy = ["copy", str(source), target, "--mode", "replace", "--quiet"] + ([] if is_parquet else ["--table", "orders"])
    found = {"Headrace": ([*HEADRACE, *copy], mine)}
    if given.sling and (given.sling_parquet or not is_parquet):
        there = (
            ["--tgt-object", f"file://{other}"]
            if is_parquet
            else ["--tgt-conn", f"sqlite://{other}", "--tgt-object", "main.orders"]
        )
        sling = [given.sling, "run", "--src-stream", f"file://{source}", *there, "--mode", "full-refresh"]
        found["Sling"] = (sling, other)
    if given.ingestr and not is_parquet:
        theirs = folder / "ingestr.db"
        ingest = [given.ingestr, "ingest", "--source-uri", f"csv://{source}", "--source-table", "orders", "--yes"]
        ingest += ["--dest-uri", f"sqlite:///{theirs}", "--dest-table", "main.orders", "--progress", "log"]
        found["ingestr"] = ([*ingest, "--incremental-strategy", "replace"], theirs)
    if given.dlt:
        script = folder / "with_dlt.py"
        script.write_text(DLT)
        place = folder / ("dlt-out/main/orders" if is_parquet else "dlt.duckdb")
        name = "dlt" if is_parquet else "dlt (DuckDB)"
        found[name] = ([given.dlt, str(script), str(source), to, str(folder)], place)
    return found


def compare(title: str, rows: int, given: argparse.Namespace, to: str) -> None:
    """One job, in a directory of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in" / "orders.csv"
        source.parent.mkdir()
        write_input(source, rows)
        jobs = commands(given, source, folder, to)
        found = in_turn({program: command for program, (command, _) in jobs.items()}, given.runs)
        shown(f"{title}, {rows:,} rows, {source.stat().st_size / 2**20:,.1f} MiB", found)
        for program, (_, place) in jobs.items():
            assert rows_in(place) == rows, f"{rows_in(place)} rows of {program} came out"
        shutil.rmtree(folder / "in")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    for program in ("sling", "ingestr", "dlt"):
        parser.add_argument(f"--{program}", default="")
    parser.add_argument("--sling-parquet", action="store_true")
    jobs = {
        "five": ("five rows, CSV → SQLite", 5, "db"),
        "parquet": ("CSV → Parquet", None, "parquet"),
        "sqlite": ("CSV → SQLite", None, "db"),
    }
    parser.add_argument("--only", choices=jobs)
    given = parser.parse_args()
    for name, (title, rows, to) in jobs.items():
        if given.only in (None, name):
            compare(title, rows or given.rows, given, to)


if __name__ == "__main__":
    main()
