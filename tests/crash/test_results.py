"""The results that the documentation shows are those of the whole matrix as it is now."""

from tests.crash.matrix import kills, read_results
from tests.crash.probe.headrace_crash.points import POINTS
from tests.crash.table import PAGE, page, table


def test_the_results_are_of_every_kill_of_the_matrix():
    assert list(read_results()) == kills(), "run scripts/test --all tests/crash"


def test_every_point_has_a_row():
    text = table(read_results())
    assert [point.name for point in POINTS if f"| {point.does} |" not in text] == []


def test_no_kill_lost_or_doubled_a_row():
    assert [kill.id for kill, kept in read_results().items() if not kept] == []


def test_the_page_shows_the_results():
    assert PAGE.read_text() == page(PAGE.read_text()), "run python -m tests.crash.table"
