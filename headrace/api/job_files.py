"""The files of the jobs that were taken here, secrets masked: kept with a bound, also when the jobs have ended.

A file's name begins with a digest of its job's name, so that the runs before it are found without reading the others.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headrace.config.job import parse_job
from headrace.config.shade import Shade
from headrace.jobs.record import JobRecord
from headrace.jobs.service import PreparedJob
from headrace.secrets import Masker

KEPT = 2000
"""Files that are kept; the oldest go first."""

LARGEST = 1 << 20
"""Characters of a job file that is kept; of a larger one nothing is."""


@dataclass(frozen=True)
class JobFile:
    """A job file as it was taken. taken: seconds since 1970."""

    job_id: int
    run: int
    name: str
    format: str
    text: str
    taken: float


class JobFiles:
    """All of them, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0

    def keep(self, record: JobRecord, job: PreparedJob) -> None:
        """Keep the file of a job that was just taken. A full disk costs the copy, not the job."""
        text = masked(job)
        if len(text) > LARGEST:
            return
        kept = JobFile(record.job_id, record.run, record.name, job.text.format, text, time.time())
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._folder / f"{digest(record.name)}-{record.job_id}-{record.run}.json"
            fresh = file.with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps(asdict(kept)), encoding="utf-8")
            os.replace(fresh, file)
            self._written += 1
            if self._written % 100 == 1:
                self._make_room()

    def of(self, record: JobRecord) -> JobFile | None:
        """The file of a run; None when it is not kept."""
        return _read(self._folder / f"{digest(record.name)}-{record.job_id}-{record.run}.json")

    def before(self, record: JobRecord) -> JobFile | None:
        """The file of the last run before this one: of the same job, or of one with the same name."""
        found = [file for path in self._folder.glob(f"{digest(record.name)}-*.json") if (file := _read(path))]
        earlier = [f for f in found if (f.job_id, f.run) != record.key and f.taken < record.created]
        return max(earlier, key=lambda file: (file.job_id == record.job_id, file.taken), default=None)

    def _make_room(self) -> None:
        with os.scandir(self._folder) as entries:
            found: Iterable[tuple[float, str]] = sorted((entry.stat().st_mtime, entry.path) for entry in entries)
        for _, path in [*found][:-KEPT]:
            Path(path).unlink(missing_ok=True)


def masked(job: PreparedJob) -> str:
    """The text of a job without its secrets, as they are and as they were encrypted in the file."""
    config, given = job.plan.job, job.text
    plugins = config.plugins
    if Shade.of(config.env_raw) is not None:
        plugins += parse_job(given.text, format=given.format, variables=given.variables, decrypt=False).plugins
    values: list[Any] = [config.env_raw, config.variables or {}]
    for plugin in plugins:
        values.append(plugin.options)
        values += [{"password": plugin.options[name]} for name in config.env.shade_options if name in plugin.options]
    return Masker(*values)(given.text)


def digest(name: str) -> str:
    """Stands for a job's name, whatever it holds, in names of files."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _read(path: Path) -> JobFile | None:
    try:
        return JobFile(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
