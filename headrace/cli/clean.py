"""`headrace clean`: what jobs have left staged in a target; shown, and removed on request."""

import os
import time
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from headrace.checkpoint.location import open_store
from headrace.cli.output import amount, print_error
from headrace.config.job import load_job
from headrace.connector import Claim, Left
from headrace.errors import ConfigError, HeadraceError, Problem, Rejected
from headrace.execution.owner import JobsOfHome
from headrace.plan.plan import make_plan
from headrace.settings import load_settings
from headrace.storage.local import STAGING, LocalStorage
from headrace.values import parse_duration


class _Folder:
    """A directory of this machine, with all areas below it."""

    def __init__(self, folder: str) -> None:
        self._areas = [str(area) for area in sorted(Path(folder).glob(f"**/{STAGING}")) if area.is_dir()]

    def left(self) -> Iterator[Left]:
        return LocalStorage().left(self._areas)

    def remove(self, claims: Collection[Claim]) -> None:
        LocalStorage().remove(self._areas, lambda claim: claim in claims)


def clean(target: str, older_than: str, overrides: Mapping[str, Any], *, remove: bool) -> int:
    """Show what is staged in a target and older than an age; the exit code."""
    try:
        oldest = time.time() - _age(older_than)
        places = [_Folder(target)] if os.path.isdir(target) else _sinks(target)
        home = load_settings(overrides).home.resolve()
        jobs = _jobs(home, overrides)
        found = {left.place: (place, left) for place in places for left in place.left()}
        rows: list[tuple[str, ...]] = [("JOB", "RUN", "STAGED BY", "NEWEST", "FILES", "SIZE", "", "PLACE")]
        size = 0
        old: list[tuple[Any, Claim]] = []
        for place, left in found.values():
            needed = jobs is not None and left.claim.store == jobs.identity and not jobs.is_over(left.claim)
            if left.modified <= oldest and not needed:
                old.append((place, left.claim))
                size += left.size
            rows.append(_row(left, _fate(left, oldest, needed=needed, remove=remove)))
        if remove:
            for place, claim in old:
                place.remove([claim])
    except HeadraceError as error:
        print_error(error)
        return 1
    if not found:
        print(f"nothing is staged in {target}")
        return 0
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    count = f"{len(old)} of {len(found)}, {amount(size, 'B')}"
    if remove:
        print(f"removed: {count}")
    elif old:
        print(f"older than {older_than}: {count}; --remove removes what no job that may go on needs: be sure of that")
    return 0


def _fate(left: Left, oldest: float, *, needed: bool, remove: bool) -> str:
    if needed:
        return "a job of this home needs it"
    if left.modified > oldest:
        return "kept: it is not that old"
    return "removed" if remove else "old"


def _row(left: Left, fate: str) -> tuple[str, ...]:
    claim, when = left.claim, datetime.fromtimestamp(left.modified).astimezone()
    counts = str(left.files), amount(left.size, "B")
    return str(claim.job_id), str(claim.run), claim.store, f"{when:%Y-%m-%d %H:%M:%S}", *counts, fate, left.place


def _age(text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise ConfigError([Problem("--older-than", str(error))]) from error


def _sinks(file: str) -> list[Any]:
    """The sinks of a job file that stage something."""
    if not os.path.exists(file):
        raise Rejected(f"there is no directory or job file {file!r}")
    plan = make_plan(load_job(Path(file)))
    sinks = {s.plugin.place: s.sink for p in plan.pipelines for s in p.all_sinks() if s.sink.does("left")}
    if not sinks:
        raise Rejected(f"no sink of {file} stages anything that outlives its job")
    return list(sinks.values())


def _jobs(home: Path, overrides: Mapping[str, Any]) -> JobsOfHome | None:
    """What this home knows; None where it has run nothing."""
    if not (home / "identity").exists():
        return None
    settings = load_settings(overrides)
    return JobsOfHome(home, open_store(settings.checkpoint_store, home / "checkpoints", settings.store_options()))
