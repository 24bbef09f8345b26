import os

import pytest

from headrace.logs import job_log


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no disk that is always full")
def test_a_log_that_cannot_be_written_is_told_once_and_stops_nobody(tmp_path, capsys):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "job-7.log").symlink_to("/dev/full")
    write, close = job_log(tmp_path, 7)
    write("info", "one")
    write("info", "two")
    close()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "warning: cannot write the log" in said
    assert "No space left on device" in said
