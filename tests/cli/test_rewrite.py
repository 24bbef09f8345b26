"""fmt, encrypt and decrypt as a user calls them."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from headrace.cli.app import app

JOB = """# why
env { shade.identifier = base64 }
source { FakeSource { row.num = 2, password = secret, schema { fields { n = int } } } } # who
sink { Console {} }
"""
PRINTED = """# why
env {
  shade.identifier = "base64"
}

source {
  FakeSource {
    row.num = 2
    password = "secret"
    schema {
      fields {
        n = "int"
      }
    }
  }
}  # who

sink {
  Console {}
}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "job.conf").write_text(JOB)
    return tmp_path / "job.conf"


def headrace(*arguments, code=0, **environment):
    done = CliRunner(env=environment).invoke(app, list(map(str, arguments)))
    assert done.exit_code == code, done.output
    return done.stderr if code else done.stdout


def test_fmt_prints_and_writes(file):
    assert headrace("fmt", file) == PRINTED
    assert file.read_text() == JOB
    file.chmod(0o640)
    assert headrace("fmt", file, "--write") == ""
    assert file.read_text() == PRINTED
    assert file.stat().st_mode & 0o777 == 0o640
    assert headrace("fmt", file) == PRINTED
    assert [f.name for f in file.parent.iterdir()] == ["job.conf"]


def test_fmt_writes_another_format_beside_the_file_and_over_nothing(file):
    headrace("fmt", file, "--to", "sql", "--write")
    beside = file.with_suffix(".sql")
    assert headrace("fmt", beside) == beside.read_text() == headrace("fmt", file, "--to", "sql")
    assert "job.sql' is there already" in headrace("fmt", file, "--to", "sql", "--write", code=2)


def test_fmt_says_what_is_wrong(file):
    assert "'yaml' is not a format of job files\n  choose hocon, json, sql" in headrace(
        "fmt", file, "--to", "yaml", code=2
    )
    file.write_text("source {")
    assert f"error: {file}:1: not HOCON" in headrace("fmt", file, code=2)
    assert "there is no file" in headrace("fmt", "nope.conf", code=2)


def test_encrypt_and_decrypt_are_opposites_and_change_nothing_else(file):
    encrypted = headrace("encrypt", file)
    assert encrypted == PRINTED.replace('"secret"', '"c2VjcmV0"')
    headrace("encrypt", file, "--write")
    assert file.read_text() == encrypted
    assert headrace("decrypt", file) == PRINTED


def test_an_encrypted_job_runs_with_its_key_and_not_without(file):
    file.write_text(JOB.replace("base64", "aes"))
    key = {"HEADRACE_SHADE_KEY": "3c" * 32}
    assert "there is no key" in headrace("encrypt", file, code=2, HEADRACE_SHADE_KEY="")
    headrace("encrypt", file, "--write", **key)
    assert "secret" not in file.read_text()
    command = [sys.executable, "-m", "headrace", "run", "-q", "--runner", "processes", "job.conf"]
    for environment, code in ((key, 0), ({}, 2), ({"HEADRACE_SHADE_KEY": "4d" * 32}, 2)):
        done = subprocess.run(command, cwd=file.parent, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
    assert "source[0].FakeSource.password: cannot decrypt ****** with cipher 'aes'" in done.stderr
