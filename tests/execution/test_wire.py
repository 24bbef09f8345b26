"""Messages to and from workers are data of one version; what they hold arrives as it was."""

import decimal
import hashlib
import json
import math
import socket
import subprocess
import sys
from dataclasses import fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pytest

from headrace import errors
from headrace.checkpoint.coordinator import Ack
from headrace.checkpoint.json_values import dump_values, load_values
from headrace.config.env import Verify
from headrace.config.error_handlers import Limit, Stage
from headrace.config.job import parse_job
from headrace.connector import JobContext, Share, Split, TargetPositions
from headrace.errors import (
    BadRow,
    ConfigError,
    HeadraceError,
    PluginFailed,
    Problem,
    Rejected,
    TablesFailed,
    WorkerLost,
)
from headrace.execution import wire
from headrace.execution.calls import CALLS
from headrace.execution.messages import (
    Acked,
    Assign,
    Call,
    LoadJob,
    Reply,
    SetTables,
    StartTask,
    TaskFailed,
    TaskReport,
    TaskSpec,
    portable,
)
from headrace.execution.notices import TableNotices
from headrace.execution.processes import Channel, ProcessesRunner
from headrace.execution.progress import Counts
from headrace.plan.plan import make_plan
from headrace.program import run
from headrace.rows import SIMPLE_TYPES, Column, ConstraintKey, PrimaryKey, TableSchema

TASK = ("1.1", 1, 5, 0)

JOB = "source { FakeSource { row.num = 5, schema { fields { id = int } } } }\nsink { Console {} }"

TYPES = [
    *SIMPLE_TYPES.values(),
    pa.decimal128(38, 10),
    pa.decimal256(76, 3),
    pa.list_(pa.field("element", pa.int8(), nullable=False)),
    pa.map_(pa.string(), pa.struct([("a", pa.timestamp("ns", "Europe/Berlin"))])),
    pa.dictionary(pa.int32(), pa.string()),
    pa.binary(16),
]
TABLE = TableSchema(
    "db.t",
    (*(Column(f"c{i}", dtype, default=[1, {"a": None}]) for i, dtype in enumerate(TYPES)),),
    PrimaryKey("pk", ("c0",)),
    (ConstraintKey("u", "UNIQUE", (("c1", "ASC"), ("c2", None))),),
    options={"topic": "x"},
    metadata=(Column("EventTime", pa.int64()),),
)
SPLITS = [
    Split("\udcff.csv", 5, "t", ("x",), {"from": 10**30, "nan": [1.5]}),
    Split("b", share=Share("b", without=("t",)), ends=True),
]
CONTEXT = JobContext(2**63 - 1, epoch=5, restorable=(4, 7))

MESSAGES = [
    LoadJob("1.1", parse_job(f"env {{ parallelism = 2 }}\n{JOB}").resolved()),
    SetTables("1.1", {1: [TABLE]}),
    StartTask(
        "1.1",
        TaskSpec(
            CONTEXT,
            0,
            states={3: {"t": {"rows": 1}}},
            limits=(Limit("error_handler", 5, 0.1, 100, (Stage.SOURCE, Stage.SINK)),),
            verify=Verify.CHECKSUM,
            failed=frozenset({"t"}),
        ),
    ),
    Assign(*TASK, SPLITS[0], [1, "a", None, 2**70], True),
    Call("1.1", 1, "commit", (3, [{"file": "x"}], CONTEXT)),
    Call("1.1", 2, "describe"),
    Call("1.1", 3, "check_save_modes", ({3: [TABLE]},)),
    Reply("1.1", 1, "describe", {1: [TABLE]}),
    Reply("1.1", 2, "splits", SPLITS),
    Reply("1.1", 3, "target_positions", TargetPositions({"s": 5}, frozenset({"done"}))),
    Reply("1.1", 4, "target_positions"),
    Acked(*TASK, 7, Ack({"s": {"at": 5}}, frozenset({"d"}), {"sink": {"t": [1]}}, {"sink": ["x"]}, {"k": {"rows": 1}})),
    TaskReport(
        *TASK, {(1, "t", "o"): Counts(rows=3, checksum=2**64 - 1)}, 5, {1: 0.5}, 1.0, 2.0, ("bad",),
        {"t": TableNotices({"cut": 1}, {"cut": "x"}, {"a"}, {"b": ("there", "")})}, {"s": 0.25}, {"s": 7},
    ),
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(message):
    content = wire.write_message(message)
    assert load_values(content)[:2] == [wire.VERSION, type(message).__name__]
    found = wire.read_message(content)
    assert found == message
    if isinstance(message, SetTables):
        assert [c.type for c in found.tables[1][0].columns] == TYPES
        assert found.tables[1][0].arrow.equals(TABLE.arrow, check_metadata=True)


def test_numbers_that_json_has_no_word_for_arrive_too():
    sent = Assign(*TASK, SPLITS[1], [math.nan, math.inf, -0.0, 1e300], False)
    [nan, *others] = wire.read_message(wire.write_message(sent)).position
    assert math.isnan(nan)
    assert others == [math.inf, -0.0, 1e300]


def test_whole_numbers_of_any_size_are_kept():
    assert load_values(dump_values({"at": 10**40, "odd": "\udcff"})) == {"at": 10**40, "odd": "\udcff"}


@pytest.mark.parametrize(
    ("position", "text"),
    [
        ({"at": [1, {2, 3}]}, r"at\[1\] is of the type set"),
        ({"at": {1: 2}}, "at is an object with the key 1"),
        (b"x", "it is of the type bytes"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(position, text):
    with pytest.raises(Rejected, match=text):
        wire.write_message(Assign(*TASK, SPLITS[1], position, True))


# -------------------------------------------------------------------------------------------------------- errors


def carried(error):
    return wire.read_message(wire.write_message(TaskFailed(*TASK, error, 2, ("t",)))).error


@pytest.mark.parametrize("cls", list(errors.OWN_ERRORS.values()), ids=lambda cls: cls.__name__)
def test_every_error_arrives_with_all_that_it_says(cls):
    special = {
        ConfigError: lambda: ConfigError([Problem("a", "b", "c", "f", 3, "options")]),
        TablesFailed: lambda: TablesFailed({"t": BadRow("no", "t", 3, "c", 5)}),
        WorkerLost: lambda: WorkerLost("gone", False),
        BadRow: lambda: BadRow("no", "t", 3, "c", 5),
    }
    error = special.get(cls, lambda: cls("it failed"))()
    found = carried(error)
    assert (type(found), str(found), found.retryable) == (cls, str(error), error.retryable)
    assert getattr(found, "guilty", None) == getattr(error, "guilty", None)


def test_where_a_connector_failed_arrives():
    found = carried(Rejected("no", "Jdbc", "t", "s"))
    assert (found.message, found.plugin, found.table, found.split) == ("no", "Jdbc", "t", "s")


class Odd(Rejected):
    """Takes other arguments than its base."""

    def __init__(self, where, why):
        super().__init__(f"{why} at {where}", "Odd")


class Silent(Rejected):
    """Does not call its base."""

    def __init__(self):
        self.args = ("hush",)

    def __str__(self):
        return "hush"


class Patient(HeadraceError):
    retryable = True


@pytest.mark.parametrize(
    ("error", "cls", "text"),
    [
        (Odd("the door", "no entry"), Rejected, "Odd: no entry at the door"),
        (Silent(), Rejected, "hush"),
        (Patient("later"), errors.Unavailable, "later"),
        (ValueError("x"), PluginFailed, "x (ValueError)"),
        (BadRow("bad", value=decimal.Decimal("1.5")), BadRow, "bad"),
    ],
)
def test_an_error_of_a_plugin_is_the_one_of_ours_that_is_most_like_it(error, cls, text):
    for found in (portable(error), carried(portable(error))):
        assert (type(found), str(found)) == (cls, text)


# ------------------------------------------------------------------------------------------------------- versions


def shape(kind, known):
    """All that values of this type are made of, as text."""
    origin = get_origin(kind) or kind
    name = "Union" if origin in (Union, UnionType) else origin.__name__
    parts = [name, *(shape(inner, known) for inner in get_args(kind) if inner is not Ellipsis)]
    if origin is kind and kind not in known:
        known.add(kind)
        if is_dataclass(kind):
            hints = get_type_hints(kind)
            parts += [f"{field.name}: {shape(hints[field.name], known)}" for field in fields(kind)]
        elif kind is not Any and issubclass(kind, Enum):
            parts += [member.value for member in kind]
        elif kind is not Any and issubclass(kind, tuple):
            parts += [f"{name}: {shape(hint, known)}" for name, hint in get_type_hints(kind).items()]
    return f"({' '.join(parts)})"


def test_other_messages_are_another_version():
    """When this fails, VERSION goes up by one if a release has it, and both stand here anew."""
    known = set()
    told = [shape(cls, known) for cls in wire.NAMES.values()]
    sent = [(name, hint) for name, call in CALLS.items() for hint in list(get_type_hints(call).values())[1:]]
    told += [f"{name} {shape(hint, known)}" for name, hint in sent]
    told += [f"{name} {cls.__mro__}" for name, cls in errors.OWN_ERRORS.items()]
    digest = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    assert (wire.VERSION, digest) == (1, "a6af5fd1d3099025")


def test_a_worker_refuses_another_version_with_a_clear_text_and_ends():
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "headrace.execution.worker_process", str(theirs.fileno()), str(1 << 30)]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    channel = Channel(ours)
    try:
        channel.send(json.dumps([wire.VERSION + 1, "Somersault", {"high": True}]).encode())
        while load_values(content := channel.receive())[1] == "Heartbeat":
            pass
        with pytest.raises(
            wire.Unreadable, match="speaks version 2 of the messages .* and this process version 1: they"
        ):
            wire.read_message(content)
        assert channel.receive() is None
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        channel.close()


def test_a_job_whose_workers_are_of_another_version_fails_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(wire, "VERSION", 7)
    result = run(JOB, home=tmp_path, runner="processes")
    assert result.status == "FAILED"
    assert "version 1 of the messages between a job and its workers" in str(result.error)
    assert "install the same one for both" in str(result.error)


# ------------------------------------------------------------------------------------------------- resolved plans


def test_a_worker_reads_no_file_and_no_variable(monkeypatch, tmp_path):
    """Its plan is the master's, whatever became of include, environment and key since."""
    included = tmp_path / "rows.conf"
    included.write_text("rows = 7")
    monkeypatch.setenv("HOW_MANY", "7")
    text = f'''include file("{included}")
env {{ parallelism = 3, shade.identifier = base64 }}
source {{ FakeSource {{
  row.num = ${{rows}}, split.num = ${{HOW_MANY}}, username = "YWI=", schema {{ fields {{ id = int }} }}
}} }}
sink {{ Console {{ log.print.data = ${{given}} }} }}'''
    job = parse_job(text, file="job.conf", variables={"given": "false"})
    content = wire.write_message(LoadJob("1.1", job.resolved()))
    included.unlink()
    monkeypatch.delenv("HOW_MANY")
    found = wire.read_message(content).resolved.config()
    assert found.sources[0].options == job.sources[0].options
    assert [found.sources[0].options[key] for key in ("row.num", "split.num", "username")] == [7, "7", "ab"]
    assert found.env == job.env
    assert found.sinks[0].line("log.print.data") == job.sinks[0].line("log.print.data") > 0
    before, after = make_plan(job), make_plan(found)
    assert [(s.id, s.name) for p in after.pipelines for s in p.all_steps()] == [
        (s.id, s.name) for p in before.pipelines for s in p.all_steps()
    ]
    assert [p.parallelism for p in after.pipelines] == [3]


def test_an_option_that_only_this_process_has_is_refused_with_the_cure():
    plan = make_plan(parse_job(JOB))
    plan.job.sources[0].options["odd"] = object()
    runner = ProcessesRunner(1)
    try:
        with pytest.raises(ConfigError, match=r"odd is of the type object.*; run the job embedded"):
            runner.attach("1.1", plan, 1, print)
    finally:
        runner.close()
