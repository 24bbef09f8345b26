"""A sink's options are filled in from the table that reaches it."""

from typing import Any

import pyarrow as pa
import pytest
from pydantic import Field

from headrace.options import Options
from headrace.placeholders import fill_placeholders
from headrace.rows import Column, ConstraintKey, PrimaryKey, TableSchema

COLUMNS = tuple(Column(name, pa.int32()) for name in ("a", "b", "c"))
ORDERS = TableSchema(
    "db.s.orders",
    COLUMNS,
    PrimaryKey("pk", ("a", "b")),
    (ConstraintKey("u", "UNIQUE_KEY", (("c", None),)),),
    "all orders",
    partition_keys=("c",),
)
BARE = TableSchema("orders", COLUMNS)


class Sink(Options):
    path: str = Field(default="", description="x")
    keys: list[str] = Field(default=[], description="x")
    nested: dict[str, Any] = Field(default={}, description="x")


@pytest.mark.parametrize(
    ("text", "of_orders", "of_a_bare_table"),
    [
        ("${database_name}/${schema_name}/${table_name}", "db/s/orders", "//orders"),
        ("${schema_full_name}:${table_full_name}", "db.s:db.s.orders", ":orders"),
        ("${database_name:none}", "db", "none"),
        ("${primary_key}-${unique_key}", "a,b-c", "${primary_key}-${unique_key}"),
        ("${primary_key:id}${primary_key:}", "a,ba,b", "id"),
        ("${field_names}", "a,b,c", "a,b,c"),
        ("${comment}", "all orders", "${comment}"),
        ("${partition_keys:none}", "c", "none"),
        ("${other}", "${other}", "${other}"),
    ],
)
def test_texts_are_filled_in_for_each_table(text, of_orders, of_a_bare_table):
    assert [fill_placeholders(Sink(path=text), t).path for t in (ORDERS, BARE)] == [of_orders, of_a_bare_table]


@pytest.mark.parametrize(
    ("keys", "filled"),
    [
        (["${primary_key}"], ["a", "b"]),
        (["${partition_keys}"], ["c"]),
        (["${field_names}"], ["a", "b", "c"]),
        (["${primary_key}", "tenant"], ["${primary_key}", "tenant"]),
        (["${comment}"], ["${comment}"]),
    ],
)
def test_a_list_of_one_name_becomes_several(keys, filled):
    assert fill_placeholders(Sink(keys=keys), ORDERS).keys == filled


def test_what_is_nested_stays():
    assert fill_placeholders(Sink(nested={"x": "${table_name}"}), ORDERS).nested == {"x": "${table_name}"}
