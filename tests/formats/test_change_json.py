"""Files of changes: messages of Debezium, Canal and Maxwell as rows with their kinds, and back."""

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest

from headrace.errors import BadRow
from headrace.formats.file_format import KIND
from headrace.program import run
from tests.formats.reading import read, schema_of, written

FORMS = ["debezium_json", "canal_json", "maxwell_json"]
SCHEMA = schema_of(id="bigint", name="string")
INSERT, BEFORE, AFTER, DELETE = range(4)
ANN, BOB = {"id": 1, "name": "Ann"}, {"id": 1, "name": "Bob"}


def changes(form, *messages, schema=SCHEMA):
    lines = [message if isinstance(message, str) else json.dumps(message) for message in messages]
    return read(form, "\n".join(lines).encode(), schema)


@pytest.mark.parametrize(
    ("form", "messages"),
    [
        ("debezium_json", [
            {"before": None, "after": ANN, "op": "r"},
            {"before": ANN, "after": BOB, "op": "u"},
            "null",
            {"schema": {"fields": []}, "payload": {"before": BOB, "after": None, "op": "d"}},
        ]),
        ("canal_json", [
            {"data": [ANN], "type": "INSERT", "old": None},
            {"data": [{"id": "1", "name": "Bob"}], "old": [{"name": "Ann"}], "type": "UPDATE"},
            {"data": None, "type": "CREATE", "sql": "create table t (id int)"},
            {"data": [BOB], "type": "DELETE"},
        ]),
        ("maxwell_json", [
            {"data": ANN, "type": "bootstrap-insert"},
            {"data": BOB, "old": {"name": "Ann"}, "type": "update"},
            {"type": "table-create", "def": {}},
            {"data": BOB, "type": "delete"},
        ]),
    ],
)  # fmt: skip
def test_messages_are_rows_with_their_kinds(form, messages):
    expected = [[1, "Ann", INSERT], [1, "Ann", BEFORE], [1, "Bob", AFTER], [1, "Bob", DELETE]]
    assert changes(form, *messages) == expected


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("merged", [False, True])
def test_what_is_written_is_read_as_the_same_changes(form, merged):
    names = pa.array(["a\nb", "old", "new", None, '"quoted"', "lonely"])
    kinds = [INSERT, BEFORE, AFTER, DELETE, AFTER, BEFORE]
    rows = pa.record_batch({"id": range(6), "name": names, KIND: pa.array(kinds, pa.uint8())})
    found = read(form, written(form, rows, merge_update_event=merged), SCHEMA)
    # An update in two messages is a deletion and an insertion, as SeaTunnel writes it.
    after = {INSERT: INSERT, BEFORE: DELETE, AFTER: INSERT, DELETE: DELETE}
    wanted = [BEFORE if merged and i == 1 else AFTER if merged and i == 2 else after[k] for i, k in enumerate(kinds)]
    assert found == [[i, name, kind] for i, (name, kind) in enumerate(zip(names.to_pylist(), wanted, strict=True))]


@pytest.mark.parametrize("form", FORMS)
def test_the_mark_of_an_encoding_stands_once_at_the_beginning(form):
    rows = pa.record_batch({"id": [1, 2], "name": ["ä", "ö"], KIND: pa.array([INSERT, INSERT], pa.uint8())})
    data = written(form, rows, encoding="UTF-16")
    assert [data.startswith("\ufeff".encode("utf-16-le")), data.decode("utf-16").count("\ufeff")] == [True, 0]
    assert read(form, data, SCHEMA, encoding="UTF-16") == [[1, "ä", INSERT], [2, "ö", INSERT]]


def test_what_seatunnel_writes_is_written():
    rows = pa.record_batch({"id": [1], "name": ["Ann"], KIND: pa.array([BEFORE], pa.uint8())})
    assert written("debezium_json", rows) == b'{"before":{"id":1,"name":"Ann"},"after":null,"op":"d"}\n'
    assert written("canal_json", rows) == b'{"data":[{"id":1,"name":"Ann"}],"type":"DELETE"}\n'
    assert written("maxwell_json", rows) == b'{"data":{"id":1,"name":"Ann"},"type":"DELETE"}\n'


def test_debeziums_numbers_mean_what_its_schema_says():
    names = {"d": "Date", "ms": "Timestamp", "us": "MicroTimestamp", "t": "MicroTime"}
    fields = [{"field": name, "name": f"io.debezium.time.{kind}"} for name, kind in names.items()]
    fields.append({"field": "m", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "2"}})
    after = {"d": 19782, "ms": 1709208000123, "us": 1709208000123456, "t": 3723000004, "m": "/4U="}
    message = {"schema": {"fields": [{"field": "after", "fields": fields}]}, "payload": {"after": after, "op": "c"}}
    schema = schema_of(d="date", ms="timestamp", us="timestamp", t="time", m="decimal(10, 2)")
    noon = dt.datetime(2024, 2, 29, 12)
    [row] = changes("debezium_json", message, schema=schema)
    assert row[:3] == [noon.date(), noon.replace(microsecond=123000), noon.replace(microsecond=123456)]
    assert row[3:] == [dt.time(1, 2, 3, 4), Decimal("-1.23"), INSERT]


@pytest.mark.parametrize(
    ("form", "message", "reason"),
    [
        ("debezium_json", '{"op": ', "in row 2: the line is not JSON"),
        ("debezium_json", "[1]", "the line is not a JSON object"),
        (
            "debezium_json",
            ANN,
            "the message has no 'op', which every one of debezium_json has; look at file_format_type",
        ),
        ("debezium_json", {"op": "u", "before": None, "after": ANN}, "set REPLICA IDENTITY FULL for the table"),
        ("debezium_json", {"op": "c", "after": {"id": "x"}}, "in row 2, column id: cannot read 'x' as BIGINT"),
        ("canal_json", {"data": [ANN, BOB], "old": [{}], "type": "UPDATE"}, '"old" has 1 rows, and "data" 2'),
        ("canal_json", {"data": ANN, "type": "INSERT"}, '"data" is not a list of rows'),
        ("maxwell_json", {"data": [ANN], "type": "insert"}, '"data" is not a row'),
    ],
)
def test_a_line_that_is_no_change_is_a_bad_row_with_its_place(form, message, reason):
    with pytest.raises(BadRow, match=reason):
        changes(form, "", message)


def test_kinds_go_through_a_job_and_partitions(tmp_path):
    lines = [{"before": None, "after": ANN, "op": "c"}, {"before": ANN, "after": BOB, "op": "u"}]
    (tmp_path / "in.json").write_text("\n".join(map(json.dumps, lines)))
    fields = {"fields": {"id": "bigint", "name": "string"}}
    source = {"plugin_name": "LocalFile", "path": str(tmp_path / "in.json"), "file_format_type": "debezium_json"}
    sink = {"plugin_name": "LocalFile", "path": str(tmp_path / "out"), "file_format_type": "canal_json"}
    sink |= {"partition_by": ["id"], "merge_update_event": True}
    result = run({"source": [{**source, "schema": fields}], "sink": [sink]})
    assert result.error is None
    [file] = (tmp_path / "out" / "id=1").iterdir()
    kinds = [json.loads(line)["type"] for line in file.read_text().splitlines()]
    assert kinds == ["INSERT", "UPDATE"]
