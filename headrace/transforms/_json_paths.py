"""JSONPath as Jayway's library reads it, which SeaTunnel uses: names, indices, slices, wildcards, depth, filters.

Texts, comparisons and filters without brackets are those of RFC 9535.

A path that can name one value only gives that value, or nothing; any other gives a list of what it finds.
"""

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

Step = Callable[[Any], Iterator[Any]]
"""From one value to those that a step of the path finds in it."""

_NAME = re.compile(r"[^.\[\](),?@*:'\"\s]+")
_NAME_IN_FILTER = re.compile(r"[^.\[\](),?@*:'\"\s=!<>&|~]+")
"""A sign may follow at once: `@.price<10&&@.new`."""
_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_SLICE = re.compile(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?\]")
_INT = re.compile(r"-?\d+")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_COMPARISON = re.compile(r"==|!=|<=|>=|<|>|=~|\bnin\b|\bin\b")
_REGEX = re.compile(r"/((?:[^/\\]|\\.)*)/(i?)")
_WORDS = {"true": True, "false": False, "null": None}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_FUNCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "length": len, "size": len, "min": min, "max": max, "sum": sum, "avg": lambda items: sum(items) / len(items),
    "first": lambda items: items[0], "last": lambda items: items[-1], "keys": list,
}  # fmt: skip
_MISSING = object()


class Row(dict[str, Any]):
    """A row of SeaTunnel's: its fields are found by name, and, as SeaTunnel's JsonPath finds them, by position."""


def _in_order(value: Any) -> Any:
    """A row as the list of its fields, for who asks by position; other values as they are."""
    return list(value.values()) if isinstance(value, Row) else value


class JsonPath:
    """A path that was read. definite: it can name one value only."""

    def __init__(self, steps: Sequence[Step], *, definite: bool, function: str = "") -> None:
        self._steps, self.definite, self._function = steps, definite, function
        keys: list[Any] = [getattr(step, "key", None) for step in steps]
        self._keys = keys if None not in keys and not function else None

    def find(self, value: Any) -> Any:
        """What the path names in a document. Raises LookupError when a definite path names nothing."""
        if self._keys is not None:  # the usual path, at a third of the cost
            for key in self._keys:
                if isinstance(key, int):
                    value = _in_order(value)
                if not isinstance(value, dict if isinstance(key, str) else list):
                    raise LookupError(key)
                value = value[key]
            return value
        found = [value]
        for step in self._steps:
            found = [inner for outer in found for inner in step(outer)]
        if self.definite and not found:
            raise LookupError("nothing")
        result = found[0] if self.definite else found
        return self._applied(result) if self._function else result

    def _applied(self, result: Any) -> Any:
        if not isinstance(result, list | dict | str):
            raise LookupError(f"{self._function}() needs a list")
        try:
            return _FUNCTIONS[self._function](result)  # type: ignore[arg-type]
        except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            raise LookupError(f"{self._function}() of it: {error}") from error


@lru_cache(512)
def parse_path(path: str) -> JsonPath:
    """Read a path. Raises ValueError naming what cannot be read."""
    text = path.strip()
    if not text.startswith("$"):
        raise ValueError(f"path {path!r} must begin with $")
    reader = _Reader(text)
    reader.at = 1
    found = reader.path()
    if reader.at < len(text):
        raise ValueError(
            f"path {path!r} cannot be read from {text[reader.at :]!r} on; write $.name, ['name'], [0], [*] or [?(…)]"
        )
    return found


class _Reader:
    """Reads a path from left to right; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self._name = _NAME

    def path(self) -> JsonPath:
        """The steps from here on, as far as there are any."""
        steps: list[Step] = []
        definite, function = True, ""
        while self.at < len(self.text) and not function:
            if self._take(".."):
                steps.append(_deep)
                definite = False
                if self.text.startswith("[", self.at):
                    continue
            elif self._take("["):
                step, one = self._brackets()
                steps.append(step)
                definite = definite and one
                continue
            elif not self._take("."):
                break
            if self._take("*"):
                steps.append(_every)
                definite = False
                continue
            name = self._match(self._name)[0]
            if name in _FUNCTIONS and self._take("()"):
                function = name
            else:
                steps.append(_Named(name))
        return JsonPath(steps, definite=definite, function=function)

    def _take(self, word: str) -> bool:
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        return True

    def _match(self, pattern: "re.Pattern[str]") -> "re.Match[str]":
        self._blanks()
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"path {self.text!r} cannot be read from {self.text[self.at :]!r} on")
        self.at = match.end()
        return match

    def _blanks(self) -> None:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1

    def _need(self, word: str) -> None:
        self._blanks()
        if not self._take(word):
            raise ValueError(f"path {self.text!r} lacks {word!r} before {self.text[self.at :]!r}")

    def _brackets(self) -> tuple[Step, bool]:
        """A step in brackets, and whether it can find one value only."""
        self._blanks()
        if self._take("*"):
            self._need("]")
            return _every, False
        if self._take("?"):
            outer, self._name = self._name, _NAME_IN_FILTER
            condition = self._either()
            self._name = outer
            self._need("]")
            return _filtered(condition), False
        if match := _SLICE.match(self.text, self.at):
            self.at = match.end()
            return _sliced(slice(*(int(part) if part else None for part in match.groups()))), False
        items: list[Any] = [self._text() if self.text[self.at : self.at + 1] in "'\"" else int(self._match(_INT)[0])]
        self._blanks()
        while self._take(","):
            self._blanks()
            items.append(self._text() if isinstance(items[0], str) else int(self._match(_INT)[0]))
            self._blanks()
        self._need("]")
        if isinstance(items[0], str):
            return (_Named(items[0]) if len(items) == 1 else _picked(items)), True
        return (_Indexed(items[0]), True) if len(items) == 1 else (_several([_Indexed(i) for i in items]), False)

    def _text(self) -> str:
        match = self._match(_TEXT)
        text = _ESCAPE.sub(_unescaped, match[1] if match[1] is not None else match[2])
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # pairs of \\u escapes

    # ------------------------------------------------------------------------------------------------- filters

    def _either(self) -> Callable[[Any], bool]:
        conditions = [self._both()]
        self._blanks()
        while self._take("||"):
            conditions.append(self._both())
            self._blanks()
        return conditions[0] if len(conditions) == 1 else lambda value: any(c(value) for c in conditions)

    def _both(self) -> Callable[[Any], bool]:
        conditions = [self._condition()]
        self._blanks()
        while self._take("&&"):
            conditions.append(self._condition())
            self._blanks()
        return conditions[0] if len(conditions) == 1 else lambda value: all(c(value) for c in conditions)

    def _condition(self) -> Callable[[Any], bool]:
        self._blanks()
        if self._take("!"):
            inner = self._condition()
            return lambda value: not inner(value)
        if self._take("("):
            inner = self._either()
            self._need(")")
            return inner
        left = self._operand()
        self._blanks()
        sign = _COMPARISON.match(self.text, self.at)
        if sign is None:
            return lambda value: left(value) is not _MISSING
        self.at = sign.end()
        if sign[0] == "=~":
            body = self._match(_REGEX)
            pattern = re.compile(body[1].replace(r"\/", "/"), re.IGNORECASE if body[2] else 0)
            return lambda value: isinstance(text := left(value), str) and pattern.fullmatch(text) is not None
        right = self._operand()
        return lambda value: _compare(sign[0], left(value), right(value))

    def _operand(self) -> Callable[[Any], Any]:
        self._blanks()
        if self._take("@"):
            path = self.path()
            return lambda value: _found(path, value)
        if self.text[self.at : self.at + 1] in ("'", '"'):
            return partial(_constant, self._text())
        if self._take("["):
            items = self._list()
            return lambda value: [item(value) for item in items]
        for word, meaning in _WORDS.items():
            if self._take(word):
                return partial(_constant, meaning)
        number = self._match(_NUMBER)[0]
        return partial(_constant, int(number) if number.lstrip("-").isdigit() else float(number))

    def _list(self) -> list[Callable[[Any], Any]]:
        items = []
        self._blanks()
        while not self._take("]"):
            items.append(self._operand())
            self._blanks()
            self._take(",")
            self._blanks()
        return items


def _unescaped(match: "re.Match[str]") -> str:
    return chr(int(match[1], 16)) if match[1] else _ESCAPES.get(match[2], match[2])


def _constant(constant: Any, value: Any) -> Any:
    return constant


def _found(path: JsonPath, value: Any) -> Any:
    try:
        return path.find(value)
    except LookupError:
        return _MISSING


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def _compare(sign: str, left: Any, right: Any) -> bool:
    if sign in ("==", "!="):
        return _equal(left, right) is (sign == "==")
    if sign in ("in", "nin"):
        return isinstance(right, list) and any(_equal(left, item) for item in right) is (sign == "in")
    if sign in ("<=", ">=") and _equal(left, right):
        return True
    both = (left, right)
    numbers = all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in both)
    return (numbers or all(isinstance(v, str) for v in both)) and _ORDER[sign](left, right)


def _equal(left: Any, right: Any) -> bool:
    """As RFC 9535 has it: true is not 1, neither alone nor within a list or an object."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(value, right[key]) for key, value in left.items())
    if (isinstance(left, Decimal) and isinstance(right, float)) or (
        isinstance(left, float) and isinstance(right, Decimal)
    ):
        return Decimal(repr(float(left))) == Decimal(repr(float(right)))
    return bool(left == right)


# --------------------------------------------------------------------------------------------------------- the steps


class _Named:
    """The value of a name."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and self.key in value:
            yield value[self.key]


class _Indexed:
    """The value at an index; below zero from the end."""

    def __init__(self, key: int) -> None:
        self.key = key

    def __call__(self, value: Any) -> Iterator[Any]:
        value = _in_order(value)
        if isinstance(value, list) and -len(value) <= self.key < len(value):
            yield value[self.key]


def _picked(names: list[str]) -> Step:
    """Several names: an object of those that are there."""

    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield {name: value[name] for name in names if name in value}

    return step


def _sliced(part: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        value = _in_order(value)
        if isinstance(value, list):
            yield from value[part]

    return step


def _several(steps: list[Step]) -> Step:
    def step(value: Any) -> Iterator[Any]:
        for inner in steps:
            yield from inner(value)

    return step


def _every(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _deep(value: Any) -> Iterator[Any]:
    """A value and all values within it, outermost first."""
    yield value
    for inner in _every(value):
        yield from _deep(inner)


def _filtered(condition: Callable[[Any], bool]) -> Step:
    def step(value: Any) -> Iterator[Any]:
        yield from (item for item in (_every(value) if isinstance(value, list) else [value]) if condition(item))

    return step
