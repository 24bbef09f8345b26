"""`headrace init`: a job file made of two answers, or the package of a connector with its test."""

import re
import sys
import tempfile
from pathlib import Path

from headrace.cli.copy import Wish, make_copy
from headrace.cli.output import print_error
from headrace.errors import ConfigError, HeadraceError, Problem

_COMMENTS = {
    "env {": "# What holds for the whole job: its name, BATCH (it ends) or STREAMING (it goes on), how many tasks run.",
    "source {": "# Where the rows come from. `headrace connectors` lists all plugins, `headrace connectors NAME` the\n"
    "# options of one. What a source names as plugin_output is the plugin_input of what follows.",
    "sink {": "# Where they go.",
}
_TRANSFORM = """\
# What becomes of the rows on their way: take the marks away, and set the sink's plugin_input to "changed".
# transform {
#   Sql {
#     plugin_input = "OUTPUT"
#     plugin_output = "changed"
#     query = "select * from OUTPUT"
#   }
# }

"""

_PROJECT = """[project]
name = "headrace-NAME"
version = "0.1.0"
dependencies = ["headrace"]

[project.optional-dependencies]
dev = ["pytest"]

[project.entry-points."headrace.connectors"]
NAME = "headrace_NAME"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
only-include = ["headrace_NAME.py"]
"""

_MODULE = '''"""TITLE: numbers as a source. Replace them by what your system gives."""

from collections.abc import Iterator

import pyarrow as pa
from pydantic import Field

from headrace.connector import Batch, Options, Position, Read, Source, Split, TableSchema, TaskContext, source

COLUMNS = pa.schema([("number", pa.int64()), ("text", pa.string())])


class TITLESourceOptions(Options):
    """Options of the TITLE source."""

    rows: int = Field(default=10, ge=0, description="Rows to give.")
    parts: int = Field(default=2, gt=0, description="Independent parts, read by tasks side by side.")


@source("TITLE")
class TITLESource(Source):
    """Gives numbers. Bounded; a split is a range of them; a restart goes on behind the last one: exactly once."""

    Options = TITLESourceOptions
    options: TITLESourceOptions

    def tables(self) -> list[TableSchema]:
        """One table; `self.output` is what the job calls it."""
        return [TableSchema.from_arrow(COLUMNS, self.output)]

    def splits(self, parallelism: int) -> Iterator[Split]:
        """The parts; they have the same names after a restart."""
        size = -(-self.options.rows // self.options.parts)
        for number in range(self.options.parts):
            start, end = number * size, min((number + 1) * size, self.options.rows)
            if start < end:
                yield Split(f"{start}-{end}", end - start, self.output, data={"start": start, "end": end})

    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:
        """The rows after `position`; each batch comes with the position behind it."""
        at = split.data["start"] if position is None else position
        while at < split.data["end"]:
            numbers = range(at, min(at + task.batch_rows, split.data["end"]))
            columns = [pa.array(numbers, pa.int64()), pa.array([f"number {n}" for n in numbers])]
            at = numbers.stop
            yield Read(Batch(pa.RecordBatch.from_arrays(columns, schema=COLUMNS), self.output), at)
'''

_TEST = '''"""The TITLE source keeps what every source promises, and gives its numbers."""

import pytest
from headrace_NAME import TITLESource

from headrace import run
from headrace.testing import SourceContract, make


class TestTITLESource(SourceContract):
    """Every test of the contract."""

    @pytest.fixture
    def source(self):
        """A bounded source of some rows."""
        return make(TITLESource, rows=20, parts=3)


def test_gives_its_numbers():
    """A whole job, from Python."""
    result = run({"source": [{"plugin_name": "TITLE", "rows": 5}], "sink": [{"plugin_name": "Arrow"}]})
    assert result.status == "FINISHED"
    [table] = result.tables.values()
    assert sorted(table.column("number").to_pylist()) == [0, 1, 2, 3, 4]
'''


def make_job_file(file: Path, source: str, target: str, table: str) -> int:
    """Write a commented job file; what is not given is asked for. The exit code."""
    try:
        if file.exists():
            raise ConfigError([Problem("", f"{file} is there already", "name another file")])
        source, target = source or _ask("source"), target or _ask("target")
        with tempfile.TemporaryDirectory(prefix="headrace-init-") as folder:
            made = make_copy(source, target, Wish(table=table), Path(folder), fetches=False)
    except HeadraceError as error:
        print_error(error)
        return 1
    file.write_text(commented(made.text, file))
    print(f"{file} is written; headrace check {file} shows its plan, headrace run {file} runs it")
    return 0


def _ask(what: str) -> str:
    example = {
        "source": "orders.csv, 'data/*.json', sqlite:///shop.db --table orders, postgres://ann@db/shop.public.orders",
        "target": "orders.parquet, orders/, postgres://ann@db/shop.public.orders",
    }[what]
    if not sys.stdin.isatty():
        raise ConfigError([Problem("", f"the {what} is not known", f"say --{what}, such as {example.split(', ')[0]}")])
    print(f"{what}? for example {example}")
    return input("> ").strip()


def commented(text: str, file: Path) -> str:
    """A job's text with what a beginner asks."""
    output = next(iter(re.findall(r'plugin_output = "(.*)"', text)), "copied")
    lines = [f"# headrace run {file}", ""]
    for line in text.splitlines():
        if line == "sink {":
            lines += _TRANSFORM.replace("OUTPUT", output).splitlines()
        lines += [*_COMMENTS.get(line, "").splitlines(), line]
    return "\n".join(lines) + "\n"


def make_connector(name: str, folder: Path) -> int:
    """Write the package of a connector with its test; the exit code."""
    title = "".join(part.title() for part in re.split(r"[\W_]+", name) if part)
    plain = re.sub(r"\W+", "_", name).strip("_").lower()
    target = folder / f"headrace-{plain}"
    problem = None
    if not title.isidentifier() or not title.isascii():
        problem = Problem(
            "--connector", f"{name!r} is not a name of a connector", "begin it with a letter: --connector shop"
        )
    elif target.exists():
        problem = Problem("--connector", f"{target} is there already", "choose another name")
    if problem is not None:
        print_error(ConfigError([problem]))
        return 1
    files = {"pyproject.toml": _PROJECT, f"headrace_{plain}.py": _MODULE, f"tests/test_{plain}.py": _TEST}
    for path, text in files.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text.replace("TITLE", title).replace("NAME", plain))
    print(f"{target} is written; cd {target}, pip install -e '.[dev]' and pytest: it is a source that works")
    return 0
