"""SQL text cut into statements of tokens; comments are set aside, and the one that holds a job's `env` is found."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from headrace.errors import ConfigError, Problem

_CONFIG = re.compile(r"/\*[ \t]*config[ \t]*\r?\n")
_CONFIG_END = re.compile(r"^[ \t]*\*/[ \t]*\r?$", re.MULTILINE)
_TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | (?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^']|'')*')
      | (?P<name>`[^`]+`|"(?:[^"]|"")+")
      | (?P<word>[^\W\d]\w*)
      | (?P<symbol>.)""",
    re.VERBOSE | re.DOTALL,
)
_OPEN = {"'": "text", "`": "name", '"': "name", "/*": "comment"}


@dataclass(frozen=True)
class Token:
    """A piece of SQL. kind: text, name (in quotes), word or symbol. value: without quotes. start, end: in the file."""

    kind: str
    value: str
    start: int
    end: int
    line: int

    def is_symbol(self, symbol: str) -> bool:
        """Whether it is this symbol, outside of quotes."""
        return self.kind == "symbol" and self.value == symbol

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords, in any case."""
        return self.kind == "word" and self.value.upper() in words


@dataclass
class Statement:
    """One statement, without its semicolon. comments: those above it, a line each, behind `#`."""

    tokens: list[Token] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


@dataclass
class SqlText:
    """A SQL job file in pieces.

    config: the text of the `/* config` comments, at the same lines as in the file; everything else of it is blank.
    blank: the start and end of each comment, of one line with the blanks before it, and what stands for it.
    """

    text: str
    statements: list[Statement]
    config: str
    blank: list[tuple[int, int, str]]

    def between(self, first: Token, last: Token) -> str:
        """The text from one token to another, without the comments in it."""
        parts, at = [], first.start
        for start, end, instead in self.blank:
            if first.start <= start and end <= last.end:
                parts += [self.text[at:start], instead]
                at = end
        return "".join([*parts, self.text[at : last.end]])


def split_sql(text: str, file: str) -> SqlText:
    """Cut a SQL job file into statements. Raises ConfigError for quotes and comments that are not closed."""
    config = ["\n" if char == "\n" else " " for char in text]
    found = SqlText(text, [Statement()], "", [])
    at, line, after_blank = 0, 1, 0
    while at < len(text):
        if match := _CONFIG.match(text, at):
            closing = _CONFIG_END.search(text, match.end())
            if closing is None:
                raise _open(file, line, "the comment `/* config`", "end it by a line that holds only `*/`")
            config[match.end() : closing.start()] = text[match.end() : closing.start()]
            end = closing.end()
        else:
            end = _token(found, at, line, after_blank, file)
        if not text[at:end].isspace():
            after_blank = end
        line += text.count("\n", at, end)
        at = end
    found.statements = [statement for statement in found.statements if statement.tokens]
    found.config = "".join(config)
    return found


def _token(found: SqlText, at: int, line: int, after_blank: int, file: str) -> int:
    """Take the token at `at` into the last statement; where it ends."""
    match = _TOKEN.match(found.text, at)
    kind, value = (match.lastgroup or "", match[0]) if match else ("", "")
    statement = found.statements[-1]
    if kind == "comment":
        one_line = value.startswith("--")
        found.blank.append((after_blank if one_line else at, at + len(value), "" if one_line else " "))
        if not statement.tokens:
            statement.comments += _lines(value)
    elif kind == "symbol" and value == ";":
        if statement.tokens:
            found.statements.append(Statement())
    elif kind == "symbol" and (value in _OPEN or found.text.startswith("/*", at)):
        what = _OPEN["/*" if value == "/" else value]
        raise _open(
            file, line, f"the {what} that begins with {value}", f"add the missing {value if value != '/' else '*/'}"
        )
    elif kind != "blank":
        bare = value
        if kind in ("text", "name"):
            bare = value[1:-1].replace(value[0] * 2, value[0])
        statement.tokens.append(Token(kind, bare, at, at + len(value), line))
    return at + len(value)


def _lines(comment: str) -> Iterator[str]:
    if comment.startswith("--"):
        yield f"#{comment[2:].rstrip()}"
    else:
        for line in comment[2:-2].strip().splitlines():
            yield f"# {line.strip().removeprefix('*').strip()}".rstrip()


def _open(file: str, line: int, what: str, cure: str) -> ConfigError:
    return ConfigError([Problem("", f"not SQL: line {line}: {what} is not closed", cure, file, line)])
