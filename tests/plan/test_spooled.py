from dataclasses import replace
from pathlib import Path

from headrace.connector import JobContext
from headrace.plan.spooled import SpooledSink
from headrace.testing import TABLE, batch, task
from tests.connectors.jdbc import jdbc_sink


def test_bad_rows_that_killed_starts_have_kept_go_with_the_next_start_of_their_pipeline(tmp_path):
    sink = SpooledSink(jdbc_sink(tmp_path / "target.db", table="people"), "sink")
    job = JobContext(1, epoch=7, home=str(tmp_path))

    def keep(context):
        writer = sink.open(task(context, index=1)).writer(TABLE)
        writer.write(batch((1, "a")))
        return Path(writer.prepare_commit(1)["file"])

    left, other, mine = keep(job), keep(replace(job, pipeline=2)), keep(replace(job, epoch=8))
    sink.open(task(replace(job, epoch=8), index=0))
    assert [file.exists() for file in (left, other, mine)] == [False, True, True]
