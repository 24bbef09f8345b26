"""No code of a connector runs in the server process: a plugin notes which process calls it."""

import pytest

from tests.api.servers import Server, job

PLUGIN = """
import os
from pathlib import Path
from headrace.connector import (Batch, Options, Read, Sink, SinkKind, SinkWriter, Source, Split, TableSchema, Transform,
                                sink, source, transform)
import pyarrow as pa
from headrace.rows import Column

PLACE = Path({place!r})


def note(what):
    (PLACE / f"{{what}}.{{os.getpid()}}").touch()


note("import")
TABLE = TableSchema("probe", (Column("id", pa.int64()),))


@source("Probe")
class ProbeSource(Source):
    Options = Options

    def describes_offline(self):
        return True

    def tables(self):
        note("tables")
        return [TABLE]

    def splits(self, parallelism):
        note("splits")
        return [Split("one")]

    def read(self, split, position, task):
        note("read")
        if position is None:
            yield Read(Batch(pa.RecordBatch.from_pydict({{"id": [1, 2, 3]}}, schema=TABLE.arrow), "probe"), 3)


@transform("ProbeTransform")
class ProbeTransform(Transform):
    Options = Options

    def schema(self, table):
        note("schema")
        return table

    def apply(self, batch, task):
        note("apply")
        return batch


class Writer(SinkWriter):
    def write(self, batch):
        note("write")

    def written(self):
        from headrace.connector import Written
        return Written(3)

    def prepare_commit(self, checkpoint_id):
        note("prepare_commit")
        return {{"n": 1}}

    def close(self):
        note("close")


@sink("Probe")
class ProbeSink(Sink):
    Options = Options
    kind = SinkKind.STAGED

    def check(self, tables):
        note("check")
        return []

    def save_mode(self, table):
        note("save_mode")

    def start(self, job):
        note("start")

    def writer(self, table, task, state):
        note("writer")
        return Writer()

    def commit(self, committables, job):
        note("commit")

    def abort(self, committables, job):
        note("abort")
"""

USES = {
    *("tables", "splits", "read", "schema", "apply", "check", "save_mode", "start"),
    *("writer", "write", "prepare_commit", "commit", "close"),
}


@pytest.fixture
def noted(tmp_path):
    """The folder of a plugin's package, and a function: (what, process) of its notes."""
    package, notes = tmp_path / "package", tmp_path / "notes"
    for folder in (package, notes, package / "probe-1.0.dist-info"):
        folder.mkdir()
    (package / "probe.py").write_text(PLUGIN.format(place=str(notes)))
    info = package / "probe-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
    groups = "".join(f"[headrace.{group}]\nprobe = probe\n" for group in ("connectors", "transforms"))
    (info / "entry_points.txt").write_text(groups)
    return package, lambda: [(f.name.split(".")[0], int(f.name.split(".")[1])) for f in notes.iterdir()]


def test_a_plugin_is_used_by_workers_only(noted, tmp_path):
    package, notes = noted
    server = Server(tmp_path / "home", env={"PYTHONPATH": str(package)}).start()
    try:
        body = {
            **job(name="probed"),
            "source": [{"plugin_name": "Probe", "plugin_output": "a"}],
            "transform": [{"plugin_name": "ProbeTransform", "plugin_input": "a", "plugin_output": "b"}],
            "sink": [{"plugin_name": "Probe", "plugin_input": "b"}],
        }
        number = server.submit(body)
        server.get("running-jobs")
        ended = server.wait(number)
        assert (ended["jobStatus"], ended["metrics"]["SinkWriteCount"]) == ("FINISHED", "3"), ended
        assert server.submit({**body, "env": {**body["env"], "job.name": "again"}})
        server.get("finished-jobs")
        server.get(f"jobs/checkpoints/{number}")
    finally:
        server.stop()
    found = notes()
    assert {what for what, _ in found if what != "import"} - {"abort"} == USES
    assert {what for what, process in found if process == server.process.pid} == {"import"}
