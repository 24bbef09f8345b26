"""Texts from outside that no store, log or terminal takes as they are."""

import json
import os
import threading

import orjson
import pytest

from headrace.api import answers
from headrace.api.problems import Json
from headrace.errors import HeadraceError, Rejected
from headrace.execution.master import JobMaster
from headrace.server_settings import Wire
from tests.service.conftest import job, submit

BAD = {
    "half a surrogate": "\udcff and \ud800",
    "the character 0": "a\0b",
    "escape sequences": "\x1b[2Jgone\r",
    "a megabyte": "x" * 1_048_576,
}


@pytest.fixture(params=BAD.values(), ids=BAD)
def bad(request):
    return request.param


def fail_with(monkeypatch, text):
    def run(master):
        raise Rejected(f"begin {text} end")

    monkeypatch.setattr(JobMaster, "_prepare", run)


def test_a_job_that_fails_with_such_a_text_ends_and_can_be_read(service, home, monkeypatch, bad):
    fail_with(monkeypatch, bad)
    taken = submit(service, job())
    record = service.wait(taken.job_id, 30)
    assert record.status == "FAILED"
    assert record.error.startswith("begin ")
    assert record.error.endswith(" end")
    assert orjson.loads(Json(answers.job(record, Wire.V2_3_3)).body)["errorMsg"] == record.error
    log = (home / "logs" / f"job-{taken.job_id}.log").read_text("utf-8")
    assert log.count("end\n") == 1
    assert "\x1b" not in log
    assert "\r" not in log


def test_a_job_may_have_such_a_name(service, bad):
    taken = submit(service, job(), name=f"n{bad}")
    record = service.wait(taken.job_id, 30)
    assert record.status == "FINISHED"
    assert record.name.startswith("n")
    orjson.dumps(record.name)


def test_a_file_whose_name_is_not_utf_8_does_not_hold_its_job(service, tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff.csv", "w") as file:
        file.write("1\n")
    fields = {"schema": {"fields": {"a": "int"}}, "file_format_type": "csv", "file_filter_pattern": r".*\.csv"}
    source = {"plugin_name": "LocalFile", "path": str(tmp_path), **fields}
    text = json.dumps({"env": {"job.mode": "BATCH"}, "source": [source], "sink": [{"plugin_name": "Console"}]})
    record = service.wait(submit(service, text).job_id, 60)
    assert record.status.is_end
    orjson.dumps(record.error)
    assert r"\xff.csv is not UTF-8; rename it, or leave it out by file_filter_pattern" in record.error


def test_a_write_that_the_store_refuses_fails_alone(service):
    """Writes that come together share one commit; the others are not to pay for the content of one."""
    store = service.store
    held, begun = threading.Event(), threading.Event()

    def hold(connection):
        begun.set()
        assert held.wait(30)

    waiting = store._write(hold)
    assert begun.wait(30)
    good = store._write(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
    bad = store._write(lambda connection: connection.exec_driver_sql("SELECT ?", ("\udcff",)).scalar())
    later = store._write(lambda connection: connection.exec_driver_sql("SELECT 2").scalar())
    held.set()
    waiting.result(30)
    assert (good.result(30), later.result(30)) == (1, 2)
    with pytest.raises(HeadraceError, match="cannot write to the store of jobs"):
        bad.result(30)
