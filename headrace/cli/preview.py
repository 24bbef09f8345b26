"""`headrace preview`: the first rows of a job, of files or of a database, with the types of their columns."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.cli.copy import Wish, make_copy
from headrace.cli.exits import exit_code
from headrace.cli.file_places import FORMATS, is_pattern
from headrace.cli.output import failure_json, print_error
from headrace.cli.variables import parse_variables
from headrace.config.job import JobConfig, load_job, parse_job
from headrace.errors import HeadraceError
from headrace.execution.preview import preview
from headrace.places import is_address, without_jdbc
from headrace.plan.plan import make_plan
from headrace.rows import type_name

LONGEST = 40
"""Characters of a cell on a terminal; what is cut ends with `…`."""


def preview_place(
    place: str, variables: Sequence[str], rows: int, table: str, form: str, *, as_json: bool = False
) -> int:
    """Read until each table has enough rows, and print them; the exit code."""
    try:
        with tempfile.TemporaryDirectory(prefix="headrace-preview-") as folder:
            found = preview(make_plan(_job(place, variables, table, form, Path(folder))), rows)
            total = _rows_in(place)
    except HeadraceError as error:
        print_error(error)
        code = exit_code(error)
        if as_json:
            print(json.dumps(failure_json(error, code)))
        return code
    if as_json:
        print(json.dumps({"tables": [_as_json(name, shown) for name, shown in found.items()]}))
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for number, (name, shown) in enumerate(found.items()):
        lines = [""] if number else []
        lines += [*heading(name, shown, rows, total), "", *as_lines(shown, width)]
        print("\n".join(line.rstrip() for line in lines))
    if not found:
        print("there are no rows")
    return 0


def _as_json(name: str, table: pa.Table) -> dict[str, Any]:
    """A table as values of JSON. Cells are texts as on a terminal, null where there is no value."""
    cells = [[None if value is None else _text(value) for value in column.to_pylist()] for column in table.columns]
    return {
        "table": name,
        "columns": [{"name": field.name, "type": type_name(field.type)} for field in table.schema],
        "rows": [list(row) for row in zip(*cells, strict=True)],
    }


def _job(place: str, variables: Sequence[str], table: str, form: str, folder: Path) -> JobConfig:
    if not form and not is_data(place):
        return load_job(Path(place), parse_variables(variables))
    made = make_copy(place, os.path.join(folder, "out/"), Wish(table=table, source_format=form), folder)
    return parse_job(made.text, variables=made.variables)


def is_data(place: str) -> bool:
    """Whether a path or address names data, and not a job file."""
    if is_address(without_jdbc(place)) or os.path.isdir(place) or is_pattern(place):
        return True
    suffixes = os.path.basename(place).lower().split(".")[1:]
    if suffixes != ["json"]:
        return any(suffix in FORMATS for suffix in suffixes)
    try:
        with open(place, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return os.path.exists(place)
    return not (isinstance(found, dict) and {"source", "env", "sink"} & found.keys())


def _rows_in(place: str) -> int | None:
    """How many rows a parquet or orc file says it has; None where they would have to be counted."""
    if not os.path.isfile(place) or not place.endswith((".parquet", ".pq", ".orc")):
        return None
    try:
        if place.endswith(".orc"):
            from pyarrow import orc

            return int(orc.ORCFile(place).nrows)
        from pyarrow import parquet

        return int(parquet.read_metadata(place).num_rows)
    except (OSError, pa.ArrowException):
        return None


def heading(name: str, table: pa.Table, asked: int, total: int | None) -> list[str]:
    """What the table is called, how many rows there are, its columns with their types."""
    if total is not None:
        count = _rows(total) + (f", the first {table.num_rows}" if total > table.num_rows else "")
    else:
        count = _rows(table.num_rows)
        if table.num_rows >= asked:
            count = "the first row" if table.num_rows == 1 else f"the first {count}"
    width = max((len(field.name) for field in table.schema), default=0)
    columns = [f"  {field.name:<{width}}  {type_name(field.type)}" for field in table.schema]
    return [f"{name}: {count}, {len(columns)} column{'s' * (len(columns) != 1)}", *columns]


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def as_lines(table: pa.Table, width: int | None) -> list[str]:
    """The rows below their names; numbers end at the same place. width: of the terminal; None cuts nothing."""
    columns = [_cells(field, column, width) for field, column in zip(table.schema, table.columns, strict=True)]
    fitting = _fitting([max(map(len, cells)) for cells in columns], width)
    lines = ["  ".join(cells) for cells in zip(*map(_aligned, table.schema, columns[:fitting]), strict=False)]
    left = [field.name for field in list(table.schema)[fitting:]]
    if left:
        shown = f"… and {len(left)} more columns: {', '.join(left)}"
        lines.append(shown if width is None or len(shown) <= width else shown[: width - 1] + "…")
    return lines


def _fitting(widths: list[int], width: int | None) -> int:
    """How many columns fit, one at least."""
    if width is None:
        return len(widths)
    used = 0
    for number, column in enumerate(widths):
        used += column + (2 if number else 0)
        if used > width:
            return max(number, 1)
    return len(widths)


def _cells(field: pa.Field, column: pa.ChunkedArray, width: int | None) -> list[str]:
    texts = [field.name, *map(_text, column.to_pylist())]
    longest = None if width is None else min(LONGEST, width)
    return [text if longest is None or len(text) <= longest else text[: longest - 1] + "…" for text in texts]


def _aligned(field: pa.Field, cells: list[str]) -> list[str]:
    width = max(map(len, cells))
    is_number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
    return [cell.rjust(width) if is_number else cell.ljust(width) for cell in cells]


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)
    return text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
