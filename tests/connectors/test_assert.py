import pyarrow as pa
import pytest

from headrace.connectors.assert_ import AssertSink
from headrace.errors import Rejected
from headrace.options import read_options
from headrace.rows import Column, ConstraintKey, PrimaryKey, TableSchema
from headrace.testing import CHANGES, TABLE, SinkContract, assert_described, batch, make, task


def check(rules, *rows):
    sink = make(AssertSink, rules=rules)
    problems = [str(p) for p in sink.check([TABLE])]
    if problems:
        raise Rejected(problems[0])
    states = []
    for part in rows or (batch(),):
        writer = sink.open(task()).writer(TABLE)
        writer.write(part)
        writer.prepare_commit(1)
        states.append(writer.state())
    sink.finish([TABLE], {TABLE.path: sink.merge_states(states)})


def field(name, *values, field_type=None):
    rule = {"field_name": name, "field_value": list(values)}
    return {"field_rules": [rule | ({"field_type": field_type} if field_type else {})]}


class _Watched(AssertSink):
    """Its writers, with the epochs they belong to."""

    writers = []

    def writer(self, table, task, state):
        self.writers.append((task.job.epoch, super().writer(table, task, state)))
        return self.writers[-1][1]


class TestAssertSink(SinkContract):
    @pytest.fixture
    def sink(self):
        _Watched.writers.clear()
        return make(_Watched, rules={"row_rules": [{"rule_type": "MAX_ROW", "rule_value": 10}]})

    def same(self, sink, rows):
        """It writes nowhere: what the last start has counted is looked at, with rules that only so many rows meet."""
        newest = max(epoch for epoch, _ in sink.writers)
        counted = sink.merge_states([writer.state() for epoch, writer in sink.writers if epoch == newest])
        rules = [{"rule_type": rule, "rule_value": len(rows)} for rule in ("MIN_ROW", "MAX_ROW")]
        try:
            make(AssertSink, rules={"row_rules": rules}).finish([TABLE], {TABLE.path: counted})
        except Rejected:
            return False
        return True

    def changed(self, sink):
        return [row for _, row in CHANGES]

    def test_options_and_class_are_described(self):
        assert_described(AssertSink)


@pytest.mark.parametrize(
    "rules",
    [
        {"row_rules": [{"rule_type": "MIN_ROW", "rule_value": 2}, {"rule_type": "max_row", "rule_value": 2}]},
        field(
            "id",
            {"rule_type": "NOT_NULL"},
            {"rule_type": "MIN", "rule_value": 1},
            {"rule_type": "MAX", "rule_value": 2},
        ),
        field("id", field_type="bigint"),
        field("name", {"rule_type": "NOT_NULL"}, {"rule_type": "MIN_LENGTH", "rule_value": 3}),
        field("name", {"equals_to": "ann"}),
        field("name", {"rule_type": "NOT_NULL", "equals_to": "ann"}),
        field("name", {"rule_type": "NOT_NULL", "equals_to": None}),
        {"table-names": ["db.people"]},
    ],
)
def test_rules_that_hold(rules):
    check(rules, batch((1, "ann")), batch((2, "ann")))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            {"row_rules": [{"rule_type": "MIN_ROW", "rule_value": 3}]},
            "row num :2 fail rule: AssertRule(ruleType=MIN_ROW",
        ),
        ({"row_rules": [{"rule_type": "MAX_ROW", "rule_value": 1}]}, "row num :2"),
        (field("id", {"rule_type": "MAX", "rule_value": 1}), "row :{'id': 2, 'name': None} field id fail rule"),
        (field("name", {"rule_type": "NOT_NULL"}), "field name fail rule: AssertRule(ruleType=NOT_NULL"),
        (field("name", {"rule_type": "NULL"}), "ruleType=NULL"),
        (field("name", {"rule_type": "MAX_LENGTH", "rule_value": 2}), "ruleType=MAX_LENGTH"),
        (field("name", {"equals_to": "bob"}), "equalTo=bob"),
        (field("id", field_type="int"), "field id is BIGINT, fail rule: type INT"),
        (field("age", {"rule_type": "NULL"}), "there is no field 'age' in id, name"),
        ({"table-names": ["other"]}, "tables db.people come, other must"),
        ({"tables_configs": [{"table_path": "other", "row_rules": []}]}, "table other does not come"),
        (field("id", {"rule_type": "NOT_NULL", "equals_to": 1}), "{'id': 2, "),
        (field("id", {"rule_type": "MAX", "rule_value": 9, "equals_to": 1}), "{'id': 2, "),
        (field("id", {"rule_type": "MAX", "rule_value": 1, "equals_to": 1}), "{'id': 2, "),
        (field("name", {"rule_type": "NOT_NULL", "equals_to": "ann"}), "'name': None"),
    ],
)
def test_rules_that_do_not_hold_fail_with_row_and_rule(rules, message):
    with pytest.raises(Rejected) as error:
        check(rules, batch((1, "ann")), batch((2, None)))
    assert message in str(error.value)
    assert "Rule validate failed" in str(error.value)


def test_counts_rows_of_all_tasks_together():
    check({"row_rules": [{"rule_type": "MIN_ROW", "rule_value": 4}]}, *[batch((i, "x")) for i in range(4)])


def test_a_table_without_rows_is_counted_too():
    with pytest.raises(Rejected, match="row num :0"):
        check({"row_rules": [{"rule_type": "MIN_ROW", "rule_value": 1}]})


def test_equals_nested_values_written_as_fakesource_writes_them():
    table = TableSchema.from_arrow(pa.schema({"r": pa.struct({"a": pa.int32(), "b": pa.list_(pa.string())})}), "t")
    from headrace.rows import Batch

    rows = Batch(pa.RecordBatch.from_pylist([{"r": {"a": 1, "b": ["x"]}}], schema=table.arrow), "t")
    for value, fits in (([1, ["x"]], True), ({"a": 1, "b": ["y"]}, False)):
        writer = make(AssertSink, rules=field("r", {"equals_to": value})).open(task()).writer(table)
        if fits:
            writer.write(rows)
        else:
            with pytest.raises(Rejected):
                writer.write(rows)


def test_checks_the_table_itself():
    table = TableSchema(
        "t",
        (Column("id", pa.int64(), nullable=False, comment="key"), Column("name", pa.string(), length=10)),
        PrimaryKey("pk", ("id",)),
        (ConstraintKey("uk", "UNIQUE_KEY", (("name", "ASC"),)),),
    )
    rule = {
        "primary_key_rule": {"primary_key_name": "pk", "primary_key_columns": ["id"]},
        "constraint_key_rule": [
            {
                "constraint_key_name": "uk",
                "constraint_key_type": "UNIQUE_KEY",
                "constraint_key_columns": [{"constraint_key_column_name": "name", "constraint_key_sort_type": "ASC"}],
            }
        ],
        "column_rule": [
            {"name": "id", "type": "bigint", "nullable": False, "comment": "key"},
            {"name": "name", "type": "string", "column_length": 10},
        ],
    }
    assert list(make(AssertSink, rules={"catalog_table_rule": rule}).check([table])) == []
    rule["column_rule"][0]["nullable"] = True
    rule["primary_key_rule"]["primary_key_columns"] = ["name"]
    problems = [p.message for p in make(AssertSink, rules={"catalog_table_rule": rule}).check([table])]
    assert len(problems) == 2
    assert "nullable False" in problems[1]


def test_rules_without_a_rule_are_refused():
    [problem] = read_options(AssertSink.Options, {"rules": {}}).problems
    assert "holds none of row_rules" in problem.message
