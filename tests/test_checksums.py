"""Checksums: equal rows have equal ones however they lie in memory; every change of a value is seen."""

import math
import struct
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
import pytest

from headrace.checksums import RULES, VERSION, RowHasher, add, checksum, hashes, row_hashes, subtract, to_text
from headrace.connector import Batch
from headrace.rows import SIMPLE_TYPES

M = 2**64
NULL = 0xA5B85C5E198ED849
STEP = 0x9E3779B97F4A7C15


def mix(x):
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % M
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % M
    return x ^ (x >> 31)


def tag(name):
    found = 1
    for byte in name.encode():
        found = mix((found * STEP + byte) % M)
    return found


def factor(place):
    return 1 if place == 0 else mix(place * STEP % M) | 1


def of_bytes(data, name):
    total = 0
    for number in range(max((len(data) + 63) // 64, 1)):
        block = data[64 * number : 64 * number + 64]
        words = [int.from_bytes(block[i : i + 8], "little") for i in range(0, max(len(block), 1), 8)]
        total += sum(mix(word ^ factor(i + 1)) for i, word in enumerate(words)) * factor(number)
    return mix(total % M ^ len(data) * STEP % M ^ tag(name))


def reference(value, dtype):
    """The hash of one value in plain Python, from the description in docs/delivery.md."""
    if value is None:
        return NULL
    if pa.types.is_boolean(dtype):
        return mix(int(value) ^ tag("boolean"))
    if pa.types.is_integer(dtype):
        return mix(value % M ^ tag("unsigned" if value >= 2**63 else "integer"))
    if pa.types.is_floating(dtype):
        bits = 0x7FF8000000000000 if math.isnan(value) else struct.unpack("<Q", struct.pack("<d", value + 0.0))[0]
        return mix(bits ^ tag("float"))
    if pa.types.is_decimal(dtype):
        unscaled = int(value.scaleb(dtype.scale, Context(prec=80)))
        found = mix(unscaled % M ^ tag("decimal") ^ dtype.scale * STEP % M)
        if not -(2**63) <= unscaled < 2**63:
            found += sum(mix((unscaled >> 64 * i) % M ^ tag(f"decimal {i}")) for i in (1, 2, 3))
        return found % M
    if pa.types.is_string(dtype):
        return of_bytes(value.encode(), "string")
    if pa.types.is_binary(dtype):
        return of_bytes(value, "bytes")
    if pa.types.is_date(dtype):
        return mix((value - date(1970, 1, 1)).days % M ^ tag("date"))
    if pa.types.is_list(dtype):
        total = sum(reference(item, dtype.value_type) * factor(i) for i, item in enumerate(value))
        return mix(total % M ^ len(value) * STEP % M ^ tag("array"))
    if pa.types.is_map(dtype):
        pairs = [(reference(k, dtype.key_type), reference(v, dtype.item_type)) for k, v in value]
        total = sum(mix((k + v * factor(1)) % M ^ tag("entry")) for k, v in pairs)
        return mix(total % M ^ len(value) * STEP % M ^ tag("map"))
    if pa.types.is_struct(dtype):
        fields = [dtype.field(i) for i in range(dtype.num_fields)]
        return mix(sum(reference(value[f.name], f.type) * factor(i) for i, f in enumerate(fields)) % M ^ tag("row"))
    name = "time" if pa.types.is_time(dtype) else "instant" if dtype.tz else "timestamp"
    if pa.types.is_time(dtype):
        value = datetime.combine(date(1970, 1, 1), value)
    since = value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return mix(since // timedelta(microseconds=1) % M ^ tag(name))


VALUES = [
    (pa.bool_(), [True, False, None]),
    (pa.int8(), [0, 1, -1, None, -128, 127]),
    (pa.int16(), [0, -1, 32767]),
    (pa.int32(), [5, None, -(2**31)]),
    (pa.int64(), [5, 2**63 - 1, -(2**63)]),
    (pa.uint64(), [5, 2**63, 2**64 - 1]),
    (pa.float32(), [0.0, 1.5, math.inf, None, math.nan]),
    (pa.float64(), [0.0, -0.0, 1.5, 1e300, math.nan, -math.inf]),
    (pa.decimal128(10, 2), [Decimal("1.50"), Decimal("-1.50"), None]),
    (pa.decimal128(38, 0), [Decimal(2**64), Decimal(-(2**64)), Decimal(2**63), Decimal(-(2**63))]),
    (pa.decimal256(76, 3), [Decimal("1.5"), Decimal(2**200), Decimal(-(2**200))]),
    (pa.string(), ["", "a", "\x00", None, "Łódź 東京 🚰", "x" * 63, "x" * 64, "x" * 65, "y" * 1000]),
    (pa.binary(), [b"", b"a", b"12345678", b"123456789", bytes(range(256)) * 3]),
    (pa.date32(), [date(1970, 1, 1), date(1969, 12, 31), date(9999, 12, 31)]),
    (pa.time64("us"), [time(0), time(23, 59, 59, 999_999), None]),
    (pa.timestamp("us"), [datetime(1970, 1, 1), datetime(1900, 1, 1, 1, 2, 3, 4)]),
    (pa.timestamp("us", "UTC"), [datetime(2024, 2, 29, tzinfo=UTC), None]),
    (pa.list_(pa.int32()), [[], None, [1], [1, 2], [2, 1], [None]]),
    (pa.map_(pa.string(), pa.int32()), [[], None, [("a", 1)], [("a", 1), ("b", None)]]),
    (pa.struct({"a": pa.int32(), "b": pa.string()}), [{"a": 1, "b": None}, None, {"a": None, "b": None}]),
    (pa.list_(pa.list_(pa.string())), [[["a"], []], [], [None, ["b", "c"]]]),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "values"), VALUES, ids=lambda v: str(v) if isinstance(v, pa.DataType) else "")
def test_every_type_is_hashed_as_the_plain_form_says(dtype, values):
    assert hashes(pa.array(values, dtype)).tolist() == [reference(value, dtype) for value in values]


def batch():
    names = [str(i) for i in range(len(VALUES))]
    columns = [pa.array((values * 7)[:7], dtype) for dtype, values in VALUES]
    return pa.RecordBatch.from_arrays(columns, names)


def test_a_version_has_one_answer_for_ever():
    assert VERSION == 1
    assert to_text(checksum(batch())) == "1-7fea6adc5bfb742c"
    empty = pa.RecordBatch.from_pydict({"a": pa.array([], pa.int32())})
    assert to_text(checksum(empty)) == "1-0000000000000000"
    kinds = pa.array([0, 1, 2, 3, 0, 0, 0], pa.uint8())
    assert to_text(checksum(batch(), kinds)) == "1-c9d2490a55b17a7c"


def test_another_process_gives_the_same_answer():
    code = "import pyarrow as pa; from headrace.checksums import checksum; " + (
        "print(checksum(pa.RecordBatch.from_pydict({'a': ['x', None], 'b': [1.5, 2.5]})))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert int(found.stdout) == checksum(pa.RecordBatch.from_pydict({"a": ["x", None], "b": [1.5, 2.5]}))


@pytest.mark.parametrize(("dtype", "values"), VALUES, ids=lambda v: str(v) if isinstance(v, pa.DataType) else "")
def test_a_part_of_a_column_counts_as_if_it_stood_alone(dtype, values):
    array = pa.array([*values, *values], dtype)
    for start in range(len(array)):
        for length in (0, 1, 3, len(array)):
            part = array.slice(start, length)
            assert hashes(part).tolist() == [reference(value, dtype) for value in ([*values, *values])[start:][:length]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1, None, -5], pa.int8()), pa.array([1, None, -5], pa.int64())),
        (pa.array([1, None, 5], pa.uint64()), pa.array([1, None, 5], pa.int32())),
        (pa.array([1.5, None], pa.float16()), pa.array([1.5, None], pa.float64())),
        (pa.array([-0.0, 0.0]), pa.array([0.0, -0.0])),
        (pa.array(["a", None, ""]), pa.array(["a", None, ""], pa.large_string())),
        (pa.array(["a", None, "x" * 99]), pa.array(["a", None, "x" * 99], pa.string_view())),
        (pa.array(["a", None, "a", "b"]), pa.array(["a", None, "a", "b"]).dictionary_encode()),
        (pa.array([b"ab", None], pa.binary()), pa.array([b"ab", None], pa.binary(2))),
        (pa.array([b"ab", None], pa.binary()), pa.array([b"ab", None], pa.binary_view())),
        (pa.array([Decimal("1.5"), None], pa.decimal128(5, 2)), pa.array([Decimal("1.5"), None], pa.decimal256(60, 2))),
        (pa.array([Decimal("1.50")], pa.decimal128(5, 2)), pa.array([Decimal("1.50")], pa.decimal32(5, 2))),
        (pa.array([3, None], pa.date32()), pa.array([3 * 86_400_000, None], pa.date64())),
        (pa.array([3, None], pa.timestamp("s")), pa.array([3 * 10**9, None], pa.timestamp("ns"))),
        (pa.array([-3, None], pa.timestamp("ms")), pa.array([-3000, None], pa.timestamp("us"))),
        (pa.array([5], pa.timestamp("us", "UTC")), pa.array([5], pa.timestamp("us", "Europe/Warsaw"))),
        (pa.array([5], pa.time32("s")), pa.array([5_000_000], pa.time64("us"))),
        (pa.array([[1, 2], None, []], pa.list_(pa.int32())), pa.array([[1, 2], None, []], pa.large_list(pa.int64()))),
        (pa.array([[1, 2], None], pa.list_(pa.int32())), pa.array([[1, 2], None], pa.list_(pa.int32(), 2))),
        (pa.array([[1, 2], None], pa.list_(pa.int32())), pa.array([[1, 2], None], pa.list_view(pa.int32()))),
        (
            pa.array([[("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int32())),
            pa.array([[("b", 2), ("a", 1)]], pa.map_(pa.string(), pa.int32())),
        ),
        (
            pa.array([[1.5], None], pa.list_(pa.float32())),
            pa.array([[1.5], None], SIMPLE_TYPES["float_vector"]),
        ),
        (pa.array([1, 1, 2]), pa.RunEndEncodedArray.from_arrays(pa.array([2, 3]), pa.array([1, 2]))),
        (pa.array([None, None], pa.int32()), pa.nulls(2)),
    ],
    ids=str,
)  # fmt: skip
def test_equal_values_count_the_same_in_every_layout(one, other):
    assert hashes(one).tolist() == hashes(other).tolist()


def test_nan_is_nan_whatever_its_bits():
    odd = np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001], np.uint64).view(np.float64)
    assert len(set(hashes(pa.array(odd)).tolist())) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([None], pa.string()), pa.array([""])),
        (pa.array([0]), pa.array([None], pa.int64())),
        (pa.array([1]), pa.array([1.0])),
        (pa.array(["1"]), pa.array([b"1"])),
        (pa.array([True]), pa.array([1])),
        (pa.array(["a"]), pa.array(["a\x00"])),
        (pa.array([""]), pa.array(["\x00" * 64])),
        (pa.array(["\x00" * 64]), pa.array(["\x00" * 128])),
        (pa.array([Decimal("1.50")], pa.decimal128(5, 2)), pa.array([Decimal("1.5")], pa.decimal128(5, 1))),
        (pa.array([1], pa.timestamp("ns")), pa.array([2], pa.timestamp("ns"))),
        (pa.array([1], pa.timestamp("us")), pa.array([1], pa.timestamp("us", "UTC"))),
        (pa.array([[None]], pa.list_(pa.int32())), pa.array([[]], pa.list_(pa.int32()))),
        (pa.array([[1, 2]]), pa.array([[2, 1]])),
        (pa.array(["x" * 64 + "y" * 64]), pa.array(["y" * 64 + "x" * 64])),
        (pa.array([2**63], pa.uint64()), pa.array([-(2**63)])),
    ],
    ids=str,
)
def test_different_values_differ(one, other):
    assert hashes(one).tolist() != hashes(other).tolist()


def test_the_order_of_rows_does_not_count_and_that_of_columns_does():
    rows = batch()
    turned = rows.take(pa.array(range(rows.num_rows - 1, -1, -1)))
    assert checksum(turned) == checksum(rows)
    one = pa.RecordBatch.from_pydict({"a": [1, 2], "b": [3, 4]})
    assert checksum(one) != checksum(one.select(["b", "a"]))
    assert checksum(one) == checksum(one.rename_columns(["x", "y"]))


def test_values_that_change_rows_with_one_another_are_seen():
    one = pa.RecordBatch.from_pydict({"a": [1, 2], "b": [3, 4]})
    assert checksum(one) != checksum(pa.RecordBatch.from_pydict({"a": [1, 2], "b": [4, 3]}))


def test_kinds_count_and_inserts_written_out_do_not():
    rows = batch()
    assert checksum(rows, pa.array([0] * 7, pa.uint8())) == checksum(rows)
    sums = {checksum(rows, pa.array([kind, *[0] * 6], pa.uint8())) for kind in range(4)}
    assert len(sums) == 4


def test_the_parts_add_up_to_the_whole():
    rows = batch()
    found = None
    for start, length in ((0, 2), (2, 0), (2, 4), (6, 1)):
        found = add(found, checksum(rows.slice(start, length)))
    assert found == checksum(rows)
    assert subtract(found, checksum(rows.slice(0, 6))) == checksum(rows.slice(6, 1))
    assert add(None, None) is None


def test_a_column_that_two_batches_share_is_hashed_once(monkeypatch):
    calls: list[pa.Array] = []
    monkeypatch.setattr("headrace.checksums.hashes", lambda array: calls.append(array) or hashes(array))
    hasher, rows = RowHasher(), batch().select(range(17))
    first = hasher.checksum(Batch(rows, "a"))
    assert len(calls) == rows.num_columns
    assert hasher.checksum(Batch(rows, "b")) == first
    renamed = pa.RecordBatch.from_arrays(rows.columns, [f"new {name}" for name in rows.schema.names])
    assert hasher.checksum(Batch(renamed, "b")) == first
    assert len(calls) == rows.num_columns
    changed = rows.set_column(0, "0", pa.array([None] * 7, pa.bool_()))
    other = hasher.checksum(Batch(changed))
    assert len(calls) == rows.num_columns + 1
    assert other == checksum(changed) != first
    assert hasher.checksum(Batch(rows, kinds=pa.array([3] * 7, pa.uint8()))) != first


def test_a_type_without_a_rule_is_named():
    union = pa.UnionArray.from_sparse(pa.array([0, 0], pa.int8()), [pa.array([1, 2])])
    with pytest.raises(TypeError, match="have no checksum"):
        hashes(union)


def test_every_simple_type_has_a_rule():
    for name, dtype in SIMPLE_TYPES.items():
        storage = dtype.storage_type if isinstance(dtype, pa.ExtensionType) else dtype
        assert any(rule.fits(storage) for rule in RULES), name
        assert hashes(pa.array([None], storage)).tolist() == [NULL]


def test_a_million_random_rows_hardly_ever_share_a_hash():
    rows = pa.RecordBatch.from_pydict({"a": pa.array(range(1_000_000)), "b": pa.array(range(1_000_000, 0, -1))})
    found = row_hashes(rows)
    assert len(np.unique(found)) == 1_000_000
    ones = np.unpackbits(found.view(np.uint8)).mean()
    assert abs(ones - 0.5) < 0.001
