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
