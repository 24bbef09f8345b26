"""A log read from a position on, over the parts that were rotated away."""

import pytest

from headrace import logs
from headrace.api import log_files
from headrace.api.log_files import LogFiles
from headrace.logs import job_log


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Writes lines into a log that is rotated every few of them."""
    monkeypatch.setattr(logs, "MAX_BYTES", 600)
    write, close = job_log(tmp_path, 7)
    yield lambda text: write("info", text)
    close()


def rest(files, after=""):
    """All that follows a position, and the position behind it."""
    text, cut = b"", False
    while (part := files.part("job-7.log", after)).content:
        text, after, cut = text + part.content, part.position, cut or part.cut
    return text.decode(), after, cut


def test_a_log_is_read_over_its_rotated_parts(tmp_path, log):
    log("Init JobMaster for Job a (7)")
    for number in range(32):
        log(f"row {number}")
    text, _, cut = rest(LogFiles(tmp_path / "logs", 1 << 20))
    assert len(list((tmp_path / "logs").iterdir())) == 3
    assert [line.split("] ")[1] for line in text.splitlines()[1:]] == [f"row {n}" for n in range(32)]
    assert not cut


def test_what_came_since_is_read_once_whatever_was_rotated_meanwhile(tmp_path, log, monkeypatch):
    monkeypatch.setattr(log_files, "PART_BYTES", 100)
    files = LogFiles(tmp_path / "logs", 1 << 20)
    log("Init JobMaster for Job a (7)")
    read, after, _ = rest(files)
    for number in range(200):
        log(f"row {number}")
        if number % 7 == 0:
            text, after, cut = rest(files, after)
            read += text
            assert not cut
    read += rest(files, after)[0]
    assert [line.split("] ")[1] for line in read.splitlines()[1:]] == [f"row {n}" for n in range(200)]


def test_lines_that_are_gone_are_told(tmp_path, log):
    files = LogFiles(tmp_path / "logs", 1 << 20)
    log("Init JobMaster for Job a (7)")
    _, after, _ = rest(files)
    for number in range(200):
        log(f"row {number}")
    assert rest(files, after)[2]
    assert rest(files)[2]


@pytest.mark.parametrize("after", ["x", "1-2-3", "1-2-3-4", "9" * 30, "-1-0-0-0", "1-99999-5-0"])
def test_a_position_that_is_none_reads_from_the_beginning(tmp_path, log, after):
    log("Init JobMaster for Job a (7)")
    text, _, cut = rest(LogFiles(tmp_path / "logs", 1 << 20), after)
    assert "Init JobMaster" in text
    assert cut


def test_there_is_no_part_of_a_log_that_is_not_there(tmp_path):
    assert LogFiles(tmp_path / "logs", 1 << 20).part("job-8.log", "") is None
    assert LogFiles(tmp_path / "logs", 1 << 20).part("../job-7.log", "") is None
