"""Numbers of different types are compared by all their digits."""

import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sql.evaluating import evaluate, values

BIG = Decimal("123456789012345678.99")
TYPES = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(-1e20, 1e20).filter(lambda x: x == 0 or abs(x) > 1e-20),
    "decimal(38, 10)": st.decimals(-(10**27), 10**27, places=10),
    "decimal(38, 0)": st.integers(-(10**37), 10**37).map(Decimal),
    "decimal(20, 18)": st.decimals(-10, 10, places=18),
}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("x > 123456789012345678.98", True),
        ("x <= 123456789012345678.98", False),
        ("x = 123456789012345678.99", True),
        ("x != 123456789012345678.990", False),
        ("x in (123456789012345678.98)", False),
        ("x between 123456789012345678.985 and 123456789012345679", True),
        ("x < 1e70", True),
    ],
)
def test_a_decimal_is_compared_with_what_the_query_writes_digit_by_digit(condition, expected):
    assert values(condition, "decimal(38, 2)", [BIG]) == [expected]


def test_a_big_whole_number_is_not_its_neighbour():
    assert values("x = 9007199254740993.0", "bigint", [2**53, 2**53 + 1]) == [False, True]
    assert values("x in (9007199254740993.0)", "bigint", [2**53, 2**53 + 1]) == [False, True]


@pytest.mark.parametrize(("left", "right"), [*itertools.combinations(TYPES, 2)])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_numbers_of_any_two_types_have_the_order_of_their_digits(left, right, data):
    a = data.draw(st.lists(TYPES[left], min_size=1, max_size=5))
    b = [_near(left, right, item, data) for item in a]
    columns = {"a": (left, a), "b": (right, b)}
    pairs = [(Decimal(str(x)), Decimal(str(y))) for x, y in zip(a, b, strict=True)]
    assert evaluate("a < b", columns)[1] == [x < y for x, y in pairs]
    assert evaluate("a = b", columns)[1] == [x == y for x, y in pairs]
    assert evaluate("a >= b", columns)[1] == [x >= y for x, y in pairs]


def _near(left, right, item, data):
    """The same number as the other type has it where it can, or any other."""
    if data.draw(st.booleans()):
        if right == "double":
            return float(item)
        if right == "bigint" and abs(item) < 2**62:
            return int(item) + data.draw(st.integers(-1, 1))
    return data.draw(TYPES[right])
