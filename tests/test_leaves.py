"""Values within nested columns are changed, and floats printed, wherever they lie."""

import pyarrow as pa
import pytest

from headrace.formats.cells import cell_texts
from headrace.javatext import java_texts
from headrace.leaves import change_leaves, has_leaves, printed_floats
from headrace.rows import parse_type
from headrace.transforms._rows_as_json import json_columns

F = 3.14
NESTED = [
    ("float", [F, None, F]),
    ("array<float>", [[F, None], None, []]),
    ("map<float, float>", [[(F, F)], None, [(F, None)]]),
    ({"a": "float", "b": {"c": "array<float>"}}, [{"a": F, "b": {"c": [F]}}, None, {"a": None, "b": None}]),
    ("array<map<string, array<float>>>", [[[("k", [F])], None], None, []]),
]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(("dtype", "values"), NESTED)
def test_floats_are_printed_as_java_prints_them_wherever_they_lie(dtype, values, first):
    column = pa.array(values, parse_type(dtype)).slice(first)
    made = printed_floats(column)
    made.validate(full=True)
    assert made.to_pylist() == values[first:]
    assert not has_leaves(made.type, pa.types.is_float32)


def test_a_column_without_such_values_stays_what_it_is():
    column = pa.array([[1]], pa.list_(pa.int32()))
    assert change_leaves(column, pa.types.is_float32, lambda c: c.cast(pa.string())) is column


def test_all_who_print_nested_values_print_them_so():
    column = pa.array([[("k", F)]], pa.map_(pa.string(), pa.float32()))
    assert java_texts(column) == ['{"k":3.14}']
    assert cell_texts(column, {}).to_pylist() == ["k\x033.14"]
    assert json_columns(pa.record_batch({"x": column})) == [[{"k": 3.14}]]
