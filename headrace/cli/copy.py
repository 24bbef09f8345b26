"""`headrace copy SOURCE TARGET`: two places as people write them in, a SeaTunnel job file out, which then runs."""

import getpass
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from headrace.cli.exits import BROKEN_PIPE, FAILED, FINISHED, REJECTED, exit_code
from headrace.cli.file_places import FilePlace, check_not_read, place_of, target_place
from headrace.cli.output import print_error
from headrace.config.job import parse_job
from headrace.config.rewrite import print_document, read_document
from headrace.connector import Sink, Source, sinks, sources
from headrace.errors import ConfigError, HeadraceError, Problem
from headrace.places import ReadWish, WriteWish, is_address, parse_address, without_jdbc

P = TypeVar("P", Source, Sink)

MODES = ("append", "replace", "upsert")

PASSWORDS = {"source": "HEADRACE_SOURCE_PASSWORD", "target": "HEADRACE_TARGET_PASSWORD"}
"""Variables of the environment that have the passwords."""


@dataclass(frozen=True)
class Wish:
    """What a copy shall do beside reading here and writing there; empty where nothing is said."""

    table: str = ""
    where: str = ""
    columns: tuple[str, ...] = ()
    sql: str = ""
    mode: str = ""
    keys: tuple[str, ...] = ()
    source_format: str = ""
    target_format: str = ""
    parallelism: int = 1


@dataclass(frozen=True)
class Copy:
    """text: the job file. variables: what it takes from outside: the passwords. file: the one file that is written."""

    text: str
    variables: Mapping[str, str]
    file: Path | None = None


def copy(
    source: str,
    target: str,
    wish: Wish,
    overrides: Mapping[str, Any],
    *,
    ask_password: bool,
    only_print: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Make the job and run it, or print it; the exit code."""
    try:
        ask = _asker() if ask_password else None
        with tempfile.TemporaryDirectory(prefix="headrace-copy-") as folder:
            made = make_copy(source, target, wish, Path(folder), ask=ask, fetches=not only_print)
            if only_print:
                print(made.text, end="")
                return 0
            return _run(made, wish, overrides, quiet=quiet, as_json=as_json)
    except HeadraceError as error:
        print_error(error)
        return exit_code(error)


def _run(made: Copy, wish: Wish, overrides: Mapping[str, Any], *, quiet: bool, as_json: bool) -> int:
    """Run the job. A file that is replaced is put back when it fails, or gives no file."""
    from headrace.cli.run import run_job

    job = parse_job(made.text, variables=made.variables)
    file, aside = made.file, None
    if file is not None and file.exists():
        aside = file.with_name(f".{file.name}.before-{os.getpid()}")
        file.rename(aside)
    code = FAILED
    try:
        code = run_job(job, [], overrides, None, None, restore=False, strict=False, quiet=quiet, as_json=as_json)
    finally:
        if file is not None and aside is not None:
            is_delivered = code in (FINISHED, REJECTED, BROKEN_PIPE) and file.exists()
            aside.unlink() if is_delivered else aside.rename(file)
    return code


def _asker() -> Callable[[str], str]:
    if not sys.stdin.isatty():
        cure = f"set {' or '.join(PASSWORDS.values())}"
        raise ConfigError([Problem("--ask-password", "there is no terminal to ask for a password", cure)])
    return lambda what: getpass.getpass(f"password of {what}: ")


def make_copy(
    source: str,
    target: str,
    wish: Wish,
    folder: Path,
    *,
    ask: Callable[[str], str] | None = None,
    fetches: bool = True,
) -> Copy:
    """The job. folder: where files of the web are put. Raises ConfigError with all that is wrong.

    fetches: whether they are read at all. ask: for the password of what it is told.
    """
    _check(wish)
    source, target = without_jdbc(source), without_jdbc(target)
    variables: dict[str, str] = {}
    sql = ""
    if is_address(source) and not source.startswith(("http://", "https://", "file://")):
        plugin, options, name = _source_at(source, wish, variables, ask)
    else:
        found = place_of(source, wish.source_format, folder if fetches else None)
        plugin, options, name = "LocalFile", found.source_options(), wish.table or found.table
        sql = _select(wish, name or "dual")
    output = name if name.isidentifier() else "copied"
    env = {"job.name": f"copy {_shown(source)}", "job.mode": "BATCH", "parallelism": wish.parallelism}
    job: dict[str, Any] = {"env": env, "source": [{"plugin_name": plugin, **options, "plugin_output": output}]}
    if sql:
        chosen = f"{output}_chosen"
        names = {"plugin_input": output, "plugin_output": chosen}
        job["transform"] = [{"plugin_name": "Sql", **names, "query": sql}]
        output = chosen
    is_many = not name and plugin != "LocalFile"
    sink, file = _sink_of(target, wish, name, variables, ask, is_many=is_many)
    if file is not None and file.exists() and not is_address(source.removeprefix("file://")):
        check_not_read(source, file)
    job["sink"] = [{**sink, "plugin_input": output}]
    text = print_document(read_document(json.dumps(job), "json"), "hocon")
    return Copy(text, variables, file)


def _check(wish: Wish) -> None:
    wrong = []
    if wish.mode and wish.mode not in MODES:
        wrong.append(Problem("--mode", f"{wish.mode!r} is not one of {', '.join(MODES)}"))
    if wish.sql and (wish.where or wish.columns):
        wrong.append(Problem("--sql", "where and columns are part of the statement", "leave out --where and --columns"))
    if wish.keys and wish.mode in ("append", "replace"):
        wrong.append(Problem("--key", f"a key is for --mode upsert, not {wish.mode}"))
    if wrong:
        raise ConfigError(wrong)


def _select(wish: Wish, name: str) -> str:
    """The statement of a Sql transform; empty where all rows go on as they are."""
    if wish.sql:
        return wish.sql
    if not wish.where and not wish.columns:
        return ""
    columns = ", ".join(f"`{column}`" for column in wish.columns) or "*"
    return f"select {columns} from {name}" + (f" where {wish.where}" if wish.where else "")


def _source_at(
    text: str, wish: Wish, variables: dict[str, str], ask: Callable[[str], str] | None
) -> tuple[str, dict[str, Any], str]:
    """The plugin, its options, and the name of the one table that is read; empty for all tables."""
    plugin, cls = _plugin(text, sources.names(), sources.find)
    address = _with_password(text, "source", variables, ask)
    options = cls.options_at(address, ReadWish(wish.table, wish.columns, wish.where, wish.sql))
    table = wish.table or str(options.get("table_path", ""))
    name = "" if options.get("use_regex") else table.rpartition(".")[2]
    return plugin, options, name or ("query" if wish.sql else "")


def _sink_of(
    text: str,
    wish: Wish,
    name: str,
    variables: dict[str, str],
    ask: Callable[[str], str] | None,
    *,
    is_many: bool,
) -> tuple[dict[str, Any], Path | None]:
    """The sink, and the one file that it writes."""
    if is_address(text) and not text.startswith("file://"):
        plugin, cls = _plugin(text, sinks.names(), sinks.find)
        address = _with_password(text, "target", variables, ask)
        otherwise = "${table_name}" if is_many else "" if name == "query" else name
        wanted = WriteWish("" if is_many else wish.table, otherwise, wish.mode, wish.keys)
        return {"plugin_name": plugin, **cls.options_at(address, wanted)}, None
    if wish.mode == "upsert":
        raise ConfigError([Problem("--mode", "files take no upserts", "say append or replace")])
    place: FilePlace = target_place(text, wish.target_format, wish.mode, is_many=is_many)
    return {"plugin_name": "LocalFile", **place.sink_options(name or "rows", wish.mode, is_many=is_many)}, place.file


def _plugin(text: str, names: Sequence[str], find: Callable[[str], type[P] | None]) -> tuple[str, type[P]]:
    """The plugin for an address."""
    scheme = text.partition("://")[0].lower()
    forms: dict[str, str] = {}
    for name in names:
        cls = find(name)
        if cls is not None and scheme in cls.schemes():
            return name, cls
        forms.update(cls.schemes() if cls is not None else {})
    known = ", ".join(dict.fromkeys(forms.values()))
    raise ConfigError([Problem("", f"nothing here reads or writes {scheme}://", f"known: paths of files, {known}")])


def _with_password(text: str, side: str, variables: dict[str, str], ask: Callable[[str], str] | None) -> Any:
    """The address with a variable for its password, where one is known."""
    address, given = parse_address(os.path.expandvars(text))
    _, written = parse_address(text)
    if written and not written.startswith("$"):
        what = f"the password in {address.text} is seen by every user of this machine, in its list of programs"
        cure = f"leave it out and set {PASSWORDS[side]}, or say --ask-password"
        raise ConfigError([Problem("", what, cure)])
    secret = os.environ.get(PASSWORDS[side]) or given or (ask(address.text) if ask and address.hosts else "")
    if not secret:
        return address
    variables[f"{side}_password"] = secret
    return replace(address, password=f"${{{side}_password}}")


def _shown(source: str) -> str:
    return parse_address(source)[0].text if is_address(source) else source
