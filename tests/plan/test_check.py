"""What `check` finds without opening anything, and broken plugin packages."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from headrace.cli.app import app

FAKE = "FakeSource { plugin_output = t, schema { fields { id = int } } }"
CSV = 'LocalFile { path = "PATH", file_format_type = csv, plugin_output = t, schema { fields { id = int } } }'
JDBC = 'Jdbc { url = "jdbc:sqlite:nowhere.db", table_path = "t", plugin_output = t }'


def headrace(folder, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "headrace", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        **options,
    )


def check(folder, source, query):
    (folder / "job.conf").write_text(
        f'source {{ {source} }}\ntransform {{ Sql {{ plugin_input = t, query = "{query}" }} }}\nsink {{ Console {{}} }}'
    )
    return headrace(folder, "check", "job.conf")


@pytest.mark.parametrize("source", [FAKE, CSV.replace("PATH", "/data/nowhere"), JDBC])
def test_sql_that_is_none_is_found_whatever_the_source(tmp_path, source):
    done = check(tmp_path, source, "select id t where from")
    assert done.returncode == 2
    assert "job.conf:2: transform[0].Sql.query: " in done.stderr


@pytest.mark.parametrize("path", ["people.csv", "/data/nowhere/people.csv", "here"])
def test_a_schema_that_stands_in_the_file_is_known(tmp_path, path):
    (tmp_path / "here" / "deeper").mkdir(parents=True)
    done = check(tmp_path, CSV.replace("PATH", path), "select nope from t")
    assert done.returncode == 2
    assert "nope" in done.stderr
    assert check(tmp_path, CSV.replace("PATH", path), "select id from t").returncode == 0


@pytest.mark.parametrize("path", ["/data/nowhere", "here", "y=1/people.csv"])
def test_columns_that_directories_may_add_are_not_refused(tmp_path, path):
    (tmp_path / "here" / "year=2024").mkdir(parents=True)
    assert check(tmp_path, CSV.replace("PATH", path), "select id, year from t").returncode == 0


@pytest.fixture
def broken(tmp_path):
    """The environment of an installed package whose plugin cannot be imported."""
    site = tmp_path / "site"
    info = site / "broken_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headrace.connectors]\nbroken = broken_plugin\n")
    (site / "broken_plugin.py").write_text("import os\n\nraise RuntimeError('no licence')\n")
    import os

    return {"env": {**os.environ, "PYTHONPATH": str(site)}}


def test_a_broken_plugin_package_ends_no_command_and_is_named(tmp_path, broken):
    (tmp_path / "job.conf").write_text(f"source {{ {FAKE} }}\nsink {{ Console {{}} }}")
    done = headrace(tmp_path, "run", "-q", "job.conf", **broken)
    assert (done.returncode, "SeaTunnelRow" in done.stdout) == (0, True), done.stderr
    listed = headrace(tmp_path, "connectors", **broken)
    assert (listed.returncode, "FakeSource" in listed.stdout) == (0, True)
    place = f"{tmp_path}/site/broken_plugin.py:3: "
    said = "the plugin package 'broken-plugin' is left out: no licence (RuntimeError)"
    assert f"warning: {place}{said}" in listed.stderr
    assert "broken-plugin" in headrace(tmp_path, "doctor", **broken).stdout
    (tmp_path / "job.conf").write_text(f"source {{ {FAKE} }}\nsink {{ Broken {{}} }}")
    done = headrace(tmp_path, "check", "job.conf", **broken)
    assert (done.returncode, said in done.stderr) == (2, True)


JOB = """
env {{ {0} }}
source {{
  FakeSource {{ {1}, plugin_output = a, schema {{ fields {{ id = int, name = string }} }} }}
  LocalFile {{ path = "{2}", file_format_type = csv, plugin_output = b, schema {{ fields {{ id = {3} }} }} }}
}}
transform {{
  Sql {{ plugin_input = a, plugin_output = c, query = "{4}" }}
  Sql {{ plugin_input = b, plugin_output = d, query = "{5}" }}
  Filter {{ plugin_input = a, plugin_output = e, include_fields = [{6}] }}
}}
sink {{
  {7} {{ plugin_input = c }}
  LocalFile {{ plugin_input = d, path = "/data/{8}", file_format_type = csv }}
  Console {{ plugin_input = {9} }}
}}
"""
SLIPS = [
    ("parallelism = none", "parallelism = 1"),
    ("row.nun = 5", "row.num = 5"),
    ("/data/${day}/a.csv", "/data/a.csv"),
    ("integr", "int"),
    ("select nope from a", "select id from a"),
    ("selec id from b", "select id from b"),
    ("nobody", "name"),
    ("Consle", "Console"),
    ("${night}", "night"),
    ("f", "e"),
]
"""(what is wrong, what is right) in each place of the job."""


def problems_of(folder, wrong):
    """The places of what `check` finds in the job with these slips."""
    texts = [slip[0] if i in wrong else slip[1] for i, slip in enumerate(SLIPS)]
    (folder / "job.conf").write_text(JOB.format(*texts))
    done = CliRunner().invoke(app, ["check", "--json", str(folder / "job.conf")])
    return sorted((problem["place"], problem["message"]) for problem in json.loads(done.stdout)["problems"])


COLUMNS = {4, 6}
"""Those that are of the columns, which are known once the rest is right."""


def test_mending_what_is_shown_brings_nothing_of_its_kind_to_light(tmp_path):
    everything = set(range(len(SLIPS)))
    alone = {i: problems_of(tmp_path, {i}) for i in everything}
    assert [i for i, found in alone.items() if len(found) != 1] == []
    for left, shown in ((everything, everything - COLUMNS), (COLUMNS, COLUMNS), (set(), set())):
        assert problems_of(tmp_path, left) == sorted(alone[i][0] for i in shown)
