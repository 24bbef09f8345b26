r"""Java's regular expressions, which SeaTunnel's options are written in, as Python's.

What differs is translated: named groups, quoting, POSIX and Unicode properties, classes within classes and their
intersections, flags in the middle, `\h`, `\v`, `\R`, `\z`, `\Z`, and `.` and `$`, which know more line ends than one.
`\d`, `\w`, `\s` and ignored case mean ASCII, as in Java; `\b` knows the letters of all scripts, as in the Java 8 and 11
that SeaTunnel runs on. What Python cannot do (`\G`, `\X`, most scripts) is refused.
"""

import re
import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_LINE_ENDS = r"\n\r\x85\u2028\u2029"
_BLANKS = r" \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000"
_VERTICAL = r"\n\x0b\f\r\x85\u2028\u2029"
_PROPERTIES = {
    "Lower": "a-z", "Upper": "A-Z", "ASCII": r"\x00-\x7f", "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~", "Graph": "!-~", "Print": " -~", "Blank": r" \t", "Cntrl": r"\x00-\x1f\x7f",
    "XDigit": "0-9a-fA-F", "Space": r" \t\n\x0b\f\r",
    "Han": r"\u2e80-\u2e99\u2e9b-\u2ef3\u2f00-\u2fd5\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufa6d\ufa70-\ufad9\U00020000-\U0002fa1d\U00030000-\U000323af",
}  # fmt: skip
_CATEGORIES = {
    "Alphabetic": ("L", "Nl"), "Letter": ("L",), "Lowercase": ("Ll",), "Uppercase": ("Lu",), "Titlecase": ("Lt",),
    "Punctuation": ("P",), "Control": ("Cc",), "White_Space": ("Z",), "Ideographic": ("Lo",),
}  # fmt: skip


@lru_cache(256)
def compile_regex(
    pattern: str, *, ignore_case: bool = False, dotall: bool = False, multiline: bool = False
) -> "re.Pattern[str]":
    """A Java pattern, compiled for Python. Raises ValueError with the reason when it cannot be.

    dotall: `.` means every character. multiline: `^` and `$` also mean the ends of lines.
    """
    flags = re.ASCII
    for wanted, flag in ((ignore_case, re.IGNORECASE), (dotall, re.DOTALL), (multiline, re.MULTILINE)):
        flags |= flag if wanted else 0
    try:
        return re.compile(_Translation(pattern, dotall=dotall, multiline=multiline).text(), flags)
    except (re.error, ValueError, IndexError, OverflowError, RecursionError) as error:
        reason = str(error) if not isinstance(error, IndexError) else "it ends too early"
        raise ValueError(f"{pattern!r} is not a regular expression: {reason}") from error


def replacement_template(replacement: str, pattern: "re.Pattern[str]") -> str:
    r"""A Java replacement (`$1`, `${name}`, `\$`) as the template that `pattern.sub` takes. Raises ValueError."""

    def one(match: "re.Match[str]") -> str:
        if match["escaped"]:
            return match["escaped"].replace("\\", r"\\")
        if match["name"]:
            if match["name"] not in pattern.groupindex:
                raise ValueError(
                    f"replacement {replacement!r} names {match[0]}, which {pattern.pattern!r} has no group of"
                )
            return f"\\g<{match['name']}>"
        digits = match["digits"] or ""
        take = next((n for n in range(len(digits), 0, -1) if int(digits[:n]) <= pattern.groups), 0)
        if not take:
            raise ValueError(
                f"replacement {replacement!r} has {match[0]!r}, but the pattern has {pattern.groups} groups; "
                r"write \$ for a dollar sign"
            )
        return f"\\g<{digits[:take]}>{digits[take:]}"

    return re.sub(r"\\(?P<escaped>.)|\$\{(?P<name>\w+)\}|\$(?P<digits>\d*)|\\", one, replacement, flags=re.DOTALL)


def split(pattern: "re.Pattern[str]", text: str, limit: int) -> list[str]:
    """`Pattern.split(text, limit)` for a limit above zero: the last part keeps the rest, groups are not parts."""
    parts: list[str] = []
    start = 0
    for match in pattern.finditer(text):
        if len(parts) == limit - 1:
            break
        if match.end() == 0:
            continue  # an empty match at the beginning makes no part
        parts.append(text[start : match.start()])
        start = match.end()
    return [*parts, text[start:]]


class _Translation:
    """One pattern on its way from Java to Python. `_wraps` are the flag groups that are open at each depth."""

    def __init__(self, pattern: str, *, dotall: bool, multiline: bool) -> None:
        self._java, self._at = pattern, 0
        self._wraps: list[list[str]] = [[]]
        flags = "".join(re.findall(r"\(\?([a-zA-Z]+)", pattern))
        self._dotall, self._multiline = dotall or "s" in flags, multiline or "m" in flags

    def text(self) -> str:
        """The whole pattern in Python's words."""
        made = []
        while self._at < len(self._java):
            made.append(self._next())
        if len(self._wraps) > 1:
            raise ValueError("missing ), unterminated group")
        return "".join(made) + ")" * len(self._wraps[0])

    def _next(self) -> str:
        char = self._take()
        if char == "\\":
            return self._escape(in_class=False)
        if char == "[":
            return self._class()
        if char == "(":
            return self._open()
        if char == ")":
            if len(self._wraps) == 1:
                raise ValueError("unbalanced )")
            return ")" * (len(self._wraps.pop()) + 1)
        if char == "|":
            return ")" * len(self._wraps[-1]) + "|" + "".join(self._wraps[-1])
        if char == "." and not self._dotall:
            return f"[^{_LINE_ENDS}]"
        if char == "$" and not self._multiline:
            return rf"(?=(?:\r\n|[{_LINE_ENDS}])?\Z)"
        return char

    def _take(self, count: int = 1) -> str:
        if self._at + count > len(self._java):
            raise IndexError
        self._at += count
        return self._java[self._at - count : self._at]

    def _until(self, end: str) -> str:
        stop = self._java.find(end, self._at)
        if stop < 0:
            raise ValueError(f"{end} is missing")
        found = self._java[self._at : stop]
        self._at = stop + len(end)
        return found

    def _open(self) -> str:
        rest = self._java[self._at :]
        if match := re.match(r"\?([a-zA-Z]*)(-[a-zA-Z]+)?([:)])", rest):
            self._at += match.end()
            on, off = ("".join(f for f in flags or "" if f in "imsx") for flags in (match[1], match[2]))
            opening = f"(?{on}{'-' + off if off else ''}:"
            if match[3] == ":":
                self._wraps.append([])
            else:
                self._wraps[-1].append(opening)
            return opening
        self._wraps.append([])
        if re.match(r"\?<[a-zA-Z]", rest):
            self._at += 2
            return "(?P<"
        return "("

    def _escape(self, *, in_class: bool) -> str:
        """What follows a backslash; within a class without its own brackets."""
        char = self._take()
        if char == "Q":
            stop = self._java.find(r"\E", self._at)
            quoted = self._java[self._at :] if stop < 0 else self._java[self._at : stop]
            self._at = len(self._java) if stop < 0 else stop + 2
            return "".join(map(re.escape, quoted))
        if char in "pP":
            name = self._until("}") if self._take() == "{" else self._java[self._at - 1]
            name = name.removeprefix("{")
            return self._set(_property(name), char == "P", in_class)
        if char in "hHvV":
            return self._set(_BLANKS if char in "hH" else _VERTICAL, char.isupper(), in_class)
        if char == "x" and self._java[self._at : self._at + 1] == "{":
            self._take()
            return re.escape(chr(int(self._until("}"), 16)))
        if char == "0":
            match = re.compile("[0-3]?[0-7]{1,2}").match(self._java, self._at)
            if match is None:
                raise ValueError(r"\0 needs octal digits")
            self._at = match.end()
            return re.escape(chr(int(match[0], 8)))
        if char == "c":
            return re.escape(chr(ord(self._take()) ^ 64))
        if char == "e":
            return r"\x1b"
        if in_class:
            return rf"\{char}"
        return self._anchor(char)

    def _anchor(self, char: str) -> str:
        if char == "R":
            return rf"(?:\r\n|[{_VERTICAL}])"
        if char in "bB":
            return f"(?u:\\{char})"
        if char == "z":
            return r"\Z"
        if char == "Z":
            return rf"(?=(?:\r\n|[{_LINE_ENDS}])?\Z)"
        if char == "k":
            if self._take() != "<":
                raise ValueError(r"\k needs a name: \k<name>")
            return f"(?P={self._until('>')})"
        if char in "GXNy":
            raise ValueError(rf"\{char} is not supported")
        return rf"\{char}"

    @staticmethod
    def _set(inner: str, negated: bool, in_class: bool) -> str:
        if in_class:
            return f"{_others(inner)}" if negated else inner
        return f"[{'^' if negated else ''}{inner}]"

    def _class(self) -> str:
        """What is between [ and ], as an expression of one character; classes within it are alternatives."""
        negated = self._java.startswith("^", self._at)
        self._at += negated
        operands: list[str] = []
        simple, nested, first = "", [], True
        while True:
            char = self._take()
            if char == "]" and not first:
                break
            first = False
            if char == "[":
                nested.append(self._class())
            elif char == "&" and self._java.startswith("&", self._at):
                self._at += 1
                operands.append(_either(simple, nested))
                simple, nested = "", []
            elif char == "\\":
                is_set = self._java[self._at : self._at + 1] in tuple("dDwWsSpPhHvV")
                simple += self._escape(in_class=True)
                if is_set and self._java.startswith("-", self._at):  # no range begins with a set
                    self._at += 1
                    simple += r"\-"
            else:
                simple += rf"\{char}" if char in "[]&~|^" else char
        operands.append(_either(simple, nested))
        whole = "".join(f"(?={o})" for o in operands[:-1]) + operands[-1]
        if len(operands) == 1 and not nested:
            return f"[{'^' if negated else ''}{simple}]"
        return rf"(?:(?!{whole})[\s\S])" if negated else f"(?:{whole})"


def _either(simple: str, nested: list[str]) -> str:
    if not simple and not nested:
        raise ValueError("an empty class")
    return "(?:" + "|".join([*([f"[{simple}]"] if simple else []), *nested]) + ")"


@lru_cache(64)
def _property(name: str) -> str:
    r"""The characters of `\p{name}`, as the inside of a class."""
    bare = re.sub(r"^(Is|java|script=|sc=|general_category=|gc=)", "", name).removesuffix("Case")
    known = {key.lower(): value for key, value in _PROPERTIES.items()}
    if bare.lower() in known and bare != "L":
        return known[bare.lower()]
    kinds = {key.lower(): value for key, value in _CATEGORIES.items()}.get(bare.lower(), (bare,))
    ranges = _ranges(kinds)
    if not ranges:
        raise ValueError(rf"\p{{{name}}} is not supported; write its characters instead")
    return ranges


def _ranges(kinds: tuple[str, ...]) -> str:
    """The characters of some general categories, as the inside of a class."""
    return _inside(lambda char: unicodedata.category(char).startswith(kinds))


@lru_cache(64)
def _others(inner: str) -> str:
    """All characters that are not in the inside of a class, as the inside of another."""
    pattern = re.compile(f"[{inner}]", re.ASCII)
    return _inside(lambda char: pattern.match(char) is None)


def _inside(wanted: Callable[[str], bool]) -> str:
    found: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if wanted(chr(code)):
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in found)
