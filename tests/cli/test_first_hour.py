"""What a newcomer types: preview, init, completion, on a terminal of 80 columns and in a pipe."""

import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from headrace.cli.app import app
from headrace.cli.completion import plugin_names
from headrace.cli.preview import is_data

HEADRACE = [sys.executable, "-c", "from headrace.cli.app import main; main()"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    (tmp_path / "orders.csv").write_text("id,name,price\n1,ann,1.5\n22,bob,\n")
    return tmp_path


def run(*arguments, code=0, text=None):
    result = CliRunner().invoke(app, list(map(str, arguments)), input=text)
    assert result.exit_code == code, result.output
    return result.output


def on_terminal(*arguments, columns=80):
    """What a person sees on a terminal so wide."""
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [*HEADRACE, *arguments], stdin=follower, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    shown = b""
    while select.select([leader], [], [], 120)[0]:
        try:
            fresh = os.read(leader, 65536)
        except OSError:
            break
        if not fresh:
            break
        shown += fresh
    os.close(leader)
    assert process.wait(120) == 0, shown
    return shown.decode().replace("\r\n", "\n")


SHOWN = """\
orders: 2 rows, 3 columns
  id     BIGINT
  name   STRING
  price  DOUBLE

id  name  price
 1  ann     1.5
22  bob    null
"""


def test_preview_of_a_file_shows_columns_types_and_rows(here):
    assert run("preview", "orders.csv") == SHOWN
    assert on_terminal("preview", "orders.csv") == SHOWN


def test_a_file_with_names_only_shows_its_columns(here):
    (here / "names.csv").write_text("id,name\n")
    assert run("preview", "names.csv").splitlines()[:3] == [
        "names: 0 rows, 2 columns",
        "  id    STRING",
        "  name  STRING",
    ]


def test_a_preview_of_what_is_not_there_names_what_is(here):
    (here / ".hidden").write_text("")
    assert run("preview", "order.csv", code=2) == (
        "error: there is no file or directory 'order.csv'\n  . holds orders.csv\n"
    )


def test_a_wide_table_fits_the_terminal_and_is_whole_in_a_pipe(here):
    columns = {f"column_{number:02d}": ["x" * 30] for number in range(10)}
    pq.write_table(pa.table(columns), "wide.parquet")
    shown = on_terminal("preview", "wide.parquet")
    assert max(map(len, shown.splitlines())) <= 80
    assert "… and 8 more columns: column_02, " in shown
    assert run("preview", "wide.parquet").splitlines()[-1].count("x" * 30) == 10


def test_rows_are_counted_where_that_is_cheap(here):
    pq.write_table(pa.table({"n": list(range(1000))}), "n.parquet")
    assert run("preview", "n.parquet", "--rows", 3).splitlines()[0] == "n: 1,000 rows, the first 3, 1 column"
    (here / "long.csv").write_text("n\n" + "1\n" * 100)
    assert run("preview", "long.csv", "--rows", 3).splitlines()[0] == "long: the first 3 rows, 1 column"


def test_preview_of_a_database_shows_each_table(here):
    run("copy", "orders.csv", "sqlite:///shop.db", "-q")
    assert run("preview", "sqlite:///shop.db").splitlines()[0] == "orders: 2 rows, 3 columns"
    assert run("preview", "sqlite:///shop.db", "--table", "orders").endswith("22  bob    null\n")


def test_what_is_data_and_what_is_a_job(here):
    (here / "job.json").write_text('{"env": {}, "source": [], "sink": []}')
    (here / "data.json").write_text('{"source": "a", "n": 1}\n{"source": "b", "n": 2}\n')
    assert not is_data("job.json")
    assert not is_data("job.conf")
    assert not is_data("job.sql")
    assert all(map(is_data, ["data.json", "a.csv", "a.csv.gz", "data/*.csv", str(here), "sqlite:///a.db"]))


def test_init_writes_a_job_file_with_comments_that_checks_and_runs(here):
    run("init", "job.conf", "--source", "orders.csv", "--target", "out/orders.parquet")
    text = (here / "job.conf").read_text()
    assert text.count("#") > 8
    run("check", "job.conf")
    run("run", "job.conf")
    assert pq.read_table("out/orders.parquet").num_rows == 2
    with_transform = re.sub(r"^# (transform|  .*|})", lambda m: m[0][2:], text, flags=re.MULTILINE)
    with_transform = re.sub(r'(sink \{.*plugin_input = )"\w+"', r'\1"changed"', with_transform, flags=re.DOTALL)
    (here / "with.conf").write_text(with_transform.replace('"out"', '"out2"'))
    run("check", "with.conf")
    assert "is there already" in run("init", "job.conf", "--source", "a", "--target", "b", code=1)


def test_init_without_a_terminal_says_what_to_give(here):
    assert "say --source, such as orders.csv" in run("init", "new.conf", code=1)


def test_a_made_connector_passes_its_tests(here):
    run("init", "--connector", "my-shop")
    package = here / "headrace-my_shop"
    assert sorted(str(p.relative_to(package)) for p in package.rglob("*.*")) == [
        "headrace_my_shop.py",
        "pyproject.toml",
        "tests/test_my_shop.py",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", ".", "tests"],
        cwd=package, env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* passed", done.stdout)
    assert "is there already" in run("init", "--connector", "my-shop", code=1)
    assert "begin it with a letter" in run("init", "--connector", "1", code=1)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script(shell):
    script = run("completion", shell)
    assert f"complete_{shell}" in script
    assert script.startswith("#compdef headrace") or shell != "zsh"
    if shell != "bash":
        return
    checked = subprocess.run(["bash", "-n"], input=script, text=True, timeout=60)
    assert checked.returncode == 0


def test_an_unknown_shell_is_named(here):
    assert "possible: bash, zsh, fish" in run("completion", "tcsh", code=2)


@pytest.mark.parametrize(
    ("words", "found"), [("headrace conn", "connectors"), ("headrace connectors Loc", "LocalFile")]
)
def test_commands_and_plugins_are_completed(words, found):
    environment = {**os.environ, "_HEADRACE_COMPLETE": "complete_bash", "COMP_WORDS": words,
                   "COMP_CWORD": str(words.count(" "))}  # fmt: skip
    done = subprocess.run(HEADRACE, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [found], done.stderr


def test_plugins_are_found_in_any_case():
    assert plugin_names("LOCALF") == ["LocalFile"]


def test_a_pipe_that_closes_ends_the_preview_quietly(here):
    (here / "long.csv").write_text("n\n" + "1\n" * 20000)
    command = f"{shlex.join(HEADRACE)} preview long.csv --rows 20000 | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "long: the first 20,000 rows, 1 column\n", "")
