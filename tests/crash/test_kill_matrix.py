"""Every point of the commit sequence × sinks × runners: killed there, gone on with, and nothing is lost or doubled."""

import pytest

from tests.crash.matrix import ALL, EXPECTED_ROWS, WORKER, Kill, Scene, content, kills, leftovers, play, write_results
from tests.crash.probe.headrace_crash.bugs import BUGS
from tests.crash.probe.headrace_crash.points import Phase
from tests.execution.runs import ENVIRONMENT

pytestmark = [pytest.mark.job, pytest.mark.crash]

KILLS = [pytest.param(kill, id=kill.id, marks=() if kill.is_quick else pytest.mark.slow) for kill in kills()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """(sink, mode) → what the target holds and what the report says without a kill."""
    found = {}

    def of(sink, mode):
        if (sink, mode) not in found:
            scene = Scene(tmp_path_factory.mktemp("undisturbed"), sink, mode, "embedded")
            scene.finish()
            assert leftovers(scene.folder, mode) == []
            found[sink, mode] = content(scene.folder), scene.report()
            assert found[sink, mode][0].rows == EXPECTED_ROWS
        return found[sink, mode]

    return of


@pytest.fixture(scope="module")
def outcomes():
    """Kill → whether every row was there once. Where the whole matrix has run, it becomes the results."""
    found = {}
    yield found
    if list(found) == kills():
        write_results(found)


@pytest.mark.parametrize("kill", KILLS)
def test_a_kill_loses_no_row_and_doubles_none(kill, tmp_path, undisturbed, outcomes):
    outcomes[kill] = False
    check(kill, tmp_path, *undisturbed(kill.sink, kill.mode))
    outcomes[kill] = True


def check(kill, folder, rows, report):
    scene = Scene(folder, kill.sink, kill.mode, kill.runner, workers=2 if kill.victim == WORKER else 1)
    try:
        play(scene, kill)
        assert content(folder) == rows, scene.run.said
        assert scene.report() == report
        assert leftovers(folder, kill.mode) == []
    finally:
        scene.close()


SHOWN_BY = {
    "commits_stay_owed": Kill(Phase.CHECKPOINT, "saved", "LocalFile", "embedded", ALL),
    "target_is_not_asked": Kill(Phase.CHECKPOINT, "positions-committed", "Jdbc", "embedded", ALL),
    "commit_comes_first": Kill(Phase.CHECKPOINT, "half-saved", "LocalFile", "embedded", ALL),
    "staged_rows_stay": Kill(Phase.SAVEPOINT, "prepared", "LocalFile", "embedded", ALL),
}


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_noticed(bug, tmp_path, undisturbed, monkeypatch):
    kill = SHOWN_BY[bug]
    expected = undisturbed(kill.sink, kill.mode)
    monkeypatch.setitem(ENVIRONMENT, "HEADRACE_PLANTED", bug)
    with pytest.raises(AssertionError, match="Content|staged|tmp"):
        check(kill, tmp_path, *expected)
