"""Jobs of two homes write into one directory: neither touches what the other has staged, whatever is killed."""

import pytest

from tests.crash.matrix import EXPECTED_ROWS, Scene, content, leftovers
from tests.crash.probe.headrace_crash.points import Phase

pytestmark = [pytest.mark.job, pytest.mark.crash]


@pytest.fixture
def two(tmp_path):
    scenes = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        scenes.append(Scene(tmp_path / name, "LocalFile", "BATCH", "embedded"))
    scenes[1].job = scenes[0].job
    yield scenes
    for scene in scenes:
        scene.close()


@pytest.mark.parametrize(
    ("point", "then"),
    [
        ("prepared", "prepared"),
        ("saved", "half-committed"),
        pytest.param("half-committed", "saved", marks=pytest.mark.slow),
        pytest.param("saved", "saved", marks=pytest.mark.slow),
    ],
)
def test_two_homes_that_are_killed_and_restored_lose_no_row_of_each_other(two, point, then):
    first, second = two
    first.start_towards(point, Phase.CHECKPOINT)
    second.start_towards(then, Phase.CHECKPOINT)
    first.kill_all()
    second.kill_all()
    second.finish("--restore")
    first.finish("--restore")
    assert content(first.folder).rows == 2 * EXPECTED_ROWS
    assert leftovers(first.folder, "BATCH") == []


def test_staged_rows_that_are_lost_are_an_error_and_never_skipped(two):
    scene = two[0]
    scene.start_towards("saved", Phase.CHECKPOINT)
    scene.kill_all()
    staged = [file for file in (scene.folder / "tmp").rglob("*") if file.is_file()]
    assert staged
    for file in staged:
        file.unlink()
    run = scene.start("--restore")
    run.process.wait(120)
    assert run.process.returncode == 1
    assert "is gone, and was not published" in run.said


def test_the_next_job_of_a_home_removes_what_its_killed_jobs_have_staged_and_of_no_other(two):
    first, second = two
    for scene in two:
        scene.job = first.job.replace("checkpoint.interval = 50, ", "")  # nothing is saved to go on from
        scene.start_towards("write", Phase.START)
        scene.kill_all()
    assert len(list((first.folder / "tmp").glob("*/*"))) == 2
    second.finish()
    assert len(list((first.folder / "tmp").glob("*/*"))) == 1
    first.finish()
    assert list((first.folder / "tmp").glob("*")) == []
    assert content(first.folder).rows == 2 * EXPECTED_ROWS
