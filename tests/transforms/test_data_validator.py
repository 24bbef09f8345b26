"""DataValidator: values that break a rule are found, told, and handled as wanted."""

import json
import re
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config.job import parse_job
from headrace.errors import BadRow, ConfigError
from headrace.options import read_options
from headrace.rows import Batch, TableSchema, parse_type
from headrace.testing import TABLE, ListRejects, TransformContract, batch, make, task
from headrace.transforms._rules import email_problem
from headrace.transforms.data_validator import DataValidatorTransform
from headrace.values import parse_values


class TestDataValidator(TransformContract):
    @pytest.fixture
    def transform(self):
        rules = [{"field_name": "name", "rule_type": "LENGTH", "min_length": 3}]
        return make(DataValidatorTransform, field_rules=rules, row_error_handle_way="SKIP")


def one(dtype, values, **rule):
    """What is said of each value of a column, in order; None of those that pass."""
    column = parse_values(values, parse_type(dtype))
    rows = Batch(pa.RecordBatch.from_arrays([pa.array(range(len(values))), column], names=["row", "x"]), "t")
    transform = make(DataValidatorTransform, field_rules=[{"field_name": "x", **rule}])
    transform.schema(TableSchema.from_arrow(rows.rows.schema, "t"))
    rejects = ListRejects()
    transform.apply(rows, task(rejects=rejects))
    said = {row["row"]: reason.removeprefix("Validation failed: x: ") for _, row, reason in rejects.found}
    return [said.get(row) for row in range(len(values))]


def test_not_null():
    assert one("string", ["", None], rule_type="NOT_NULL") == [None, "Field cannot be null"]


@pytest.mark.parametrize(
    ("dtype", "values", "ends", "passes"),
    [
        ("int", [-1, 0, 150, 151, None], {"min_value": 0, "max_value": 150}, [0, 1, 1, 0, 1]),
        ("tinyint", [1, 2, 3], {"min_value": 1.5, "max_value": 100000000000}, [0, 1, 1]),
        ("bigint", [2**62 + 1], {"max_value": 2**62}, [0]),
        ("double", [0.1, 0.2], {"min_value": 0.1, "min_inclusive": False}, [0, 1]),
        ("decimal(4, 2)", ["1.10", "1.11"], {"max_value": "1.11", "max_inclusive": False}, [1, 0]),
        ("date", ["2024-01-01", "2024-06-01"], {"max_value": "2024-05-31"}, [1, 0]),
        ("timestamp", ["2024-01-01 00:00:00"], {"min_value": "2024-01-01 00:00:01"}, [0]),
        ("string", ["b", "d"], {"min_value": "a", "max_value": "c"}, [1, 0]),
    ],
)
def test_range_compares_by_the_type_of_the_column(dtype, values, ends, passes):
    assert [said is None for said in one(dtype, values, rule_type="RANGE", **ends)] == [bool(p) for p in passes]


def test_range_says_which_end():
    said = one("int", [-1, 9], rule_type="range", min_value=0, max_value=8)
    assert said == ["Value -1 is below minimum 0", "Value 9 exceeds maximum 8"]


@pytest.mark.parametrize(
    ("dtype", "values", "limits", "said"),
    [
        ("string", ["東京🚰", None], {"exact_length": 2}, ["Expected length 2 but got 3", None]),
        ("string", [""], {"min_length": 1, "max_length": 2}, ["Length 0 is below minimum 1"]),
        ("string", ["abc"], {"min_length": 1, "max_length": 2}, ["Length 3 exceeds maximum 2"]),
        ("bytes", ["QUJD"], {"max_length": 3}, [None]),
        ("array<int>", [[1, 2], []], {"min_length": 1}, [None, "Length 0 is below minimum 1"]),
        ("map<string, int>", [{"a": 1}], {"min_length": 2}, ["Length 1 is below minimum 2"]),
        ("int", [12345], {"max_length": 4}, ["Length 5 exceeds maximum 4"]),
        ("float_vector", [[1, 2, 3]], {"exact_length": 2}, ["Expected length 2 but got 3"]),
    ],
)  # fmt: skip
def test_length_counts_characters_bytes_or_elements(dtype, values, limits, said):
    assert one(dtype, values, rule_type="LENGTH", **limits) == said


def test_regex_matches_the_whole_text():
    said = one("string", ["ab", "abc", "AB", None], rule_type="REGEX", pattern="a.")
    assert said == [None, "Value 'abc' does not match pattern 'a.'", "Value 'AB' does not match pattern 'a.'", None]
    assert one("string", ["AB"], rule_type="REGEX", pattern="a.", case_sensitive=False) == [None]
    assert one("int", [7], rule_type="REGEX", pattern="[0-6]") == ["Value '7' does not match pattern '[0-6]'"]


def is_short(value):
    return len(value) < 3


def reason(value):
    return "it is odd" if len(value) % 2 else None


def test_functions_of_ones_own_give_true_or_the_reason():
    said = one("string", ["ab", "abc", None], rule_type="UDF", function_name=f"{__name__}:is_short")
    assert said == [None, f"Value 'abc' is not valid for {__name__}:is_short", None]
    assert one("string", ["ab", "abc"], rule_type="UDF", function_name=f"{__name__}:reason") == [None, "it is odd"]
    [said] = one("int", [1], rule_type="UDF", function_name=f"{__name__}:reason")
    assert said.startswith(f"Error executing function '{__name__}:reason': object of type 'int'")


@pytest.mark.parametrize(
    ("email", "problem"),
    [
        ("a@b.c", None),
        (" ", None),
        ("a" * 251 + "@b.c", "too long (max 254"),
        ("a" * 64 + "@b.c", "local part too long"),
        ("ab.c", "exactly one @"),
        ("@b.c", "exactly one @"),
        ("a@b@c.d", "exactly one @"),
        ("a'@b.c", "dangerous"),
        ("a@b_.c", "invalid characters"),
        ("a@b", "at least one dot"),
    ],
)
def test_email(email, problem):
    said = one("string", [email], rule_type="UDF", function_name="email")[0]
    assert said is None if problem is None else problem in said
    assert said == email_problem(email)


def test_a_message_of_ones_own():
    assert one("string", [None], rule_type="NOT_NULL", custom_message="name it") == ["name it"]


RULES = [
    {"field_name": "name", "rules": [{"rule_type": "NOT_NULL"}, {"rule_type": "LENGTH", "max_length": 3}]},
    {"field_name": "id", "rule_type": "RANGE", "min_value": 1},
]
PEOPLE = batch((1, "ann"), (0, "robert"), (2, None))


def test_fail_names_the_row_and_all_that_is_wrong_with_it():
    expected = "row 2: Validation failed: name: Length 6 exceeds maximum 3; id: Value 0 is below minimum 1: {"
    with pytest.raises(BadRow, match=re.escape(expected)):
        make(DataValidatorTransform, field_rules=RULES).apply(PEOPLE, task())


def test_skip_drops_the_row():
    good = make(DataValidatorTransform, field_rules=RULES, row_error_handle_way="SKIP").apply(PEOPLE, task())
    assert good.rows.to_pylist() == [{"id": 1, "name": "ann"}]


def routing(**options):
    route = {"row_error_handle_way": "ROUTE_TO_TABLE", "row_error_handle_way.error_table": "bad"}
    return make(DataValidatorTransform, field_rules=RULES, **route, **options)


def test_route_to_table_writes_the_row_into_a_table_of_errors():
    good, bad = routing().apply(Batch(PEOPLE.rows, "db.people", pa.array([1, 2, 3], pa.uint8())), task())
    assert (good.rows["id"].to_pylist(), good.kinds.to_pylist(), bad.table) == ([1], [1], "db.bad")
    first = bad.rows.to_pylist()[0]
    assert (first["source_table_id"], first["source_table_path"]) == ("db.people", "db.people")
    assert json.loads(first["original_data"]) == {"id": 0, "name": "robert"}
    assert json.loads(first["validation_errors"]) == [
        {"field_name": "name", "error_message": "Length 6 exceeds maximum 3"},
        {"field_name": "id", "error_message": "Value 0 is below minimum 1"},
    ]
    promised = {table.path: table.arrow for table in routing().tables([TABLE])}
    assert bad.rows.schema == promised["db.bad"]


def test_original_data_is_json_whatever_the_types():
    columns = {
        "id": pa.array([0]),
        "name": pa.array(["a"]),
        "d": [date(2024, 1, 2)],
        "n": [Decimal("1.5")],
        "b": [b"a"],
    }
    _, bad = routing().apply(Batch(pa.record_batch(columns), "t"), task())
    assert bad.table == "bad"
    assert json.loads(bad.rows["original_data"][0].as_py()) == {
        "id": 0, "name": "a", "d": "2024-01-02", "n": "1.5", "b": "61",
    }  # fmt: skip


def test_several_tables_share_a_table_of_errors_but_none_is_it():
    paths = [table.path for table in routing().tables([TABLE, TableSchema("db.b", TABLE.columns)])]
    assert paths == ["db.people", "db.b", "db.bad"]
    with pytest.raises(ConfigError, match=r"db\.bad is one of the tables that are checked; give it another name"):
        routing().tables([TableSchema("db.bad", TABLE.columns)])


def test_only_matching_tables_have_a_table_of_errors():
    assert [t.path for t in routing(table_match_regex="other").tables([TABLE])] == ["db.people"]


def test_hocon_may_write_both_keys_without_quotes():
    text = "source { X {} } transform { DataValidator { row_error_handle_way = ROUTE_TO_TABLE\n"
    job = parse_job(text + 'row_error_handle_way.error_table = "bad" } } sink { X {} }')
    read = read_options(DataValidatorTransform.Options, {**job.transforms[0].options, "field_rules": RULES})
    assert (read.options.row_error_handle_way, read.options.error_table) == ("ROUTE_TO_TABLE", "bad")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"field_rules": []}, "at least 1 item"),
        ({"field_rules": [{"field_name": "id"}]}, "rule_type or rules is needed"),
        ({"field_rules": [{"field_name": "id", "rules": [{"min_value": 1}]}]}, "rules[0].rule_type is needed"),
        ({"field_rules": [{"field_name": "id", "rule_type": "RANGE"}]}, "RANGE needs min_value or max_value"),
        ({"field_rules": [{"field_name": "id", "rule_type": "LENGTH"}]}, "LENGTH needs min_length or"),
        ({"field_rules": [{"field_name": "id", "rule_type": "REGEX", "pattern": "("}]}, "is not a regular expression"),
        ({"field_rules": [{"field_name": "id", "rule_type": "NOPE"}]}, "'NOPE' is not one of"),
        ({"field_rules": [{"field_name": "id", "rule_type": "UDF", "function_name": "x"}]}, "no function 'x'; write"),
        ({"field_rules": RULES, "row_error_handle_way": "ROUTE_TO_TABLE"}, "needs row_error_handle_way.error_table"),
    ],
)
def test_wrong_options_say_what_is_wrong(options, message):
    problems = read_options(DataValidatorTransform.Options, options).problems
    assert any(message in str(problem) for problem in problems), problems


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"field_name": "nme", "rule_type": "NOT_NULL"}, r"field_rules\[0\]\.field_name: .*'nme'; did you mean 'name'"),
        ({"field_name": "id", "rule_type": "RANGE", "min_value": "x"}, "column id: 'x' is not a number to compare"),
        ({"field_name": "name", "rule_type": "RANGE", "min_value": 1}, "1 is a number, and the column is STRING"),
        ({"field_name": "id", "rule_type": "UDF", "function_name": "no:x"}, "cannot load function"),
        ({"field_name": "id", "rule_type": "UDF", "function_name": "re:I"}, "'re:I' is not a function"),
    ],
)
def test_rules_that_do_not_fit_the_table_are_refused_before_anything_runs(rule, message):
    with pytest.raises(ConfigError, match=message):
        make(DataValidatorTransform, field_rules=[rule]).schema(TABLE)


@given(st.lists(st.none() | st.integers(-5, 5), max_size=20), st.integers(-5, 5), st.integers(-5, 5))
def test_a_range_finds_what_python_finds(values, low, high):
    said = one("int", values, rule_type="RANGE", min_value=low, max_value=high)
    assert [text is None for text in said] == [value is None or low <= value <= high for value in values]
