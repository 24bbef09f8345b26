"""What a bare import costs: nothing that a program does not ask for."""

import subprocess
import sys

import pytest

HEAVY = ("pyarrow", "numpy", "pandas", "polars", "pydantic", "sqlalchemy", "sqlglot", "fastapi", "typer", "rich")


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import headrace", HEAVY),
        ("import headrace.cli.app", tuple(name for name in HEAVY if name not in ("typer", "rich"))),
    ],
)
def test_an_import_brings_no_heavy_module(statement, heavy):
    code = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert "headrace" in done.stdout.split()
    assert set(done.stdout.split()) & set(heavy) == set()


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
