"""Python: appends what a Python function makes of each row, or of each batch."""

import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from headrace.connector import Batch, Choice, Options, Problem, TableSchema, TaskContext, transform
from headrace.errors import BadRow, ConfigError, Rejected, told
from headrace.options import CODE, PATH, LocalPath
from headrace.rows import Column, VectorType, parse_type, type_name
from headrace.transforms._rows_as_json import json_rows
from headrace.transforms._tables import TableOptions, TableTransform, add_arrays, add_columns
from headrace.values import parse_value, parse_values, to_array


class RowErrors(Choice):
    """What a row does that the function fails for."""

    FAIL = "FAIL"
    SKIP = "SKIP"


class NewColumn(Options):
    """One column to append."""

    dest_field: str = Field(description="The new column.")
    dest_type: Any = Field(default="string", description="Its type.")

    @field_validator("dest_type")
    @classmethod
    def _check(cls, value: Any) -> Any:
        parse_type(value)
        return value


class PythonOptions(TableOptions):
    """Options of Python."""

    filled_in: ClassVar[Mapping[str, str]] = {"source_code": ".*"}

    source_code: str | None = Field(
        default=None,
        json_schema_extra=CODE,
        description="The code: process(row, context) → values, or process_batch(batch, context) → columns, which is "
        "faster; open(context) and close() if wanted.",
    )
    source_code_path: LocalPath | None = Field(
        default=None, json_schema_extra=PATH, description="A file with the code, on every worker."
    )
    python_executable: str = Field(
        default="python3", description="Has no effect: the code runs in Headrace's own Python, without a sandbox."
    )
    script_config: dict[str, Any] = Field(default={}, description='What the code finds in context["config"].')
    columns: list[NewColumn] = Field(min_length=1, description="The columns that the function gives.")
    row_error_handle_way: RowErrors = Field(default=RowErrors.FAIL, description="FAIL, or SKIP the row.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.source_code is None) == (self.source_code_path is None):
            raise ValueError("one of source_code and source_code_path is needed, not both")
        if self.source_code is not None:
            _compile(self.source_code, "source_code")
        return self

    def code(self) -> tuple[Any, str]:
        """The compiled code and its place. Raises ValueError when it cannot be read or is not Python."""
        if self.source_code_path is None:
            return _compile(self.source_code or "", "source_code"), "source_code"
        try:
            text = Path(self.source_code_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read {self.source_code_path!r}: {error}") from error
        return _compile(text, self.source_code_path), self.source_code_path


def _compile(text: str, place: str) -> Any:
    try:
        code = compile(text, place, "exec")
    except SyntaxError as error:
        raise ValueError(f"{place} is not Python: line {error.lineno}: {error.msg}") from error
    if not {"process", "process_batch"} & set(code.co_names):
        raise ValueError(f"{place} must define process(row, context) or process_batch(batch, context)")
    return code


@transform("Python")
class PythonTransform(TableTransform):
    """Appends what a Python function gives; each task and table has a run of the code of its own."""

    Options = PythonOptions
    drops_rows = True
    runs_code = True

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._scripts: dict[tuple[Any, ...], _Script] = {}
        self._lock = threading.Lock()

    def describe(self, table: TableSchema, options: PythonOptions) -> TableSchema:  # noqa: D102
        try:
            options.code()
        except ValueError as error:
            raise ConfigError([Problem("source_code_path", str(error))]) from error
        return add_columns(table, [Column(c.dest_field, parse_type(c.dest_type)) for c in options.columns])

    def change(self, batch: Batch, options: PythonOptions, task: TaskContext) -> Batch:  # noqa: D102
        script = self._script(batch, options, task)
        if script.process_batch is not None:
            try:
                return batch.with_rows(add_arrays(batch.rows, script.columns(batch)))
            except Exception as error:
                if script.process is None:
                    raise BadRow(f"process_batch failed: {script.where(error)}", batch.table) from error
        values, reasons = script.rows(batch)
        new = {name: to_array(values[name], dtype) for name, dtype in script.types.items()}
        whole = batch.with_rows(add_arrays(batch.rows, new))
        if not any(reasons):
            return whole
        bad = pa.array([bool(reason) for reason in reasons])
        if options.row_error_handle_way is RowErrors.FAIL:
            task.rejects.add(batch, bad, pa.array(reasons))
        return whole.filter(pa.array([not reason for reason in reasons]))

    def close(self, task: TaskContext) -> None:
        """See Transform.close: calls close() of what ran for the task."""
        with self._lock:
            ended = [key for key in self._scripts if key[0] == _task_key(task)]
            scripts = [self._scripts.pop(key) for key in ended]
        for script in scripts:
            try:
                script.close()
            except Exception as error:  # what the code does not clean up changes nothing of the rows
                task.log.warning("Python: close() failed: %s", script.where(error))

    def _script(self, batch: Batch, options: PythonOptions, task: TaskContext) -> "_Script":
        key = _task_key(task), batch.table, id(options)
        script = self._scripts.get(key)
        if script is None:
            script = _Script(options, batch, task)
            with self._lock:
                self._scripts[key] = script
        return script


def _task_key(task: TaskContext) -> tuple[int, ...]:
    job = task.job
    return job.job_id, job.run, job.pipeline, job.epoch, task.index


class _Script:
    """The code as it runs for one task and table."""

    def __init__(self, options: PythonOptions, batch: Batch, task: TaskContext) -> None:
        self.types = {column.dest_field: parse_type(column.dest_type) for column in options.columns}
        fields = {field.name: field.type for field in batch.rows.schema}
        self._context = {
            "input_fields": [{"name": name, "type": type_name(dtype)} for name, dtype in fields.items()],
            "output_fields": [{"name": name, "type": type_name(dtype)} for name, dtype in self.types.items()],
            "config": options.script_config,
        }
        try:
            code, self._place = options.code()
        except ValueError as error:
            raise Rejected(str(error), "Python", batch.table) from error
        names: dict[str, Any] = {"__name__": "headrace_script", "__file__": self._place}
        names["print"] = lambda *values, sep=" ", **_: task.print(sep.join(map(str, values)))
        try:
            exec(code, names)
            if callable(begin := names.get("open")):
                begin(self._context)
        except Exception as error:
            raise Rejected(f"the code cannot start: {self.where(error)}", "Python", batch.table) from error
        self.process: Callable[[Any, Any], Any] | None = names.get("process")
        self.process_batch: Callable[[Any, Any], Any] | None = names.get("process_batch")
        self._end = names.get("close")

    def columns(self, batch: Batch) -> dict[str, pa.Array]:
        """The new columns of process_batch. Raises whatever it raises, and ValueError for a wrong answer."""
        assert self.process_batch is not None
        found = self.process_batch(batch.rows, self._context)
        if isinstance(found, pa.RecordBatch | pa.Table):
            found = dict(zip(found.schema.names, found.columns, strict=True))
        if not isinstance(found, Mapping):
            raise TypeError(f"it gave {type(found).__name__}, not a RecordBatch or a dict of columns")
        made = {}
        for name, dtype in self.types.items():
            if name not in found:
                raise ValueError(f"its answer has no column {name!r}")
            made[name] = array = _column(found[name], dtype)
            if len(array) != batch.num_rows:
                raise ValueError(f"column {name!r} has {len(array)} values for {batch.num_rows} rows")
        return made

    def rows(self, batch: Batch) -> tuple[dict[str, list[Any]], list[str]]:
        """The values of process by column, and for each row why it failed; empty where it did not."""
        assert self.process is not None
        values: dict[str, list[Any]] = {name: [None] * batch.num_rows for name in self.types}
        reasons = [""] * batch.num_rows
        for row, given in enumerate(json_rows(batch.rows)):
            try:
                answer = self._answer(self.process(given, self._context))
                for name, value in answer.items():
                    values[name][row] = parse_value(value, self.types[name])
            except Exception as error:  # whatever the code raises is the row's failure
                reasons[row] = f"process failed: {self.where(error)}"
        return values, reasons

    def _answer(self, result: Any) -> dict[str, Any]:
        """A result by column: an object by name, a list in order, one value, or nothing."""
        names = list(self.types)
        if result is None:
            return dict.fromkeys(names)
        only = self.types[names[0]] if len(names) == 1 else None
        if isinstance(result, Mapping):
            if only is not None and pa.types.is_nested(only) and names[0] not in result:
                return {names[0]: result}
            if missing := [name for name in names if name not in result]:
                raise ValueError(f"its answer has no {missing[0]!r}")
            return {name: result[name] for name in names}
        if isinstance(result, list | tuple):
            if only is not None and _holds_lists(only) and not (len(result) == 1 and _is_list(result[0])):
                return {names[0]: result}
            if len(result) != len(names):
                raise ValueError(f"its answer has {len(result)} values for {len(names)} columns")
            return dict(zip(names, result, strict=True))
        if only is None:
            raise TypeError(f"it gave {type(result).__name__}, not an object or a list for {len(names)} columns")
        return {names[0]: result}

    def where(self, error: Exception) -> str:
        """An error with the last line of the code that it passed."""
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self._place]
        what = told(error) if lines else str(error)
        return f"{self._place}, line {lines[-1]}: {what}" if lines else what

    def close(self) -> None:
        """Call close() of the code."""
        if callable(self._end):
            self._end()


def _holds_lists(dtype: pa.DataType) -> bool:
    return pa.types.is_list(dtype) or isinstance(dtype, VectorType)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _column(values: Any, dtype: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values if values.type == dtype else values.cast(dtype)
    return parse_values(list(values), dtype)
