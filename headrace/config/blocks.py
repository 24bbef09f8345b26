"""A job file's blocks as they were written: in order, variables not filled, options not read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from headrace.errors import Problem
from headrace.secrets import shown

KINDS = ("source", "transform", "sink")
"""The blocks that hold plugins."""

INPUT_KEYS = ("plugin_input", "source_table_name")
OUTPUT_KEYS = ("plugin_output", "result_table_name")
"""Options that name a plugin's datasets, today's name first."""


@dataclass(frozen=True)
class Substitution:
    """`${path}` or `${?path}`, outside of quotes. default: the text behind a colon, SeaTunnel's addition."""

    path: str
    optional: bool
    default: str | None
    line: int = field(compare=False)

    def __str__(self) -> str:
        default = "" if self.default is None else f":{self.default}"
        return f"${{{'?' if self.optional else ''}{self.path}{default}}}"


@dataclass
class Concat:
    """Pieces of one value side by side, at least one of them a substitution."""

    parts: list[Any]


@dataclass
class Append:
    """`key += value` on a key that is not known here yet."""

    value: Any


@dataclass
class Comments:
    """The comments around a key: those on the lines above it, and the one behind it on its own line.

    Each begins with `#`; an empty text stands for a blank line between comments.
    """

    above: list[str] = field(default_factory=list)
    behind: str = ""


class Block(dict[str, Any]):
    """An object. lines: key → the line it is written on; comments: likewise; tail: comments behind the last key."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}
        self.comments: dict[str, Comments] = {}
        self.tail: list[str] = []

    def is_commented(self) -> bool:
        """Whether a comment stands in it, outside of inner blocks."""
        return bool(self.tail) or any(c.above or c.behind for c in self.comments.values())


class Quoted(str):
    """Text that was in quotes: as a value never a number, a boolean or null; as a key its dots are not a path."""

    __slots__ = ()


@dataclass
class Named:
    """A plugin's block, with the name it stands under; the name is empty in a list, where `plugin_name` has it.

    table: what a SQL job file calls a sink, which has no dataset.
    """

    name: str
    block: Any
    line: int
    table: str = field(default="", compare=False)
    comments: Comments = field(default_factory=Comments, compare=False)


@dataclass
class Plugins:
    """A `source`, `transform` or `sink` block: its plugins in order. tail: comments behind the last one."""

    items: list[Named] = field(default_factory=list)
    tail: list[str] = field(default_factory=list, compare=False)


def merge(block: Block, key: str, value: Any, line: int) -> None:
    """Set a key as HOCON does: objects merge, anything else replaces; `+=` appends; plugins follow one another."""
    old = block.get(key)
    if isinstance(value, Append):
        if old is None:
            block[key] = [value.value] if not isinstance(value.value, Substitution) else Concat([[], value.value])
        elif isinstance(old, list):
            block[key] = [*old, value.value]
        else:
            block[key] = Concat([old, [value.value]])
    elif isinstance(old, Plugins) and isinstance(value, Plugins):
        old.items += value.items
        old.tail += value.tail
    elif isinstance(old, Block) and isinstance(value, Block):
        for inner, item in value.items():
            merge(old, inner, item, value.lines.get(inner, 0))
        old.comments |= value.comments
        old.tail += value.tail
    elif old is not None and isinstance(value, Substitution | Concat) and key in _paths(value):
        block[key] = _replace_self(value, key, old)
    else:
        block[key] = value
    block.lines[key] = line


def _paths(value: Substitution | Concat) -> Iterator[str]:
    parts = value.parts if isinstance(value, Concat) else [value]
    return (part.path for part in parts if isinstance(part, Substitution))


def _replace_self(value: Substitution | Concat, key: str, old: Any) -> Any:
    """`path = ${path} [more]` means the value so far."""
    parts = value.parts if isinstance(value, Concat) else [value]
    parts = [old if isinstance(p, Substitution) and p.path == key else p for p in parts]
    if all(isinstance(part, list) for part in parts if not (isinstance(part, str) and part.isspace())):
        return [item for part in parts if isinstance(part, list) for item in part]
    return Concat(parts)


def plugins_of(kind: str, root: Block, file: str = "") -> tuple[list[Named], list[Problem]]:
    """The plugins of one kind in order, in whichever of the three shapes they stand, and what is wrong with the shape.

    The shapes are a block of blocks, the same written as JSON, and a list of objects that hold `plugin_name`.
    """
    value, line = root.get(kind), root.lines.get(kind, 0)
    if isinstance(value, Plugins):
        found = value.items
    elif isinstance(value, Block):
        found = [Named(name, block, value.lines.get(name, 0)) for name, block in value.items()]
    elif isinstance(value, list):
        found = [Named("", item, line) for item in value]
    elif value is None:
        found = []
    else:
        return [], [Problem(kind, f"must be a block or a list of plugins, not {shown(kind, value)}", "", file, line)]
    problems = []
    for index, item in enumerate(found):
        if not isinstance(item.block, Block):
            shape = "a block of options" if item.name else "an object with plugin_name and its options"
            message = f"must be {shape}, not {shown(item.name, item.block)}"
            problems.append(Problem(f"{kind}[{index}]", message, "", file, item.line or line))
    return found, problems
