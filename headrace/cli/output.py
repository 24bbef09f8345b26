"""What the commands print: problems, numbers, the final box."""

import math
import sys
from collections.abc import Iterable
from datetime import datetime

from headrace.errors import ConfigError, HeadraceError, Problem
from headrace.execution.progress import Counts

BOX_WIDTH = 47
"""SeaTunnel's «Job Statistic Information» is as wide."""


def print_error(error: HeadraceError) -> None:
    """On stderr: every problem on a line of its own, its cure below it."""
    problems = error.problems if isinstance(error, ConfigError) else [Problem("", str(error))]
    for problem in problems:
        _print_problem("error", problem)


def print_warnings(problems: Iterable[Problem]) -> None:
    """On stderr."""
    for problem in problems:
        _print_problem("warning", problem)


def _print_problem(level: str, problem: Problem) -> None:
    where = f"{problem.file}:{problem.line}" if problem.file and problem.line else problem.file
    text = ": ".join(part for part in (level, where, problem.place, problem.message) if part)
    print(text, file=sys.stderr)
    if problem.cure:
        print(f"  {problem.cure}", file=sys.stderr)


def amount(number: float, unit: str = "") -> str:
    """`1,234`, `5.2 M`; with `B` in powers of 1024."""
    step = 1024 if unit == "B" else 1000
    if number < step * (10 if step == 1000 else 1):
        return f"{number:,.0f}{' ' + unit if unit else ''}"
    power = min(int(math.log(number, step)), 4)
    return f"{number / step**power:.1f} {' KMGT'[power]}{'i' if unit == 'B' else ''}{unit}"


def duration(seconds: float) -> str:
    """`0.4 s`, `2 min 5 s`, `3 h 2 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def statistics(started: float, ended: float, read: int, written: int) -> str:
    """SeaTunnel's box at the end of a job; schedulers read it."""
    rows = [
        ("Start Time", f"{datetime.fromtimestamp(started):%Y-%m-%d %H:%M:%S}"),  # noqa: DTZ006  the user's own time
        ("End Time", f"{datetime.fromtimestamp(ended):%Y-%m-%d %H:%M:%S}"),  # noqa: DTZ006
        ("Total Time(s)", str(int(ended - started))),
        ("Total Read Count", str(read)),
        ("Total Write Count", str(written)),
        ("Total Failed Count", str(max(read - written, 0))),
    ]
    line = "*" * BOX_WIDTH
    title = "Job Statistic Information".center(BOX_WIDTH)
    body = [f"{name:<26}: {value:>{BOX_WIDTH - 28}}" for name, value in rows]
    return "\n".join(["", line, title.rstrip(), line, *body, line, ""])


def table_lines(counts: dict[tuple[str, str], Counts]) -> list[str]:
    """One line for each table at each source and sink, and at each transform that rejected rows."""
    lines = []
    for (step, table), c in sorted(counts.items(), key=lambda item: not item[0][0].startswith("Source[")):
        if step.startswith("Transform["):
            if c.rejected:
                lines.append(f"  {step} {table}: {c.rejected:,} rejected")
            continue
        rows = c.rows if step.startswith("Source[") else c.committed
        verb = "read" if step.startswith("Source[") else "written"
        more = f", {c.rejected:,} rejected" if c.rejected else ""
        lines.append(f"  {step} {table}: {rows:,} rows {verb}{more}")
    return lines
