"""RegexExtract: takes the groups of a regular expression out of a column."""

from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from headrace.connector import Batch, TableSchema, TaskContext, transform
from headrace.javaregex import compile_regex
from headrace.rows import Column
from headrace.transforms._tables import Regex, TableOptions, TableTransform, add_arrays, add_columns, need_columns
from headrace.transforms._texts import distinct_texts


class RegexExtractOptions(TableOptions):
    """Options of RegexExtract."""

    source_field: str = Field(description="The column to look in.")
    regex_pattern: Regex = Field(description="A regular expression with one group for each output field.")
    output_fields: list[str] = Field(min_length=1, description="Names of the new columns, one for each group.")
    default_values: list[str] = Field(
        default=[], description="What the new columns hold where nothing is found or the source is null; default: null."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        fields, groups = len(self.output_fields), compile_regex(self.regex_pattern).groups
        if groups != fields:
            raise ValueError(f"regex_pattern has {groups} groups for {fields} output_fields")
        if self.default_values and len(self.default_values) != fields:
            raise ValueError(f"there are {len(self.default_values)} default_values for {fields} output_fields")
        return self


@transform("RegexExtract")
class RegexExtractTransform(TableTransform):
    """Appends what the groups of a regular expression find first in a column; a group that took no part is null."""

    Options = RegexExtractOptions

    def describe(self, table: TableSchema, options: RegexExtractOptions) -> TableSchema:  # noqa: D102
        need_columns("source_field", [options.source_field], table)
        return add_columns(table, [Column(name, pa.string()) for name in options.output_fields])

    def change(self, batch: Batch, options: RegexExtractOptions, task: TaskContext) -> Batch:  # noqa: D102
        pattern = compile_regex(options.regex_pattern)
        texts, indices = distinct_texts(batch.rows.column(options.source_field))
        matches = [pattern.search(text) for text in texts]
        new = {}
        for i, name in enumerate(options.output_fields):
            default = options.default_values[i] if options.default_values else None
            found = pa.array([default if match is None else match[i + 1] for match in matches], pa.string())
            column = found.take(indices)
            if default is not None and indices.null_count:
                column = pc.if_else(indices.is_valid(), column, default)
            new[name] = column
        return batch.with_rows(add_arrays(batch.rows, new))
