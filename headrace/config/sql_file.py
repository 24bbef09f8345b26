"""SQL job files: text in, the blocks of the same job out, all problems at once.

`CREATE TABLE … WITH (…)` is a source or a sink, `CREATE TABLE … AS SELECT` a Sql transform, `INSERT INTO … SELECT` a
Sql transform and a sink; HOCON in a comment that begins with the line `/* config` is the rest of the job.
SeaTunnel's page: «SQL Configuration File».
"""

import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from operator import attrgetter
from typing import Any

from headrace.config.blocks import INPUT_KEYS, KINDS, OUTPUT_KEYS, Block, Comments, Named, Plugins, plugins_of
from headrace.config.hocon import parse_hocon, unquoted_value
from headrace.config.sql_tokens import SqlText, Statement, Token, split_sql
from headrace.errors import ConfigError, Problem

TRANSFORM = "sql"
"""The plugin's name as SeaTunnel writes it here."""

_LINE_BREAK = re.compile(r"[ \t]*\r?\n[ \t\r\n]*")
_NAMES = ("word", "name")


def parse_sql(text: str, file: str = "") -> tuple[Block, list[Problem]]:
    """The blocks of a SQL job file, substitutions not yet resolved, and warnings. Raises ConfigError."""
    return _SqlJob(split_sql(text, file), file).read()


def temporary_name(dataset: str, number: int) -> str:
    """The dataset between the transform and the sink of an INSERT; `number` counts those of the file, from 1."""
    return f"{dataset}__temp{number}"


class _Wrong(Exception):
    """What is wrong with a statement, at a line."""

    def __init__(self, message: str, cure: str, line: int) -> None:
        super().__init__(message)
        self.problem = Problem("", message, cure, "", line)


@dataclass
class _Table:
    """A table of the file: a source, a sink (which may serve several INSERTs), or what a SELECT gives."""

    kind: str
    connector: str
    options: Block
    statement: Statement
    used: bool = False


@dataclass
class _SqlJob:
    source: SqlText
    file: str
    tables: dict[str, _Table] = field(default_factory=dict)
    found: dict[str, list[Named]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    _temporary: int = 0

    def read(self) -> tuple[Block, list[Problem]]:
        root = parse_hocon(self.source.config, self.file)
        before = {kind: self._written(kind, root) for kind in KINDS}
        later: list[_Cursor] = []
        for statement in self.source.statements:
            self._try(self._create, _Cursor(self.source, statement), later)
        for cursor in later:
            self._try(self._select, cursor)
        for kind in KINDS:
            if before[kind] or self.found[kind]:
                root[kind] = Plugins(before[kind] + self.found[kind])
                root.lines.setdefault(kind, root[kind].items[0].line)
        self._check_whole(root)
        if self.problems:
            placed = [replace(p, file=self.file) for p in self.problems]
            raise ConfigError(sorted(placed, key=attrgetter("line")))
        unused = [self._unused(name, t) for name, t in self.tables.items() if t.kind == "sink" and not t.used]
        return root, self.warnings + unused

    def _written(self, kind: str, root: Block) -> list[Named]:
        """The plugins that stand as HOCON in the config comment; a SELECT may read their datasets."""
        found, problems = plugins_of(kind, root, self.file)
        self.problems += problems
        for named in found:
            for key in OUTPUT_KEYS:
                if kind != "sink" and isinstance(named.block, Block) and isinstance(named.block.get(key), str):
                    self.tables[named.block[key]] = _Table(kind, named.name, named.block, Statement())
        return found

    def _try(self, act: Any, *arguments: Any) -> None:
        try:
            act(*arguments)
        except _Wrong as wrong:
            self.problems.append(wrong.problem)
        except ConfigError as error:
            self.problems += error.problems

    def _create(self, at: "_Cursor", later: "list[_Cursor]") -> None:
        """Take a table with options now; leave a SELECT until all tables are known."""
        if at.takes("INSERT", "INTO"):
            at.takes("TABLE")
            later.append(at)
            return
        if not at.takes("CREATE", "TABLE"):
            words = " ".join(token.value for token in at.statement.tokens[:2])
            cure = "a SQL job file has CREATE TABLE … WITH, CREATE TABLE … AS SELECT and INSERT INTO … SELECT"
            raise _Wrong(f"cannot read the statement {words!r}", cure, at.line)
        at.takes("IF", "NOT", "EXISTS")
        start = at.index
        name = at.name("the name of a table")
        if at.peek().is_word("AS"):
            at.index = start
            self._add(name, _Table("transform", TRANSFORM, Block(), at.statement), at)
            later.append(at)
            return
        if at.peek().is_symbol("("):
            message, cure = f"the columns of table {name!r} are left out", "a source's columns stand in its 'schema'"
            self.warnings.append(Problem("", message, cure, self.file, at.peek().line))
            at.skip_brackets()
        if not at.takes("WITH"):
            raise at.wrong("WITH (…) or AS SELECT", f"behind CREATE TABLE {name}")
        self._add(name, self._with(name, at.options(), at.statement), at)

    def _with(self, name: str, options: Block, statement: Statement) -> _Table:
        line = statement.tokens[0].line
        fixed = {key.lower(): key for key in options if key.lower() in ("connector", "type")}
        connector, kind = (str(options.get(fixed.get(key, ""), "")) for key in ("connector", "type"))
        if not connector:
            raise _Wrong(f"table {name!r} has no 'connector'", "name the plugin: 'connector' = 'Jdbc'", line)
        if kind.lower() not in ("source", "sink"):
            said = f"has type {kind!r}" if kind else "has no 'type'"
            raise _Wrong(f"table {name!r} {said}", "write 'type' = 'source' or 'type' = 'sink'", line)
        kind = kind.lower()
        for key in [*fixed.values(), *(OUTPUT_KEYS if kind == "source" else INPUT_KEYS)]:
            options.pop(key, None)
        if kind == "source":
            options["plugin_output"] = name
            options.lines["plugin_output"] = line
            self.found["source"].append(_named(connector, options, statement))
        return _Table(kind, connector, options, statement)

    def _add(self, name: str, table: _Table, at: "_Cursor") -> None:
        if name in self.tables:
            line = self.tables[name].statement.tokens
            before = f"the other stands in line {line[0].line}" if line else "the other stands in the config comment"
            raise _Wrong(f"Table name duplicate: {name}", before, at.line)
        self.tables[name] = table

    def _select(self, at: "_Cursor") -> None:
        """CREATE TABLE name AS SELECT … or INSERT INTO name SELECT …, from the name on."""
        created = at.statement.tokens[0].is_word("CREATE")
        target = at.name("the name of a table")
        if created:
            at.takes("AS")
        elif at.peek().is_symbol("("):
            cure = "give the columns their order and names in the SELECT"
            raise _Wrong("Insert sql must not have columns", cure, at.line)
        if not at.peek().is_word("SELECT"):
            raise at.wrong("SELECT", f"behind {target}")
        dataset, query = at.query()
        self._check_source(dataset, at)
        if created:
            self._add_transform(dataset, query, target, at)
            return
        table = self._sink(target, dataset, at)
        if query is not None:
            self._temporary += 1
            output = temporary_name(dataset, self._temporary)
            self._add_transform(dataset, query, output, at)
            dataset = output
        sink = _copy(table.options)
        _set(sink, "plugin_input", dataset, at.line)
        comments = [*table.statement.comments, *at.statement.comments] if query is None else table.statement.comments
        self.found["sink"].append(Named(table.connector, sink, at.line, target, Comments(list(comments))))

    def _add_transform(self, dataset: str, query: str | None, output: str, at: "_Cursor") -> None:
        if query is None:
            cure = f"write SELECT * FROM {dataset}"
            raise _Wrong(f"CREATE TABLE {output} AS SELECT needs FROM and the name of a table", cure, at.line)
        block = Block()
        for key, value in (("plugin_input", dataset), ("query", query), ("plugin_output", output)):
            _set(block, key, value, at.line)
        self.found["transform"].append(_named(TRANSFORM, block, at.statement))

    def _check_source(self, name: str, at: "_Cursor") -> None:
        if name not in self.tables or self.tables[name].kind == "sink":
            known = [other for other, table in self.tables.items() if table.kind != "sink"]
            raise _Wrong(f"The source table[{name}] is not found", _near(name, known), at.line)

    def _sink(self, name: str, dataset: str, at: "_Cursor") -> _Table:
        table = self.tables.get(name)
        if table is None or table.kind != "sink":
            known = [other for other, t in self.tables.items() if t.kind == "sink"]
            raise _Wrong(f"The sink table[{name}] is not found", _near(name, known), at.line)
        table.used = True
        return table

    def _check_whole(self, root: Block) -> None:
        if self.problems:
            return
        if not root.get("source"):
            cure = "create one: CREATE TABLE name WITH ('connector' = '…', 'type' = 'source', …)"
            self.problems.append(Problem("", "The SQL config must contain at least one source table", cure))
        if not root.get("sink"):
            cure = "without it no row reaches a sink table"
            message = "The SQL config must contain `INSERT INTO ... SELECT ...` syntax"
            self.problems.append(Problem("", message, cure))

    def _unused(self, name: str, table: _Table) -> Problem:
        line = table.statement.tokens[0].line
        return Problem("", f"sink table {name!r} is left out: no INSERT INTO names it", "", self.file, line)


@dataclass
class _Cursor:
    """Reads one statement from left to right."""

    source: SqlText
    statement: Statement
    index: int = 0

    @property
    def line(self) -> int:
        return self.statement.tokens[0].line

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or an empty one at the end."""
        tokens = self.statement.tokens
        if self.index + ahead < len(tokens):
            return tokens[self.index + ahead]
        return Token("end", "", tokens[-1].end, tokens[-1].end, tokens[-1].line)

    def takes(self, *words: str) -> bool:
        """Step over these keywords if they come next."""
        if not all(self.peek(i).is_word(word) for i, word in enumerate(words)):
            return False
        self.index += len(words)
        return True

    def wrong(self, wanted: str, where: str = "") -> _Wrong:
        token = self.peek()
        found = "the statement ends" if token.kind == "end" else f"there is {token.value!r}"
        return _Wrong(
            f"cannot read the statement{f' {where}' if where else ''}: {found}", f"{wanted} is wanted there", token.line
        )

    def name(self, wanted: str) -> str:
        """A table's name; of `database.table` the last part, as in SeaTunnel."""
        token = self.peek()
        if token.kind not in _NAMES:
            raise self.wrong(wanted)
        self.index += 1
        while self.peek().is_symbol(".") and self.peek(1).kind in _NAMES:
            token = self.peek(1)
            self.index += 2
        return token.value

    def options(self) -> Block:
        """`('key' = 'value', …)` up to the end of the statement."""
        self._symbol("(")
        block = Block()
        while not self.peek().is_symbol(")"):
            line = self.peek().line
            key = self._until("=")
            self._symbol("=")
            value = self.peek()
            if value.kind == "text":
                self.index += 1
                _set(block, key, _value(key, value), line)
            else:
                _set(block, key, unquoted_value(self._until(",", ")")), line)
            if self.peek().is_symbol(","):
                self.index += 1
        self._symbol(")")
        if self.peek().kind != "end":
            raise self.wrong("a semicolon", "behind the options")
        return block

    def skip_brackets(self) -> None:
        """Step over `( … )`."""
        depth = 0
        while self.peek().kind != "end":
            depth += self.peek().is_symbol("(") - self.peek().is_symbol(")")
            self.index += 1
            if not depth:
                return

    def _symbol(self, symbol: str) -> None:
        if not self.peek().is_symbol(symbol):
            raise self.wrong(repr(symbol))
        self.index += 1

    def _until(self, *symbols: str) -> str:
        """A key or value up to one of these symbols: in quotes, or as it stands."""
        first, start = self.peek(), self.index
        if first.kind == "text":
            self.index += 1
            return first.value
        while self.peek().kind != "end" and not any(map(self.peek().is_symbol, symbols)):
            self.index += 1
        if self.index == start or self.peek().kind == "end":
            raise self.wrong(" or ".join(map(repr, symbols)) if self.index > start else "'key' = 'value'")
        if self.index == start + 1:
            return first.value
        return self.source.between(first, self.statement.tokens[self.index - 1])

    def query(self) -> tuple[str, str | None]:
        """The dataset a SELECT reads, and the SELECT; None when it is only `SELECT dataset`."""
        tokens = self.statement.tokens[self.index :]
        depth = 0
        for i, token in enumerate(tokens):
            if token.kind == "symbol":
                depth += {"(": 1, ")": -1}.get(token.value, 0)
            distinct = i and tokens[i - 1].is_word("DISTINCT") and tokens[i - 2].is_word("IS", "NOT")
            if depth == 0 and token.is_word("FROM") and not distinct:
                query = self.source.between(tokens[0], tokens[-1])
                self.index += i + 1
                return self.name("the name of a table behind FROM"), query
        self.index += 1
        dataset = self.name("the name of a table")
        if self.peek().kind != "end":
            raise _Wrong("Source table must be specified in SQL", "add FROM and the name of a table", self.line)
        return dataset, None


def _value(key: str, token: Token) -> Any:
    """What the text of an option means: HOCON where it stands in braces or brackets, else text with HOCON's escapes."""
    bare = token.value.strip()
    raw = (bare.startswith("{") and bare.endswith("}")) or (bare.startswith("[") and bare.endswith("]"))
    if not raw:
        bare = _LINE_BREAK.sub(" ", token.value)
        bare = '"' + re.sub(r'\\.|"', lambda m: '\\"' if m[0] == '"' else m[0], bare) + '"'
    try:
        return parse_hocon("\n" * (token.line - 1) + f"value = {bare}")["value"]
    except ConfigError as error:
        first = error.problems[0]
        cure = first.cure or "begin the text with \\u005b or \\u007b where it is not a list or object"
        reason = first.message.split(": ", 2)[-1]  # without line and column, which count from elsewhere
        raise _Wrong(f"cannot read the option {key!r}: {reason}", cure, first.line) from None


def _named(name: str, block: Block, statement: Statement) -> Named:
    return Named(name, block, statement.tokens[0].line, comments=Comments(list(statement.comments)))


def _set(block: Block, key: str, value: Any, line: int) -> None:
    block[key] = value
    block.lines[key] = line


def _copy(block: Block) -> Block:
    copied = Block()
    copied.update(block)
    copied.lines = dict(block.lines)
    return copied


def _near(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else f"known ones are {', '.join(known)}" if known else ""
