"""TextChunk: cuts long texts into overlapping pieces, one row for each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import pyarrow as pa
from pydantic import Field, model_validator

from headrace.connector import Batch, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.rows import Column, PrimaryKey
from headrace.transforms._tables import TableOptions, TableTransform, add_arrays, add_columns, need_columns
from headrace.transforms._texts import distinct_texts

SEPARATORS = ["\n\n", "\n", "。", "！", "？", ". ", " "]


class TextChunkOptions(TableOptions):
    """Options of TextChunk."""

    text_field: str = Field(description="The column with the long texts.")
    output_field: str = Field(default="chunk", description="The column for the pieces.")
    chunk_index_field: str = Field(default="chunk_index", description="The column for the pieces' numbers, from 0.")
    chunk_size: int = Field(default=1000, gt=0, description="The longest piece; characters.")
    overlap_size: int = Field(default=0, ge=0, description="How much of a piece's end the next begins with, at most.")
    separators: list[str] = Field(
        default=SEPARATORS, description="Where to cut, the best first; each stays with what it ends. Empty: anywhere."
    )
    skip_empty_text: bool = Field(
        default=True, description="Whether rows with an empty text or null are dropped; else they have one null piece."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.overlap_size >= self.chunk_size:
            raise ValueError(f"overlap_size {self.overlap_size} must be below chunk_size {self.chunk_size}")
        if self.output_field == self.chunk_index_field:
            raise ValueError(f"output_field and chunk_index_field are both {self.output_field!r}")
        return self


@transform("TextChunk")
class TextChunkTransform(TableTransform):
    """Makes one row of each piece of a text, numbered; primary and unique keys get the number as another column."""

    Options = TextChunkOptions
    drops_rows = True
    adds_rows = True

    def describe(self, table: TableSchema, options: TextChunkOptions) -> TableSchema:  # noqa: D102
        need_columns("text_field", [options.text_field], table)
        unique = [key for key in table.constraint_keys if key.type == "UNIQUE_KEY"]
        keys = {name for key in unique for name, _ in key.columns}
        keys |= set(table.primary_key.columns if table.primary_key else ())
        for option in ("output_field", "chunk_index_field"):
            if (name := getattr(options, option)) in keys:
                text = f"column {name!r} is part of a key of table {table.path}"
                raise ConfigError([Problem(option, text, "give it another name")])
        index = options.chunk_index_field
        made = add_columns(
            table, [Column(options.output_field, pa.string()), Column(index, pa.int32(), nullable=False)]
        )
        key = made.primary_key
        return replace(
            made,
            primary_key=PrimaryKey(key.name, (*key.columns, index)) if key else None,
            constraint_keys=tuple(
                replace(k, columns=(*k.columns, (index, "ASC"))) if k in unique else k for k in made.constraint_keys
            ),
        )

    def change(self, batch: Batch, options: TextChunkOptions, task: TaskContext) -> Batch:  # noqa: D102
        texts, indices = distinct_texts(batch.rows.column(options.text_field))
        pieces = [chunks(text, options.separators, options.chunk_size, options.overlap_size) for text in texts]
        rows: list[int] = []
        made: list[str | None] = []
        numbers: list[int] = []
        for row, which in enumerate(indices.to_pylist()):
            found: Sequence[str | None] = () if which is None else pieces[which]
            if not found and not options.skip_empty_text:
                found = (None,)
            rows += [row] * len(found)
            made += found
            numbers += range(len(found))
        taken = batch.take(pa.array(rows, pa.int64()))
        new = {
            options.output_field: pa.array(made, pa.string()),
            options.chunk_index_field: pa.array(numbers, pa.int32()),
        }
        return taken.with_rows(add_arrays(taken.rows, new))


def chunks(text: str, separators: Sequence[str], size: int, overlap: int) -> list[str]:
    """The pieces of a text, none longer than `size` characters.

    Between separators a piece begins with whole parts of the former one's end, as many as `overlap` characters hold;
    without separators it begins with exactly so many.
    """
    if not text:
        return []
    if not separators:
        return _fixed(text, size, overlap)
    made: list[str] = []
    current: list[str] = []
    length = 0
    for part in _parts(text, separators, size):
        if current and length + len(part) > size:
            made.append("".join(current))
            current = _end_of(current, min(overlap, size - len(part)))
            length = sum(map(len, current))
        current.append(part)
        length += len(part)
    return [*made, "".join(current)]


def _fixed(text: str, size: int, overlap: int) -> list[str]:
    step = size - overlap
    return [text[at : at + size] for at in range(0, max(len(text) - overlap, 1), step)]


def _parts(text: str, separators: Sequence[str], size: int) -> list[str]:
    """Cut at the first separator, what is still too long at the next, and in the end anywhere."""
    if len(text) <= size:
        return [text]
    if not separators:
        return _fixed(text, size, 0)
    separator, rest = separators[0], separators[1:]
    if not separator:
        return _parts(text, rest, size)
    cut = text.split(separator)
    ended = [part + separator for part in cut[:-1]] + ([cut[-1]] if cut[-1] else [])
    return [piece for part in ended for piece in _parts(part, rest, size)]


def _end_of(parts: list[str], budget: int) -> list[str]:
    """As many of the last parts as hold `budget` characters."""
    start = len(parts)
    while start and (budget := budget - len(parts[start - 1])) >= 0:
        start -= 1
    return parts[start:]
