"""JsonPath: takes values out of JSON text or nested columns by a path."""

from typing import Any, Self

import orjson
import pyarrow as pa
from pydantic import Field, model_validator

from headrace.connector import Batch, Choice, Options, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.formats.lenient_json import loads
from headrace.rows import Column, parse_type, type_name
from headrace.transforms._json_paths import parse_path
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


class PathColumn(Options):
    """One column to append."""

    src_field: str = Field(description="The column that holds JSON text, or a nested value.")
    path: str = Field(description="Where the value is, such as $.a.b[0]['c'].")
    dest_field: str = Field(description="The new column.")
    dest_type: Any = Field(default="string", description="Its type.")
    column_error_handle_way: ColumnErrors | None = Field(
        default=None, description="FAIL, SKIP (null) or SKIP_ROW; what the row does when left out."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        parse_type(self.dest_type)
        parse_path(self.path)
        return self


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
        new = [Column(c.dest_field, parse_type(c.dest_type)) for c in options.columns]
        return add_columns(table, new)

    def change(self, batch: Batch, options: JsonPathOptions, task: TaskContext) -> Batch:  # noqa: D102
        documents = {c.src_field: _documents(batch.rows.column(c.src_field)) for c in options.columns}
        keep, bad = [True] * batch.num_rows, [False] * batch.num_rows
        reasons = [""] * batch.num_rows
        made = {}
        for column in options.columns:
            path, dtype = parse_path(column.path), parse_type(column.dest_type)
            values: list[Any] = [None] * batch.num_rows
            for row, document in enumerate(documents[column.src_field]):
                if document is None:
                    continue
                try:
                    if isinstance(document, Exception):
                        raise document
                    values[row] = parse_value(path.find(document), dtype)
                except (LookupError, ValueError) as error:
                    self._fail(column, options, row, error, keep, bad, reasons)
            made[column.dest_field] = to_array(values, dtype)
        if any(bad):
            task.rejects.add(batch, pa.array(bad), pa.array(reasons))
            keep = [k and not b for k, b in zip(keep, bad, strict=True)]
        whole = batch.with_rows(add_arrays(batch.rows, made))
        return whole if all(keep) else whole.filter(pa.array(keep))

    def _fail(
        self,
        column: PathColumn,
        options: JsonPathOptions,
        row: int,
        error: Exception,
        keep: list[bool],
        bad: list[bool],
        reasons: list[str],
    ) -> None:
        way = column.column_error_handle_way
        if way is ColumnErrors.SKIP:
            return
        if way is ColumnErrors.SKIP_ROW or (way is None and options.row_error_handle_way is RowErrors.SKIP):
            keep[row] = False
            return
        what = "there is nothing at" if isinstance(error, LookupError) else f"{error} at"
        bad[row], reasons[row] = True, f"column {column.dest_field}: {what} {column.path}"


def _documents(column: pa.Array) -> list[Any]:
    """Each value as a JSON document, each distinct text parsed once; an exception where it is none."""
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        encoded = column.dictionary_encode()
        parsed = [_loads(text) for text in encoded.dictionary.to_pylist()]
        return [None if i is None else parsed[i] for i in encoded.indices.to_pylist()]
    return [_plain(value) for value in column.to_pylist()]


def _loads(text: str | bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return loads(text if isinstance(text, str) else text.decode())
        except ValueError as error:
            return ValueError(f"no JSON: {error}")


def _plain(value: Any) -> Any:
    """Maps as objects."""
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return {str(k): _plain(v) for k, v in value}
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value
