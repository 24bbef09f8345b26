"""Writes the kill matrix into docs/guarantees.md from its results: `python -m tests.crash.table`."""

from collections.abc import Mapping
from pathlib import Path

from tests.crash.matrix import Kill, kills, read_results
from tests.crash.probe.headrace_crash.points import POINTS, Phase, Point

PAGE = Path(__file__).parent.parent.parent / "docs" / "guarantees.md"
BEGIN, END = "<!-- the kill matrix, made by `python -m tests.crash.table` -->", "<!-- end of the kill matrix -->"


def table(results: Mapping[Kill, bool]) -> str:
    """A row for each point, a column for each phase, and in it how many of its kills lost and doubled nothing."""
    lines = [f"| | killed when | {' | '.join(Phase)} |", "|---" * (2 + len(Phase)) + "|"]
    for number, point in enumerate(POINTS, 1):
        cells = [_cell(point, phase, results) for phase in Phase]
        lines.append(f"| {number} | {point.does} | {' | '.join(cells)} |")
    kept = sum(results.values())
    lines.append(f"\n{kept} of {len(results)} kills lost no row and doubled none.")
    return "\n".join(lines)


def _cell(point: Point, phase: Phase, results: Mapping[Kill, bool]) -> str:
    mine = [kill for kill in kills() if (kill.point, kill.phase) == (point.name, phase)]
    if not mine:
        return ""
    ran = [kill for kill in mine if kill in results]
    lost = [f"{kill.sink} {kill.runner} {kill.victim}" for kill in ran if not results[kill]]
    text = f"{len(ran) - len(lost)} of {len(ran)}"
    if lost:
        text += f", not {', '.join(lost)}"
    return text if ran == mine else f"{text}, {len(mine) - len(ran)} not run"


def page(text: str) -> str:
    """The page with the matrix of the results in its place."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table(read_results())}\n\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
