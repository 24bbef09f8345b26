"""What csv and text files mean, where others go wrong: nulls, quotes, names, fields too many or few, encodings."""

import pytest

from headrace.connectors.local_file import LocalFileSource
from headrace.errors import BadRow, Rejected
from headrace.program import run
from headrace.testing import make, task

ABC = {"fields": {"id": "int", "s": "string", "t": "string"}}
PEOPLE = {"fields": {"id": "int", "name": "string"}}
NEEDED = {"columns": [{"name": n, "type": t, "nullable": False} for n, t in (("id", "int"), ("name", "string"))]}


def read(tmp_path, data, schema=ABC, form="csv", **options):
    file = tmp_path / f"in.{form}"
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    source = make(LocalFileSource, path=str(file), file_format_type=form, schema=schema, **options)
    reads = [source.read(split, None, task()) for split in source.splits(2)]
    return [tuple(row.values()) for reading in reads for found in reading for row in found.batch.rows.to_pylist()]


def job(tmp_path, data, schema, **source):
    (tmp_path / "in.csv").write_text(data)
    reading = {"plugin_name": "LocalFile", "path": str(tmp_path / "in.csv"), "file_format_type": "csv"}
    return run({
        "env": source.pop("env", {}),
        "source": [{**reading, "schema": schema, **source}],
        "sink": [{"plugin_name": "Arrow"}],
    })  # fmt: skip


@pytest.mark.parametrize("beside", ["", "5,y\n"])
def test_quoted_fields_are_texts_whatever_row_stands_beside_them(tmp_path, beside):
    rows = read(tmp_path, '1,"",a\n2,"  ",b\n3,"NULL",c\n4,NULL,d\n' + beside, null_format="NULL")
    assert rows[:4] == [(1, "", "a"), (2, "  ", "b"), (3, "NULL", "c"), (4, None, "d")]


@pytest.mark.parametrize("beside", ["", "3,2024-02-02\n"])
def test_a_day_is_its_midnight_and_0x10_is_no_number_whatever_row_stands_beside(tmp_path, beside):
    schema = {"fields": {"id": "int", "t": "timestamp", "n": "string"}}
    found = read(tmp_path, f"1,2024-01-31,a\n{beside}", schema)[0]
    assert str(found[1]) == "2024-01-31 00:00:00"
    with pytest.raises(BadRow, match=r"in\.csv row 2, column id: cannot read '0x10' as INT"):
        read(tmp_path, f"1,2024-01-31,a\n0x10,2024-02-01,b\n{beside}", schema)


@pytest.mark.parametrize(
    ("line", "options"),
    [('{0},"he said \\"yes {0}\nand left",n{0}\n', {"escape_char": "\\"}), ('{0},5" nail,"two\nlines {0}"\n', {})],
)
def test_quotes_and_escapes_decide_where_rows_may_be_cut(tmp_path, line, options):
    rows = read(tmp_path, "".join(line.format(i) for i in range(150)), file_split_size=512, **options)
    assert [row[0] for row in rows] == list(range(150))
    assert all("\n" in row[1] + row[2] for row in rows)


def test_a_quote_that_nothing_closes_is_named_with_its_line(tmp_path):
    with pytest.raises(BadRow, match=r'in\.csv row 3: the " that begins a field in line 3 is never closed; close'):
        read(tmp_path, 'id,name\n1,ann\n2,"bob\n3,cid\n', PEOPLE, skip_header_row_number=1)


def test_names_of_a_header_fit_without_regard_to_case_and_blanks(tmp_path):
    assert read(tmp_path, "Name , ID\nann,1\n", PEOPLE, csv_use_header_line=True) == [(1, "ann")]
    assert read(tmp_path, "ID,id,name\n1,2,ann\n", PEOPLE, csv_use_header_line=True) == [(2, "ann")]


def test_lines_are_skipped_before_the_header_is_read(tmp_path):
    text = 'Monthly "list\n2024-01\nid,name\n1,ann\n'
    assert read(tmp_path, text, PEOPLE, csv_use_header_line=True, skip_header_row_number=2) == [(1, "ann")]


def test_a_header_without_any_column_is_refused_with_both_lists(tmp_path):
    with pytest.raises(Rejected, match=r"no column of the schema is in it: the schema has id, name; the file has a, b"):
        read(tmp_path, "a,b\n1,ann\n", PEOPLE, csv_use_header_line=True)


def test_a_header_without_a_column_that_may_not_be_null_is_refused(tmp_path):
    with pytest.raises(Rejected, match=r"column name may not be null and is not in it: the schema has id, name; the"):
        read(tmp_path, "id,nmae\n1,ann\n", NEEDED, csv_use_header_line=True)


@pytest.mark.parametrize("beside", ["", "4\n"])
def test_null_where_none_may_be_is_a_bad_row(tmp_path, beside):
    with pytest.raises(BadRow, match=r"in\.csv row 2, column id: it is null, and the schema says nullable = false"):
        read(tmp_path, f"1,ann\n,bob\n{beside}", NEEDED)


def test_quotes_hold_with_a_delimiter_of_two_characters(tmp_path):
    rows = read(tmp_path, '1||"a||b"||c\n2||"say ""hi"""||d\n3||e||f\n', field_delimiter="||")
    assert rows == [(1, "a||b", "c"), (2, 'say "hi"', "d"), (3, "e", "f")]


def test_a_column_that_no_file_has_is_warned_of_with_the_nearest_name(tmp_path):
    schema = {"fields": {"id": "int", "nmae": "string"}}
    result = job(tmp_path, "id,name\n1,ann\n", schema, csv_use_header_line=True)
    [warning] = result.report.warnings
    assert warning.startswith("column nmae of table default is null in all rows: no field has that name, as in ")
    assert warning.endswith("; did you mean name?")
    assert result.report.to_json()["warnings"] == [warning]


def test_rows_with_fields_too_many_or_few_are_counted_and_warned_of(tmp_path):
    result = job(tmp_path, "id,s,t\n1,Rome,ok\n2,Paris, France,late\n3\n4,a,b,\n", ABC, csv_use_header_line=True)
    assert result.tables["default"].to_pydict()["t"] == ["ok", " France", None, "b"]
    padded, cut = result.report.warnings
    assert padded.startswith("1 row of table default had fewer fields than the columns need, and null stands for")
    assert padded.endswith("in.csv row 4: it has 1 field, the header has 3")
    assert cut.endswith("in.csv row 3: it has 4 fields, the header has 3")
    assert result.report.to_json()["deliveries"][0]["mended"] == {"padded": 1, "cut": 1}


def test_with_an_error_handler_they_are_bad_rows(tmp_path):
    env = {"error_handler": {"mode": "LOG"}}
    result = job(tmp_path, "1,Rome,ok\n2,Paris, France,late\n3\n", ABC, env=env)
    assert result.tables["default"].to_pydict()["id"] == [1]
    assert result.report.deliveries[0].rejected == 2
    assert not result.report.warnings


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_kind_of_line_end_ends_a_row(tmp_path, end):
    rows = read(tmp_path, end.join(["1,a", '2,"x\ny"', "3,c,d", ""]), file_split_size=3)
    assert rows == [(1, "a", None), (2, "x\ny", None), (3, "c", "d")]


def test_an_empty_line_is_null_where_there_is_one_column_and_nothing_elsewhere(tmp_path):
    assert read(tmp_path, "1\n\n3\n", {"fields": {"id": "int"}}) == [(1,), (None,), (3,)]
    assert read(tmp_path, "1,a,b\n\n3,c,d\n") == [(1, "a", "b"), (3, "c", "d")]


@pytest.mark.parametrize(
    ("data", "cure"),
    [
        (b"\x1f\x8b\x08\x00abc", 'it is packed with gzip; set compress_codec = "gzip"'),
        (b"PK\x03\x04abc", 'it is a zip archive; set archive_compress_codec = "ZIP"'),
        ("1,a".encode("utf-16"), "begins with the mark of UTF-16; set encoding = UTF-16"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "json", "text"])
def test_a_file_that_is_packed_or_encoded_otherwise_is_named_with_the_cure(tmp_path, data, cure, form):
    with pytest.raises(Rejected, match=rf"in\.{form} .*{cure}"):
        read(tmp_path, data, form=form)


def test_a_header_in_another_encoding_is_named(tmp_path):
    with pytest.raises(Rejected, match=r"in\.csv row 1: the header is not UTF-8: b'\\xe9' at byte 7; set the option"):
        read(tmp_path, "id,nam\u00e9\n1,a\n".encode("latin-1"), PEOPLE, csv_use_header_line=True)


@pytest.mark.parametrize("text", ["1e39", "-1e39", "1e999"])
def test_a_number_too_large_for_its_type_does_not_become_infinite(tmp_path, text):
    with pytest.raises(BadRow, match=r"row 1, column f: cannot read '.*' as FLOAT: it is too large"):
        read(tmp_path, f"{text}\n", {"fields": {"f": "float"}})
    assert read(tmp_path, "Infinity\n", {"fields": {"f": "float"}}) == [(float("inf"),)]


@pytest.mark.parametrize("text", ["12345678.9", "-12345678.90"])
def test_a_decimal_with_too_many_digits_is_refused(tmp_path, text):
    with pytest.raises(BadRow, match=r"row 1, column d: cannot read .* it has more than 9 digits"):
        read(tmp_path, f"{text}\n", {"fields": {"d": "decimal(9, 2)"}})


def test_the_first_pattern_that_fits_is_the_one_that_is_meant(tmp_path):
    patterns = {"date_format": "dd.MM.yyyy", "datetime_format": "dd.MM.yyyy HH:mm"}
    schema = {"fields": {"d": "date", "t": "timestamp"}}
    [row] = read(tmp_path, "01.02.2024,03.04.2024 05:06\n", schema, **patterns)
    assert [str(value) for value in row] == ["2024-02-01", "2024-04-03 05:06:00"]


def test_utf16_is_read_from_any_position(tmp_path):
    rows = read(tmp_path, "".join(f"{i},ä€{i},b\n" for i in range(100)).encode("utf-16"), encoding="UTF-16")
    assert rows == [(i, f"ä€{i}", "b") for i in range(100)]


def test_bytes_are_what_stands_there(tmp_path):
    schema = {"fields": {"b": "bytes", "n": "int"}}
    assert read(tmp_path, b"a\xff,1\n", schema) == [(b"a\xff", 1)]
