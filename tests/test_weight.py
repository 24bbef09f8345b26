"""What a start and an install cost: nothing that is not asked for. benchmarks/start.py measures both."""

import subprocess
import sys

import pytest

from benchmarks.start import installed
from tests.test_dependencies import PROJECT, modules

HEAVY = ("pyarrow", "numpy", "pandas", "polars", "pydantic", "sqlalchemy", "sqlglot", "fastapi", "typer", "rich")
FOR_COMMANDS = tuple(name for name in HEAVY if name not in ("typer", "rich"))

BASE = {
    "cryptography", "fastapi", "numpy", "orjson", "prometheus_client", "psutil", "pyarrow", "pydantic", "yaml", "rich",
    "sqlalchemy", "sqlglot", "typer", "uvicorn",
}  # fmt: skip
"""What everybody gets; everything else is an extra of those who need it."""

MOST_BYTES = 330_000_000


def imported(code, *arguments):
    """The modules that a program has imported at its end."""
    tail = "import atexit, sys; atexit.register(lambda: print('modules:', *sys.modules)); "
    command = [sys.executable, "-c", tail + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.rpartition("modules:")[2].split())


@pytest.mark.parametrize(
    ("code", "arguments", "heavy"),
    [
        ("import headrace", (), HEAVY),
        ("import headrace.cli.app", (), FOR_COMMANDS),
        ("from headrace.cli import main; main()", ("--help",), FOR_COMMANDS),
        ("from headrace.cli import main; main()", ("run", "--help"), ("pyarrow", "numpy", "sqlalchemy", "fastapi")),
        ("from headrace.cli import main; main()", ("version",), ("pyarrow", "numpy", "sqlalchemy", "fastapi")),
    ],
)
def test_a_start_imports_no_heavy_module(code, arguments, heavy):
    found = imported(code, *arguments)
    assert "headrace" in found
    assert found & set(heavy) == set()


def test_a_job_imports_neither_the_server_nor_other_engines(tmp_path):
    job = tmp_path / "job.conf"
    job.write_text("source { FakeSource { row.num = 5, schema { fields { a = int } } } }\nsink { Console {} }")
    code = "from headrace.cli import main; main()"
    found = imported(code, "run", "-q", "--runner", "embedded", "--home", str(tmp_path / "home"), str(job))
    assert "headrace.cli.run" in found
    assert found & {"fastapi", "starlette", "uvicorn", "polars", "pandas", "duckdb", "botocore", "psycopg"} == set()


def test_the_list_of_commands_is_told_without_making_their_options():
    found = subprocess.run([sys.executable, "-m", "headrace", "-h"], capture_output=True, text=True, check=True).stdout
    whole = subprocess.run(
        [sys.executable, "-c", "from headrace.cli.app import app; app(['--help'], prog_name='headrace')"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found == whole
    assert "  bad          List, show, discard" in found


def test_an_install_is_light():
    assert modules(PROJECT["dependencies"]) == BASE
    sizes = installed()
    assert {"pyarrow", "numpy"} <= set(sizes)
    assert {"polars", "pandas", "duckdb", "structlog"} & set(sizes) == set()
    assert sum(sizes.values()) < MOST_BYTES


@pytest.mark.parametrize(
    ("form", "wanted", "others"),
    [
        ("csv", "delimited", ("excel", "json_lines", "orc", "xml")),
        ("parquet", "parquet", ("avro", "excel", "json_lines", "orc", "xml")),
    ],
)
def test_a_job_brings_only_the_plugins_and_formats_that_it_names(tmp_path, form, wanted, others):
    job = tmp_path / "job.conf"
    job.write_text(f"""
        source {{ FakeSource {{ row.num = 5, schema {{ fields {{ id = bigint }} }} }} }}
        sink {{ LocalFile {{ path = "{tmp_path}/out", file_format_type = {form} }} }}""")
    code = f"import sys; from headrace import run\nassert run({str(job)!r}).rows_read == 5\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    ours = {name.removeprefix("headrace.") for name in done.stdout.split() if name.startswith("headrace.")}
    assert {"connectors.fake_source", "connectors.local_file", f"formats.{wanted}"} <= ours
    assert [name for name in ours if name.startswith("transforms.")] == []
    assert ours & {"connectors.s3_file", "connectors.jdbc", *(f"formats.{name}" for name in others)} == set()
