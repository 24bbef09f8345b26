"""Commands that print a job file anew: fmt, encrypt, decrypt."""

import sys
from collections.abc import Callable
from pathlib import Path

from headrace.cli.exits import exit_code
from headrace.cli.output import print_error
from headrace.config.blocks import Block
from headrace.config.job import format_of, read_text
from headrace.config.rewrite import FORMATS, decrypt_document, encrypt_document, print_document, read_document
from headrace.errors import ConfigError, HeadraceError, Problem
from headrace.storage.local import write_whole

SUFFIXES = {"hocon": ".conf", "json": ".json", "sql": ".sql"}


def format_job(file: Path, to: str | None, *, write: bool) -> int:
    """Print a job file in the canonical layout, or in another format; with `write` into a file."""

    def act() -> None:
        form = to or format_of(file)
        if form not in FORMATS:
            wrong = f"{form!r} is not a format of job files"
            raise ConfigError([Problem("--to", wrong, f"choose {', '.join(FORMATS)}")])
        text = print_document(read_document(read_text(file), format_of(file), str(file)), form, str(file))
        _give(text, _target(file, form) if write else None)

    return _tell(act)


def encrypt_job(file: Path, *, write: bool) -> int:
    """Print a job file with its secrets encrypted, or change it."""
    return _tell(lambda: _change(file, encrypt_document, write=write))


def decrypt_job(file: Path, *, write: bool) -> int:
    """Print a job file with its secrets in plain text, or change it."""
    return _tell(lambda: _change(file, decrypt_document, write=write))


def _change(file: Path, change: Callable[[Block, str], None], *, write: bool) -> None:
    form = format_of(file)
    root = read_document(read_text(file), form, str(file))
    change(root, str(file))
    _give(print_document(root, form, str(file)), file if write else None)


def _target(file: Path, form: str) -> Path:
    """The file itself, or one of another suffix beside it, which must not be there yet."""
    if form == format_of(file):
        return file
    target = file.with_suffix(SUFFIXES[form])
    if target.exists():
        raise ConfigError([Problem("", f"{str(target)!r} is there already", "remove it first, or leave --write out")])
    return target


def _give(text: str, target: Path | None) -> None:
    """Print the text, or write it whole or not at all, with the permissions that the file has."""
    if target is None:
        sys.stdout.write(text)
        return
    target = target.resolve()
    try:
        write_whole(target, text.encode(), None if target.exists() else 0o600)
    except OSError as error:
        raise ConfigError([Problem("", f"cannot write {str(target)!r}: {error.strerror}")]) from error


def _tell(act: Callable[[], None]) -> int:
    try:
        act()
    except HeadraceError as error:
        print_error(error)
        return exit_code(error)
    return 0
