"""Xml files as others write them, and what is written comes back."""

import logging

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadRow, Rejected
from headrace.formats.file_format import WriteSettings
from headrace.formats.registry import file_format
from tests.formats.reading import read, schema_of, written

TEXT = schema_of(s="string")


def read_xml(text, schema=TEXT, **settings):
    return read("xml", text if isinstance(text, bytes) else text.encode(), schema, xml_row_tag="row", **settings)


@pytest.mark.parametrize(
    ("declared", "option", "encoding"),
    [
        (None, "ISO-8859-1", "latin-1"),
        ("GBK", "GBK", "gbk"),
        ("GBK", None, "gbk"),
        ("Shift_JIS", None, "shift_jis"),
        ("ISO-8859-1", None, "latin-1"),
        ("UTF-8", "windows-1252", "cp1252"),
        (None, None, "utf-16"),
        (None, None, "utf-8-sig"),
        (None, None, "utf-8"),
    ],
)
def test_files_of_every_encoding_are_read(declared, option, encoding):
    value = {"gbk": "中文", "shift_jis": "日本"}.get(encoding, "café")
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    data = f"{head}<list><row><s>{value}</s></row></list>".encode(encoding)
    assert read_xml(data, **({"encoding": option} if option else {})) == [[value]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("<l><row><s>\xe9</s></row></l>".encode("latin-1"), "in as xml: .*0xe9.*; set the option encoding"),
        (b'<?xml version="1.0" encoding="klingon"?><l/>', "its encoding is 'klingon', which is not known"),
        ("<l><row><s>a</row></l>", "in as xml: mismatched tag: line 1.*; mend the file"),
        ("<l><row><s>a</s></row>", "in as xml: no element found.*; mend the file"),
        (
            "<l><row><t>a</t></row></l>",
            "none of the columns s is in in: the elements of its rows are t; mend the names",
        ),
        ('<l><row s="a"/></l>', "the elements of its rows are none; .* set xml_use_attr_format = true"),
    ],
)
def test_what_cannot_be_read_says_where_and_what_to_do(data, reason):
    with pytest.raises(Rejected, match=reason):
        read_xml(data)


@pytest.mark.parametrize(
    ("inner", "dtype", "reason"),
    [
        ("<s><a>1</a><b>2</b></s>", "string", r"holds elements \(a, b\) where STRING was expected"),
        ("<s>1</s><s>2</s>", "string", "stands 2 times in the row; declare the column as an array"),
        ("<s>x</s>", "int", "cannot read 'x' as INT"),
    ],
)
def test_what_does_not_fit_is_a_bad_row(inner, dtype, reason):
    with pytest.raises(BadRow, match=f"in row 1, column s: .*{reason}"):
        read_xml(f"<l><row>{inner}</row></l>", schema_of(s=dtype))


def test_names_are_found_without_case_and_elements_that_repeat_are_an_array():
    rows = "<l><row><Tag>a</Tag><Tag>b</Tag><ID>1</ID></row></l>"
    assert read_xml(rows, schema_of(tag="array<string>", id="int")) == [[["a", "b"], 1]]


def test_a_column_that_is_in_no_row_is_told_with_the_nearest_name(caplog):
    with caplog.at_level(logging.WARNING):
        assert read_xml("<l><row><s>a</s><nmae>b</nmae></row></l>", schema_of(s="string", name="string")) == [
            ["a", None]
        ]
        assert read_xml("<l><rows/></l>") == []
    assert "column name is in no row of in, and null in all; did you mean nmae?" in caplog.text
    assert "in has no element row: 0 rows" in caplog.text


def test_an_element_that_is_there_has_a_text_if_only_an_empty_one():
    rows = "<l><row><s/></row><row><s> </s></row><row><t/></row></l>"
    assert read_xml(rows) == [[""], [" "], [None]]
    assert read_xml(rows, null_format="") == [[None], [" "], [None]]


ANY = st.none() | st.text(st.characters(codec="utf-8"), max_size=8)


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "GBK", "ISO-8859-1"])
@pytest.mark.parametrize("attributes", [False, True])
@given(texts=st.lists(ANY, min_size=1, max_size=4))
def test_texts_come_back_or_are_refused_with_the_column(encoding, attributes, texts):
    rows = pa.record_batch({"s": pa.array(texts, pa.string()), "n": pa.array(range(len(texts)), pa.int64())})
    settings = {"encoding": encoding, "xml_use_attr_format": attributes}
    refused = file_format("xml").refused(rows, WriteSettings.model_validate(settings))
    assert all("column s: " in reason and "no xml file can hold" in reason for reason in refused.values())
    kept = [[text, row] for row, text in enumerate(texts) if row not in refused]
    rows = rows.filter(pa.array([row not in refused for row in range(len(texts))]))
    data = written("xml", rows, xml_row_tag="row", **settings)
    assert read_xml(data, schema_of(s="string", n="int"), **settings) == kept


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("a b", {}, "column 'a b' is not a name in XML"),
        ("1st", {}, "column '1st' is not a name"),
        ("a:b", {}, "column 'a:b' is not a name"),
        ("名", {"encoding": "ISO-8859-1"}, "cannot be written in ISO-8859-1; rename it, or set encoding = UTF-8"),
        ("a", {"xml_row_tag": "a row"}, "xml_row_tag 'a row' is not a name"),
    ],
)
def test_names_that_xml_has_not_are_refused(name, settings, reason):
    with pytest.raises(Rejected, match=reason):
        written("xml", pa.record_batch({name: ["x"]}), **settings)


def test_bytes_that_are_no_text_are_refused_with_column_and_row():
    rows = pa.record_batch({"b": [b"ok", b"\xff\xfe"]})
    [(row, reason)] = file_format("xml").refused(rows, WriteSettings()).items()
    assert row == 1
    assert "column b: the bytes fffe are not a text in UTF-8" in reason
