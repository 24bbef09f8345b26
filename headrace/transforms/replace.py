"""Replace: replaces text in a column."""

from collections.abc import Callable, Mapping
from typing import ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from headrace.connector import Batch, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.javaregex import compile_regex, replacement_template
from headrace.rows import type_name
from headrace.transforms._tables import TableOptions, TableTransform, need_columns
from headrace.transforms._texts import check_made, map_texts


class ReplaceOptions(TableOptions):
    """Options of Replace."""

    filled_in: ClassVar[Mapping[str, str]] = {"replacement": ".*"}

    replace_field: str = Field(description="The column.")
    pattern: str = Field(description="What is replaced: a text, or a regular expression with is_regex.")
    replacement: str = Field(description="What takes its place; $1 is a group of the regular expression.")
    is_regex: bool = Field(default=False, description="Whether pattern is a regular expression.")
    replace_first: bool = Field(default=False, description="With is_regex: only the first occurrence.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.is_regex:
            replacement_template(self.replacement, compile_regex(self.pattern))
        return self


@transform("Replace")
class ReplaceTransform(TableTransform):
    """Replaces text in a column; null stays null."""

    Options = ReplaceOptions

    def describe(self, table: TableSchema, options: ReplaceOptions) -> TableSchema:  # noqa: D102
        need_columns("replace_field", [options.replace_field], table)
        dtype = table.column(options.replace_field).type
        if not pa.types.is_string(dtype):
            text = f"column {options.replace_field!r} is {type_name(dtype)}, only STRING can be replaced in"
            raise ConfigError([Problem("replace_field", text)])
        return table

    def change(self, batch: Batch, options: ReplaceOptions, task: TaskContext) -> Batch:  # noqa: D102
        index = batch.rows.schema.names.index(options.replace_field)
        column = batch.rows.column(index)
        if options.is_regex or not options.pattern:
            changed = map_texts(column, _change_of(options), task)
        else:
            added = len(options.replacement.encode()) - len(options.pattern.encode())
            found = pc.sum(pc.count_substring(column, options.pattern)).as_py() or 0
            check_made(column.nbytes + max(added, 0) * found, task)
            changed = pc.replace_substring(column, options.pattern, options.replacement)
        return batch.with_rows(batch.rows.set_column(index, options.replace_field, changed))


def _change_of(options: ReplaceOptions) -> Callable[[str], str]:
    """What becomes of a text. An empty pattern is found before each character and at the end, as Java finds it."""
    if not options.is_regex:
        return lambda text: text.replace("", options.replacement)
    pattern = compile_regex(options.pattern)
    replacement = replacement_template(options.replacement, pattern)
    count = 1 if options.replace_first else 0
    return lambda text: pattern.sub(replacement, text, count)
