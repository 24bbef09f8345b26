"""DataValidator's rules: which values of a column break one, and what is said of them."""

import importlib
import math
import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from headrace.connector import Choice, Options
from headrace.javaregex import compile_regex
from headrace.javatext import java_text
from headrace.rows import type_name
from headrace.transforms._tables import Regex
from headrace.transforms._texts import distinct_texts
from headrace.values import parse_value


class RuleType(Choice):
    """What is checked."""

    NOT_NULL = "NOT_NULL"
    RANGE = "RANGE"
    LENGTH = "LENGTH"
    REGEX = "REGEX"
    UDF = "UDF"


class Rule(Options):
    """One rule; only NOT_NULL minds nulls."""

    rule_type: RuleType | None = Field(default=None, description="NOT_NULL, RANGE, LENGTH, REGEX or UDF.")
    min_value: Any = Field(default=None, description="RANGE: the smallest value.")
    max_value: Any = Field(default=None, description="RANGE: the largest value.")
    min_inclusive: bool = Field(default=True, description="RANGE: whether min_value itself is allowed.")
    max_inclusive: bool = Field(default=True, description="RANGE: whether max_value itself is allowed.")
    min_length: int | None = Field(default=None, description="LENGTH: fewest characters, bytes or elements.")
    max_length: int | None = Field(default=None, description="LENGTH: most characters, bytes or elements.")
    exact_length: int | None = Field(default=None, description="LENGTH: how many characters, bytes or elements.")
    pattern: Regex | None = Field(default=None, description="REGEX: what the whole text matches.")
    case_sensitive: bool = Field(default=True, description="REGEX: whether upper and lower case differ.")
    function_name: str | None = Field(
        default=None,
        description="UDF: EMAIL, or module:function; it takes a value and gives True, or False or the reason.",
    )
    custom_message: str | None = Field(default=None, description="What is said of a value that breaks the rule.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        needs = {
            RuleType.RANGE: ("min_value", "max_value"),
            RuleType.LENGTH: ("min_length", "max_length", "exact_length"),
            RuleType.REGEX: ("pattern",),
            RuleType.UDF: ("function_name",),
        }
        if self.rule_type is None:
            return self
        names = needs.get(self.rule_type, ())
        if names and all(getattr(self, name) is None for name in names):
            raise ValueError(f"{self.rule_type.value} needs {' or '.join(names)}")
        if self.function_name is not None:
            _check_name(self.function_name)
        return self

    def touches(self) -> Iterable[tuple[str, str, str]]:
        """A function of one's own is code."""
        if self.function_name is not None and not _is_email(self.function_name):
            yield "function_name", "code", self.function_name

    def check_type(self, dtype: pa.DataType) -> None:
        """Raises ValueError when values of the type cannot be checked so."""
        if self.rule_type is RuleType.RANGE:
            for value in (self.min_value, self.max_value):
                limit(value, dtype)
        if self.rule_type is RuleType.UDF and self.function_name is not None:
            find_function(self.function_name)

    def failures(self, column: pa.Array) -> dict[int, str]:
        """Row → why its value breaks the rule."""
        found = _CHECKS[self.rule_type](self, column) if self.rule_type else {}
        return found if self.custom_message is None else dict.fromkeys(found, self.custom_message)


def _rows(mask: pa.Array) -> list[int]:
    return pc.indices_nonzero(mask).to_pylist()


def _not_null(rule: Rule, column: pa.Array) -> dict[int, str]:
    return dict.fromkeys(_rows(column.is_null()), "Field cannot be null") if column.null_count else {}


def _range(rule: Rule, column: pa.Array) -> dict[int, str]:
    found: dict[int, str] = {}
    ends = (
        (rule.min_value, pc.less if rule.min_inclusive else pc.less_equal, "is below minimum"),
        (rule.max_value, pc.greater if rule.max_inclusive else pc.greater_equal, "exceeds maximum"),
    )
    for value, breaks, text in ends:
        if value is not None:
            for row in _rows(breaks(column, limit(value, column.type))):
                found.setdefault(row, f"Value {java_text(column[row].as_py(), column.type)} {text} {value}")
    return found


def limit(value: Any, dtype: pa.DataType) -> Any:
    """An end of a RANGE as a value that Arrow compares with the type exactly. Raises ValueError."""
    if value is None:
        return None
    if pa.types.is_integer(dtype) or pa.types.is_decimal(dtype):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            raise ValueError(f"{value!r} is not a number to compare {type_name(dtype)} with") from None
        return pa.scalar(number)
    if pa.types.is_floating(dtype):
        number_64 = parse_value(value, pa.float64())
        if math.isnan(number_64):
            raise ValueError("NaN is not an end of a range")
        return pa.scalar(number_64)
    if pa.types.is_string(dtype) and isinstance(value, int | float):
        raise ValueError(f"{value!r} is a number, and the column is STRING: cast it to a number first")
    if pa.types.is_boolean(dtype) or pa.types.is_nested(dtype) or pa.types.is_binary(dtype):
        raise ValueError(f"{type_name(dtype)} has no range")
    return pa.scalar(parse_value(value, dtype), dtype)


def _length(rule: Rule, column: pa.Array) -> dict[int, str]:
    lengths = _lengths(column)
    found: dict[int, str] = {}
    for wanted, breaks, text in (
        (rule.exact_length, pc.not_equal, "Expected length {wanted} but got {length}"),
        (rule.min_length, pc.less, "Length {length} is below minimum {wanted}"),
        (rule.max_length, pc.greater, "Length {length} exceeds maximum {wanted}"),
    ):
        if wanted is not None:
            for row in _rows(breaks(lengths, wanted)):
                found.setdefault(row, text.format(wanted=wanted, length=lengths[row].as_py()))
    return found


def _lengths(column: pa.Array) -> pa.Array:
    if pa.types.is_string(column.type):
        return pc.utf8_length(column)
    if pa.types.is_binary(column.type):
        return pc.binary_length(column)
    if isinstance(column, pa.ExtensionArray):
        return _lengths(column.storage)
    if pa.types.is_map(column.type):
        column = column.cast(pa.list_(pa.struct([column.type.key_field, column.type.item_field])))
    if pa.types.is_list(column.type):
        return pc.list_value_length(column)
    texts, indices = distinct_texts(column)
    return pa.array([len(text) for text in texts], pa.int32()).take(indices)


def _regex(rule: Rule, column: pa.Array) -> dict[int, str]:
    assert rule.pattern is not None
    pattern = compile_regex(rule.pattern, ignore_case=not rule.case_sensitive)
    texts, indices = distinct_texts(column)
    breaks = pa.array([pattern.fullmatch(text) is None for text in texts], pa.bool_())
    rows = _rows(breaks.take(indices))
    return {row: f"Value '{texts[indices[row].as_py()]}' does not match pattern '{rule.pattern}'" for row in rows}


def _udf(rule: Rule, column: pa.Array) -> dict[int, str]:
    assert rule.function_name is not None
    function, found = find_function(rule.function_name), {}
    for row, value in enumerate(column.to_pylist()):
        if value is None:
            continue
        try:
            answer = function(value)
        except Exception as error:  # whatever it is, it says that the value is not valid
            found[row] = f"Error executing function '{rule.function_name}': {error}"
            continue
        if isinstance(answer, str):
            found[row] = answer
        elif answer is False:
            found[row] = f"Value '{value}' is not valid for {rule.function_name}"
    return found


_CHECKS: dict[RuleType, Callable[[Rule, pa.Array], dict[int, str]]] = {
    RuleType.NOT_NULL: _not_null,
    RuleType.RANGE: _range,
    RuleType.LENGTH: _length,
    RuleType.REGEX: _regex,
    RuleType.UDF: _udf,
}


def find_function(name: str) -> Callable[[Any], Any]:
    """The function of a UDF rule. Raises ValueError when there is none."""
    if _is_email(name):
        return email_problem
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot load function {name!r}: {error}") from error
    if not callable(function):
        raise ValueError(f"{name!r} is not a function")
    return function


def _is_email(name: str) -> bool:
    return name.strip().upper() == "EMAIL"


def _check_name(name: str) -> None:
    module, _, attribute = name.partition(":")
    if not (_is_email(name) or (module and attribute)):
        raise ValueError(f"there is no function {name!r}; write EMAIL, or module:function for one of your own")


def email_problem(value: Any) -> str | None:
    """What is wrong with an address, by the checks of SeaTunnel's EMAIL; None when nothing is."""
    email = str(value).strip()
    local, at, domain = email.partition("@")
    if not email:
        return None
    if len(email) > 254:
        return f"Email too long (max 254 characters): {email}"
    if not local or not at or "@" in domain:
        return f"Email must contain exactly one @ symbol: {email}"
    if len(local) > 63:
        return f"Email local part too long (max 63 characters): {email}"
    if set(email) & set("\"'`\0"):
        return f"Email contains dangerous characters: {email}"
    if not re.fullmatch(r"[a-zA-Z0-9.-]+", domain):
        return f"Email domain contains invalid characters: {email}"
    if "." not in domain:
        return f"Email domain must contain at least one dot: {email}"
    return None
