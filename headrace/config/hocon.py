"""HOCON and JSON text as ordered Python values, with the line of every key.

Two things differ from stock HOCON, because SeaTunnel's own parser differs: a block inside `source`, `transform` or
`sink` becomes an item of an ordered list, so the same plugin may stand there twice; and a dotted key stays one key
(`start_mode` and `start_mode.timestamp` live side by side), options are looked up both ways later.
Grammar: https://github.com/lightbend/config/blob/main/HOCON.md
"""

import bisect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.config.blocks import KINDS, Append, Block, Comments, Concat, Named, Plugins, Quoted, Substitution, merge
from headrace.config.json_slips import check_json
from headrace.errors import ConfigError, Problem

_FORBIDDEN = set('$"{}[]:=,+#`^?!@*&\\')
LONGEST_NUMBER = 1000
"""Characters; what is longer stays text, since Python reads no number of more than 4,300 digits."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?\Z")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PLAIN = re.compile(r'[^"\\\n]*')
_WORD = re.compile(r"[\w.-]*")
_BLANK, _BLANK_OR_COMMA = re.compile(r"[\s\ufeff]*"), re.compile(r"[\s\ufeff,]*")
_BLANK_OF_LINE, _BEHIND = re.compile(r"[^\S\n]*"), re.compile(r"[^\S\n]*(?:,[^\S\n]*)*")
"""Runs of characters that mean nothing but themselves, taken at once."""

_INCLUDE = re.compile(r'include\s+(?:(required)\()?\s*(?:(file|classpath|url)\()?\s*"((?:[^"\\]|\\.)*)"\s*\)?\s*\)?')
MAX_DEPTH = 200
"""Blocks within blocks; deeper text is refused rather than overflowing the stack."""


def parse_hocon(text: str, file: str = "", *, json: bool = False) -> Block:
    """The blocks of a text, substitutions not yet resolved (`config.variables` does that).

    json: dots and plugin lists mean nothing special, and nothing but JSON is taken, as in SeaTunnel. Raises ConfigError
    with line and column of the first thing that is not HOCON, or not JSON.
    """
    document = _Parser(text, file, json=json).document()
    if json:
        check_json(text, file)
    return document


class _Parser:
    def __init__(self, text: str, file: str, *, json: bool, depth: int = 0) -> None:
        self.text, self.file, self.json = text, file, json
        self.at = 0
        self._depth = depth
        self._comments: list[str] = []
        self._lines = [0, *(i + 1 for i, char in enumerate(text) if char == "\n")]

    # ------------------------------------------------------------------------------------------------ structure

    def document(self) -> Block:
        self.at = 1 if self.text.startswith("\ufeff") else 0
        self._skip()
        if self._peek() == "[":
            raise self._error("the job file is a list", "it must be an object with env, source, transform and sink")
        if self._peek() == "{":
            self.at += 1
            block = self._fields("}", top=True)
            self._expect("}", "the closing brace of the file")
            self._skip()
            block.tail += self._taken()
        else:
            block = self._fields("", top=True)
        if self.at < len(self.text):
            raise self._error(
                f"unexpected {self._peek()!r}", "a closing brace may be missing or one too many before it"
            )
        return block

    def _fields(self, end: str, *, top: bool = False) -> Block:
        """Fields up to (not including) `end`, or the end of the text."""
        block = Block()
        while True:
            self._skip(separators=True)
            above = self._taken()
            if self.at >= len(self.text) or self._peek() in "}]" or self._peek() == end:
                block.tail += above
                return block
            if include := self._include():
                for key, value in include.items():
                    merge(block, key, value, include.lines.get(key, 0))
                continue
            line = self._line()
            key = self._key()
            self._skip()
            self._field(block, key, line, plugins=top and not self.json and key in KINDS)
            comments = block.comments.setdefault(key, Comments())
            comments.above += above + self._taken()
            comments.behind = self._behind() or comments.behind

    def _field(self, block: Block, key: str, line: int, *, plugins: bool) -> None:
        if self._peek() == "{":
            value = self._plugins() if plugins else self._value()
        elif self.text.startswith("+=", self.at):
            self.at += 2
            self._skip()
            value = Append(self._value())
        elif self._peek() in ("=", ":"):
            self.at += 1
            self._skip()
            value = self._plugins() if plugins and self._peek() == "{" else self._value()
        else:
            found = repr(self._peek()) if self.at < len(self.text) else "the end of the text"
            raise self._error(f"after the key {key!r} comes {found}", "write `=`, `:` or `{` there")
        merge(block, key, value, line)

    def _plugins(self) -> Plugins:
        """The blocks inside `source { … }`, in order, repeated names kept."""
        self.at += 1
        plugins = Plugins()
        while True:
            self._skip(separators=True)
            if self.at >= len(self.text):
                raise self._error("the block is not closed", "add the missing `}`")
            above = self._taken()
            if self._peek() == "}":
                self.at += 1
                plugins.tail += above
                return plugins
            if include := self._include():
                plugins.items += [Named(k, v, include.lines.get(k, 0)) for k, v in include.items()]
                continue
            line, name = self._line(), self._key()
            self._skip()
            if self._peek() in ("=", ":"):
                self.at += 1
                self._skip()
            if self._peek() != "{":
                raise self._error(f"plugin {name!r} has no block", f"write its options in braces: {name} {{ … }}")
            plugins.items.append(Named(name, self._value(), line, comments=Comments(above + self._taken())))
            plugins.items[-1].comments.behind = self._behind()

    def _include(self) -> Block | None:
        match = _INCLUDE.match(self.text, self.at)
        if match is None:
            return None
        required, kind, name = match.groups()
        if kind == "url":
            raise self._error(f"include url({name!r}) is not read", "copy the file beside the job and include it")
        line = self._line()
        if not self.file:  # it may come from anywhere, such as over REST
            text = f"{name!r} cannot be included: this text lies beside no file"
            raise ConfigError([Problem("include", text, "write what is included into the job itself", "", line)])
        path = Path(self.file).parent / name
        self.at = match.end()
        found = next((p for p in (path, path.with_suffix(".conf"), path.with_suffix(".json")) if p.is_file()), None)
        if found is None:
            if required or kind == "file":
                raise ConfigError([Problem("include", f"there is no file {str(path)!r}", "", self.file, line)])
            return Block()
        if self._depth > 20:
            raise ConfigError([Problem("include", f"{str(path)!r} includes itself", "", self.file, line)])
        text = found.read_text(encoding="utf-8")
        return _Parser(text, str(found), json=found.suffix == ".json", depth=self._depth + 1).document()

    # --------------------------------------------------------------------------------------------------- values

    def _value(self) -> Any:
        """One value: pieces up to the end of the line, a separator or a closing bracket."""
        if self._depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} blocks within one another")
        parts: list[Any] = []
        while True:
            space = self._blanks()
            char = self._peek()
            if not char or char in ",}]\n" or self._comment_here():
                break
            if parts and space:
                parts.append(_Space(space))
            parts.append(self._piece(char))
        if not parts:
            raise self._error("a value is missing")
        return _join(parts, self._error)

    def _piece(self, char: str) -> Any:
        if char == "{":
            return self._nested("}", lambda: self._fields("}"))
        if char == "[":
            return self._nested("]", self._items)
        if char == '"':
            return self._quoted()
        if self.text.startswith("${", self.at):
            return self._substitution()
        return self._unquoted()

    def _nested(self, end: str, inner: Callable[[], Any]) -> Any:
        opened = self.at
        self.at += 1
        self._depth += 1
        value = inner()
        self._depth -= 1
        if self._peek() != end:
            line = self._line(opened)
            raise self._error(f"the bracket of line {line} is not closed", f"add the missing `{end}`")
        self.at += 1
        return value

    def _items(self) -> list[Any]:
        items: list[Any] = []
        behind: list[str] = []
        while True:
            self._skip(separators=True)
            if self.at >= len(self.text) or self._peek() in "]}":
                self._comments = behind + self._comments
                return items
            items.append(self._value())
            if comment := self._behind():
                behind.append(comment)

    def _substitution(self) -> Substitution:
        line = self._line()
        end = self.text.find("}", self.at)
        if end < 0 or "\n" in self.text[self.at : end]:
            raise self._error("the substitution is not closed", "add the missing `}`")
        inner = self.text[self.at + 2 : end]
        self.at = end + 1
        optional = inner.startswith("?")
        path, colon, default = inner.removeprefix("?").partition(":")
        return Substitution(path.strip().strip('"'), optional, default if colon else None, line)

    def _quoted(self) -> str:
        if self.text.startswith('"""', self.at):
            end = self.text.find('"""', self.at + 3)
            if end < 0:
                raise self._error('the text in """ is not closed', 'add the missing """')
            while self.text.startswith('"', end + 3):
                end += 1
            value = self.text[self.at + 3 : end]
            self.at = end + 3
            return Quoted(value)
        start, self.at = self.at, self.at + 1
        out: list[str] = []
        while True:
            out.append(self._run(_PLAIN))
            char = self._peek()
            if not char or char == "\n":
                self.at = start
                raise self._error("the text in quotes is not closed on its line", 'add the missing `"`, or use """')
            self.at += 1
            if char == '"':
                return Quoted("".join(out))
            out.append(self._escape())

    def _escape(self) -> str:
        char = self._peek()
        self.at += 1
        if char == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", self.text[self.at : self.at + 4]):
            code = int(self.text[self.at : self.at + 4], 16)
            self.at += 4
            if 0xD800 <= code < 0xDC00 and self.text.startswith("\\u", self.at):
                low = self.text[self.at + 2 : self.at + 6]
                if re.fullmatch(r"[dD][c-fC-F][0-9a-fA-F]{2}", low):
                    self.at += 6
                    return chr(0x10000 + ((code - 0xD800) << 10) + int(low, 16) - 0xDC00)
            return chr(code) if not 0xD800 <= code < 0xE000 else "\ufffd"
        if char not in _ESCAPES:
            self.at -= 2
            raise self._error(f"\\{char} is not an escape", "write a backslash twice, or use triple quotes")
        return _ESCAPES[char]

    def _unquoted(self) -> "_Raw":
        start = self.at
        while self.at < len(self.text):
            if self._run(_WORD):
                continue
            char = self.text[self.at]
            exponent = char == "+" and self.at > start and self.text[self.at - 1] in "eE"
            if (char in _FORBIDDEN and not exponent) or char.isspace() or self._comment_here():
                break
            self.at += 1
        if self.at == start:
            if self._is_harmless(self.text[start]):
                self.at += 1
            else:
                raise self._error(f"unexpected {self.text[start]!r}", "put the value into quotes")
        return _Raw(self.text[start : self.at])

    def _is_harmless(self, char: str) -> bool:
        """Characters that stock HOCON wants quoted, where they can mean only one thing: URLs, patterns, addresses."""
        if self.json:
            return False
        around = self.text[self.at - 1 : self.at] + self.text[self.at + 1 : self.at + 2]
        return char in "+*&^?!@`:\\" or (char == "=" and len(around) == 2 and not any(c.isspace() for c in around))

    # ----------------------------------------------------------------------------------------------------- keys

    def _key(self) -> str:
        """A key: quoted and unquoted pieces up to `=`, `:`, `{` or `+=`; dots stay in it."""
        parts: list[str] = []
        while True:
            char = self._peek()
            if char == '"':
                parts.append(self._quoted())
            elif not char or char in "=:{}[],\n" or self.text.startswith("+=", self.at) or self._comment_here():
                break
            elif char in _FORBIDDEN and char not in "@*^?!&$+\\`":
                raise self._error(f"unexpected {char!r} in a key", "put the key into quotes")
            else:
                word = self._run(_WORD)
                self.at += not word
                parts.append(word or char)
        while parts and not isinstance(parts[-1], Quoted) and parts[-1].isspace():
            parts.pop()
        if not parts:
            raise self._error(f"a key is missing before {self._peek()!r}")
        text = "".join(parts)
        return Quoted(text) if any(isinstance(part, Quoted) for part in parts) else text

    # ---------------------------------------------------------------------------------------------------- blanks

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def _run(self, pattern: re.Pattern[str]) -> str:
        """What the pattern matches here, possibly nothing."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def _blanks(self) -> str:
        return self._run(_BLANK_OF_LINE)

    def _comment_here(self) -> bool:
        """`#` or `//`; two slashes right behind a colon are part of a URL."""
        return self._peek() == "#" or (self.text.startswith("//", self.at) and self.text[self.at - 1 : self.at] != ":")

    def _skip(self, *, separators: bool = False) -> None:
        """Skip blanks, line ends and comments, and commas too where they separate."""
        while True:
            lines = self._run(_BLANK_OR_COMMA if separators else _BLANK).count("\n")
            if self.at >= len(self.text):
                return
            if lines > 1 and self._comments:
                self._comments.append("")
            if not self._comment_here():
                return
            self._comments.append(self._comment())

    def _comment(self) -> str:
        """The comment that begins here, up to the end of its line, behind `#` whatever its mark was."""
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        start = self.at + (1 if self._peek() == "#" else 2)
        self.at = end
        return f"#{self.text[start:end].rstrip()}"

    def _taken(self) -> list[str]:
        """The comments that were skipped since the last call."""
        taken, self._comments = self._comments, []
        return taken

    def _behind(self) -> str:
        """The comment behind a value on the same line, if any."""
        start = self.at
        self._run(_BEHIND)
        if self._comment_here():
            return self._comment()
        self.at = start
        return ""

    def _expect(self, char: str, what: str) -> None:
        self._skip()
        if self._peek() != char:
            raise self._error(f"{what} is missing")
        self.at += 1

    def _line(self, at: int | None = None) -> int:
        return bisect.bisect_right(self._lines, self.at if at is None else at)

    def _error(self, message: str, cure: str = "") -> ConfigError:
        line = self._line()
        column = self.at - self._lines[line - 1] + 1
        kind = "JSON" if self.json else "HOCON"
        return ConfigError([Problem("", f"not {kind}: line {line}, column {column}: {message}", cure, self.file, line)])


class _Raw(str):
    """Text without quotes."""

    __slots__ = ()


class _Space(str):
    """Blanks between two pieces of a value."""

    __slots__ = ()


def _join(parts: list[Any], error: Callable[[str, str], ConfigError]) -> Any:
    """One value of the pieces that stand side by side."""
    if all(isinstance(part, str) for part in parts):
        if len(parts) == 1 and isinstance(parts[0], Quoted):
            return str(parts[0])
        text = "".join(parts)
        return text if any(isinstance(part, Quoted) for part in parts) else unquoted_value(text)
    solid = [part for part in parts if not isinstance(part, _Space)]
    if any(isinstance(part, Substitution) for part in solid):
        return (
            solid[0]
            if len(solid) == 1
            else Concat([p if isinstance(p, Substitution | Block | list) else str(p) for p in parts])
        )
    if all(isinstance(part, list) for part in solid):
        return [item for part in solid for item in part]
    if all(isinstance(part, Block) for part in solid):
        merged = solid[0]
        for part in solid[1:]:
            for key, value in part.items():
                merge(merged, key, value, part.lines.get(key, 0))
            merged.comments |= part.comments
            merged.tail += part.tail
        return merged
    raise error("an object or list stands beside text", "separate them by a comma or a new line")


def unquoted_value(text: str) -> Any:
    """true, false, null or a number where the text is exactly that; else the text.

    A number whose text says more than the number (`1.10`, `1e3`, `005`) stays text: options convert it, and a decimal
    or a string keeps its digits.
    """
    if text in ("true", "false"):
        return text == "true"
    if text == "null":
        return None
    if len(text) <= LONGEST_NUMBER and _NUMBER.match(text):
        number = int(text) if text.lstrip("-").isdigit() else float(text)
        if str(number) == text:
            return number
    return text
