"""A job's blocks as the statements of a SQL job file; reading the text gives the same job.

What no statement says stands as HOCON in the `/* config` comment: `env`, transforms other than Sql, sinks with several
inputs. Whether a statement says a plugin is not guessed: it is read back and compared.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.config.blocks import INPUT_KEYS, KINDS, OUTPUT_KEYS, Block, Named, Plugins
from headrace.config.print_hocon import print_hocon, print_nested
from headrace.config.references import References
from headrace.config.sql_file import TRANSFORM, parse_sql, temporary_name
from headrace.errors import ConfigError

_DEFAULT = "default"
"""The dataset of a source that names none, in a job that needs no names."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = frozenset(
    {
        "ALL", "AND", "AS", "BY", "CASE", "CREATE", "CROSS", "DEFAULT", "DISTINCT", "ELSE", "END", "EXISTS", "FALSE",
        "FROM", "FULL", "GROUP", "HAVING", "IF", "IN", "INNER", "INSERT", "INTO", "IS", "JOIN", "LEFT", "LIKE", "LIMIT",
        "NOT", "NULL", "OFFSET", "ON", "OR", "ORDER", "OUTER", "RIGHT", "SELECT", "SET", "TABLE", "THEN", "TRUE",
        "UNION", "UNIQUE", "USING", "VALUES", "VIEW", "WHEN", "WHERE", "WITH",
    }
)  # fmt: skip
"""Words that are not names without quotes."""


def print_sql(root: Block, file: str = "") -> str:
    """A whole job file. Comments above plugins and in `env` stay; references to keys of the file are filled.

    Raises ConfigError where the file says what SQL cannot, such as `${?name}`.
    """
    references = References(root, file, "SQL")
    steps = {kind: _steps(kind, root, references) for kind in KINDS}
    if references.problems:
        raise ConfigError(references.problems)
    _name_simple(**steps)
    _state(**steps)
    parts = [_config(root, steps)]
    parts += [_commented(step, step.text) for step in steps["source"] if step.text]
    parts += _sink_tables(steps["sink"])
    parts += _selects(steps["transform"], steps["sink"])
    return "\n".join(part for part in parts if part)


@dataclass
class _Step:
    """A plugin, its dataset names apart from its options. single: it has at most one input.

    table: the table it is as a statement. text: the statement, empty when it stands in the config comment.
    """

    kind: str
    named: Named
    options: Block
    single: bool
    input: str
    output: str
    table: str = ""
    text: str = ""

    @property
    def given(self) -> str:
        """The dataset others find it by."""
        return self.output if self.text else _first(self.named.block, OUTPUT_KEYS)


def _steps(kind: str, root: Block, references: References) -> list[_Step]:
    plugins = root.get(kind)
    found = []
    for index, named in enumerate(plugins.items if isinstance(plugins, Plugins) else []):
        block = references.fill(named.block, f"{kind}[{index}]")
        named = Named(named.name, block, named.line, named.table, named.comments)
        options = Block()
        options.update({k: v for k, v in block.items() if k not in (*INPUT_KEYS, *OUTPUT_KEYS)})
        inputs = next((block[key] for key in INPUT_KEYS if block.get(key) not in (None, "")), "")
        names = [part.strip() for part in inputs.split(",")] if isinstance(inputs, str) else inputs
        single = isinstance(names, list) and len(names) <= 1
        text = str(names[0]) if single and names else ""
        found.append(_Step(kind, named, options, single, text, _first(block, OUTPUT_KEYS)))
    return found


def _first(block: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    value = next((block[key] for key in keys if block.get(key) not in (None, "")), "")
    return value if isinstance(value, str) else ""


def _name_simple(source: list[_Step], transform: list[_Step], sink: list[_Step]) -> None:
    """A job of one source, one sink and at most one transform needs no names; statements do."""
    if len(source) != 1 or len(sink) != 1 or len(transform) > 1:
        return
    before = source[0]
    before.output = before.output or _DEFAULT
    for step in transform:
        step.input = before.output
        if _is_sql(step):
            step.output = step.output or temporary_name(before.output, 1)
        before = step if step.output else before
    sink[0].input = sink[0].input if not sink[0].single else before.output


def _is_sql(step: _Step) -> bool:
    return step.named.name.lower() == TRANSFORM and list(step.options) == ["query"]


# ----------------------------------------------------------------------------------------------------------- statements


def _state(source: list[_Step], transform: list[_Step], sink: list[_Step]) -> None:
    """Find the statement of every plugin that has one; those before one without come into the comment with it."""
    count = Counter(step.output for step in source + transform)
    taken = {name.lower() for name in count}
    for step in source + transform:
        step.table = step.output
        if step.output and count[step.output] == 1:
            step.text = _statement(step)
    for step in sink:
        step.table = _table_name(step, sink, taken)
        step.text = _statement(step) if step.single and step.input else ""
    changed = True
    while changed:
        given = {step.given for step in source + transform}
        without = [step for step in transform + sink if step.text and step.input not in given]
        for steps in (source, transform, sink):
            last = max((i for i, step in enumerate(steps) if not step.text), default=0)
            without += [step for step in steps[:last] if step.text]
        for step in without:
            step.text = ""
        changed = bool(without)


def _table_name(step: _Step, sinks: list[_Step], taken: set[str]) -> str:
    """The sink's own name, one table for sinks that are equal, or a new name after the plugin."""
    for other in sinks:
        if other is step:
            break
        if (other.named.name, other.options, other.named.table) == (step.named.name, step.options, step.named.table):
            return other.table
    base = step.named.table or f"{re.sub(r'[^a-z0-9]+', '_', step.named.name.lower()).strip('_')}_sink"
    name, number = base, 1
    while name.lower() in taken:
        number += 1
        name = f"{base}_{number}"
    taken.add(name.lower())
    return name


def _statement(step: _Step) -> str:
    """What says the step and is read back as exactly that; empty if nothing does."""
    name = _name(step.table)
    if step.kind == "transform":
        query = step.options.get("query")
        text = f"CREATE TABLE {name} AS {query};\n" if _is_sql(step) and isinstance(query, str) else ""
    else:
        options = "".join(f",\n  {_quoted(key)} = {_value(value)}" for key, value in step.options.items())
        connector = _quoted(_escaped(step.named.name))
        text = f"CREATE TABLE {name} WITH (\n  'connector' = {connector},\n  'type' = '{step.kind}'{options}\n);\n"
    return text if text and _reads_as(step, text) else ""


def _reads_as(step: _Step, text: str) -> bool:
    """Whether a file of this statement, and what it needs around it, is read as the step."""
    other = _name(f"{step.table}_{step.input}_")
    plugin = "WITH ('connector' = 'x', 'type' = '{}');"
    before = "" if step.kind == "source" else f"CREATE TABLE {_name(step.input)} {plugin.format('source')}\n"
    if step.kind == "sink":
        after = f"INSERT INTO {_name(step.table)} SELECT {_name(step.input)};"
    else:
        after = f"CREATE TABLE {other} {plugin.format('sink')} INSERT INTO {other} SELECT {_name(step.table)};"
    try:
        root, warnings = parse_sql(before + text + after)
    except ConfigError:
        return False
    found = root[step.kind].items
    expected = dict(step.options)
    if step.kind != "source":
        expected["plugin_input"] = step.input
    if step.kind != "sink":
        expected["plugin_output"] = step.output
    name = step.named.name
    same_name = len(found) == 1 and (found[0].name == name or (step.kind == "transform" and _is_sql(step)))
    return same_name and not warnings and _same(found[0].block, expected)


def _same(a: Any, b: Any) -> bool:
    """Equal in type, too: 1 is neither True nor 1.0."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return a == b and isinstance(a, bool) == isinstance(b, bool) and isinstance(a, float) == isinstance(b, float)


def _value(value: Any) -> str:
    """An option's value: a text or nested HOCON in quotes; numbers, true, false and null keep their type without."""
    if isinstance(value, str):
        return _quoted(_escaped(value))
    if isinstance(value, list | Mapping):
        return _quoted(print_nested(value, 1))
    return json.dumps(value)


def _escaped(text: str) -> str:
    """A text with HOCON's escapes, so that it is taken neither for a list, nor for a block, nor for a comment."""
    inner = json.dumps(text, ensure_ascii=False)[1:-1].replace(" --", " \\u002d-")
    first = inner.lstrip()[:1]
    return inner.replace(first, f"\\u{ord(first):04x}", 1) if first in ("[", "{") else inner


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(name: str) -> str:
    return name if _PLAIN_NAME.match(name) and name.upper() not in _RESERVED else f"`{name}`"


# ------------------------------------------------------------------------------------------------------------ the file


def _config(root: Block, steps: Mapping[str, list[_Step]]) -> str:
    """The comment with everything that no statement says."""
    rest = Block()
    rest.tail = root.tail
    for key, value in root.items():
        if key not in KINDS:
            rest[key] = value
        elif items := [step.named for step in steps[key] if not step.text]:
            rest[key] = Plugins(items)
        if key in rest and key in root.comments:
            rest.comments[key] = root.comments[key]
    return f"/* config\n{print_hocon(rest, one_line_texts=True)}*/\n" if rest else ""


def _sink_tables(sinks: list[_Step]) -> list[str]:
    """One table for all sinks that are equal."""
    tables: dict[str, str] = {}
    for step in sinks:
        if step.text and step.table not in tables:
            tables[step.table] = _commented(step, step.text)
    return list(tables.values())


def _selects(transforms: list[_Step], sinks: list[_Step]) -> list[str]:
    """CREATE TABLE … AS for each transform and INSERT for each sink; both at once where the name between is temporary.

    A SELECT stands behind the statement that gives its dataset where the order of the transforms allows it.
    """
    stated = [step for step in sinks if step.text]
    inputs = Counter(step.input for step in (*transforms, *sinks))
    parts: list[str] = []
    known = {step.output for step in transforms if not step.text}
    later = {step.output for step in transforms if step.text}
    done = folded = 0
    for step in transforms:
        if not step.text:
            continue
        place = next((i for i, sink in enumerate(stated) if i >= done and sink.input == step.output), None)
        temporary = step.output == temporary_name(step.input, folded + 1) and inputs[step.output] == 1
        ready = place is not None and all(s.input in known or s.input not in later for s in stated[done:place])
        known.add(step.output)
        if place is None or not temporary or not ready:
            parts.append(_commented(step, step.text))
            continue
        parts += [_insert(sink) for sink in stated[done:place]]
        parts.append(_commented(step, _insert(stated[place], step.options["query"])))
        done, folded = place + 1, folded + 1
    return [*parts, *(_insert(sink) for sink in stated[done:])]


def _insert(sink: _Step, query: str = "") -> str:
    return f"INSERT INTO {_name(sink.table)} {query or f'SELECT {_name(sink.input)}'};\n"


def _commented(step: _Step, text: str) -> str:
    return "".join(f"--{line[1:]}\n" if line else "\n" for line in step.named.comments.above) + text
