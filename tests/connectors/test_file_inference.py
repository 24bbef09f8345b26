"""Columns that are found by looking: every value of the sample is kept, and what does not fit later is refused."""

import json
import logging
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.connectors.local_file import LocalFileSource
from headrace.errors import BadRow, Rejected
from headrace.options import read_options
from headrace.rows import type_name
from headrace.testing import make
from tests.connectors.test_local_file import read_all
from tests.formats.reading import written


def looked(path, form="csv", **options):
    return make(LocalFileSource, path=str(path), file_format_type=form, infer_schema=True, **options)


def types(source):
    return {column.name: type_name(column.type) for column in source.tables()[0].columns}


def csv(tmp_path, text, **options):
    (tmp_path / "in.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return looked(tmp_path / "in.csv", **options)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-20", "0"], "BIGINT"),
        (["9223372036854775807", "-9223372036854775808"], "BIGINT"),
        (["9223372036854775808"], "DECIMAL(38, 0)"),
        (["1" * 39], "STRING"),
        (["007", "12"], "STRING"),
        (["+4912345", "12"], "STRING"),
        (["-0", "1"], "DOUBLE"),
        (["1.5", "2", ".5", "5."], "DOUBLE"),
        (["1e5", "2.5E-3"], "DOUBLE"),
        (["1e400"], "STRING"),
        (["1e-400"], "STRING"),
        (["NaN", "1.5", "-Infinity"], "DOUBLE"),
        (["NaN", "Infinity"], "STRING"),
        (["Nan", "1.5"], "STRING"),
        (["0.1234567890123456789", "12345.5"], "DECIMAL(38, 19)"),
        (["9007199254740993", "0.5"], "DECIMAL(38, 1)"),
        (["0.12345678901234567890123456789012345678901"], "STRING"),
        (["01.5"], "STRING"),
        (['"1,000"'], "STRING"),
        (["1_000"], "STRING"),
        (["0x10"], "STRING"),
        (["true", "FALSE"], "BOOLEAN"),
        (["true", "0"], "STRING"),
        (["0", "1"], "BIGINT"),
        (["2024-01-31", "1999-12-01"], "DATE"),
        (["2024-01-31", "soon"], "STRING"),
        (["2023-02-29"], "STRING"),
        (["0000-01-01"], "STRING"),
        (["2024-1-31"], "STRING"),
        (["01/02/2024"], "STRING"),
        (["20240131"], "BIGINT"),
        (["2024-01-31 10:00:00", "2024-01-31T10:00:00.123456"], "TIMESTAMP"),
        (["2024-01-31 10:00"], "TIMESTAMP"),
        (["2024-01-31 25:00:00"], "STRING"),
        (["2024-01-31 10:00:00.1234567"], "STRING"),
        (["2024-01-31", "2024-01-31 10:00:00"], "STRING"),
        (["2024-01-31T10:00:00Z", "2024-01-31 10:00:00+02:00"], "TIMESTAMP_TZ"),
        (["2024-01-31T10:00:00Z", "2024-01-31T10:00:00"], "STRING"),
        (["10:00:00", "23:59:59.5"], "TIME"),
        (["24:00:01"], "STRING"),
        (["1", "x"], "STRING"),
        (["", ""], "STRING"),
        (["", "7"], "BIGINT"),
        ([" 7", "8 "], "BIGINT"),
        (['"1"', '"2"'], "BIGINT"),
        (['"01"', '"02"'], "STRING"),
        (['"2024-01-31"'], "DATE"),
        (["NULL", "1"], "STRING"),
    ],
)
def test_a_type_is_found_that_holds_every_value(tmp_path, values, expected):
    source = csv(tmp_path, "k,v\n" + "".join(f"x,{value}\n" for value in values))
    assert types(source) == {"k": "STRING", "v": expected}
    assert len(read_all(source)) == len(values)


def test_values_are_what_the_file_says(tmp_path):
    source = csv(tmp_path, 'id,name,zip,day,at,n\n1,"a, b",01234,2024-01-31,2024-01-31T10:00:00,12345678901234567890\n')
    assert read_all(source) == [
        (1, "a, b", "01234", date(2024, 1, 31), datetime(2024, 1, 31, 10), Decimal(12345678901234567890))
    ]


FIELDS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.dates().map(str),
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.times().map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.sampled_from(["", " ", "007", "1e5", "NaN", "NA", "-", ".", "-0", "0.0", "1.", "+1", "9" * 20, "T", "12:30"]),
    st.text("0123456789.-+eE:T Z", max_size=12),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=8))
def test_no_value_is_refused_lost_or_changed(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("looked")
    quoted = ['"' + value.replace('"', '""') + '"' if value.strip() != value else value for value in values]
    source = csv(folder, "k,v\n" + "".join(f"x,{value}\n" for value in quoted), csv_use_header_line=True)
    found = [row[1] for row in read_all(source)]
    assert len(found) == len(values)
    for text, value in zip(values, found, strict=True):
        assert _same(text, value), (text, value)


def _same(text, value):
    """Whether a value is the one that its text means; a blank is null."""
    if value is None:
        return not text.strip()
    if isinstance(value, str):
        return value == text
    if isinstance(value, bool):
        return str(value).lower() == text.strip().lower()
    if isinstance(value, int | Decimal):
        return Decimal(text.strip()) == value
    if isinstance(value, float):
        return text.strip() in ("NaN", "Infinity", "-Infinity") or Decimal(repr(value)) == Decimal(text.strip())
    if isinstance(value, datetime) and value.tzinfo is not None:
        return datetime.fromisoformat(text.strip()) == value
    return type(value).fromisoformat(text.strip()) == value


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("id,name\n1,ann\n", ["id", "name"], 1),
        ("1,ann\n2,bob\n", ["column_1", "column_2"], 2),
        ("name,town\nann,Bonn\n", ["name", "town"], 1),
        ("ann,Bonn\nbob,Rome\nann,Oslo\n", ["column_1", "column_2"], 3),
        ("2019,2020\n1,2\n", ["column_1", "column_2"], 2),
        (",id\nx,1\n", ["column_1", "id"], 1),
        ("id,id,Id\n1,2,3\n", ["id", "id_2", "Id"], 1),
        ("\ufeffid,name\n1,ann\n", ["id", "name"], 1),
        ("id,name\n", ["id", "name"], 0),
        ("id\n1\n2\n", ["id"], 2),
        ('"a\nb",c\n1,2\n', ["a\nb", "c"], 1),
        ("id;name\n1;1,5\n", ["id", "name"], 1),
        ("id\tname\n1\tann\n", ["id", "name"], 1),
        ("a|b|c\n1|2|3\n", ["a", "b", "c"], 1),
    ],
)
def test_names_and_delimiter_are_found(tmp_path, text, names, rows):
    source = csv(tmp_path, text)
    assert source.tables()[0].names == names
    assert len(read_all(source)) == rows


def test_what_the_job_says_is_not_guessed(tmp_path):
    assert csv(tmp_path, "id,n\n1,2\n", csv_use_header_line=False).tables()[0].names == ["column_1", "column_2"]
    assert csv(tmp_path, "ann\nann\n", csv_use_header_line=True).tables()[0].names == ["ann"]
    assert csv(tmp_path, "a;b,c;d\n", field_delimiter=";", csv_use_header_line=True).tables()[0].names == [
        "a",
        "b,c",
        "d",
    ]
    named = csv(tmp_path, "id,n\n1,x\n", skip_header_row_number=1)
    assert (named.tables()[0].names, read_all(named)) == (["id", "n"], [(1, "x")])
    declared = csv(tmp_path, "1,2\n", schema={"fields": {"a": "string", "b": "int"}})
    assert types(declared) == {"a": "STRING", "b": "INT"}


def test_date_patterns_of_the_job_make_dates(tmp_path):
    source = csv(tmp_path, "k,day\nx,31/01/2024\n", date_format="dd/MM/yyyy")
    assert read_all(source) == [("x", date(2024, 1, 31))]
    assert types(csv(tmp_path, "k,day\nx,20240131\n", date_format="yyyyMMdd")) == {"k": "STRING", "day": "DATE"}


def test_a_later_row_that_does_not_fit_is_refused_with_place_value_and_cure(tmp_path):
    lines = [f"{number},x\n" for number in range(200_000)]
    source = csv(tmp_path, "n,t\n" + "".join(lines) + "n/a,x\n", infer_schema_bytes=1000)
    assert types(source) == {"n": "BIGINT", "t": "STRING"}
    with pytest.raises(
        BadRow, match=r"in.csv row 200002, column n: cannot read 'n/a' as BIGINT.*infer_schema_bytes = 0"
    ):
        read_all(source)
    assert types(looked(tmp_path / "in.csv", infer_schema_bytes=0)) == {"n": "STRING", "t": "STRING"}


def test_a_row_with_more_or_fewer_fields_is_refused(tmp_path):
    for odd in ("1,2,3\n", "1\n"):
        with pytest.raises(BadRow, match="fields?, the header has 2"):
            read_all(csv(tmp_path, "a,b\n1,2\n" + odd))


def test_types_hold_for_all_files_and_columns_of_all_are_there(tmp_path):
    (tmp_path / "a.csv").write_text("id,n\n1,1\n")
    (tmp_path / "b.csv").write_text("n,id,new\n2.5,2,x\n")
    source = looked(tmp_path)
    assert types(source) == {"id": "BIGINT", "n": "DOUBLE", "new": "STRING"}
    assert sorted(read_all(source)) == [(1, 1.0, None), (2, 2.5, "x")]


def test_files_that_are_not_alike_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    (tmp_path / "b.csv").write_text("1,2,3\n")
    with pytest.raises(Rejected, match="b.csv have 3 fields, those of .*a.csv 2"):
        looked(tmp_path).tables()
    (tmp_path / "a.csv").write_text("id,n\n1,2\n")
    (tmp_path / "b.csv").write_text("x,y\n1,2\n")
    with pytest.raises(Rejected, match=r"b.csv has none of the columns of .*a.csv"):
        looked(tmp_path).tables()


def test_the_one_text_among_numbers_is_told_with_its_cure(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert types(csv(tmp_path, "k,n\nx,1\ny,NA\nz,3\n"))["n"] == "STRING"
    assert "'NA' stands among its numbers; null_format = 'NA' makes that null" in caplog.text
    assert read_all(csv(tmp_path, "k,n\nx,1\ny,NA\n", null_format="NA")) == [("x", 1), ("y", None)]


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(Rejected, match="in.csv' is empty; declare them in schema"):
        csv(tmp_path, "").tables()


def test_text_files_are_looked_at_too(tmp_path):
    (tmp_path / "in.txt").write_text("id\x01day\n1\x012024-01-31\n")
    assert read_all(looked(tmp_path / "in.txt", "text")) == [(1, date(2024, 1, 31))]


def test_json_columns_and_types(tmp_path):
    rows = [
        {"id": 1, "zip": "01234", "day": "2024-01-31", "n": 1, "tags": ["a"], "at": {"x": 1}, "odd": 1, "none": None},
        {"id": 2, "n": 2.5, "big": 12345678901234567890, "at": {"y": "z"}, "odd": "b", "ok": True, "rows": [{"a": 1}]},
    ]
    (tmp_path / "in.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = looked(tmp_path / "in.json", "json")
    assert types(source) == {
        "id": "BIGINT", "zip": "STRING", "day": "DATE", "n": "DOUBLE", "tags": "ARRAY<STRING>",
        "at": "ROW<x BIGINT, y STRING>", "odd": "STRING", "none": "STRING", "big": "DECIMAL(38, 0)",
        "ok": "BOOLEAN", "rows": "ARRAY<ROW<a BIGINT>>",
    }  # fmt: skip
    first, second = read_all(source)
    assert first[:6] == (1, "01234", date(2024, 1, 31), 1.0, ["a"], {"x": 1, "y": None})
    assert second[6:] == ("b", None, Decimal(12345678901234567890), True, [{"a": 1}])


@pytest.mark.parametrize(
    "late", [{"id": 1, "new": 1}, {"id": 1, "at": {"x": 1, "new": 2}}, {"id": 1, "l": [{"new": 2}]}]
)
def test_a_json_field_that_no_row_had_is_refused(tmp_path, late):
    rows = [{"id": 1, "at": {"x": 1}, "l": [{"x": 1}]}] * 200_000
    (tmp_path / "in.json").write_text("".join(json.dumps(row) + "\n" for row in [*rows, late]))
    with pytest.raises(BadRow, match=r"row 200001: it has (at.|l.)?new, which no row had"):
        read_all(looked(tmp_path / "in.json", "json", infer_schema_bytes=1000))


def test_excel_columns_and_types(tmp_path):
    columns = {"id": [1, 2], "name": ["ann", None], "price": [1.5, 2.0], "code": ["007", "008"]}
    (tmp_path / "in.xlsx").write_bytes(written("excel", pa.RecordBatch.from_pydict(columns)))
    source = looked(tmp_path / "in.xlsx", "excel")
    assert types(source) == {"id": "BIGINT", "name": "STRING", "price": "DOUBLE", "code": "STRING"}
    assert read_all(source) == [(1, "ann", 1.5, "007"), (2, None, 2.0, "008")]


def test_xml_rows_and_columns(tmp_path):
    (tmp_path / "in.xml").write_text("<all><o><id>1</id><t>a</t><t>b</t></o><o><id>2</id><d>2024-01-31</d></o></all>")
    assert read_all(looked(tmp_path / "in.xml", "xml")) == [(1, ["a", "b"], None), (2, None, date(2024, 1, 31))]
    (tmp_path / "in.xml").write_text('<all><o id="1" n="x"/><o id="2"/></all>')
    assert read_all(looked(tmp_path / "in.xml", "xml")) == [(1, "x"), (2, None)]


def test_a_missing_schema_names_the_option_and_a_followed_directory_needs_one(tmp_path):
    options = {"path": str(tmp_path), "file_format_type": "json"}
    [problem] = read_options(LocalFileSource.Options, options).problems
    assert "infer_schema = true finds the columns" in problem.message
    followed = {**options, "infer_schema": True, "discovery_mode": "continuous"}
    [problem] = read_options(LocalFileSource.Options, followed).problems
    assert "infer_schema looks at the files that are there" in problem.message


def test_without_the_option_lines_are_one_column_as_in_seatunnel(tmp_path):
    (tmp_path / "in.csv").write_text("id,n\n1,2\n")
    source = make(LocalFileSource, path=str(tmp_path), file_format_type="csv")
    assert [column.name for column in source.tables()[0].columns] == ["content"]
    assert read_all(source) == [("id,n",), ("1,2",)]


def test_columns_that_carry_their_types_are_left_as_they_are(tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"zip": ["1"]}), tmp_path / "a.parquet")
    assert types(looked(tmp_path, "parquet")) == {"zip": "STRING"}
