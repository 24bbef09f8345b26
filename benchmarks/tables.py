"""Many small tables in one job: 1,000 tables of 100 rows beside 100 tables, into files and into SQLite, by one task."""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from measure import HEADRACE, measure

TABLE = '{{ row.num = {rows}, schema {{ table = "db.t{number:04}", fields {{ id = bigint, name = string }} }} }}'
FILES = 'LocalFile {{ path = "{folder}/out/${{table_name}}", tmp_path = "{folder}/tmp", file_format_type = parquet }}'
SQLITE = (
    'Jdbc {{ url = "jdbc:sqlite:{folder}/t.db", driver = "org.sqlite.JDBC", generate_sink_sql = true, '
    'database = main, table = "${{table_name}}" }}'
)
COUNTING = "Console {{ log.print.data = false }}"


def job(folder: Path, tables: int, rows: int, sink: str) -> Path:
    """The job file."""
    configs = ",\n".join(TABLE.format(rows=rows, number=number) for number in range(tables))
    file = folder / "job.conf"
    sink = sink.format(folder=folder)
    file.write_text(f"source {{ FakeSource {{ tables_configs = [\n{configs}\n] }} }}\nsink {{ {sink} }}\n")
    return file


def main() -> None:
    """Print seconds, memory and rows, each beside those of a tenth of the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=100, help="rows of each table")
    options = parser.parse_args()
    for name, sink in (("nowhere", COUNTING), ("Parquet files", FILES), ("SQLite", SQLITE)):
        found = {}
        for tables in (options.tables // 10, options.tables):
            with tempfile.TemporaryDirectory() as text:
                folder = Path(text)
                file = job(folder, tables, options.rows, sink)
                found[tables] = measure([*HEADRACE, "run", "-q", "--home", f"{folder}/home", str(file)])
        few, many = found.values()
        rows = options.tables * options.rows
        print(
            f"{name:<14} {options.tables} tables: {many.wall:6.2f} s, {many.cpu:6.2f} s CPU, {many.peak:5.0f} MiB "
            f"({many.peak / few.peak:.2f} x that of {options.tables // 10}); "
            f"{(many.cpu - few.cpu) / (options.tables * 0.9) * 1000:.2f} ms CPU for each table more, "
            f"{rows / many.wall / 1000:,.0f} k rows/s"
        )


if __name__ == "__main__":
    main()
