"""FakeSource: made-up rows by a schema, for demonstrations and tests."""

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from headrace.connector import (
    Batch,
    Choice,
    Options,
    Position,
    Read,
    Source,
    Split,
    TableSchema,
    TaskContext,
    source,
)
from headrace.errors import Rejected
from headrace.rows import TARGET_ROWS, Column, RowKind, VectorType
from headrace.schema_options import SchemaOptions
from headrace.values import parse_values

INTEGERS = {"tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64()}
FLOATS = {"float": pa.float32(), "double": pa.float64()}
MAX_FLOAT = 3.4028234663852886e38
MAX_DOUBLE = 1.7976931348623157e308

BLOCK_BYTES = 4 * 1024 * 1024
"""Made at once, where rows are so wide that a full batch of them would take more."""

Make = Callable[[np.random.Generator, int], pa.Array]
"""Makes n random values of one column."""


class FakeMode(Choice):
    """Where values of a type come from."""

    RANGE = "RANGE"
    TEMPLATE = "TEMPLATE"


class FixedRow(Options):
    """One row of `rows`."""

    kind: str = Field(default="INSERT", description="INSERT, UPDATE_BEFORE, UPDATE_AFTER or DELETE.")
    fields: list[Any] | dict[str, Any] = Field(description="Values by position, or by name.")


def _mode(name: str) -> Any:
    return Field(default=FakeMode.RANGE, validation_alias=f"{name}.fake.mode", description=f"Source of {name} values.")


def _template(name: str) -> Any:
    return Field(default=None, validation_alias=f"{name}.template", description=f"{name} values to pick from.")


def _low(name: str) -> Any:
    return Field(default=0, validation_alias=f"{name}.min", description=f"Smallest {name}.")


def _high(name: str, default: float) -> Any:
    return Field(default=default, validation_alias=f"{name}.max", description=f"Every {name} is below this.")


def _part(name: str, what: str) -> Any:
    return Field(default=None, validation_alias=f"{name}.template", description=f"{what} to pick from.")


class FakeTableOptions(Options):
    """What one table of made-up rows looks like."""

    table_schema: SchemaOptions = Field(validation_alias="schema", description="The table's columns.")
    table_names: list[str] | None = Field(
        default=None, validation_alias="table-names", description="Several tables with this schema."
    )
    row_num: int = Field(default=5, ge=0, validation_alias="row.num", description="Rows for each parallel task.")
    rows: list[FixedRow] | None = Field(default=None, description="Fixed rows, each given once per split.")
    split_num: int = Field(default=1, gt=0, validation_alias="split.num", description="Splits for each parallel task.")
    split_read_interval: int | None = Field(
        default=None, ge=0, validation_alias="split.read-interval", description="Milliseconds to wait after a split."
    )
    auto_increment: bool = Field(
        default=False,
        validation_alias="auto.increment.enabled",
        description="Count up in the key, or the first integer.",
    )
    auto_increment_start: int = Field(default=1, validation_alias="auto.increment.start", description="First number.")
    map_size: int = Field(default=5, ge=0, validation_alias="map.size", description="Entries of a map.")
    array_size: int = Field(default=5, ge=0, validation_alias="array.size", description="Items of an array.")
    bytes_length: int = Field(default=5, ge=0, validation_alias="bytes.length", description="Bytes of a bytes value.")
    string_length: int = Field(default=5, ge=0, validation_alias="string.length", description="Letters of a string.")
    vector_dimension: int = Field(default=4, gt=0, validation_alias="vector.dimension", description="Vector dimension.")
    binary_vector_dimension: int = Field(
        default=8, gt=0, validation_alias="binary.vector.dimension", description="Bits of a binary vector; 8, 16, …"
    )
    vector_float_min: float = Field(default=0.0, validation_alias="vector.float.min", description="Smallest item.")
    vector_float_max: float = Field(default=MAX_FLOAT, validation_alias="vector.float.max", description="Largest item.")
    string_mode: FakeMode = _mode("string")
    tinyint_mode: FakeMode = _mode("tinyint")
    smallint_mode: FakeMode = _mode("smallint")
    int_mode: FakeMode = _mode("int")
    bigint_mode: FakeMode = _mode("bigint")
    float_mode: FakeMode = _mode("float")
    double_mode: FakeMode = _mode("double")
    string_template: list[str] | None = _template("string")
    tinyint_template: list[int] | None = _template("tinyint")
    smallint_template: list[int] | None = _template("smallint")
    int_template: list[int] | None = _template("int")
    bigint_template: list[int] | None = _template("bigint")
    float_template: list[float] | None = _template("float")
    double_template: list[float] | None = _template("double")
    tinyint_min: int = _low("tinyint")
    tinyint_max: int = _high("tinyint", 127)
    smallint_min: int = _low("smallint")
    smallint_max: int = _high("smallint", 32767)
    int_min: int = _low("int")
    int_max: int = _high("int", 2147483647)
    bigint_min: int = _low("bigint")
    bigint_max: int = _high("bigint", 9223372036854775807)
    float_min: float = _low("float")
    float_max: float = _high("float", MAX_FLOAT)
    double_min: float = _low("double")
    double_max: float = _high("double", MAX_DOUBLE)
    date_year: list[int] | None = _part("date.year", "Years")
    date_month: list[int] | None = _part("date.month", "Months")
    date_day: list[int] | None = _part("date.day", "Days")
    time_hour: list[int] | None = _part("time.hour", "Hours")
    time_minute: list[int] | None = _part("time.minute", "Minutes")
    time_second: list[int] | None = _part("time.second", "Seconds")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_table(self)
        return self


def _check_table(options: FakeTableOptions) -> None:
    """Raises ValueError with everything that does not fit together."""
    wrong = []
    for name, dtype in INTEGERS.items():
        low, high = getattr(options, f"{name}_min"), getattr(options, f"{name}_max")
        bound = 1 << (dtype.bit_width - 1)
        if low > high:
            wrong.append(f"{name}.min {low} is above {name}.max {high}")
        wrong += [
            f"{name}.{end} {number} is outside {-bound} … {bound - 1}"
            for end, number in (("min", low), ("max", high))
            if not -bound <= number < bound
        ]
    for name in FLOATS:
        low, high = getattr(options, f"{name}_min"), getattr(options, f"{name}_max")
        if low > high:
            wrong.append(f"{name}.min {low} is above {name}.max {high}")
    for name in ("string", *INTEGERS, *FLOATS):
        if getattr(options, f"{name}_mode") is FakeMode.TEMPLATE and not getattr(options, f"{name}_template"):
            wrong.append(f"{name}.fake.mode is TEMPLATE, so {name}.template must list values")
    if options.binary_vector_dimension % 8:
        wrong.append(f"binary.vector.dimension {options.binary_vector_dimension} is not a multiple of 8")
    try:
        if options.rows:
            fixed_rows(options.rows, options.table_schema.table_schema())
    except ValueError as error:
        wrong.append(str(error))
    if wrong:
        raise ValueError("; ".join(wrong))


class FakeSourceOptions(FakeTableOptions):
    """Options of FakeSource: those of one table, or several tables with theirs."""

    table_schema: SchemaOptions | None = Field(  # type: ignore[assignment]  # needed unless tables_configs is given
        default=None, validation_alias="schema", description="The table's columns; needed without tables_configs."
    )
    tables_configs: list[FakeTableOptions] | None = Field(
        default=None, description="Several tables, each with all the options of one."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.table_schema is None) == (self.tables_configs is None):
            raise ValueError("please specify [schema] as non-empty, or tables_configs; one of the two")
        if self.table_schema is not None:
            _check_table(self)
        return self


def fixed_rows(rows: Sequence[FixedRow], table: TableSchema) -> tuple[pa.RecordBatch, pa.Array | None]:
    """The fixed rows as a batch with their kinds. Raises ValueError naming row, column and value.

    As in SeaTunnel, values that a row lacks are null, and those without a column are left out; see `misfits`.
    """
    values: list[list[Any]] = []
    for row in rows:
        if isinstance(row.fields, dict):
            values.append([row.fields.get(name) for name in table.names])
        else:
            missing = len(table.columns) - len(row.fields)
            values.append([*row.fields, *[None] * missing][: len(table.columns)])
    arrays = []
    for i, column in enumerate(table.columns):
        try:
            arrays.append(parse_values([row[i] for row in values], column.type))
        except ValueError as error:
            raise ValueError(f"rows: column {column.name!r}: {error}") from error
    try:
        kinds = [RowKind[row.kind.strip().upper()] for row in rows]
    except KeyError as error:
        raise ValueError(f"rows: kind {error} is not one of {', '.join(k.name for k in RowKind)}") from error
    kind_array = None if all(k is RowKind.INSERT for k in kinds) else pa.array([int(k) for k in kinds], pa.uint8())
    return pa.RecordBatch.from_arrays(arrays, schema=table.arrow), kind_array


def misfits(rows: Sequence[FixedRow], table: TableSchema) -> list[str]:
    """What is said of the fixed rows that have other values than there are columns."""
    found = []
    for number, row in enumerate(rows):
        if isinstance(row.fields, list) and len(row.fields) != len(table.columns):
            found.append(f"rows[{number}].fields: {len(row.fields)} values for {len(table.columns)} columns")
        elif isinstance(row.fields, dict):
            unknown = [name for name in row.fields if name not in table.names]
            found += [f"rows[{number}].fields: no column {name!r} in {', '.join(table.names)}" for name in unknown]
    return found


@source("FakeSource")
class FakeSource(Source):
    """Makes rows up. One split is a part of one task's rows; positions are rows, so every restart goes on exactly.

    The rows of a split depend on nothing but its id and the options: reading again gives the same rows.
    """

    Options = FakeSourceOptions
    options: FakeSourceOptions
    example = """
source {
  FakeSource {
    row.num = 100
    int.min = 1
    int.max = 90
    string.fake.mode = TEMPLATE
    string.template = ["ann", "bob", "cy"]
    schema { table = "shop.people", fields { id = bigint, name = string, age = int } }
  }
}
"""

    def describes_offline(self) -> bool:  # noqa: D102
        return True

    def tables(self) -> list[TableSchema]:  # noqa: D102
        return [table for options in self._configs() for table in _tables(options, self.output)]

    def gives_changes(self, table: TableSchema) -> bool:
        """Only fixed rows have kinds."""
        return any(
            row.kind.strip().upper() != RowKind.INSERT.name
            for options in self._configs()
            if options.rows is not None and table.path in {made.path for made in _tables(options, self.output)}
            for row in options.rows
        )

    too_many_splits = "lower split.num"

    def splits(self, parallelism: int) -> Iterator[Split]:  # noqa: D102
        for number, options in enumerate(self._configs()):
            for table in _tables(options, self.output):
                share, rest = divmod(options.row_num, options.split_num)
                for task in range(parallelism):
                    for part in range(options.split_num):
                        rows = share + rest if part == options.split_num - 1 else share
                        if options.rows is not None:
                            rows = len(options.rows)
                        name = f"{table.path}_{task * options.split_num + part}"
                        first = task * options.row_num + part * share
                        data = {"config": number, "rows": rows, "first": first}
                        yield Split(name, rows, table.path, data=data, ends=True)

    def read(self, split: Split, position: Position | None, task: TaskContext) -> Iterator[Read | None]:  # noqa: D102
        options, table = self._table_of(split)
        at = position or 0
        if wrong := misfits(options.rows or (), table):
            more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
            task.log.warning("FakeSource: %s%s: missing ones are null, others left out", wrong[0], more)
        for rows, kinds in self._blocks(options, table, split, at, task):
            most = task.fitting_rows(rows)
            for start in range(0, rows.num_rows, most):
                part = rows.slice(start, most)
                at += part.num_rows
                of_part = None if kinds is None else kinds.slice(start, most)
                yield Read(Batch(part, table.path, of_part), at)
        yield from _pause((options.split_read_interval or 0) / 1000)

    def _table_of(self, split: Split) -> tuple[FakeTableOptions, TableSchema]:
        """The table that a split makes rows of; its place among the others may have changed since the split was saved.

        Raises Rejected when there is none.
        """
        configs, number = self._configs(), split.data["config"]
        for options in [*configs[number : number + 1], *configs]:
            for table in _tables(options, self.output):
                if table.path == split.table:
                    return options, table
        raise Rejected(f"there is no table {split.table} any more", split=split.id)

    def _configs(self) -> Sequence[FakeTableOptions]:
        return self.options.tables_configs or [self.options]

    def _blocks(
        self, options: FakeTableOptions, table: TableSchema, split: Split, at: int, task: TaskContext
    ) -> Iterator[tuple[pa.RecordBatch, pa.Array | None]]:
        """The rows of a split from row `at` on, in blocks that are always cut at the same places.

        What a row holds depends on its block, so the blocks depend on nothing but the options.
        """
        if options.rows is not None:
            rows, kinds = fixed_rows(options.rows, table)
            if at < rows.num_rows:
                yield rows.slice(at), None if kinds is None else kinds.slice(at)
            return
        makers = [_maker(column, options, i) for i, column in enumerate(table.columns)]
        counting = _counting_column(options, table)
        total = split.data["rows"]
        if not total:
            return
        width = sum(_width(c, options, make, split.id) for c, make in zip(table.columns, makers, strict=True))
        task.check_size(width, f"a row of {table.path}, as the options of FakeSource make them,", "make it smaller")
        block = max(1, min(TARGET_ROWS, BLOCK_BYTES // max(width, 1)))
        for start in range(at - at % block, total, block):
            count = min(block, total - start)
            random = _random(split.id, start)
            arrays = [make(random, count) for make in makers]
            if counting is not None:
                first = options.auto_increment_start + split.data["first"] + start
                dtype = table.columns[counting].type
                arrays[counting] = _array(np.arange(first, first + count), pa.int64()).cast(dtype)
            rows = pa.RecordBatch.from_arrays(arrays, schema=table.arrow)
            yield (rows.slice(at - start) if at > start else rows), None


def _tables(options: FakeTableOptions, output: str) -> list[TableSchema]:
    table = options.table_schema.table_schema(output)
    if not options.table_names:
        return [table]
    return [replace(table, path=name) for name in options.table_names]


def _pause(seconds: float) -> Iterator[None]:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
        yield None


def _random(split: str, start: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64([zlib.crc32(split.encode()), start]))


def _counting_column(options: FakeTableOptions, table: TableSchema) -> int | None:
    if not options.auto_increment:
        return None
    keys = table.primary_key.columns if table.primary_key else table.names
    return next((i for i, c in enumerate(table.columns) if c.name in keys and pa.types.is_integer(c.type)), None)


# ---------------------------------------------------------------------------------------------------------- makers


def _maker(column: Column, options: FakeTableOptions, index: int) -> Make:
    """How to make the values of one column."""
    if column.default is not None:
        fixed = parse_values([column.default], column.type)
        return lambda random, n: _repeat(fixed, n)
    length = column.length if column.length and column.length > 0 else None
    return _make(column.type, options, length, column.scale)


def _width(column: Column, options: FakeTableOptions, make: Make, split: str) -> int:
    """About how many bytes a value takes; long texts are not made to find out."""
    if column.default is None:
        if pa.types.is_string(column.type) and not options.string_template:
            return (column.length or options.string_length) + 4
        if pa.types.is_binary(column.type):
            return (column.length or options.bytes_length) + 4
    return int(make(_random(split, 0), 1).nbytes)


def _array(values: Any, dtype: pa.DataType) -> pa.Array:
    """A numpy array as an Arrow one, its memory shared. (`pa.array` would import pandas, which takes a second.)"""
    return pa.Array.from_buffers(dtype, len(values), [None, pa.py_buffer(values)])


def _repeat(one: pa.Array, n: int) -> pa.Array:
    return one.take(_array(np.zeros(n, np.int32), pa.int32()))


def _make(dtype: pa.DataType, options: FakeTableOptions, length: int | None = None, scale: int | None = None) -> Make:
    for names in (INTEGERS, FLOATS):
        for name, of in names.items():
            if dtype.equals(of):
                return _number(name, dtype, options)
    if pa.types.is_string(dtype):
        if options.string_template:
            return _pick(pa.array(options.string_template, dtype))
        return lambda random, n: _letters(random, n, length or options.string_length, dtype)
    if pa.types.is_binary(dtype):
        return lambda random, n: _letters(random, n, length or options.bytes_length, dtype)
    if pa.types.is_boolean(dtype):
        return lambda random, n: pa.Array.from_buffers(dtype, n, [None, pa.py_buffer(random.bytes(n // 8 + 1))])
    if pa.types.is_decimal(dtype):
        return lambda random, n: _decimals(random, n, dtype)
    if pa.types.is_null(dtype):
        return lambda random, n: pa.nulls(n)
    if pa.types.is_temporal(dtype):
        return _times(dtype, options)
    if isinstance(dtype, VectorType):
        return lambda random, n: _vectors(random, n, dtype, options, scale)
    return _nested(dtype, options)


def _number(name: str, dtype: pa.DataType, options: FakeTableOptions) -> Make:
    if template := getattr(options, f"{name}_template"):
        return _pick(pa.array(template, dtype))
    low, high = getattr(options, f"{name}_min"), getattr(options, f"{name}_max")
    if name in INTEGERS:
        numpy_type = dtype.to_pandas_dtype()
        return lambda random, n: _array(random.integers(low, max(high, low + 1), n, numpy_type), dtype)
    return lambda random, n: _array((random.random(n) * (high - low) + low).astype(dtype.to_pandas_dtype()), dtype)


def _pick(values: pa.Array) -> Make:
    return lambda random, n: values.take(_array(random.integers(0, len(values), n, np.int32), pa.int32()))


@cache
def _letter_pool() -> Any:
    """Random letters that all texts are cut from, each block elsewhere: making them anew costs ten times more."""
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)
    return letters[_random("letters", 0).integers(0, len(letters), 1 << 21, np.uint8)]


def _letters(random: np.random.Generator, n: int, length: int, dtype: pa.DataType) -> pa.Array:
    """n texts of `length` letters each."""
    pool, size = _letter_pool(), n * length
    if size >= len(pool):
        pool = np.tile(pool, size // len(pool) + 2)
    start = int(random.integers(0, len(pool) - size))
    return pa.Array.from_buffers(dtype, n, [None, _text_offsets(n, length), pa.py_buffer(pool[start : start + size])])


@lru_cache(8)
def _text_offsets(n: int, length: int) -> pa.Buffer:
    return pa.py_buffer(np.arange(n + 1, dtype=np.int32) * np.int32(length))


def _decimals(random: np.random.Generator, n: int, dtype: Any) -> pa.Array:
    """Random digits in all places: unscaled numbers below 10^precision, as little-endian words of 64 bits."""
    words = dtype.bit_width // 64
    limit = 10**dtype.precision
    values = np.zeros((n, words), np.uint64)
    if limit <= 1 << 63:
        values[:, 0] = random.integers(0, limit, n, np.int64).astype(np.uint64)
    else:
        values[:, 0] = random.integers(0, 1 << 63, n, np.uint64)
        values[:, 1] = random.integers(0, min(limit >> 64, 1 << 62) or 1, n, np.uint64)
    return pa.Array.from_buffers(dtype, n, [None, pa.py_buffer(values)])


def _days(options: FakeTableOptions) -> Any:
    """All days that may come up, as days since 1970."""
    years = np.asarray(options.date_year or [datetime.now(UTC).year], np.int64)
    months = np.asarray(options.date_month or range(1, 13), np.int64)
    days = np.asarray(options.date_day or range(1, 29), np.int64)
    first = ((years[:, None] - 1970) * 12 + months - 1).ravel().astype("datetime64[M]").astype("datetime64[D]")
    return (first.astype(np.int64)[:, None] + days - 1).ravel()


def _seconds(options: FakeTableOptions) -> Any:
    """All times that may come up, as seconds of the day."""
    hours = np.asarray(options.time_hour or range(24), np.int64)
    minutes = np.asarray(options.time_minute or range(60), np.int64)
    seconds = np.asarray(options.time_second or range(60), np.int64)
    return ((hours[:, None] * 60 + minutes)[:, :, None] * 60 + seconds).ravel()


def _times(dtype: pa.DataType, options: FakeTableOptions) -> Make:
    days, seconds = _days(options), _seconds(options) * 1_000_000
    if pa.types.is_date(dtype):
        short = days.astype(np.int32)
        return lambda random, n: _array(_any_of(short, random, n), dtype)
    if pa.types.is_time(dtype):
        return lambda random, n: _array(_any_of(seconds, random, n), dtype)
    midnights = days * 86_400_000_000
    return lambda random, n: _array(_any_of(midnights, random, n) + _any_of(seconds, random, n), dtype)


def _any_of(values: Any, random: np.random.Generator, n: int) -> Any:
    return values.take(random.integers(0, len(values), n, np.uint32))


def _vectors(
    random: np.random.Generator, n: int, dtype: VectorType, options: FakeTableOptions, scale: int | None
) -> pa.Array:
    size = scale or options.vector_dimension
    low, high = options.vector_float_min, options.vector_float_max
    if dtype.name == "binary_vector":
        width = (scale or options.binary_vector_dimension) // 8
        return pa.ExtensionArray.from_storage(dtype, _fixed(random.bytes(n * width), n, width))
    if dtype.name == "sparse_float_vector":
        keys = np.tile(np.arange(size, dtype=np.int32), n)
        values = (random.random(n * size) * (high - low) + low).astype(np.float32)
        maps = pa.MapArray.from_arrays(_offsets(n, size), _array(keys, pa.int32()), _array(values, pa.float32()))
        return pa.ExtensionArray.from_storage(dtype, maps)
    numbers = random.random(n * size) * (min(high, 65504.0) if dtype.name == "float16_vector" else high) + low
    if dtype.name == "bfloat16_vector":
        halves = (numbers.astype(np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
        return pa.ExtensionArray.from_storage(dtype, _fixed(halves, n, 2 * size))
    half = dtype.name == "float16_vector"
    items = _array(numbers.astype(np.float16 if half else np.float32), pa.float16() if half else pa.float32())
    return pa.ExtensionArray.from_storage(dtype, pa.ListArray.from_arrays(_offsets(n, size), items))


def _fixed(data: bytes, n: int, width: int) -> pa.Array:
    offsets = np.arange(n + 1, dtype=np.int32) * np.int32(width)
    return pa.Array.from_buffers(pa.binary(), n, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _offsets(n: int, size: int) -> pa.Array:
    return _array(np.arange(n + 1, dtype=np.int32) * np.int32(size), pa.int32())


def _maps(keys: pa.Array, items: pa.Array, n: int, size: int) -> pa.Array:
    """Maps of `size` entries, fewer where a key was drawn twice: as in Java, the later value replaces the earlier."""
    numbers = _numbered(keys)
    rows = np.repeat(np.arange(n, dtype=np.int64), size)
    backwards = (rows * (numbers.max(initial=0) + 1) + numbers)[::-1]
    kept = np.sort(len(keys) - 1 - np.unique(backwards, return_index=True)[1])
    if len(kept) == len(keys):
        return pa.MapArray.from_arrays(_offsets(n, size), keys, items)
    offsets = np.zeros(n + 1, np.int32)
    np.cumsum(np.bincount(rows[kept], minlength=n), out=offsets[1:])
    taken = _array(kept, pa.int64())
    return pa.MapArray.from_arrays(_array(offsets, pa.int32()), keys.take(taken), items.take(taken))


def _numbered(keys: pa.Array) -> Any:
    """A number for each key, the same for equal ones."""
    if pa.types.is_nested(keys.type) or isinstance(keys.type, pa.ExtensionType):
        seen: dict[str, int] = {}
        return np.array([seen.setdefault(repr(key), len(seen)) for key in keys.to_pylist()], np.int64)
    return keys.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _nested(dtype: Any, options: FakeTableOptions) -> Make:
    if pa.types.is_struct(dtype):
        fields = [dtype.field(i) for i in range(dtype.num_fields)]
        makers = [_make(field.type, options) for field in fields]
        return lambda random, n: pa.StructArray.from_arrays([make(random, n) for make in makers], fields=fields)
    if pa.types.is_map(dtype):
        size = options.map_size
        key, item = _make(dtype.key_type, options), _make(dtype.item_type, options)
        return lambda random, n: _maps(key(random, n * size), item(random, n * size), n, size).cast(dtype)
    inner, count = _make(dtype.value_type, options), options.array_size
    return lambda random, n: pa.ListArray.from_arrays(_offsets(n, count), inner(random, n * count)).cast(dtype)
