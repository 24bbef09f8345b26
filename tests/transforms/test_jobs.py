"""Transforms in whole jobs with several tables."""

import headrace

TABLE = {"fields": {"id": "bigint", "name": "string"}}


def run(*transforms):
    """Three tables through some transforms: what arrives, by table."""
    tables = [
        {"schema": {"table": path, **TABLE}, "rows": [{"kind": "INSERT", "fields": [number, f"{path} {number}"]}]}
        for number, path in enumerate(["shop.order_1", "shop.order_2", "crm.people"], 1)
    ]
    steps = [{**t, "plugin_input": [f"d{i}"], "plugin_output": f"d{i + 1}"} for i, t in enumerate(transforms)]
    result = headrace.run(
        {
            "source": [{"plugin_name": "FakeSource", "plugin_output": "d0", "tables_configs": tables}],
            "transform": steps,
            "sink": [{"plugin_name": "Arrow", "plugin_input": [f"d{len(steps)}"]}],
        }
    )
    assert result.error is None
    return {path: table.to_pylist() for path, table in result.tables.items()}


def test_tables_are_filtered_renamed_and_merged():
    found = run(
        {"plugin_name": "TableFilter", "database_pattern": "shop"},
        {"plugin_name": "Metadata", "metadata_fields": {"Table": "came_from"}},
        {"plugin_name": "TableRename", "prefix": "ods_", "convert_case": "UPPER"},
        {"plugin_name": "TableMerge", "table_match_regex": r"SHOP\.ods_ORDER_.*", "database": "all", "table": "orders"},
        {"plugin_name": "FieldRename", "convert_case": "UPPER"},
    )
    assert list(found) == ["all.orders"]
    assert sorted((row["ID"], row["CAME_FROM"]) for row in found["all.orders"]) == [(1, "order_1"), (2, "order_2")]


def test_bad_rows_go_to_a_table_of_their_own():
    found = run(
        {
            "plugin_name": "DataValidator",
            "field_rules": [{"field_name": "id", "rule_type": "RANGE", "max_value": 2}],
            "row_error_handle_way": "ROUTE_TO_TABLE",
            "row_error_handle_way.error_table": "bad",
            "table_match_regex": r"crm\..*",
        }
    )
    assert {path: len(rows) for path, rows in found.items()} == {
        "shop.order_1": 1, "shop.order_2": 1, "crm.people": 0, "crm.bad": 1,
    }  # fmt: skip
    assert "Value 3 exceeds maximum 2" in found["crm.bad"][0]["validation_errors"]


def test_each_table_has_its_own_options_and_rows_may_become_more():
    found = run(
        {
            "plugin_name": "Split",
            "table_transform": [
                {"table_path": "crm.people", "split_field": "name", "separator": " ", "output_fields": ["a", "b"]}
            ],
        },
        {"plugin_name": "TextChunk", "table_match_regex": r"crm\..*", "text_field": "a", "chunk_size": 4},
    )
    assert [row["chunk"] for row in found["crm.people"]] == ["crm.", "peop", "le"]
    assert list(found["shop.order_1"][0]) == ["id", "name"]
