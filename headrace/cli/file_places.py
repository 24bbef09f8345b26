"""Files as people name them, on the command line, as options of LocalFile: suffixes tell the format and the packing."""

import os
import re
import shutil
import urllib.request
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headrace.errors import ConfigError, Problem
from headrace.texts import near_names, with_article

FORMATS = {
    "csv": "csv", "tsv": "csv", "tab": "csv", "psv": "csv", "txt": "csv", "json": "json", "jsonl": "json",
    "ndjson": "json", "parquet": "parquet", "pq": "parquet", "orc": "orc", "avro": "avro", "xlsx": "excel",
    "xls": "excel", "xml": "xml",
}  # fmt: skip
"""Suffix → format."""

_CODECS = {"gz": "gzip", "zst": "zstd", "lz4": "lz4", "br": "brotli", "bz2": "bz2", "lzo": "lzo"}
_ARCHIVES = {"zip": "ZIP", "tar": "TAR", "tgz": "TAR_GZ"}
_DELIMITERS = {"tsv": "\t", "tab": "\t", "psv": "|"}
_LOOKED_AT = ("csv", "json", "excel", "xml")
_WILD = re.compile(r"[*?\[]")
_SUFFIX = {"excel": "xlsx", "csv": "csv", "json": "json", "text": "txt"}


@dataclass(frozen=True)
class FilePlace:
    """path: what is read or written into. pattern: of the files in it. table: what a table of it is called.

    file: the one that is written. suffix: that tells the format.
    """

    path: str
    form: str
    suffix: str = ""
    pattern: str = ""
    codec: str = ""
    archive: str = ""
    table: str = ""
    file: Path | None = None

    def source_options(self) -> dict[str, Any]:
        """The options of a source that reads it."""
        found = {
            "path": self.path,
            "file_format_type": self.form,
            "file_filter_pattern": self.pattern,
            "compress_codec": self.codec,
            "archive_compress_codec": self.archive,
            "field_delimiter": _DELIMITERS.get(self.suffix, ""),
        }
        looked = {"infer_schema": True} if self.form in _LOOKED_AT else {}
        return {**{name: value for name, value in found.items() if value}, **looked}

    def sink_options(self, table: str, mode: str, *, is_many: bool) -> dict[str, Any]:
        """The options of a sink that writes it. table: the one that is written."""
        name, path = table, self.path
        if self.file is not None:
            name = self.file.name.partition(".")[0] or table
            name = self.file.name.removesuffix(f".{self.suffix}") if self.suffix else name
        elif is_many:
            name, path = "${table_name}", os.path.join(self.path, "${table_name}")
        found: dict[str, Any] = {
            "path": path,
            "file_format_type": self.form,
            "custom_filename": True,
            "file_name_expression": name,
            "filename_extension": self.suffix or _SUFFIX.get(self.form, self.form),
            "single_file_mode": True,
            "create_empty_file_when_no_data": True,
        }
        if self.form == "csv":
            found["enable_header_write"] = True
        if self.suffix in _DELIMITERS:
            found["field_delimiter"] = _DELIMITERS[self.suffix]
        if self.file is None:
            modes = {"append": "APPEND_DATA", "replace": "DROP_DATA", "": "ERROR_WHEN_DATA_EXISTS"}
            found["data_save_mode"] = modes[mode]
        return found


def place_of(text: str, form: str, folder: Path | None) -> FilePlace:
    """What is read: a file, a directory, or files by a pattern such as `data/2024-*.csv.gz`; or a file of the web.

    form: the format, where the suffix does not say it. folder: where a file of the web is put; None: it is not read.
    Raises ConfigError.
    """
    text = text.removeprefix("file://")
    if text.startswith(("http://", "https://")):
        name = os.path.basename(urlsplit(text).path) or "download"
        text = str(_fetched(text, folder / name)) if folder is not None else text
    name = os.path.basename(text.rstrip("/"))
    if os.path.isdir(text):
        return FilePlace(text, form or _form_in(text), table=_plain(name))
    suffixes = name.lower().split(".")[1:]
    archive = codec = ""
    if suffixes[-2:] == ["tar", "gz"]:
        archive, suffixes = "TAR_GZ", suffixes[:-2]
    elif suffixes and suffixes[-1] in _ARCHIVES:
        archive, suffixes = _ARCHIVES[suffixes[-1]], suffixes[:-1]
    elif suffixes and suffixes[-1] in _CODECS:
        codec, suffixes = _CODECS[suffixes[-1]], suffixes[:-1]
    suffix = suffixes[-1] if suffixes else ""
    found = form or FORMATS.get(suffix, "")
    if not found:
        raise ConfigError([_unknown(text, "--from")])
    if is_pattern(text):
        if folder is not None and not glob(text, recursive=True):
            raise ConfigError([Problem("", f"no file fits {text!r}", _near(text))])
        path, pattern = _globbed(text)
        return FilePlace(path, found, suffix, pattern, codec, archive)
    if folder is None or os.path.exists(text):
        return FilePlace(text, found, suffix, "", codec, archive, _plain(name.partition(".")[0]))
    raise ConfigError([Problem("", f"there is no file or directory {text!r}", _near(text))])


def target_place(text: str, form: str, mode: str, *, is_many: bool) -> FilePlace:
    """What is written: a file by its suffix, else a directory. Raises ConfigError where that would lose something."""
    text = text.removeprefix("file://")
    suffix = os.path.basename(text).rpartition(".")[2].lower() if "." in os.path.basename(text) else ""
    if text.endswith("/") or os.path.isdir(text) or (not suffix and not os.path.exists(text)):
        place = FilePlace(text.rstrip("/") or "/", form or "parquet")
        if mode == "replace":
            _check_emptied(place)
        return place
    found = form or FORMATS.get(suffix, "")
    if not found:
        raise ConfigError([_unknown(text, "--to")])
    if is_many:
        cure = f"name a directory: {text.rpartition('.')[0]}/"
        raise ConfigError([Problem("", f"all tables do not go into one file, {text}", cure)])
    if mode == "append":
        cure = "name a directory, which gets one file more, or say --mode replace"
        raise ConfigError([Problem("--mode", f"nothing is appended to a file such as {text}", cure)])
    if os.path.exists(text) and mode != "replace":
        raise ConfigError([Problem("", f"{text} is there already", "add --mode replace to write it anew")])
    return FilePlace(os.path.dirname(text) or ".", found, suffix, file=Path(text))


def _check_emptied(place: FilePlace) -> None:
    """Raises ConfigError when a directory that would be emptied holds anything but files of the format."""
    suffix = _SUFFIX.get(place.form, place.form)
    for folder, _, files in os.walk(place.path):
        for name in files:
            if not name.startswith((".", "_")) and not name.endswith(suffix):
                what = os.path.join(folder, name)
                cure = "choose another directory, or empty it yourself"
                wrong = f"replace would remove {what}, which is not {with_article(f'{suffix} file')}"
                raise ConfigError([Problem("--mode", wrong, cure)])


def _near(text: str) -> str:
    parent = os.path.dirname(text) or "."
    names = near_names(os.listdir(parent), os.path.basename(text)) if os.path.isdir(parent) else ""
    return f"{parent} holds {names}" if names else ""


def check_not_read(source: str, target: Path) -> None:
    """Raises ConfigError when the file that is replaced is one of those that are read."""
    text = source.removeprefix("file://")
    real = os.path.realpath(target)
    for one in map(os.path.realpath, glob(text, recursive=True) if is_pattern(text) else [text]):
        if real == one or real.startswith(os.path.join(one, "")):
            where = "the source" if real == os.path.realpath(text) else f"one of the files of {source}"
            raise ConfigError([Problem("", f"{target} is {where}, and would be replaced", "write to another file")])


def is_pattern(text: str) -> bool:
    """Whether a path stands for many."""
    return bool(_WILD.search(text))


def _unknown(text: str, option: str) -> Problem:
    known = ", ".join(sorted(set(FORMATS.values())))
    return Problem("", f"the name of {text} does not say its format", f"add {option} FORMAT; known: {known}")


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


def _form_in(folder: str) -> str:
    """The format of the files in a directory. Raises ConfigError where they have several."""
    found: dict[str, str] = {}
    for path, _, files in os.walk(folder):
        for name in sorted(files):
            suffixes = [part for part in name.lower().split(".")[1:] if part in FORMATS]
            if suffixes and not name.startswith("."):
                found.setdefault(FORMATS[suffixes[-1]], os.path.join(path, name))
    if len(found) != 1:
        what = f"holds files of several formats: {', '.join(found.values())}" if found else "holds no files of a format"
        raise ConfigError([Problem("", f"{folder} {what}", "add --from FORMAT, or name the files: 'data/*.csv'")])
    return next(iter(found))


def _globbed(text: str) -> tuple[str, str]:
    """The directory above the first wildcard, and the pattern of paths below it."""
    parts = text.split("/")
    first = next(number for number, part in enumerate(parts) if _WILD.search(part))
    base = "/".join(parts[:first]) or ("/" if text.startswith("/") else ".")
    below = "/".join(parts[first:])
    expression = re.escape(os.path.join(base, "")).replace(r"/", "/")
    return base, expression + _regex_of(below)


def _regex_of(glob: str) -> str:
    """`*` and `?` stay within a name; `**/` is any number of directories."""
    found, at = "", 0
    while at < len(glob):
        char = glob[at]
        if glob.startswith("**/", at):
            found, at = f"{found}(?:.*/)?", at + 3
            continue
        end = glob.find("]", at + 2) if char == "[" else -1
        if end > 0:
            inner = glob[at + 1 : end].replace("\\", r"\\")
            found, at = f"{found}[{'^' + inner[1:] if inner[0] == '!' else inner}]", end + 1
            continue
        found, at = found + {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)), at + 1
    return found


def _fetched(url: str, path: Path) -> Path:
    """The file of a URL, on this machine. Raises ConfigError."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, open(path, "wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
    except OSError as error:
        reason = getattr(error, "reason", error)  # of a URLError
        text = getattr(reason, "strerror", None) or str(reason)
        raise ConfigError([Problem("", f"cannot read {url}: {text}")]) from error
    return path
