"""RegexExtract: what groups find becomes columns."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.options import read_options
from headrace.rows import Batch, TableSchema
from headrace.testing import TABLE, TransformContract, batch, make, task
from headrace.transforms.regex_extract import RegexExtractTransform

EMAIL = {
    "source_field": "name",
    "regex_pattern": r"([^@]+)@([^.]+)\.(.+)",
    "output_fields": ["user", "domain", "top"],
}


class TestRegexExtract(TransformContract):
    @pytest.fixture
    def transform(self):
        return make(RegexExtractTransform, **EMAIL, default_values=["a", "b", "c"])


def extract(rows, **options):
    out = make(RegexExtractTransform, **options).apply(rows, task())
    return [tuple(row.values())[2:] for row in out.rows.to_pylist()]


ROWS = batch((1, "ann@test.org"), (2, "nobody"), (3, None))


def test_groups_become_columns():
    assert extract(ROWS, **EMAIL) == [("ann", "test", "org"), (None,) * 3, (None,) * 3]


def test_defaults_stand_for_what_is_not_found():
    found = extract(ROWS, **EMAIL, default_values=["u", "d", ""])
    assert found == [("ann", "test", "org"), ("u", "d", ""), ("u", "d", "")]


def test_a_group_that_took_no_part_is_null_in_spite_of_its_default():
    options = {"source_field": "name", "regex_pattern": "(a)|(b)", "output_fields": ["a", "b"]}
    assert extract(batch((1, "b")), **options, default_values=["x", "y"]) == [(None, "b")]


def test_numbers_are_read_as_java_prints_them():
    rows = Batch(pa.record_batch({"n": pa.array([12.0, None, 1e7])}), "t")
    transform = make(RegexExtractTransform, source_field="n", regex_pattern=r"(.*)", output_fields=["text"])
    assert transform.apply(rows, task()).rows["text"].to_pylist() == ["12.0", None, "1.0E7"]
    assert transform.schema(TableSchema.from_arrow(rows.rows.schema, "t")).names == ["n", "text"]


def test_nested_values_are_read_as_java_prints_them():
    rows = Batch(pa.record_batch({"n": pa.array([[1, 2], None])}), "t")
    transform = make(RegexExtractTransform, source_field="n", regex_pattern=r"(\d)\]", output_fields=["last"])
    assert transform.apply(rows, task()).rows["last"].to_pylist() == ["2", None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output_fields": ["x"]}, "regex_pattern has 3 groups for 1 output_fields"),
        ({"default_values": ["x"]}, "there are 1 default_values for 3 output_fields"),
        ({"regex_pattern": "("}, "not a regular expression"),
    ],
)
def test_wrong_options_say_what_is_wrong(change, message):
    assert message in str(read_options(RegexExtractTransform.Options, {**EMAIL, **change}).problems[0])


def test_a_wrong_column_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^source_field: .* 'nam'; did you mean 'name'\?"):
        make(RegexExtractTransform, **{**EMAIL, "source_field": "nam"}).schema(TABLE)


@given(st.lists(st.none() | st.text(alphabet="ab1 ", max_size=6), min_size=1, max_size=6))
def test_finds_what_python_finds(texts):
    found = extract(batch(*((1, t) for t in texts)), source_field="name", regex_pattern="([ab]+)1", output_fields=["x"])
    matches = [re.search("([ab]+)1", text) if text is not None else None for text in texts]
    assert found == [(match and match[1],) for match in matches]
