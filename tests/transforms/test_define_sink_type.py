"""DefineSinkType: native types for the target's new table."""

import pytest

from headrace.errors import ConfigError
from headrace.options import read_options
from headrace.testing import TABLE, TransformContract, batch, make, task
from headrace.transforms.define_sink_type import DefineSinkTypeTransform

COLUMNS = [{"column": "name", "type": "nvarchar2(10)"}]


class TestDefineSinkType(TransformContract):
    @pytest.fixture
    def transform(self):
        return make(DefineSinkTypeTransform, columns=COLUMNS)


def test_columns_get_their_native_types_and_rows_stay():
    transform = make(DefineSinkTypeTransform, columns=COLUMNS)
    assert [column.sink_type for column in transform.schema(TABLE).columns] == [None, "nvarchar2(10)"]
    rows = batch((1, "a"))
    assert transform.apply(rows, task()) is rows


def test_a_later_transform_does_not_take_the_types_of_other_columns_away():
    table = make(DefineSinkTypeTransform, columns=COLUMNS).schema(TABLE)
    again = make(DefineSinkTypeTransform, columns=[{"column": "id", "type": "number"}]).schema(table)
    assert [column.sink_type for column in again.columns] == ["number", "nvarchar2(10)"]


def test_a_wrong_column_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^columns: .* 'nam'; did you mean 'name'\?"):
        make(DefineSinkTypeTransform, columns=[{"column": "nam", "type": "x"}]).schema(TABLE)


def test_a_type_is_needed():
    [problem] = read_options(DefineSinkTypeTransform.Options, {"columns": [{"column": "a"}]}).problems
    assert str(problem).startswith("columns[0].type: required option is missing")
