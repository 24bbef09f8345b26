import os
import time

import pytest

from headrace.checkpoint.store import FileStore
from headrace.cli.clean import clean
from headrace.execution.owner import JobLock, JobsOfHome
from headrace.storage.claims import Claim
from headrace.storage.local import LocalStorage


@pytest.fixture
def stage(tmp_path):
    """Stages a file under a claim that is some days old; its place."""

    def make(claim, days=10, table="t", temporary=None):
        target = str(tmp_path / "out" / table)
        file = LocalStorage().stage(f"{target}/f", target, str(temporary or "/proc/none"), claim)
        file.stream.write(b"rows")
        place = file.finish()["staged"]
        for path in (place, os.path.dirname(place)):
            os.utime(path, (then := time.time() - days * 86_400, then))
        return place

    return make


def cleaned(tmp_path, target=None, older_than="7D", **options):
    asked = {"remove": False} | options
    return clean(str(target or tmp_path / "out"), older_than, {"home": tmp_path / "home"}, **asked)


def test_what_is_old_is_shown_and_stays(tmp_path, stage, capsys):
    old, young = stage(Claim("a1", 7, 2, 3, 1)), stage(Claim("b2", 8, 1, 1, 1), days=2, table="u")
    assert cleaned(tmp_path) == 0
    said = capsys.readouterr().out
    assert "7    2    a1" in said
    assert "kept: it is not that old" in said
    assert "older than 7D: 1 of 2, 4 B; --remove removes" in said
    assert os.path.exists(old)
    assert os.path.exists(young)


def test_what_is_old_is_removed_on_request(tmp_path, stage, capsys):
    old, young = stage(Claim("a1", 7, 2, 3, 1)), stage(Claim("b2", 8, 1, 1, 1), days=2, table="u")
    assert cleaned(tmp_path, remove=True) == 0
    assert "removed: 1 of 2, 4 B" in capsys.readouterr().out
    assert not os.path.exists(old)
    assert os.path.exists(young)
    assert cleaned(tmp_path, remove=True, older_than="1D") == 0
    assert not os.path.exists(young)
    assert cleaned(tmp_path) == 0
    assert f"nothing is staged in {tmp_path}/out" in capsys.readouterr().out


def test_what_a_job_of_this_home_may_still_need_is_never_removed(tmp_path, stage, capsys):
    (tmp_path / "home").mkdir()
    jobs = JobsOfHome(tmp_path / "home", FileStore(tmp_path / "home" / "checkpoints"))
    needed, over = stage(Claim(jobs.identity, 7, 1, 1, 1)), stage(Claim(jobs.identity, 8, 1, 1, 1))
    lock = JobLock(tmp_path / "home", 7)
    assert cleaned(tmp_path, remove=True) == 0
    lock.close()
    assert "a job of this home needs it" in capsys.readouterr().out
    assert os.path.exists(needed)
    assert not os.path.exists(over)


def test_a_job_file_tells_where_its_sinks_stage(tmp_path, stage, capsys):
    place = stage(Claim("a1", 7, 1, 1, 1), temporary=tmp_path / "tmp")
    assert str(tmp_path / "tmp") in place
    (tmp_path / "job.conf").write_text(
        f'''source {{ FakeSource {{ schema {{ fields {{ a = int }} }} }} }}
        sink {{ LocalFile {{ path = "{tmp_path}/out/t", tmp_path = "{tmp_path}/tmp", file_format_type = csv }} }}'''
    )
    assert cleaned(tmp_path, tmp_path / "job.conf", remove=True) == 0
    assert "removed: 1 of 1" in capsys.readouterr().out
    assert not os.path.exists(place)


@pytest.mark.parametrize(
    ("target", "older_than", "text"),
    [("none", "7D", "there is no directory or job file"), ("", "often", "cannot read 'often' as a duration")],
)
def test_what_cannot_be_done_is_an_error(tmp_path, target, older_than, text, capsys):
    assert cleaned(tmp_path, tmp_path / target, older_than) == 1
    assert text in capsys.readouterr().err
