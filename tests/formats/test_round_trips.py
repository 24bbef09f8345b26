"""What is written is read back as it was, or was refused with the column named: every type of every binary format."""

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import BadRow, Rejected
from headrace.formats.file_format import WriteSettings
from headrace.rows import parse_type
from tests.formats.reading import file_format, read, written

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = {
    "boolean": st.booleans(),
    "tinyint": st.integers(-128, 127),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": TEXT,
    "bytes": st.binary(max_size=8),
    "date": st.dates(),
    "time": st.times(),
    "timestamp": st.datetimes(),
    "timestamp_tz": st.datetimes(timezones=st.just(dt.UTC)),
    "decimal(38, 10)": st.decimals(-(10**27), 10**27, places=10),
    "array<int>": st.lists(st.none() | st.integers(-9, 9), max_size=3),
    "map<string, bigint>": st.dictionaries(TEXT, st.integers(-9, 9), max_size=3).map(lambda made: list(made.items())),
}
FORMATS = {
    "parquet": {},
    "orc": {},
    "excel": {"skip_header_row_number": 1},
    "xml": {"xml_row_tag": "RECORD"},
}


def kept(form, value):
    """What a format keeps of a value by what it says of itself: a workbook has no blank texts."""
    if form != "excel" or not isinstance(value, str | bytes):
        return value
    return value if (value.decode() if isinstance(value, bytes) else value).strip() else None


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", VALUES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_values_come_back_or_are_refused_with_the_column(form, dtype, data):
    values = data.draw(st.lists(st.none() | VALUES[dtype], min_size=1, max_size=4))
    rows = pa.record_batch({"x": pa.array(values, parse_type(dtype))})
    refused = file_format(form).refused(rows, WriteSettings())
    assert all("column x" in reason for reason in refused.values()), refused
    rows = rows.filter(pa.array([row not in refused for row in range(rows.num_rows)]))
    try:
        file = written(form, rows)
    except (BadRow, Rejected) as error:
        assert "column x" in str(error)
        return
    found = [row[0] for row in read(form, file, rows.schema if form in ("excel", "xml") else None, **FORMATS[form])]
    expected = [kept(form, value) for value in rows["x"].to_pylist()]
    if form == "orc" and dtype == "time":
        found = [None if text is None else dt.time.fromisoformat(text) for text in found]
        expected = rows["x"].to_pylist()
    assert found == expected
