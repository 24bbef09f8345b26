"""JsonPath: takes values out of JSON text or nested columns by a path."""

import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

import orjson
import pyarrow as pa
from pydantic import Field, model_validator

from headrace.connector import Batch, Choice, Options, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.formats.lenient_json import loads
from headrace.leaves import printed_floats
from headrace.rows import Column, parse_type, type_name
from headrace.transforms._json_paths import Row, parse_path
from headrace.transforms._tables import TableOptions, TableTransform, add_arrays, add_columns, need_columns
from headrace.values import parse_value, to_array


class RowErrors(Choice):
    """What a row does whose value cannot be taken or converted."""

    FAIL = "FAIL"
    SKIP = "SKIP"


class ColumnErrors(Choice):
    """What a value does that cannot be taken or converted."""

    FAIL = "FAIL"
    SKIP = "SKIP"
    SKIP_ROW = "SKIP_ROW"


@dataclass(frozen=True)
class _Extract:
    """One column to append: where its value is, its name and its type."""

    source: str
    path: str
    name: str
    type: pa.DataType
    way: ColumnErrors | None


class PathColumn(Options):
    """One column to append, or several of one source: then path, dest_field and dest_type are lists."""

    src_field: str = Field(description="The column that holds JSON text, or a nested value.")
    path: str | list[str] = Field(description="Where the value is, such as $.a.b[0]['c'].")
    dest_field: str | list[str] = Field(description="The new column.")
    dest_type: Any = Field(default="string", description="Its type.")
    column_error_handle_way: ColumnErrors | None = Field(
        default=None, description="FAIL, SKIP (null) or SKIP_ROW; what the row does when left out."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        paths, names, types = self._lists()
        if len(paths) != len(names) or (types and len(types) != len(names)):
            have = f"{len(paths)} path, {len(names)} dest_field and {len(types)} dest_type"
            raise ValueError(f"there are {have}; each new column needs one of each")
        for path in paths:
            parse_path(path)
        for dtype in types:
            parse_type(dtype)
        return self

    def _lists(self) -> tuple[list[str], list[str], list[Any]]:
        """The paths, names and types; no types where all are text."""
        several = isinstance(self.dest_field, list)
        types = [] if several and self.dest_type == "string" else self.dest_type
        return tuple(v if isinstance(v, list) else [v] for v in (self.path, self.dest_field, types))  # type: ignore[return-value]

    def extracts(self) -> list[_Extract]:
        """The columns to append."""
        paths, names, types = self._lists()
        return [
            _Extract(self.src_field, path, name, parse_type(dtype), self.column_error_handle_way)
            for path, name, dtype in zip(paths, names, types or ["string"] * len(names), strict=True)
        ]


class JsonPathOptions(TableOptions):
    """Options of JsonPath."""

    columns: list[PathColumn] = Field(min_length=1, description="The columns to append.")
    row_error_handle_way: RowErrors = Field(default=RowErrors.FAIL, description="FAIL, or SKIP the row.")


@transform("JsonPath")
class JsonPathTransform(TableTransform):
    """Appends values taken out of JSON text, maps, arrays or rows by a path, converted to the wanted type."""

    Options = JsonPathOptions
    drops_rows = True

    def describe(self, table: TableSchema, options: JsonPathOptions) -> TableSchema:  # noqa: D102
        for number, column in enumerate(options.columns):
            option = f"columns[{number}].src_field"
            need_columns(option, [column.src_field], table)
            dtype = table.column(column.src_field).type
            if not (pa.types.is_string(dtype) or pa.types.is_nested(dtype) or pa.types.is_binary(dtype)):
                text = f"column {column.src_field!r} is {type_name(dtype)}, which holds no JSON"
                raise ConfigError([Problem(option, text, "name a STRING, BYTES, MAP, ARRAY or ROW column")])
        return add_columns(table, [Column(e.name, e.type) for e in _extracts(options)])

    def change(self, batch: Batch, options: JsonPathOptions, task: TaskContext) -> Batch:  # noqa: D102
        exact = {e.source for e in _extracts(options) if _keeps_digits(e.type)}
        documents = {
            c.src_field: _documents(batch.rows.column(c.src_field), exact=c.src_field in exact) for c in options.columns
        }
        keep, bad = [True] * batch.num_rows, [False] * batch.num_rows
        reasons = [""] * batch.num_rows
        made = {}
        for extract in _extracts(options):
            path, is_text = parse_path(extract.path), pa.types.is_string(extract.type)
            values: list[Any] = [None] * batch.num_rows
            for row, document in enumerate(documents[extract.source]):
                if document is None:
                    continue
                try:
                    if isinstance(document, Exception):
                        raise document
                    found = path.find(document)
                    values[row] = parse_value(_printed(found) if is_text else found, extract.type)
                except (LookupError, ValueError) as error:
                    self._fail(extract, options, row, error, keep, bad, reasons)
            made[extract.name] = to_array(values, extract.type)
        if any(bad):
            task.rejects.add(batch, pa.array(bad), pa.array(reasons))
            keep = [k and not b for k, b in zip(keep, bad, strict=True)]
        whole = batch.with_rows(add_arrays(batch.rows, made))
        return whole if all(keep) else whole.filter(pa.array(keep))

    def _fail(
        self,
        extract: _Extract,
        options: JsonPathOptions,
        row: int,
        error: Exception,
        keep: list[bool],
        bad: list[bool],
        reasons: list[str],
    ) -> None:
        way = extract.way
        if way is ColumnErrors.SKIP:
            return
        if way is ColumnErrors.SKIP_ROW or (way is None and options.row_error_handle_way is RowErrors.SKIP):
            keep[row] = False
            return
        what = "there is nothing at" if isinstance(error, LookupError) else f"{error} at"
        bad[row], reasons[row] = True, f"column {extract.name}: {what} {extract.path}"


def _extracts(options: JsonPathOptions) -> list[_Extract]:
    return [extract for column in options.columns for extract in column.extracts()]


def _keeps_digits(dtype: pa.DataType) -> bool:
    """Whether a number of this type has digits that a double has no room for."""
    return pa.types.is_string(dtype) or pa.types.is_decimal(dtype) or pa.types.is_nested(dtype)


def _documents(column: pa.Array, *, exact: bool) -> list[Any]:
    """Each value as a JSON document, each distinct text parsed once; an exception where it is none.

    exact: numbers keep the digits that the text has.
    """
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        encoded = column.dictionary_encode()
        parsed = [_loads(text, exact=exact) for text in encoded.dictionary.to_pylist()]
        return [None if i is None else parsed[i] for i in encoded.indices.to_pylist()]
    return [_plain(value) for value in printed_floats(column).to_pylist()]


_LOSSY = re.compile(r"\d\.\d|\d{16}|\d[eE]")
"""What a number looks like that a double may not give back as it is written."""


def _loads(text: str | bytes, *, exact: bool) -> Any:
    try:
        document = orjson.loads(text)
        if not exact or not _LOSSY.search(text if isinstance(text, str) else text.decode()):
            return document
        return json.loads(text, parse_float=_number)
    except orjson.JSONDecodeError:
        try:
            return loads(text if isinstance(text, str) else text.decode())
        except ValueError as error:
            return ValueError(f"no JSON: {error}")


def _number(text: str) -> Any:
    """A number with a point or an exponent: as written where it has no exponent, and never with fewer digits."""
    exact, double = Decimal(text), float(text)
    return double if "e" in text.lower() and math.isfinite(double) and Decimal(repr(double)) == exact else exact


def _printed(value: Any) -> Any:
    """What a path found; an object or a list with exact numbers as its JSON text."""
    return _json(value) if isinstance(value, list | dict) and _has_exact(value) else value


def _has_exact(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, Decimal) or any(map(_has_exact, inner))


def _json(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Maps as objects, rows as rows."""
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return {str(k): _plain(v) for k, v in value}
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return Row({k: _plain(v) for k, v in value.items()})
    return value
