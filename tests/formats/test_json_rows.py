"""Json files mean the same by Arrow's reader and by the slow one, wherever a block or a split ends."""

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headrace.connectors.local_file import LocalFileSource
from headrace.errors import BadRow, Rejected
from headrace.formats.json_lines import JsonFormat
from headrace.formats.json_rows import JsonRows
from headrace.program import run
from headrace.testing import make, task
from tests.formats.test_delimited_rows import TYPES, same, table

INNER = {
    "ints": pa.list_(pa.int64()),
    "row": pa.struct({"x": pa.int64(), "y": pa.string(), "f": pa.float64()}),
    "floats": pa.list_(pa.float64()),
    "amounts": pa.list_(pa.decimal128(5, 2)),
    "map": pa.map_(pa.string(), pa.int64()),
}
ALL = {**TYPES, **INNER}
VALUES = [
    "null", "true", "false", "0", "-0", "1", "1.0", "1.10", "1e3", "1E400", "1e39", "-1e39", "NaN", "Infinity",
    "16777217.0",
    "0.1", "9007199254740993.0", "12345678901234567890123", "3000000000", "12345678.9",
    '"5"', '"1.10"', '"NaN"', '""', '" "',
    '"a"', '"é😀"', '"a\\nb"', '"\\ud83d"', '"\\ud83d\\ude00"', '"2024-01-31"', '"2024-01-31T10:00:00"', '"20240131"',
    '"2024-01-31 10:00:00.1234567"', '"2024-01-31T10:00:00Z"', '"10:00"', '"31.01.2024"',
    '"YQ=="', "[]", "[1,null]", "[1.5]",
    '["a"]', "{}", '{"x":1}', '{"x":1,"x":2}', '{"x":1.5,"y":2,"z":3}',
    '{"f":1e39}', '"{\\"x\\":1}"', "{", "[1", "yes", "01",
]  # fmt: skip
KEYS = ["c0", "c1", "C0", " c1", "other", "c0"]


@st.composite
def files(draw):
    types = [ALL[n] for n in draw(st.lists(st.sampled_from(sorted(ALL)), min_size=1, max_size=2))]
    fields = [pa.field(f"c{i}", t, draw(st.integers(0, 9)) > 0) for i, t in enumerate(types)]
    pair = st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)).map(lambda p: f'"{p[0]}":{p[1]}')
    thing = st.lists(pair, max_size=3).map(lambda pairs: "{" + ",".join(pairs) + "}")
    line = st.one_of(
        thing, thing, thing, st.lists(thing, max_size=2).map(lambda t: f"[{','.join(t)}]"),
        st.sampled_from(["", " ", "null", "[", "]", "{", "}", '"x"', "{}{}",
        "{} null {}", '{"c0":1} ', '{\n"c0": 1\n}']),
    )  # fmt: skip
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return (end.join(draw(st.lists(line, min_size=1, max_size=4))) + draw(st.sampled_from(["", end]))).encode(), fields


def slowly(data, types, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JsonRows, "_fast", lambda self, data: None)
        return table(data, JsonFormat(), types=types, **options)


@settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(), st.sampled_from([{}, {"date_format": "dd.MM.yyyy"}]), st.integers(1, 9), st.integers(1, 9))
@example((b'null\n{"c0":1}\n', [pa.field("c0", pa.int64())]), {}, 1, 1)
def test_rows_depend_neither_on_the_reader_nor_on_where_blocks_end(file, options, batch_bytes, split):
    data, types = file
    found = table(data, JsonFormat(), types=types, **options)
    assert same(found, slowly(data, types, **options))
    assert same(table(data, JsonFormat(), types=types, batch_bytes=batch_bytes, **options), found)


def read(tmp_path, data, fields, **options):
    (tmp_path / "in.json").write_bytes(data.encode())
    schema = {"columns": fields} if isinstance(fields, list) else {"fields": fields}
    source = make(LocalFileSource, path=str(tmp_path / "in.json"), file_format_type="json", schema=schema, **options)
    reads = [source.read(split, None, task()) for split in source.splits(1)]
    return [tuple(row.values()) for reading in reads for found in reading for row in found.batch.rows.to_pylist()]


@pytest.mark.parametrize("more", [{}, {"rate": "decimal(5, 2)"}])
def test_numbers_keep_their_digits_in_texts(tmp_path, more):
    line = '{"id":12345678901234567890123,"price":1.10,"part":{"serial":98765432109876543210987,"w":1.50}}\n'
    fields = {"id": "string", "price": "string", "part": "string", **more}
    [row] = read(tmp_path, line, fields)
    assert row[:3] == ("12345678901234567890123", "1.10", '{"serial":98765432109876543210987,"w":1.50}')


@pytest.mark.parametrize("dtype", ["string", "date", "decimal(9, 2)"])
def test_arrays_on_a_line_are_rows_and_objects_over_several_lines_are_refused(tmp_path, dtype):
    assert read(tmp_path, '[{"id":1},{"id":2}]\n{"id":3}\n', {"id": "int", "day": dtype}) == [
        (1, None), (2, None), (3, None),
    ]  # fmt: skip
    with pytest.raises(
        BadRow, match=r"in\.json row 1: it is not a JSON object: .*an object, or an array of objects, on"
    ):
        read(tmp_path, '{\n  "id": 1\n}\n', {"id": "int", "day": dtype})


def test_names_fit_without_regard_to_case_and_blanks(tmp_path):
    assert read(tmp_path, '{"ID ":1,"Name":"ann"}\n{"ID ":2}\n', {"id": "int", "name": "string"}) == [
        (1, "ann"), (2, None),
    ]  # fmt: skip


def test_rows_without_any_column_are_refused_with_both_lists(tmp_path):
    with pytest.raises(Rejected, match=r"no column of the schema is in it: the schema has id, name; the file has a, b"):
        read(tmp_path, '{"a":1,"b":2}\n', {"id": "int", "name": "string"})


def test_null_where_none_may_be_is_a_bad_row(tmp_path):
    fields = [{"name": "id", "type": "int", "nullable": False}, {"name": "s", "type": "string"}]
    with pytest.raises(
        BadRow, match=r"row 2, column id: it is null, and the schema says nullable = false: there is only"
    ):
        read(tmp_path, '{"id":1,"s":"a"}\n{"s":"b"}\n', fields)


def test_half_a_surrogate_pair_is_named_with_its_row(tmp_path):
    with pytest.raises(BadRow, match=r"in\.json row 1: it is not a JSON object: .*surrogate"):
        read(tmp_path, '{"s":"\\ud83d","d":1}\n', {"s": "string", "d": "decimal(4, 1)"})


@pytest.mark.parametrize("dtype", ["float", "double"])
def test_numbers_that_json_does_not_have_are_written_as_texts_and_read_back(tmp_path, dtype):
    values = ["NaN", "Infinity", "-Infinity", 1.5]
    schema = {"fields": {"d": dtype}}
    job = {
        "env": {"verify": "target"},
        "source": [{"plugin_name": "FakeSource", "schema": schema, "rows": [{"fields": [v]} for v in values]}],
        "sink": [{"plugin_name": "LocalFile", "path": str(tmp_path / "out"), "file_format_type": "json"}],
    }
    assert run(job).report.balanced
    [file] = (tmp_path / "out").iterdir()
    assert file.read_text() == '{"d":"NaN"}\n{"d":"Infinity"}\n{"d":"-Infinity"}\n{"d":1.5}\n'
    assert str(read(tmp_path, file.read_text(), {"d": dtype})) == "[(nan,), (inf,), (-inf,), (1.5,)]"


def test_a_name_that_no_row_has_is_warned_of(tmp_path):
    (tmp_path / "in.json").write_text('{"id":1,"name":"ann"}\n')
    reading = {"path": str(tmp_path / "in.json"), "file_format_type": "json"}
    schema = {"fields": {"id": "int", "nmae": "string"}}
    job = {"source": [{"plugin_name": "LocalFile", **reading, "schema": schema}], "sink": [{"plugin_name": "Arrow"}]}
    [warning] = run(job).report.warnings
    assert warning.startswith("column nmae of table default is null in all rows")
    assert warning.endswith("did you mean name?")
