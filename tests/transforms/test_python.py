"""Python: what a function makes of rows and batches becomes columns."""

from datetime import date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

import headrace
from headrace.errors import BadRow, ConfigError, Rejected
from headrace.options import read_options
from headrace.rows import Batch
from headrace.testing import TABLE, ListRejects, TransformContract, batch, make, task
from headrace.transforms.python import PythonTransform

UPPER = "def process(row, context):\n    return (row['name'] or '').upper()"
LENGTHS = """
import pyarrow.compute as pc
def process_batch(batch, context):
    return {"length": pc.utf8_length(batch["name"])}
"""


@pytest.mark.parametrize("code", [UPPER, LENGTHS])
class TestPython(TransformContract):
    @pytest.fixture
    def transform(self, code):
        column = {"dest_field": "length", "dest_type": "int"} if code == LENGTHS else {"dest_field": "upper"}
        return make(PythonTransform, source_code=code, columns=[column])


def new(code, *types, rows=None, rejects=None, **options):
    """The new columns' values, row by row."""
    columns = [{"dest_field": f"c{i}", "dest_type": dtype} for i, dtype in enumerate(types or ["string"])]
    transform = make(PythonTransform, source_code=code, columns=columns, **options)
    out = transform.apply(rows or batch((1, "ann"), (2, "bob")), task(rejects=rejects) if rejects else task())
    return [tuple(row[column["dest_field"]] for column in columns) for row in out.rows.to_pylist()]


def returning(value):
    return f"def process(row, context):\n    return {value}"


@pytest.mark.parametrize(
    ("value", "types", "expected"),
    [
        ("row['id']", ["string"], ("1",)),
        ("{'c1': 2.5, 'c0': row['name'], 'more': 0}", ["string", "decimal(4, 2)"], ("ann", Decimal("2.50"))),
        ("[row['id'] + 1, None]", ["int", "string"], (2, None)),
        ("None", ["int", "string"], (None, None)),
        ("['x']", ["string"], ("x",)),
        ("[1, 2]", ["array<int>"], ([1, 2],)),
        ("[1]", ["array<int>"], ([1],)),
        ("[[1, 2]]", ["array<int>"], ([1, 2],)),
        ("{'a': 1}", ["map<string, int>"], ([("a", 1)],)),
        ("{'c0': {'a': 1}}", ["map<string, int>"], ([("a", 1)],)),
        ("'2024-01-02 03:04:05'", ["timestamp"], (datetime(2024, 1, 2, 3, 4, 5),)),
        ("[0.5, 1]", ["float_vector"], ([0.5, 1.0],)),
    ],
)
def test_a_result_is_an_object_a_list_or_one_value(value, types, expected):
    assert new(returning(value), *types, rows=batch((1, "ann"))) == [expected]


def test_rows_come_as_json_would_bring_them():
    values = {
        "s": "a",
        "i": 1,
        "d": date(2024, 1, 2),
        "t": time(3, 4),
        "ts": datetime(2024, 1, 2, 3, 4, 5),
        "n": Decimal("1.50"),
        "b": b"ab",
        "l": [Decimal("0.5")],
        "r": {"x": date(2024, 1, 2)},
        "z": None,
    }
    rows = Batch(pa.RecordBatch.from_pylist([values]), "t")
    assert new("def process(row, context): return repr(row)", rows=rows) == [
        (
            "{'s': 'a', 'i': 1, 'd': '2024-01-02', 't': '03:04', 'ts': '2024-01-02T03:04:05', 'n': 1.5, 'b': 'YWI=', "
            "'l': [0.5], 'r': {'x': '2024-01-02'}, 'z': None}",
        )
    ]


def test_the_context_tells_fields_and_configuration():
    code = (
        "def process(row, context): return [str(context[key]) for key in ('input_fields', 'output_fields', 'config')]"
    )
    [given, *_] = new(code, "string", "string", "string", script_config={"a": [1]})
    assert given == (
        "[{'name': 'id', 'type': 'BIGINT'}, {'name': 'name', 'type': 'STRING'}]",
        "[{'name': 'c0', 'type': 'STRING'}, {'name': 'c1', 'type': 'STRING'}, {'name': 'c2', 'type': 'STRING'}]",
        "{'a': [1]}",
    )


LIFE = """
calls = []
def open(context): calls.append("open"); print("begins", 1)
def process(row, context):
    calls.append("row")
    return " ".join(calls)
def close():
    print(" ".join(calls))
    raise ValueError("not clean")
"""


def test_code_is_opened_once_for_each_task_and_closed_at_its_end():
    printed = []
    transform = make(PythonTransform, source_code=LIFE, columns=[{"dest_field": "x"}])
    first, second = task(), task(index=1)
    for context in (first, second):
        object.__setattr__(context, "print", printed.append)
    assert transform.apply(batch((1, "a")), first).rows["x"].to_pylist() == ["open row"]
    assert transform.apply(batch((1, "a")), second).rows["x"].to_pylist() == ["open row"]
    assert transform.apply(batch((1, "a")), first).rows["x"].to_pylist() == ["open row row"]
    transform.close(first)
    transform.close(first)
    assert printed == ["begins 1", "begins 1", "open row row"]


def test_a_job_closes_its_code(tmp_path):
    file = tmp_path / "closed"
    code = "import pathlib\ndef process(row, context): return 1\n"
    code += f"def close(): pathlib.Path({str(file)!r}).write_text('x')"
    job = {
        "source": [{"plugin_name": "FakeSource", "row.num": 3, "schema": {"fields": {"a": "int"}}}],
        "transform": [{"plugin_name": "Python", "source_code": code, "columns": [{"dest_field": "b"}]}],
        "sink": [{"plugin_name": "Arrow"}],
    }
    result = headrace.run(job)
    assert result.error is None
    assert file.read_text() == "x"


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ("{'c0': [1, 2]}", [(1,), (2,)]),
        ("pa.record_batch({'c0': pa.array([1, 2], pa.int8())})", [(1,), (2,)]),
        ("{'c0': pa.chunked_array([[1], [2]])}", [(1,), (2,)]),
    ],
)
def test_a_batch_gives_columns(answer, values):
    assert new(f"import pyarrow as pa\ndef process_batch(batch, context): return {answer}", "int") == values


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("{}", "its answer has no column 'c0'"),
        ("{'c0': [1]}", "column 'c0' has 1 values for 2 rows"),
        ("[1]", "it gave list, not a RecordBatch or a dict of columns"),
        ("{'c0': ['x', 'y']}", "cannot read 'x' as INT"),
        ("1 / 0", r"source_code, line 2: division by zero \(ZeroDivisionError\)"),
    ],
)
def test_a_wrong_answer_for_a_batch_is_an_error(answer, message):
    with pytest.raises(BadRow, match=message):
        new(f"def process_batch(batch, context):\n    return {answer}", "int")


def test_where_a_batch_fails_its_rows_are_tried_one_by_one():
    code = "def process_batch(batch, context): raise ValueError\n" + returning("10 // (2 - row['id'])")
    rejects = ListRejects()
    assert new(code, "int", rejects=rejects) == [(10,)]
    assert rejects.found[0][1] == {"id": 2, "name": "bob"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1 / (row['id'] - 2)", r"row 2: process failed: source_code, line 2: division by zero \(ZeroDivisionError\)"),
        ("{'c0': 1} if row['id'] == 1 else {}", "row 2: process failed: its answer has no 'c0'"),
        ("'x' if row['id'] == 2 else 1", "row 2: process failed: cannot read 'x' as INT"),
        ("[1, 2]", "row 1: process failed: its answer has 2 values for 1 columns"),
    ],
)
def test_a_row_that_fails_is_named(value, message):
    with pytest.raises(BadRow, match=message):
        new(returning(value), "int")


def test_one_value_is_not_enough_for_two_columns():
    with pytest.raises(BadRow, match="it gave int, not an object or a list for 2 columns"):
        new(returning("1"), "int", "int")


def test_rows_that_fail_can_be_skipped_and_kinds_go_with_the_others():
    transform = make(
        PythonTransform,
        source_code=returning("1 // (row['id'] - 1)"),
        columns=[{"dest_field": "x"}],
        row_error_handle_way="SKIP",
    )
    found = transform.apply(Batch(batch((1, "a"), (2, "b")).rows, "t", pa.array([2, 3], pa.uint8())), task())
    assert (found.rows["x"].to_pylist(), found.kinds.to_pylist()) == (["1"], [3])


def test_code_may_stand_in_a_file(tmp_path):
    file = tmp_path / "code.py"
    file.write_text(UPPER)
    transform = make(PythonTransform, source_code_path=str(file), columns=[{"dest_field": "name"}])
    assert transform.apply(batch((1, "ann")), task()).rows.to_pylist() == [{"id": 1, "name": "ANN"}]
    file.write_text("def process(:")
    with pytest.raises(ConfigError, match=rf"source_code_path: {file} is not Python: line 1: invalid syntax"):
        transform.schema(TABLE)
    file.unlink()
    with pytest.raises(ConfigError, match="source_code_path: cannot read"):
        transform.schema(TABLE)


def test_code_that_cannot_start_is_an_error():
    with pytest.raises(Rejected, match=r"the code cannot start: source_code, line 1: No module named"):
        new("import nothing_of_this_name\nprocess = None")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of source_code and source_code_path is needed"),
        ({"source_code": "x", "source_code_path": "y"}, "not both"),
        ({"source_code": "def process(:"}, "source_code is not Python: line 1: invalid syntax"),
        ({"source_code": "x = 1"}, r"source_code must define process(row, context) or process_batch(batch, context)"),
        ({"source_code": UPPER, "columns": [{"dest_field": "x", "dest_type": "no"}]}, "unknown type 'no'"),
        ({"source_code": UPPER, "columns": []}, "at least 1 item"),
        ({"source_code": UPPER, "row_error_handle_way": "ROUTE_TO_TABLE"}, "is not one of"),
    ],
)
def test_wrong_options_say_what_is_wrong(options, message):
    problems = read_options(PythonTransform.Options, {"columns": [{"dest_field": "x"}], **options}).problems
    assert any(message in str(problem) for problem in problems), problems
