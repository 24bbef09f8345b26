"""The part of SQL that SeaTunnel takes: one SELECT over one table, read by sqlglot.

What SeaTunnel refuses, and what it silently ignores, is refused with a sentence that says what to do instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer as _Tokenizer

from headrace.errors import ConfigError, Problem
from headrace.sql.functions import wrong

Node = Any
"""A part of a parsed query."""


class SeaTunnelSql(Dialect):
    """Texts in single quotes, names in double quotes or backticks, and no functions that sqlglot knows better."""

    class Tokenizer(_Tokenizer):
        """The quotes."""

        IDENTIFIERS = ['"', "`"]  # noqa: RUF012  sqlglot declares these so
        STRING_ESCAPES = ["'"]  # noqa: RUF012

    class Parser(sqlglot.Parser):
        """All functions stay calls by name."""

        FUNCTIONS = {}  # noqa: RUF012
        FUNCTION_PARSERS = {  # noqa: RUF012
            name: sqlglot.Parser.FUNCTION_PARSERS[name] for name in ("CAST", "TRY_CAST", "EXTRACT")
        }


_REFUSED = {
    "joins": ("JOIN", "a transform has one input; join in the source's own query, or in the target"),
    "group": ("GROUP BY", "rows pass one by one; group in the source's own query, or in the target"),
    "having": ("HAVING", "rows pass one by one; group in the source's own query, or in the target"),
    "distinct": ("DISTINCT", "rows pass one by one; write to a sink with a primary key"),
    "order": ("ORDER BY", "rows have no order between them; sort in the target"),
    "sort": ("SORT BY", "rows have no order between them; sort in the target"),
    "cluster": ("CLUSTER BY", "rows have no order between them"),
    "distribute": ("DISTRIBUTE BY", "rows have no order between them"),
    "limit": ("LIMIT", "limit the rows in the source"),
    "offset": ("OFFSET", "limit the rows in the source"),
    "with_": ("WITH", "write its query into the SELECT, or use two Sql transforms one after the other"),
    "windows": ("WINDOW", "rows pass one by one"),
    "qualify": ("QUALIFY", "rows pass one by one"),
    "into": ("INTO", "name the target in a sink"),
    "locks": ("FOR UPDATE", "leave it out"),
    "match": ("MATCH_RECOGNIZE", "rows pass one by one"),
    "pivots": ("PIVOT", "rows pass one by one"),
    "connect": ("CONNECT BY", "rows pass one by one"),
    "prewhere": ("PREWHERE", "write WHERE"),
}


@dataclass(frozen=True)
class Item:
    """One item of the select list. name: its column's name; None for `*`."""

    expression: Node
    name: str | None


@dataclass(frozen=True)
class Explode:
    """One LATERAL VIEW: the array, the new column's name, and whether empty arrays keep their row."""

    expression: Node
    name: str
    outer: bool


@dataclass(frozen=True)
class Query:
    """A SELECT. table: the name after FROM."""

    items: tuple[Item, ...]
    table: str
    where: Node | None
    explodes: tuple[Explode, ...]


_QUOTE = "a column named like a word of SQL needs backquotes: `like`"


def parse_query(text: str) -> Query:
    """Read a query. Raises ConfigError with all that is refused in it."""
    dialect = SeaTunnelSql()
    try:
        tokens = dialect.tokenize(text)
        _check_words(tokens)
        statements = [s for s in dialect.parser().parse(tokens, text) if s is not None]
    except SqlglotError as error:
        raise wrong(f"cannot read the SQL: {_reason(error)}", _QUOTE) from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        cure = "write two pipelines" if any(isinstance(s, exp.SetOperation) for s in statements) else ""
        raise wrong("only one SELECT … FROM … [WHERE …] can be run", cure)
    select = statements[0]
    problems = _refused(select)
    if problems:
        raise ConfigError(problems)
    names = _item_names(tokens, text)
    if "" in names:
        raise wrong("the select list has an empty item", "write a column or an expression between its commas")
    if len(names) != len(select.expressions):
        raise wrong(f"cannot read the select list: {', '.join(names)}", _QUOTE)
    items = [
        Item(e.this if isinstance(e, exp.Alias) else e, _item_name(e, name))
        for e, name in zip(select.expressions, names, strict=True)
    ]
    where = select.args.get("where")
    return Query(
        tuple(items),
        select.args["from_"].this.name,
        None if where is None else where.this,
        tuple(_explode(lateral) for lateral in select.args.get("laterals") or ()),
    )


def _check_words(tokens: Sequence[Token]) -> None:
    """Refuses what the parser would only stumble over."""
    words = [token.text.upper() for token in tokens]
    for index, word in enumerate(words[:-2]):
        if word == "TRIM" and words[index + 1] == "(" and words[index + 2] in _TRIM_ENDS:
            end = words[index + 2]
            cure = f"write {_TRIM_ENDS[end]}(text, 'x')"
            raise wrong(f"TRIM({end} … FROM …) is not part of a transform's SQL", cure)
    has_from = any(token.token_type is TokenType.FROM for token in tokens)
    if words[:1] == ["SELECT"] and not has_from:
        near = next((word for word in words if get_close_matches(word, ["FROM"], 1, 0.7)), "")
        cure = f"{near} is not FROM" if near else "name the input: SELECT … FROM dual"
        raise wrong("expected FROM after the select list", cure)


_TRIM_ENDS = {"BOTH": "TRIM", "LEADING": "LTRIM", "TRAILING": "RTRIM"}


def text_of(node: Node) -> str:
    """A part of a query as SQL."""
    return node.sql(SeaTunnelSql, normalize_functions=False)


def _reason(error: SqlglotError) -> str:
    details = getattr(error, "errors", None)
    if not details:
        return str(error).splitlines()[0]
    first = details[0]
    near = f"{first['start_context'][-20:]}{first['highlight']}{first['end_context'][:20]}"
    missing = first["description"].startswith("Required keyword")
    return f"{'something is missing' if missing else first['description'].rstrip('.')}, at {near!r}"


def _refused(select: exp.Select) -> list[Problem]:
    problems = [
        Problem("query", f"{name} is not part of a transform's SQL", cure)
        for key, (name, cure) in _REFUSED.items()
        if select.args.get(key)
    ]
    for node in select.find_all(exp.Subquery, exp.Select, exp.Window, exp.Exists):
        if node is not select:
            what = "a window (OVER)" if isinstance(node, exp.Window) else "a query within the query"
            problems.append(
                Problem("query", f"{what} is not part of a transform's SQL", "use one transform after another")
            )
            break
    source = select.args.get("from_")
    table = None if source is None else source.this
    if isinstance(table, exp.Table):
        problems += _refused_of_table(table)
    return problems


def _refused_of_table(table: exp.Table) -> list[Problem]:
    problems = []
    if table.args.get("db") or table.args.get("catalog"):
        cure = f"write FROM {table.name}"
        problems.append(Problem("query", f"a table's name has no database here: {text_of(table)}", cure))
    if table.alias:
        problems.append(Problem("query", f"a table has no other name here: {table.alias}", f"write FROM {table.name}"))
    for key in ("joins", "pivots", "sample"):
        if table.args.get(key):
            name, cure = _REFUSED.get(key, ("TABLESAMPLE", "use FakeSource or a source's own query"))
            problems.append(Problem("query", f"{name} is not part of a transform's SQL", cure))
    return problems


def _explode(lateral: Any) -> Explode:
    call = lateral.this
    if not isinstance(call, exp.Anonymous) or call.name.upper() != "EXPLODE" or len(call.expressions) != 1:
        raise wrong(f"LATERAL VIEW takes EXPLODE(array) only, not {text_of(call)}")
    alias = lateral.args.get("alias")
    columns = alias.args.get("columns") if alias is not None else None
    name = columns[0].name if columns else alias.name if alias is not None else ""
    if not name:
        raise wrong("LATERAL VIEW EXPLODE needs a name", "write LATERAL VIEW EXPLODE(…) AS name")
    return Explode(call.expressions[0], name, bool(lateral.args.get("outer")))


# ---------------------------------------------------------------------------------------------- names of the columns


def _item_name(node: Node, text: str) -> str | None:
    if isinstance(node, exp.Alias):
        return node.alias
    if isinstance(node, exp.Star):
        return None
    if isinstance(node, exp.Column | exp.Dot):
        if isinstance(node.this, exp.Star):
            raise wrong(f"{text!r} is not part of a transform's SQL", "write *")
        return node.parts[-1].name
    return text


def _item_names(tokens: Sequence[Token], sql: str) -> list[str]:
    """The text of each item of the select list, as SeaTunnel names a column that has no alias."""
    items: list[list[Token]] = [[]]
    depth = 0
    start = next(i for i, token in enumerate(tokens) if token.token_type is TokenType.SELECT)
    for token in tokens[start + 1 :]:
        if depth == 0 and token.token_type in (TokenType.FROM, TokenType.SEMICOLON):
            break
        if depth == 0 and token.token_type is TokenType.COMMA:
            items.append([])
            continue
        opens = token.token_type in (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.CASE)
        closes = token.token_type in (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.END)
        depth += opens - closes
        items[-1].append(token)
    return [_printed(item, sql) for item in items]


_WORDS = {
    "AND", "AS", "BETWEEN", "CASE", "CAST", "ELSE", "END", "EXTRACT", "FROM", "IN", "IS", "LIKE", "NOT", "NULL", "OR",
    "THEN", "TRY_CAST", "WHEN",
}  # fmt: skip
_CALLED = {"CAST", "EXTRACT", "TRY_CAST"}
_TIGHT_BEFORE = {
    TokenType.COMMA, TokenType.R_PAREN, TokenType.DOT, TokenType.R_BRACKET, TokenType.L_BRACKET,
}  # fmt: skip
_TIGHT_AFTER = {TokenType.L_PAREN, TokenType.DOT, TokenType.L_BRACKET}
_NAMES = {TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING, TokenType.R_PAREN}


def _printed(tokens: Sequence[Token], sql: str) -> str:
    """The tokens with the blanks and capitals that SeaTunnel's parser prints."""
    text = ""
    signed = False
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else None
        written = sql[token.start : token.end + 1]
        if before is not None and not signed and not _joined(before, token):
            text += " "
        signed = token.token_type is TokenType.DASH and (before is None or before.token_type not in _NAMES)
        quoted = token.token_type in (TokenType.STRING, TokenType.IDENTIFIER)
        text += written.upper() if not quoted and written.upper() in _WORDS else written
    return text


def _joined(before: Token, after: Token) -> bool:
    if after.token_type in _TIGHT_BEFORE or before.token_type in _TIGHT_AFTER:
        return True
    # A name right before its bracket is a call; after a word such as IN or AS there is a blank.
    called = before.text[-1:].isalnum() and (before.text.upper() not in _WORDS or before.text.upper() in _CALLED)
    return after.token_type is TokenType.L_PAREN and called
