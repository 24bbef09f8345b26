"""PostgreSQL as source and target beside other programs, whole processes in turn, each output compared with the table.

    python -m benchmarks.postgresql --peers DIRECTORY [--rows N] [--runs N] [--only parquet|copy|upsert]

A server of its own is started. connectorx, dlt, Sling and ingestr are installed into DIRECTORY, each in an environment
of its own; one that cannot be is an error. The ratios are those of the promises: rows per CPU-second of the program
(not of the server), or wall-clock time where the promise says so.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.measure import HEADRACE, PYTHON, Usage, in_turn
from tests.connectors import postgresql

PEERS = {
    "connectorx": ["connectorx", "pyarrow"],
    "dlt": ["dlt[parquet]", "sqlalchemy", "psycopg[binary]"],
    "sling": ["sling==1.4.11", "sling-linux-amd64==1.4.11"],
    "ingestr": ["ingestr==1.0.78"],
}
"""The newest versions of Sling and ingestr whose wheels hold the program; later ones fetch it from GitHub. For Parquet
Sling fetches another program all the same, so it is measured from table to table."""

CONNECTORX = """
import sys, connectorx, pyarrow.parquet as pq
url, target = sys.argv[1:]
stream = connectorx.read_sql(url, "SELECT * FROM orders", return_type="arrow_stream", batch_size=65536)
with pq.ParquetWriter(target, stream.schema) as writer:
    for batch in stream:
        writer.write_batch(batch)
"""

DLT = """
import sys, dlt
from dlt.sources.sql_database import sql_table
url, folder = sys.argv[1:]
rows = sql_table(credentials=url, schema="public", table="orders", backend="pyarrow", chunk_size=65536)
target = dlt.destinations.filesystem(f"file://{folder}/dlt-out")
pipeline = dlt.pipeline("peers", pipelines_dir=f"{folder}/dlt-home", destination=target, dataset_name="main")
pipeline.run(rows, write_disposition="replace", loader_file_format="parquet")
"""

BY_HAND = """
import sys, psycopg
with psycopg.connect(sys.argv[1]) as source, psycopg.connect(sys.argv[1]) as target:
    target.execute("CREATE TEMP TABLE rows (LIKE orders) ON COMMIT DROP")
    read, write = "COPY changes TO STDOUT (FORMAT binary)", "COPY rows FROM STDIN (FORMAT binary)"
    with source.cursor() as a, target.cursor() as b, a.copy(read) as out, b.copy(write) as to:
        for data in out:
            to.write(data)
    columns = ["name", "price", "amount", "born", "seen", "paid", "note"]
    changes = ", ".join(f"{c} = excluded.{c}" for c in columns)
    target.execute(f"INSERT INTO theirs SELECT * FROM rows ON CONFLICT (id) DO UPDATE SET {changes}")
"""

TABLE = """
CREATE TABLE orders (id bigint PRIMARY KEY, name text, price numeric(12, 2), amount double precision, born date,
  seen timestamp, paid boolean, note text);
INSERT INTO orders SELECT i, 'customer ' || i % 100000, (i % 999999) / 100.0, i / 7.0, date '2000-01-01' + i % 9000,
  timestamp '2020-01-01' + i * interval '1 second', i % 3 = 0, CASE WHEN i % 10 > 0 THEN repeat(md5(i::text), 2) END
  FROM generate_series(1, {rows}) i;
ANALYZE orders;
CREATE TABLE changes AS SELECT * FROM orders;
UPDATE changes SET id = id + {rows} / 2, name = 'changed';
"""

SUM = "SELECT count(*), count(DISTINCT id), sum(id), sum(price), sum(hashtext(orders::text)) FROM {table} AS orders"


def installed(name: str, folder: Path) -> Path:
    """The programs of a peer's environment, which is made where it is missing. Raises CalledProcessError."""
    place = folder / name
    if not (place / "done").exists():
        subprocess.run([PYTHON, "-m", "venv", place], check=True)
        subprocess.run([place / "bin" / "pip", "install", "--quiet", *PEERS[name]], check=True)
        (place / "done").touch()
    return place / "bin"


class Bench:
    """A server with its tables, and a directory for what comes out."""

    def __init__(self, server: postgresql.Server, folder: Path, given: argparse.Namespace) -> None:
        self.server, self.folder, self.rows, self.runs = server, folder, given.rows, given.runs
        self.peers = Path(given.peers).absolute()
        self.peers.mkdir(parents=True, exist_ok=True)
        self.url = f"postgresql://tester@127.0.0.1:{server.port}/postgres"
        self.query(TABLE.format(rows=self.rows))

    def query(self, sql: str) -> list[tuple]:
        """What a statement finds; several are separated by `;`."""
        with psycopg.connect(self.server.conninfo(), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def script(self, name: str, text: str) -> Path:
        """A program of a peer."""
        place = self.folder / name
        place.write_text(text)
        return place

    def compare(self, commands: dict[str, list[str]], check: Callable[[str], None]) -> dict[str, Usage]:
        """Run all in turn, then compare what each has made."""
        found = in_turn({name: list(map(str, command)) for name, command in commands.items()}, self.runs)
        for name in commands:
            check(name)
        return found


def table_of(rows: int, found: dict[str, Usage]) -> None:
    """What each took."""
    for name, usage in found.items():
        print(
            f"  {name:<22} {rows / usage.wall / 1e3:8.0f} k rows/s   {rows / usage.cpu / 1e3:8.0f} k rows/CPU-s   "
            f"{usage.wall:6.2f} s   {usage.peak:6.0f} MiB"
        )


def promise(text: str, ratio: float, least: float) -> None:
    """A ratio beside what is promised."""
    print(f"  {'kept' if ratio >= least else 'MISSED':<6} {text}: x {ratio:.2f}, promised {least}")


def to_parquet(bench: Bench) -> None:
    """PostgreSQL → Parquet: rows per CPU-second."""
    folder, url = bench.folder, bench.url
    targets = {"Headrace": folder / "mine.parquet", "connectorx + pyarrow": folder / "cx.parquet",
               "dlt": folder / "dlt-out" / "main" / "orders"}  # fmt: skip
    connectorx = installed("connectorx", bench.peers) / "python"
    commands = {
        "Headrace": [*HEADRACE, "copy", f"{url}.orders", targets["Headrace"], "--mode", "replace", "--quiet"],
        "connectorx + pyarrow": [connectorx, bench.script("cx.py", CONNECTORX), url, targets["connectorx + pyarrow"]],
        "dlt": [installed("dlt", bench.peers) / "python", bench.script("dlt.py.txt", DLT), url, folder],
    }  # fmt: skip
    [(count, total)] = bench.query("SELECT count(*), sum(id) FROM orders")

    def check(name: str) -> None:
        ids = pq.read_table(targets[name], columns=["id"]).column("id")
        assert (len(ids), pc.sum(ids).as_py()) == (count, int(total)), f"{name}: {len(ids)} rows came out"

    found = bench.compare(commands, check)
    print(f"\nPostgreSQL → Parquet, {bench.rows:,} rows")
    table_of(bench.rows, found)
    mine = found["Headrace"]
    for name, least in (("connectorx + pyarrow", 1.2), ("dlt", 1.0)):
        promise(f"rows per CPU-second of {name}", found[name].cpu / mine.cpu, least)
    promise("memory, of 300 MiB", 300 / mine.peak, 1.0)


def to_postgresql(bench: Bench) -> None:
    """PostgreSQL → PostgreSQL: wall-clock rows."""
    url, psql = bench.url, bench.server.programs / "psql"
    ingestr = [installed("ingestr", bench.peers) / "ingestr", "ingest", "--source-uri", url, "--source-table"]
    pipe = f"{psql} -qd {url} -c 'COPY orders TO STDOUT (FORMAT binary)' | {psql} -qd {url} -c "
    again = f"{psql} -qd {url} -c 'DROP TABLE IF EXISTS piped' -c 'CREATE TABLE piped (LIKE orders INCLUDING ALL)' && "
    tables = {
        "Headrace": "public.mine",
        "ingestr": "public.ingested",
        "Sling": "public.slung",
        "COPY | COPY": "public.piped",
    }
    there = f"{url}?sslmode=disable"
    [program] = installed("sling", bench.peers).parent.glob("lib/python*/site-packages/sling_linux_amd64/bin/sling*")
    sling = [program, "run", "--src-conn", there, "--src-stream", "public.orders"]
    commands = {
        "Headrace": [*HEADRACE, "copy", f"{url}.orders", f"{url}.mine", "--mode", "replace", "--quiet"],
        "ingestr": [*ingestr, "public.orders", "--dest-uri", url, "--dest-table", "public.ingested", "--yes",
                    "--incremental-strategy", "replace", "--progress", "log"],
        "Sling": [*sling, "--tgt-conn", there, "--tgt-object", "public.slung", "--mode", "full-refresh"],
        "COPY | COPY": ["sh", "-c", f"{again}{pipe} 'COPY piped FROM STDIN (FORMAT binary)'"],
    }  # fmt: skip
    wanted = bench.query(SUM.format(table="orders"))

    def check(name: str) -> None:
        listed = "id, name, price::numeric(12, 2), amount, born, seen::timestamp, paid, note"
        made = bench.query(SUM.format(table=f"(SELECT {listed} FROM {tables[name]})"))
        assert made == wanted, f"{name}: {made} came out, not {wanted}"

    found = bench.compare(commands, check)
    print(f"\nPostgreSQL → PostgreSQL, {bench.rows:,} rows with a primary key")
    table_of(bench.rows, found)
    mine = found["Headrace"]
    promise("rows per second of ingestr", found["ingestr"].wall / mine.wall, 1.5)
    promise("rows per second of Sling", found["Sling"].wall / mine.wall, 1.0)
    promise("rows per second of a raw pipe", found["COPY | COPY"].wall / mine.wall, 0.5)
    promise("memory, of 300 MiB", 300 / mine.peak, 1.0)


def upsert(bench: Bench) -> None:
    """Upsert by key, half of the rows new: beside COPY into a temporary table and ON CONFLICT by hand."""
    url = bench.url
    for table in ("mine", "theirs"):
        bench.query(f"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (LIKE orders INCLUDING ALL)")
        bench.query(f"INSERT INTO {table} SELECT * FROM orders; ANALYZE {table}")
    commands = {
        "Headrace": [*HEADRACE, "copy", f"{url}.changes", f"{url}.mine", "--mode", "upsert", "--key", "id", "--quiet"],
        "by hand": [PYTHON, bench.script("hand.py", BY_HAND), bench.server.conninfo()],
    }

    def check(name: str) -> None:
        rows = bench.query(f"SELECT count(*), count(*) FILTER (WHERE name = 'changed') FROM {name_of[name]}")
        assert rows == [(bench.rows + bench.rows // 2, bench.rows)], f"{name}: {rows} came out"

    name_of = {"Headrace": "mine", "by hand": "theirs"}
    found = bench.compare(commands, check)
    print(f"\nUpsert of {bench.rows:,} rows")
    table_of(bench.rows, found)
    promise("rows per second of a statement by hand", found["by hand"].wall / found["Headrace"].wall, 0.8)
    promise("memory, of 300 MiB", 300 / found["Headrace"].peak, 1.0)


JOBS = {"parquet": to_parquet, "copy": to_postgresql, "upsert": upsert}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=JOBS)
    given = parser.parse_args()
    server = postgresql.new_server("15")
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(server, Path(folder), given)
            for name, job in JOBS.items():
                if given.only in (None, name):
                    job(bench)
    finally:
        postgresql.remove(server)


if __name__ == "__main__":
    main()
