"""Where bad rows lie: the error sinks of a job file, those that the jobs of a home have had, a directory of files."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.connector import JobContext, Sink, Source, TaskContext, sinks, sources
from headrace.errors import ConfigError, Problem, Rejected
from headrace.execution.ledger import Row
from headrace.options import read_options
from headrace.plan.error_table import error_table
from headrace.plan.plan import Plan
from headrace.secrets import is_secret, mask_urls
from headrace.storage.contract import Stat
from headrace.storage.local import write_whole

MOST_PLACES = 1000
"""Error sinks that a home remembers."""

STAGES = ("SOURCE", "TRANSFORM", "SINK")

_SUFFIXES = {
    "csv": "csv", "txt": "text", "json": "json", "parquet": "parquet", "orc": "orc", "xlsx": "excel", "xml": "xml",
}  # fmt: skip
_CODECS = {
    "gzip": "gzip", "gz": "gzip", "zstd": "zstd", "zst": "zstd", "lz4": "lz4", "brotli": "brotli", "br": "brotli",
    "bz2": "bz2", "lzo": "lzo",
}  # fmt: skip
_OWN_CODEC = ("parquet", "orc", "excel")
"""Formats that pack their columns themselves."""


@dataclass(frozen=True)
class BadPlace:
    """One table of an error sink. step: the sink's place in its job file. job, file: of the job, where it is known.

    folder: where the job runs, which relative paths begin at.
    """

    step: str
    plugin: str
    sink: Sink
    table: str
    job: str = ""
    file: str = ""
    folder: str = ""

    @property
    def shown(self) -> str:
        """What people call it: a directory, or a table and its database."""
        options = self.sink.options
        path = getattr(options, "path", None)
        if path is not None:
            return str(path) if self.folder in ("", os.getcwd()) else os.path.join(self.folder, path)
        return f"table {self.table} in {mask_urls(str(getattr(options, 'url', self.plugin)))}"

    def key(self) -> str:
        """The same text for the same place; it holds no secrets."""
        return json.dumps([self.plugin, _without_secrets(self._source_options() or {})], sort_keys=True, default=str)

    def rows(self) -> list[Row]:
        """The rows there. Raises Rejected where something else lies there, ConnectorError where it cannot be read."""
        options = self._source_options()
        cls = sources.find(self.plugin)
        if options is None or cls is None:
            text = f"what {self.plugin} was given cannot be read back"
            cure = "route bad rows into LocalFile or Jdbc to replay them"
            raise ConfigError([Problem(self.step, text, cure, self.file)])
        with chdir(self.folder or "."):
            rows = list(_read(cls, options)) if options else []
        found = [row for row in rows if row["error_stage"] != "error_stage"]  # a header
        for row in found:
            if row["error_stage"] not in STAGES or row["plugin_type"] != row["error_stage"]:
                raise Rejected(f"{self.shown} holds other rows than bad ones")
        return found

    def files(self) -> Sequence[Stat]:
        """The files there; none where the rows lie in no files."""
        with chdir(self.folder or "."):
            return self.sink.files_of_bad_rows(error_table(self.table))

    def discard(self, rows: int, files: Sequence[Stat]) -> None:
        """Remove what `rows` and `files` gave for good. Raises Rejected where more has come since."""
        with chdir(self.folder or "."):
            self.sink.discard_bad_rows(error_table(self.table), rows, files)

    def _source_options(self) -> Mapping[str, Any] | None:
        with chdir(self.folder or "."):
            return self.sink.source_of_bad_rows(error_table(self.table))


def _read(cls: type[Source], options: Mapping[str, Any]) -> Iterator[Row]:
    made = read_options(cls.Options, options)
    assert made.options is not None, [str(problem) for problem in made.problems]
    source = cls(made.options)
    names = error_table("").names
    for split in source.splits(1):
        with closing(source.read(split, None, TaskContext(JobContext(0)))) as reading:  # type: ignore[type-var]
            for read in reading:
                for row in read.batch.rows.to_pylist() if read is not None else ():
                    yield {name: None if row.get(name) is None else str(row[name]) for name in names}


def _without_secrets(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {key: _without_secrets(value) for key, value in values.items() if not is_secret(str(key))}
    if isinstance(values, list | tuple):
        return [_without_secrets(value) for value in values]
    return mask_urls(values) if isinstance(values, str) else values


# ------------------------------------------------------------------------------------------------------- of a job file


def places_of(plan: Plan) -> list[BadPlace]:
    """The places of a job. Raises ConfigError when the job routes no rows."""
    found = {}
    for pipeline in plan.pipelines:
        for target in pipeline.bad_rows.values():
            if target.step is not None:
                plugin, sink = target.step.plugin, target.step.sink
                name, file = plan.job.env.job_name, plan.job.file
                found[plugin.place, target.table] = BadPlace(plugin.place, plugin.name, sink, target.table, name, file)
    if not found:
        cure = 'set mode = "ROUTE" with a sink and include_original_data = true'
        raise ConfigError(
            [Problem("env.error_handler", "this job routes no bad rows into a sink", cure, plan.job.file)]
        )
    return list(found.values())


# ---------------------------------------------------------------------------------------------------------- of a home


def remember(home: Path, plan: Plan, name: str) -> None:
    """Note where a job that starts puts its bad rows. A home that is full or cannot be written notes nothing."""
    folder, noted = home / "bad", False
    with suppress(OSError):
        for pipeline in plan.pipelines:
            for target in pipeline.bad_rows.values():
                if target.step is None:
                    continue
                note = {
                    "job": name,
                    "file": os.path.abspath(plan.job.file) if plan.job.file else "",
                    "folder": os.getcwd(),
                    "step": target.step.plugin.place,
                    "plugin": target.step.plugin.name,
                    "table": target.table,
                    "options": _without_secrets(target.step.plugin.options),
                }
                text = json.dumps(note, sort_keys=True, default=str).encode()
                folder.mkdir(parents=True, exist_ok=True)
                write_whole(folder / f"{hashlib.sha256(text).hexdigest()[:32]}.json", text, durable=False)
                noted = True
        if noted:
            _forget_old(folder)


def _forget_old(folder: Path) -> None:
    notes = sorted(folder.glob("*.json"), key=os.path.getmtime)
    for note in notes[:-MOST_PLACES]:
        note.unlink(missing_ok=True)


def remembered(home: Path) -> list[BadPlace]:
    """The places that jobs of a home have had, the newest job first; each once."""
    found: dict[tuple[str, str], BadPlace] = {}
    for note in sorted((home / "bad").glob("*.json"), key=os.path.getmtime, reverse=True):
        with suppress(OSError, ValueError, KeyError):
            told = json.loads(note.read_text(encoding="utf-8"))
            sink = _sink(told["plugin"], told["options"], told["table"])
            if sink is not None and os.path.isdir(told["folder"]):
                place = BadPlace(
                    told["step"], told["plugin"], sink, told["table"], told["job"], told["file"], told["folder"]
                )
                found.setdefault((place.shown, place.folder), place)
    return list(found.values())


def _sink(plugin: str, options: Mapping[str, Any], table: str) -> Sink | None:
    cls = sinks.find(plugin)
    made = read_options(cls.Options, cls.for_bad_rows(options, table)) if cls is not None else None
    return cls(made.options) if cls is not None and made is not None and made.options is not None else None


# ----------------------------------------------------------------------------------------------------- of a directory


def place_in(folder: str) -> BadPlace:
    """A directory of files that a LocalFile error sink wrote; their names tell the format. Raises ConfigError."""
    forms = {}
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                forms[_form_of(name)] = os.path.join(path, name)
    if len(forms) > 1 or ("", "") in forms:
        other = forms.get(("", ""))
        text = f"{other} is not a file of bad rows" if other else f"{folder} holds files of several formats"
        raise ConfigError([Problem("", text, "name the job file, whose error sink says what it writes")])
    form, codec = next(iter(forms), ("csv", ""))
    options = {"path": folder, "file_format_type": form, **({"compress_codec": codec} if codec else {})}
    sink = _sink("LocalFile", options, "error_table")
    assert sink is not None
    return BadPlace("LocalFile", "LocalFile", sink, "error_table")


def _form_of(name: str) -> tuple[str, str]:
    """The format and the codec that a file's name tells: `a.csv`, `a.csv.gz`, `a.gz.csv`."""
    parts = name.lower().split(".")[1:]
    form = next((_SUFFIXES[part] for part in reversed(parts) if part in _SUFFIXES), "")
    codec = next((_CODECS[part] for part in parts if part in _CODECS), "")
    return form, codec if form not in _OWN_CODEC else ""
