"""What the commands print: problems, numbers, the final box."""

import math
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from headrace.checksums import to_text
from headrace.cli.terminal import paint
from headrace.config.env import Verify
from headrace.errors import ConfigError, HeadraceError, Problem, told
from headrace.execution.delivery import Delivery, DeliveryReport
from headrace.logs import tell_as_json
from headrace.texts import readable

BOX_WIDTH = 47
"""SeaTunnel's «Job Statistic Information» is as wide."""


_COLOURS = {"error": "red", "warning": "yellow"}


def tell(text: str, level: str = "") -> None:
    """On stderr, which may be a terminal that is closed; a line of the log where logs are JSON.

    level: `warning` or `error`, for what is one.
    """
    if tell_as_json(level or "info", text):
        return
    with suppress(OSError):
        print(say(level, text) if level else readable(text), file=sys.stderr, flush=True)


def say(level: str, text: str) -> str:
    """`warning: …`, the word in its colour on a terminal."""
    return f"{paint(f'{level}:', _COLOURS[level], sys.stderr)} {readable(text)}"


def problems_of(error: BaseException) -> list[Problem]:
    """What an error tells, one by one."""
    if isinstance(error, ConfigError):
        return list(error.problems)
    return [Problem("", told(error))]


def print_error(error: HeadraceError) -> None:
    """On stderr: every problem on a line of its own, its cure below it."""
    for problem in problems_of(error):
        _print_problem("error", problem)


def print_warnings(problems: Iterable[Problem]) -> None:
    """On stderr."""
    for problem in problems:
        _print_problem("warning", problem)


def _print_problem(level: str, problem: Problem) -> None:
    if tell_as_json(level, str(problem)):
        return
    where = f"{problem.file}:{problem.line}" if problem.file and problem.line else problem.file
    print(say(level, ": ".join(part for part in (where, problem.place, problem.message) if part)), file=sys.stderr)
    if problem.cure:
        print(f"  {readable(problem.cure)}", file=sys.stderr)


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem as values of JSON."""
    return {name: getattr(problem, name) for name in ("file", "line", "place", "message", "cure")}


def failure_json(error: BaseException, code: int, **known: Any) -> dict[str, Any]:
    """What `--json` prints of a command that came to no result. known: what is known of its job."""
    return {
        "jobId": None,
        "status": "FAILED",
        **known,
        "exitCode": code,
        "error": told(error),
        "problems": [problem_json(problem) for problem in problems_of(error)],
    }


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


def statistics(started: float, ended: float, read: int, written: int, rejected: int, filtered: int = 0) -> str:
    """SeaTunnel's box at the end of a job; schedulers read it. Rows that a transform dropped have a line of ours."""
    rows = [
        ("Start Time", f"{datetime.fromtimestamp(started):%Y-%m-%d %H:%M:%S}"),  # noqa: DTZ006  the user's own time
        ("End Time", f"{datetime.fromtimestamp(ended):%Y-%m-%d %H:%M:%S}"),  # noqa: DTZ006
        ("Total Time(s)", str(int(ended - started))),
        ("Total Read Count", str(read)),
        ("Total Write Count", str(written)),
        ("Total Failed Count", str(rejected)),
        *([("Total Filtered Count", str(filtered))] if filtered else []),
    ]
    line = "*" * BOX_WIDTH
    title = "Job Statistic Information".center(BOX_WIDTH)
    body = [f"{name:<26}: {value:>{BOX_WIDTH - 28}}" for name, value in rows]
    return "\n".join(["", line, title.rstrip(), line, *body, line, ""])


MOST_TABLES = 20
"""Lines of a delivery report on the terminal; all are in the file and with `--json`."""


def delivery_lines(report: DeliveryReport) -> list[str]:
    """The report as a table, those that do not balance first."""
    shown = sorted(report.deliveries, key=lambda delivery: not delivery.problems)[:MOST_TABLES]
    names = ("read", "added", "written", "filtered", "rejected", "ignored")
    numbers = [n for n in names if n in ("read", "written") or any(getattr(d, n) for d in report.deliveries)]
    is_hashed = report.verify is not Verify.COUNT
    rows = [["table", "sink", *numbers, *(["checksum"] if is_hashed else [])]]
    for d in shown:
        renamed = "" if d.targets in ((), d.tables) else f" → {', '.join(d.targets)}"
        counts = [f"{getattr(d, name):,}" for name in numbers]
        rows.append([", ".join(d.tables) + renamed, d.sink, *counts, *([_checksums(d)] if is_hashed else [])])
    lines = _aligned(rows, range(2, 2 + len(numbers)))
    if len(report.deliveries) > len(shown):
        lines.append(f"  … and {len(report.deliveries) - len(shown):,} more")
    return lines


def _checksums(delivery: Delivery) -> str:
    """Of what was read, and of what was committed where that is another."""
    found = dict.fromkeys(map(to_text, (delivery.read_checksum, delivery.committed_checksum)))
    return " → ".join(text for text in found if text)


def _aligned(rows: list[list[str]], right: range) -> list[str]:
    """Rows as lines; the cells of the columns `right` end at the same place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = [
        [cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(row)] for row in rows
    ]
    return ["  " + "  ".join(row).rstrip() for row in cells]
