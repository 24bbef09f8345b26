import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import headrace
from headrace.connectors.arrow import ArrowSink, ArrowSource
from headrace.errors import ConfigError
from headrace.tables import Tables
from headrace.testing import SinkContract, SourceContract, make

TABLE = pa.table({"id": [1, 2, 3], "name": ["a", None, "c"]})


class TestArrowSource(SourceContract):
    @pytest.fixture
    def source(self):
        return make(ArrowSource, data=TABLE)


class TestArrowSink(SinkContract):
    @pytest.fixture
    def sink(self):
        return make(ArrowSink, into=Tables())

    def visible(self, sink):
        tables = sink.options.into
        return [tuple(row.values()) for name in tables for row in tables[name].to_pylist()]


def job(**source):
    return {"source": [{"plugin_name": "Arrow", "plugin_output": "t", **source}], "sink": [{"plugin_name": "Arrow"}]}


@pytest.mark.parametrize("make_table", [pa.table, pd.DataFrame, pl.DataFrame], ids=["pyarrow", "pandas", "polars"])
def test_takes_any_table_with_the_capsule_interface(make_table):
    result = headrace.run(job(data=make_table({"id": [1, 2, 3]})))
    assert result.status == "FINISHED"
    assert result.tables["t"].column("id").to_pylist() == [1, 2, 3]


def test_takes_what_duckdb_answers_and_gives_it_back_to_duckdb():
    with duckdb.connect() as connection:
        result = headrace.run(job(data=connection.sql("select unnest([1, 2, 3]) id")))
        back = result.tables["t"]
        assert connection.execute("select sum(id) from back").fetchone() == (6,), back


def test_finds_tables_by_name_and_gives_back_what_others_take():
    result = headrace.run(job(name="people"), tables={"people": TABLE})
    assert pl.from_arrow(result.tables["people"]).height == 3
    assert (result.rows_read, result.rows_written) == (3, 3)


def test_a_table_without_rows_keeps_its_columns():
    result = headrace.run(job(data=TABLE.slice(0, 0)))
    assert result.tables["t"].schema == TABLE.schema


def test_a_name_that_was_not_given_fails_the_job_with_the_cure():
    result = headrace.run(job(name="nobody"))
    assert result.status == "FAILED"
    assert "there is no table 'nobody'; give it to headrace.run(tables=" in str(result.error)


def test_other_processes_cannot_have_the_tables():
    with pytest.raises(ConfigError, match="embedded"):
        headrace.run(job(data=TABLE), runner="processes")
