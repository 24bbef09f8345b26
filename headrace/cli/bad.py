"""`headrace bad`: the rows that jobs have set aside: what there is, the rows themselves, and away with them."""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace.cli.exits import FAILED, FINISHED, WRONG, exit_code
from headrace.cli.output import amount, duration, print_error, tell
from headrace.cli.variables import parse_variables
from headrace.config.job import load_job
from headrace.errors import HeadraceError, told
from headrace.execution.bad_places import BadPlace, place_in, places_of, remembered
from headrace.execution.bad_rows import plain_text
from headrace.execution.delivery import counted
from headrace.execution.ledger import Ledger, Replayed, Row
from headrace.plan.plan import make_plan
from headrace.settings import load_settings
from headrace.storage.contract import Stat
from headrace.texts import readable

MOST_REASONS = 5
"""Reasons of a table that a terminal shows."""

_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_ROW_OF_FILE = re.compile(r".* row (?:\d|,\d)+(?:, )?", re.DOTALL)


@dataclass(frozen=True)
class _Found:
    """A place with its rows. fresh: how many were not replayed. error: why it cannot be read."""

    place: BadPlace
    rows: Sequence[Row] = ()
    files: Sequence[Stat] = ()
    fresh: int = 0
    error: str = ""

    @property
    def times(self) -> list[datetime]:
        """When the oldest and the newest row were set aside."""
        times = [_moment(row["occur_time"]) for row in self.rows if row["occur_time"]]
        return [min(times), max(times)] if times else []

    @property
    def bytes(self) -> int:
        """The size of the files."""
        return sum(file.size for file in self.files)

    def groups(self) -> dict[tuple[str, str], Counter[str]]:
        """(step, table) → reason → rows."""
        found: dict[tuple[str, str], Counter[str]] = {}
        for row in self.rows:
            original = _original(row)
            step = str(original.get("step") or f"{row['error_stage']} {row['plugin_name']}")
            reasons = found.setdefault((step, str(row["source_table_path"])), Counter())
            reasons[_reason(str(row["error_message"]), str(original.get("place", "")))] += 1
        return found


def _original(row: Row) -> Mapping[str, Any]:
    try:
        found = json.loads(row["original_data"] or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _reason(message: str, place: str) -> str:
    """The reason without what differs from row to row: where it stood, and its values."""
    if place and message.startswith(place):
        column = _ROW_OF_FILE.sub("", place)
        rest = message[len(place) :].removeprefix(": ")
        message = f"{column}: {rest}" if column and column != place else rest
    return _QUOTED.sub("'…'", message)


def _moment(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=UTC)
    except ValueError:
        return datetime.now(UTC)


def _places(place: str | None, variables: Sequence[str], home: Path) -> list[BadPlace]:
    """Those of a job file or a directory; None: those of the home. Raises HeadraceError."""
    if place is None:
        return remembered(home)
    if not os.path.isdir(place):
        return places_of(make_plan(load_job(Path(place), parse_variables(variables))))
    wanted = os.path.realpath(place)
    known = [p for p in remembered(home) if os.path.realpath(os.path.join(p.folder, p.shown)) == wanted]
    return known[:1] or [place_in(place)]


def _look(places: Sequence[BadPlace], home: Path, *, strict: bool) -> Iterator[_Found]:
    """Read the places. strict: raise what keeps one from being read."""
    with closing(Replayed.of(home)) as replayed:
        for place in places:
            try:
                files = place.files()
                rows = place.rows()
                yield _Found(place, rows, files, len(replayed.fresh(place.key(), rows)))
            except HeadraceError as error:
                if strict:
                    raise
                yield _Found(place, error=told(error))


def _chosen(place: str | None, variables: Sequence[str], overrides: Mapping[str, Any]) -> tuple[Path, list[_Found]]:
    """The home, and the places that are asked for with their rows. Raises HeadraceError."""
    home = load_settings(overrides).home
    return home, list(_look(_places(place, variables, home), home, strict=place is not None))


# --------------------------------------------------------------------------------------------------------------- list


def list_bad_rows(place: str | None, variables: Sequence[str], overrides: Mapping[str, Any], *, as_json: bool) -> int:
    """Print where bad rows lie, how many, and why; the exit code."""
    try:
        home, found = _chosen(place, variables, overrides)
    except HeadraceError as error:
        print_error(error)
        return exit_code(error)
    found = [one for one in found if one.rows or one.error]
    if as_json:
        print(json.dumps([_as_json(one) for one in found], ensure_ascii=False))
    elif not found:
        print(f"no bad rows in {place}" if place else f"no bad rows of the jobs of the home {home}")
    for number, one in enumerate([] if as_json else found):
        print(("\n" if number else "") + "\n".join(readable(line) for line in _as_lines(one)))
    return FINISHED


def _as_lines(found: _Found) -> Iterator[str]:
    replayed = len(found.rows) - found.fresh
    parts = [counted(len(found.rows)) + (f" ({replayed:,} replayed)" if replayed else "")]
    if found.files:
        files = f"{len(found.files):,} file{'s' * (len(found.files) != 1)}"
        parts.append(f"{files}, {amount(found.bytes, 'B')}")
    if found.times:
        oldest, newest = (duration(max(0.0, (datetime.now(UTC) - t).total_seconds())) for t in found.times)
        parts.append(f"set aside {newest} ago" if newest == oldest else f"set aside {oldest} to {newest} ago")
    yield f"{found.place.shown}: {', '.join(parts)}" if not found.error else f"{found.place.shown}: {found.error}"
    if found.place.file:
        yield f"  job {found.place.job}: {found.place.file}"
    rows = [("STEP", "TABLE", "ROWS", "REASON")]
    for (step, table), reasons in found.groups().items():
        rows += [(step, table, f"{n:,}", reason) for reason, n in reasons.most_common(MOST_REASONS)]
        rest = reasons.most_common()[MOST_REASONS:]
        if rest:
            rows.append((step, table, f"{sum(n for _, n in rest):,}", f"{len(rest):,} other reasons"))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for step, table, rows_of, reason in rows if len(rows) > 1 else ():
        yield f"  {step.ljust(widths[0])}  {table.ljust(widths[1])}  {rows_of.rjust(widths[2])}  {reason}"


def _as_json(found: _Found) -> dict[str, Any]:
    return {
        "place": found.place.shown,
        "plugin": found.place.plugin,
        "job": found.place.job,
        "file": found.place.file,
        "rows": len(found.rows),
        "replayed": len(found.rows) - found.fresh,
        "files": len(found.files),
        "bytes": found.bytes,
        "setAside": [moment.isoformat() for moment in found.times],
        "groups": [
            {"step": step, "table": table, "rows": sum(reasons.values()), "reasons": dict(reasons.most_common())}
            for (step, table), reasons in found.groups().items()
        ],
        "error": found.error or None,
    }


# --------------------------------------------------------------------------------------------------------------- show


def show_bad_rows(
    place: str | None,
    variables: Sequence[str],
    overrides: Mapping[str, Any],
    most: int,
    table: str,
    *,
    as_json: bool,
) -> int:
    """Print bad rows with the reasons, the newest last; the exit code."""
    try:
        _, found = _chosen(place, variables, overrides)
    except HeadraceError as error:
        print_error(error)
        return exit_code(error)
    for one in found:
        if one.error:
            tell(f"{one.place.shown}: {one.error}")
    rows = [row for one in found for row in one.rows if table in ("", row["source_table_path"])]
    if as_json:
        print(json.dumps([_row_json(row) for row in rows[:most]], ensure_ascii=False))
        return FINISHED
    for row in rows[:most]:
        step = _original(row).get("step") or f"{row['error_stage']} {row['plugin_name']}"
        print(readable(f"{step} {row['source_table_path']}, {str(row['occur_time'])[:19]}: {row['error_message']}"))
        print(readable(f"  {plain_text(row['original_data'])}".rstrip()) or "  the row itself was not kept")
    if len(rows) > most:
        print(f"… and {counted(len(rows) - most)} more; --limit shows more")
    elif not rows:
        print("no bad rows")
    return FINISHED


def _row_json(row: Row) -> dict[str, Any]:
    original = _original(row)
    return {
        "step": original.get("step"),
        "table": row["source_table_path"],
        "stage": row["error_stage"],
        "plugin": row["plugin_name"],
        "reason": row["error_message"],
        "setAside": row["occur_time"],
        "text": plain_text(row["original_data"]),
        "row": original.get("row"),
    }


# ------------------------------------------------------------------------------------------------------------ discard


def discard_bad_rows(place: str, variables: Sequence[str], overrides: Mapping[str, Any], *, yes: bool) -> int:
    """Remove the bad rows of a job file or a directory, once the user agrees; the exit code."""
    try:
        home, chosen = _chosen(place, variables, overrides)
        found = [one for one in chosen if one.rows]
        for one in found:
            print("\n".join(readable(line) for line in _as_lines(one)))
        if not found:
            print(f"no bad rows in {place}")
            return FINISHED
        total = counted(sum(len(one.rows) for one in found))
        if not yes and not sys.stdin.isatty():
            tell(f"nothing was removed: there is no terminal to ask whether {total} may go; --yes says so")
            return WRONG
        if not yes and input(f"Remove {total} for good? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was removed")
            return FAILED
        with closing(Ledger(home)):  # not under a replay that reads them
            for one in found:
                one.place.discard(len(one.rows), one.files)
        print(f"removed: {total}")
    except (EOFError, KeyboardInterrupt):
        print("\nnothing was removed")
        return FAILED
    except HeadraceError as error:
        print_error(error)
        return exit_code(error)
    return FINISHED
