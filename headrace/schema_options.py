"""The `schema` option of sources without metadata of their own, as a TableSchema. SeaTunnel page «schema-feature»."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import pyarrow as pa
from pydantic import AliasChoices, Field, model_validator

from headrace.options import Choice, Options
from headrace.rows import Column, ConstraintKey, PrimaryKey, TableSchema, parse_type


class ColumnOptions(Options):
    """One column of `schema.columns`."""

    name: str = Field(description="The column's name.")
    type: Any = Field(description="Its type, such as int, decimal(10, 2) or array<string>.")
    nullable: bool = Field(default=True, description="Whether it may be null.")
    length: int | None = Field(default=None, validation_alias="columnLength", description="Characters or bytes.")
    scale: int | None = Field(
        default=None, validation_alias="columnScale", description="Digits, or a vector's dimension."
    )
    default: Any = Field(default=None, validation_alias="defaultValue", description="The value of a missing field.")
    comment: str | None = Field(default=None, description="What it means.")


class PrimaryKeyOptions(Options):
    """The primary key of `schema`."""

    name: str = Field(default="", description="The key's name.")
    columns: list[str] = Field(
        validation_alias=AliasChoices("columnNames", "columns"), description="The key's columns in order."
    )


class ConstraintColumnOptions(Options):
    """One column of a constraint key."""

    name: str = Field(validation_alias="columnName", description="The column.")
    sort: str | None = Field(default=None, validation_alias="sortType", description="ASC or DESC.")
    index_name: str | None = Field(default=None, validation_alias="indexName", description="Name of a vector index.")
    index_type: str | None = Field(default=None, validation_alias="indexType", description="Kind of a vector index.")
    metric_type: str | None = Field(default=None, validation_alias="metricType", description="Its distance.")


class ConstraintType(Choice):
    """What a constraint key is."""

    INDEX_KEY = "INDEX_KEY"
    UNIQUE_KEY = "UNIQUE_KEY"
    FOREIGN_KEY = "FOREIGN_KEY"
    VECTOR_INDEX_KEY = "VECTOR_INDEX_KEY"

    @classmethod
    def _missing_(cls, value: object) -> "Choice | None":
        """SeaTunnel's pages also write KEY."""
        return cls.INDEX_KEY if str(value).strip().upper() == "KEY" else super()._missing_(value)


class ConstraintKeyOptions(Options):
    """One key of `schema.constraintKeys`."""

    name: str = Field(default="", validation_alias="constraintName", description="The key's name.")
    type: ConstraintType = Field(
        default=ConstraintType.INDEX_KEY, validation_alias="constraintType", description="What it is."
    )
    columns: list[ConstraintColumnOptions] = Field(validation_alias="constraintColumns", description="Its columns.")


class SchemaOptions(Options):
    """The `schema` option: which columns a source gives, and what is known of the table."""

    needs_columns: ClassVar[bool] = True
    """Whether a schema without columns is an error; it is none where the data tell their columns."""

    table: str | None = Field(default=None, description="db.table, db.schema.table or table.")
    schema_first: bool = Field(default=False, description="A two-part table is schema.table.")
    comment: str | None = Field(default=None, description="The table's comment.")
    fields: dict[str, Any] | None = Field(default=None, description="Column name → type, in order.")
    columns: list[ColumnOptions] | None = Field(default=None, description="Columns with more than a type.")
    primary_key: PrimaryKeyOptions | None = Field(
        default=None, validation_alias="primaryKey", description="Primary key."
    )
    constraint_keys: list[ConstraintKeyOptions] = Field(
        default=[], validation_alias="constraintKeys", description="Index, unique and foreign keys."
    )
    partition_keys: list[str] = Field(default=[], description="The columns by which the table is partitioned.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fields is not None and self.columns is not None:
            raise ValueError("fields and columns cannot be given together; keep one of them")
        if not self.fields and not self.columns and self.needs_columns:
            raise ValueError("the schema has no columns; give fields { name = type } or columns [ … ]")
        self._columns()
        return self

    def table_schema(self, default_path: str = "default", comment: str | None = None) -> TableSchema:
        """The table; its path is `default_path` where the schema names none."""
        key = self.primary_key
        return TableSchema(
            self.table or default_path,
            self._columns(),
            PrimaryKey(key.name, tuple(key.columns)) if key else None,
            tuple(
                ConstraintKey(k.name, str(k.type), tuple((c.name, c.sort) for c in k.columns))
                for k in self.constraint_keys
            ),
            self.comment or comment,
            self.schema_first,
            partition_keys=tuple(self.partition_keys),
        )

    def _columns(self) -> tuple[Column, ...]:
        """Raises ValueError with every column whose type is none."""
        found, wrong = [], []
        given = [ColumnOptions(name=n, type=t) for n, t in (self.fields or {}).items()] or self.columns or []
        for column in given:
            try:
                found.append(
                    Column(
                        column.name,
                        _type(column.type),
                        column.nullable,
                        column.length,
                        column.scale,
                        column.default,
                        column.comment,
                    )
                )
            except ValueError as error:
                wrong.append(f"column {column.name!r}: {error}")
        if wrong:
            raise ValueError("; ".join(wrong))
        names = [column.name for column in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two columns are named {twice[0]!r}")
        keys = {
            "primaryKey": self.primary_key.columns if self.primary_key else (),
            "partition_keys": self.partition_keys,
        }
        for key, columns in keys.items():
            if unknown := [name for name in columns if name not in names]:
                raise ValueError(f"{key} names {unknown[0]!r}, the columns are {', '.join(names)}")
        return tuple(found)


def _type(value: Any) -> pa.DataType:
    if value is None:
        return pa.null()
    if isinstance(value, Mapping):
        return pa.struct([pa.field(str(name), _type(inner)) for name, inner in value.items()])
    return parse_type(value)
