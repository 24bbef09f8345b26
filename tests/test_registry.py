"""Plugins of other packages, and the names of all."""

import subprocess
import sys

import pytest

from headrace.connector import Registry, sinks, sources

PLUGIN = '''
import pyarrow as pa
from headrace.connector import Options, Read, Source, Split, TableSchema, source
from headrace.rows import Batch

@source("Answer")
class AnswerSource(Source):
    """Gives one row."""

    Options = Options

    def tables(self):
        return [TableSchema.from_arrow(pa.schema({"n": pa.int64()}), self.output)]

    def splits(self, parallelism):
        return [Split("all")]

    def read(self, split, position, task):
        if position is None:
            yield Read(Batch(pa.RecordBatch.from_pydict({"n": [42]}), self.output), 1)
'''


@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_a_package_adds_a_connector_by_entry_point(tmp_path, runner):
    (tmp_path / "answer_plugin.py").write_text(PLUGIN)
    info = tmp_path / "answer_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: answer-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headrace.connectors]\nanswer = answer_plugin\n")
    (tmp_path / "job.conf").write_text("source { answer {} }\nsink { Console {} }")
    command = [sys.executable, "-m", "headrace", "run", "-q", "--runner", runner, "job.conf"]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "kind=INSERT : 42" in done.stdout


def test_names_ignore_case():
    assert sources.find("fakesource") is sources.find("FAKESOURCE") is not None
    assert sinks.find("nope") is None
    assert sinks.near("Consle") == ["Console"]


def test_two_plugins_of_one_name_are_refused():
    registry = Registry("source", "headrace.connectors")
    registry.add("X", type("A", (), {}))
    with pytest.raises(ValueError, match="two sources are named 'X'"):
        registry.add("X", type("B", (), {}))
