"""Values as texts, whole columns at once: numbers as Java prints them, moments with the fraction they have."""

import struct
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.formats.cells import cell_texts
from headrace.formats.java_numbers import java_numbers
from headrace.javatext import java_double, java_float

EDGES = [
    0.0, -0.0, 1.0, -1.0, 0.1, 1e-3, 9.999e-4, 1e-4, 1.2e-4, 1e-5, 1.5e-6, 1e-7, 1e7, 12345678.5, 9999999.0, 1e10,
    1.5e10, 100000000000000.0, 123456789012345.6, 1e15, 1e16, 1.5e20, 1e22, 1e-10, 5e-324, 1.7976931348623157e308,
    float("inf"), float("-inf"), float("nan"),
]  # fmt: skip


def texts_one_by_one(column: pa.Array) -> list[str | None]:
    printed = java_float if pa.types.is_float32(column.type) else java_double
    return [None if value is None else printed(value) for value in column.to_pylist()]


@pytest.mark.parametrize("dtype", [pa.float64(), pa.float32()], ids=str)
def test_numbers_of_every_size_are_printed_as_java_prints_them(dtype):
    bits = np.random.default_rng(7).integers(0, 2**63, 20_000, dtype=np.int64)
    numbers = bits.view(np.float64) if pa.types.is_float64(dtype) else bits.astype(np.int32).view(np.float32)
    powers = np.array(
        [sign * figures * 10.0**n for sign in (1, -1) for figures in (1, 1.25, 7) for n in range(-30, 30)]
    )
    with np.errstate(all="ignore"):
        signed = np.concatenate([numbers, -numbers, powers, EDGES]).astype(dtype.to_pandas_dtype())
    column = pa.array(signed, dtype)
    assert java_numbers(column).to_pylist() == texts_one_by_one(column)


@pytest.mark.parametrize("odd", [0.0, 1.5, 1e9, 1.23e-4, 1e30, float("inf"), None], ids=str)
def test_a_number_is_printed_alike_whatever_stands_beside_it(odd):
    for values in ([odd], [0.5] * 300 + [odd] + [2.0] * 300, [odd] * 5 + [0.25], [odd, None, 1.0]):
        column = pa.array(values, pa.float64())
        assert java_numbers(column).to_pylist() == texts_one_by_one(column)
        assert java_numbers(column.slice(1)).to_pylist() == texts_one_by_one(column.slice(1))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40))
def test_any_bits_are_a_number_that_is_printed_alike(bits):
    numbers = [struct.unpack("<d", struct.pack("<Q", value))[0] for value in bits]
    column = pa.array(numbers, pa.float64())
    assert java_numbers(column).to_pylist() == texts_one_by_one(column)


def nanoseconds_text(value: int, *, clock_only: bool = False) -> str:
    day = datetime(1970, 1, 1) + timedelta(seconds=value // 10**9)
    text = f"{day:%H:%M:%S}" if clock_only else f"{day.year:04}-{day:%m-%d %H:%M:%S}"
    fraction = f"{value % 10**9:09}"
    while fraction.endswith("000"):
        fraction = fraction[:-3]
    return f"{text}.{fraction}" if fraction else text


MOMENTS = st.lists(
    st.one_of(
        st.none(),
        st.builds(lambda n, unit: n * unit, st.integers(-(10**9), 10**9), st.sampled_from([1, 10**3, 10**6, 10**9])),
    ),
    max_size=30,
)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "+05:30"], ids=str)
@given(values=MOMENTS)
def test_a_moment_has_as_much_of_its_fraction_as_says_something(unit, zone, values):
    column = pa.array(values, pa.timestamp("ns")).cast(pa.timestamp(unit), safe=False)
    exact = column.cast(pa.timestamp("ns")).cast(pa.int64()).to_pylist()
    if zone is None:
        shift, suffix = 0, ""
    else:
        shift, suffix = (0, "Z") if zone == "UTC" else (19_800 * 10**9, "+05:30")
        column = column.cast(pa.timestamp(unit, zone))
    wanted = [None if v is None else nanoseconds_text(v + shift) + suffix for v in exact]
    assert cell_texts(column, {}, None).to_pylist() == wanted


@pytest.mark.parametrize("dtype", [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")], ids=str)
@given(values=MOMENTS)
def test_a_time_of_day_has_as_much_of_its_fraction_as_says_something(dtype, values):
    day = 86_400 * 10**9
    column = pa.array([None if v is None else v % day for v in values], pa.time64("ns")).cast(dtype, safe=False)
    exact = pc.cast(column.cast(pa.time64("ns")), pa.int64()).to_pylist()
    wanted = [None if v is None else nanoseconds_text(v, clock_only=True) for v in exact]
    assert cell_texts(column, {}, None).to_pylist() == wanted
