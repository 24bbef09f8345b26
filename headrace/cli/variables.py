"""`-i name=value` of the commands: texts in, names and values out; a value is never cut without a word."""

import re
from collections.abc import Sequence

from headrace.errors import ConfigError, Problem
from headrace.rows import split_outside_brackets

_NAME = re.compile(r"[A-Za-z_][\w.\-]*=")
"""How an assignment begins; behind a comma and a blank it may as well go on a sentence."""

_ONE_VALUE = re.compile(r"""(?:"[^"]*"|\[[^\]]*\]|\{[^}]*\}|[^\s=,'"()\[\]{}]*)""")
"""A value that can only be one where it stands in a list of assignments: one word, or in quotes or brackets."""


def parse_variables(given: Sequence[str]) -> dict[str, str]:
    """`-i a=1 -i b=2`, or `-i a=1,b=2`. Raises ConfigError.

    SeaTunnel cuts one `-i` at every comma outside quotes and brackets. Here it is cut where it can only be a list:
    every piece is name=word. What follows the commas without being an assignment belongs to the value; what can be
    read both ways is refused.
    """
    found: dict[str, str] = {}
    wrong: list[Problem] = []
    for item in given:
        for part in _assignments(item, wrong):
            name, equals, value = part.partition("=")
            if not equals or not name.strip():
                wrong.append(Problem("-i", f"{part!r} is not name=value"))
            else:
                found[name.strip()] = _unquoted(value)
    if wrong:
        raise ConfigError(wrong)
    return found


def _assignments(text: str, wrong: list[Problem]) -> list[str]:
    """The assignments of one `-i`."""
    first, *others = split_outside_brackets(text, ",", "[]{}")
    if not any(_NAME.match(piece.lstrip()) for piece in others):
        return [text]
    if all(_is_one(piece) for piece in (first, *others)):
        return [first, *others]
    name = first.partition("=")[0].strip()
    names = [name, *(p.lstrip().partition("=")[0] for p in others if _NAME.match(p.lstrip()))]
    cure = (
        f"""as one value write -i '{name}="…"'; as the variables {", ".join(names)} give each an -i of its own"""
        if '"' not in text
        else f"give each of {', '.join(names)} an -i of its own, or only {name} with its value in double quotes"
    )
    wrong.append(Problem("-i", f"{text!r} is one value of {name!r}, or {len(names)} variables", cure))
    return []


def _is_one(piece: str) -> bool:
    """Whether a piece is an assignment and nothing else."""
    begins = _NAME.match(piece)
    return begins is not None and _ONE_VALUE.fullmatch(piece, begins.end()) is not None


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' and '"' not in value[1:-1] else value
