"""MySQL as source and target beside other programs, whole processes in turn, each output compared with the table.

    python -m benchmarks.mysql --peers DIRECTORY [--rows N] [--runs N] [--only postgresql|parquet|csv|upsert]

Servers of its own are started: MariaDB, and PostgreSQL as a target. The programs are those of `benchmarks.postgresql`,
and installed as there.
"""

import argparse
import csv
import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pymysql
import pymysql.cursors

from benchmarks.measure import HEADRACE, PYTHON, Usage, in_turn
from benchmarks.postgresql import installed, promise, table_of
from tests.connectors import mysql, postgresql

TABLE = """
CREATE TABLE orders (id bigint PRIMARY KEY, name varchar(40), price decimal(12, 2), amount double, born date,
  seen datetime, paid tinyint(1), note varchar(80));
INSERT INTO orders SELECT seq, concat('customer ', seq % 100000), (seq % 999999) / 100.0, seq / 7e0,
  date '2000-01-01' + interval seq % 9000 day, timestamp '2020-01-01 00:00:00' + interval seq second, seq % 3 = 0,
  CASE WHEN seq % 10 > 0 THEN repeat(md5(seq), 2) END FROM seq_1_to_{rows};
ANALYZE TABLE orders;
CREATE TABLE changes LIKE orders;
INSERT INTO changes SELECT id + {rows} DIV 2, 'changed', price, amount, born, seen, paid, note FROM orders
"""

SUM = """
SELECT count(*), count(DISTINCT id), sum(id), sum(price), sum(length(name)), sum(coalesce(length(note), 0)),
  min(seen), max(seen), sum(paid) FROM {table}
"""

CONNECTORX = """
import sys, connectorx, pyarrow.parquet as pq
url, target = sys.argv[1:]
stream = connectorx.read_sql(url, "SELECT * FROM orders", return_type="arrow_stream", batch_size=65536)
with pq.ParquetWriter(target, stream.schema) as writer:
    for batch in stream:
        writer.write_batch(batch)
"""

BY_HAND = """
import sys, pymysql
port, table, file = int(sys.argv[1]), sys.argv[2], sys.argv[3]
connection = pymysql.connect(host="127.0.0.1", port=port, user="tester", database="shop", local_infile=True)
with connection.cursor() as cursor:
    if sys.argv[4] == "load":
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(f"CREATE TABLE {table} LIKE orders")
    else:
        cursor.execute("CREATE TEMPORARY TABLE given LIKE orders")
    into = table if sys.argv[4] == "load" else "given"
    cursor.execute(
        f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {into} CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' "
        "OPTIONALLY ENCLOSED BY '\\"' IGNORE 1 LINES (id, name, price, amount, born, seen, paid, @note) "
        "SET note = NULLIF(@note, '')"
    )
    if sys.argv[4] != "load":
        columns = ["name", "price", "amount", "born", "seen", "paid", "note"]
        changes = ", ".join(f"{c} = VALUES({c})" for c in columns)
        cursor.execute(f"INSERT INTO {table} SELECT * FROM given ON DUPLICATE KEY UPDATE {changes}")
connection.commit()
"""

CSV_JOB = """
env {{ job.mode = BATCH, parallelism = 1 }}
source {{ LocalFile {{ path = "{file}", file_format_type = csv, skip_header_row_number = 1, null_format = ""
  schema {{ fields {{ id = bigint, name = string, price = "decimal(12, 2)", amount = double, born = date,
    seen = timestamp, paid = tinyint, note = string }} }} }} }}
sink {{ Jdbc {{ url = "{url}", user = tester, table = "{table}", generate_sink_sql = true, primary_keys = [id] }} }}
"""


class Bench:
    """The servers with their tables, and a directory for what comes out."""

    def __init__(
        self, server: mysql.Server, target: postgresql.Server, folder: Path, given: argparse.Namespace
    ) -> None:
        self.server, self.target, self.folder, self.rows, self.runs = server, target, folder, given.rows, given.runs
        self.peers = Path(given.peers).absolute()
        self.peers.mkdir(parents=True, exist_ok=True)
        self.url = f"mysql://tester@127.0.0.1:{server.port}/shop"
        self.target_url = f"postgresql://tester@127.0.0.1:{target.port}/postgres"
        server.query("CREATE DATABASE shop CHARACTER SET utf8mb4")
        for statement in TABLE.format(rows=self.rows).split(";"):
            server.query(statement, database="shop")

    def found(self, table: str) -> list[tuple]:
        """What a table of MySQL holds, as sums."""
        return self.server.query(SUM.format(table=table), database="shop")

    def script(self, name: str, text: str) -> Path:
        """A program."""
        place = self.folder / name
        place.write_text(text)
        return place

    def written(self, table: str) -> Path:
        """The rows of a table as a csv file, row by row: a program's peak begins with that of who starts it."""
        place = self.folder / f"{table}.csv"
        columns = ["id", "name", "price", "amount", "born", "seen", "paid", "note"]
        connection = self.server.connect("shop", cursorclass=pymysql.cursors.SSCursor)
        with connection.cursor() as cursor, place.open("w", newline="") as file:
            cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(cursor)
        connection.close()
        return place

    def compare(self, commands: dict[str, list[str]], check: Callable[[str], None]) -> dict[str, Usage]:
        """Run all in turn, then compare what each has made."""
        found = in_turn({name: list(map(str, command)) for name, command in commands.items()}, self.runs)
        for name in commands:
            check(name)
        return found


def to_postgresql(bench: Bench) -> None:
    """MySQL → PostgreSQL: wall-clock rows."""
    ingestr = [installed("ingestr", bench.peers) / "ingestr", "ingest", "--source-uri", bench.url, "--source-table"]
    tables = {"Headrace": "public.mine", "ingestr": "public.ingested"}
    commands = {
        "Headrace": [*HEADRACE, "copy", f"{bench.url}.orders", f"{bench.target_url}.mine", "--mode", "replace",
                     "--quiet"],
        "ingestr": [*ingestr, "shop.orders", "--dest-uri", bench.target_url, "--dest-table", "public.ingested", "--yes",
                    "--incremental-strategy", "replace", "--progress", "log"],
    }  # fmt: skip
    [wanted] = bench.found("orders")

    def check(name: str) -> None:
        listed = "id, name, price::numeric(12, 2), seen::timestamp, paid::int, note"
        sums = SUM.format(table=f"(SELECT {listed} FROM {tables[name]}) AS t")
        with psycopg.connect(bench.target.conninfo()) as connection:
            made = connection.execute(sums).fetchone()
        assert made is not None
        assert list(map(str, made)) == list(map(str, wanted)), f"{name}: {made} came out, not {wanted}"

    found = bench.compare(commands, check)
    print(f"\nMySQL → PostgreSQL, {bench.rows:,} rows with a primary key")
    table_of(bench.rows, found)
    promise("rows per second of ingestr", found["ingestr"].wall / found["Headrace"].wall, 1.0)
    promise("memory, of 300 MiB", 300 / found["Headrace"].peak, 1.0)


def to_parquet(bench: Bench) -> None:
    """MySQL → Parquet: rows per CPU-second."""
    targets = {"Headrace": bench.folder / "mine.parquet", "connectorx + pyarrow": bench.folder / "cx.parquet"}
    python, theirs = installed("connectorx", bench.peers) / "python", bench.script("cx.py", CONNECTORX)
    commands = {
        "Headrace": [*HEADRACE, "copy", f"{bench.url}.orders", targets["Headrace"], "--mode", "replace", "--quiet"],
        "connectorx + pyarrow": [python, theirs, bench.url, targets["connectorx + pyarrow"]],
    }
    [(count, _, total, *_)] = bench.found("orders")

    def check(name: str) -> None:
        ids = pq.read_table(targets[name], columns=["id"]).column("id")
        assert (len(ids), pc.sum(ids).as_py()) == (count, int(total)), f"{name}: {len(ids)} rows came out"

    found = bench.compare(commands, check)
    print(f"\nMySQL → Parquet, {bench.rows:,} rows")
    table_of(bench.rows, found)
    ratio = found["connectorx + pyarrow"].cpu / found["Headrace"].cpu
    print(f"         rows per CPU-second of connectorx + pyarrow: x {ratio:.2f}")
    promise("memory, of 300 MiB", 300 / found["Headrace"].peak, 1.0)


def from_csv(bench: Bench) -> None:
    """CSV → MySQL: beside LOAD DATA by hand, and beside INSERT where the server takes no LOAD DATA."""
    file, port = bench.written("orders"), bench.server.port
    job = bench.script("csv.conf", CSV_JOB.format(file=file, url=bench.server.url("shop"), table="mine"))
    client = f'mariadb -h 127.0.0.1 -P {port} -u tester -e "$1" shop'
    run = bench.script("run.sh", f"{client} && exec {PYTHON} -m headrace run {job} --quiet --home {bench.folder}/home")
    begin = "DROP TABLE IF EXISTS mine; CREATE TABLE mine LIKE orders; SET GLOBAL local_infile = "
    commands = {
        "Headrace": ["sh", run, f"{begin} ON"],
        "LOAD DATA by hand": [PYTHON, bench.script("hand.py", BY_HAND), port, "theirs", file, "load"],
        "Headrace by INSERT": ["sh", run, f"{begin} OFF"],
    }
    tables = {"Headrace": "mine", "LOAD DATA by hand": "theirs", "Headrace by INSERT": "mine"}
    wanted = bench.found("orders")

    def check(name: str) -> None:
        assert bench.found(tables[name]) == wanted, f"{name}: {bench.found(tables[name])} came out, not {wanted}"

    try:
        bench.server.query("SET GLOBAL local_infile = ON")
        found = bench.compare({name: commands[name] for name in list(commands)[:2]}, check)
        found |= bench.compare({name: commands[name] for name in list(commands)[2:]}, check)
    finally:
        bench.server.query("SET GLOBAL local_infile = ON")
    print(f"\nCSV → MySQL, {bench.rows:,} rows with a primary key")
    table_of(bench.rows, found)
    for name in list(commands)[1:]:
        print(f"         rows per second of {name}: x {found[name].wall / found['Headrace'].wall:.2f}")


def upsert(bench: Bench) -> None:
    """Upsert by key, half of the rows new: beside LOAD DATA into a temporary table and ON DUPLICATE KEY by hand."""
    file, port = bench.written("changes"), bench.server.port
    for table in ("mine", "theirs"):
        bench.server.query(f"DROP TABLE IF EXISTS {table}", database="shop")
        bench.server.query(f"CREATE TABLE {table} LIKE orders", database="shop")
        bench.server.query(f"INSERT INTO {table} SELECT * FROM orders", database="shop")
    mine = [
        *HEADRACE,
        "copy",
        f"{bench.url}.changes",
        f"{bench.url}.mine",
        "--mode",
        "upsert",
        "--key",
        "id",
        "--quiet",
    ]
    commands = {
        "Headrace": mine,
        "by hand": [PYTHON, bench.script("hand.py", BY_HAND), port, "theirs", file, "upsert"],
    }
    tables = {"Headrace": "mine", "by hand": "theirs"}

    def check(name: str) -> None:
        sql = f"SELECT count(*), sum(name = 'changed') FROM {tables[name]}"
        rows = bench.server.query(sql, database="shop")
        assert rows == [(bench.rows + bench.rows // 2, bench.rows)], f"{name}: {rows} came out"

    found = bench.compare(commands, check)
    print(f"\nUpsert of {bench.rows:,} rows, MySQL → MySQL; by hand from a file")
    table_of(bench.rows, found)
    print(f"         rows per second of statements by hand: x {found['by hand'].wall / found['Headrace'].wall:.2f}")


JOBS = {"postgresql": to_postgresql, "parquet": to_parquet, "csv": from_csv, "upsert": upsert}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=JOBS)
    given = parser.parse_args()
    server, target = mysql.new_server(), postgresql.new_server("15")
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(server, target, Path(folder), given)
            for name, job in JOBS.items():
                if given.only in (None, name):
                    job(bench)
    finally:
        mysql.remove(server)
        postgresql.remove(target)


if __name__ == "__main__":
    main()
