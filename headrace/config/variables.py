"""`${name}` and `${name:default}`: from `-i` values, the file itself, the environment, in this order.

What has no value and no default stays as it stands, since sinks fill such names per table or row later. Which names
those are is told, so that the others can be refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from headrace.config.blocks import Append, Block, Concat, Plugins, Substitution
from headrace.config.ciphers import KEY, KEY_FILE
from headrace.config.hocon import parse_hocon
from headrace.errors import ConfigError, Problem

RESERVED = frozenset(
    {
        "database_name", "schema_name", "schema_full_name", "table_name", "table_full_name",
        "primary_key", "unique_key", "field_names", "partition_keys",
    }
)  # fmt: skip
"""Names that sinks fill per table; SeaTunnel refuses them as variables."""

PRIVATE = frozenset({KEY, KEY_FILE, "HEADRACE_PASSWORD", "HEADRACE_TOKEN"})
"""Secrets in the environment that are ours; a job file that somebody else wrote must not read them."""

_IN_TEXT = re.compile(r"\$\{([^{}:$]+)(?::([^{}]*))?\}")


@dataclass(frozen=True)
class Unset:
    """A name without a value. path: of the option that it stands in."""

    path: str
    name: str
    line: int


def check_names(variables: Mapping[str, str]) -> None:
    """Raises ConfigError for variables that would hide a sink's placeholders."""
    if reserved := sorted(RESERVED & variables.keys()):
        raise ConfigError(
            [
                Problem(f"-i {name}", "System placeholders cannot be used as variables", "choose another name")
                for name in reserved
            ]
        )


class Resolver:
    """Makes plain values of parsed blocks, and collects the line of every option path on the way.

    literal: `${…}` stays as it is. environment: what may be read of the environment.
    lines: option path, such as `source[0].schema.fields.id`, → line in the file. used: variables that something asked
    for. unset: names that stay as they stand.
    """

    def __init__(
        self,
        root: Block,
        variables: Mapping[str, str],
        file: str,
        *,
        literal: bool = False,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._root, self._variables, self._file, self._literal = root, variables, file, literal
        self._environment = {k: v for k, v in environment.items() if k not in RESERVED | PRIVATE}
        self.lines: dict[str, int] = {}
        self.used: set[str] = set()
        self.unset: list[Unset] = []
        self._open: list[str] = []

    def plain(self, value: Any, path: str) -> Any:
        """dicts, lists and scalars of a parsed value; `path` is its option path."""
        if isinstance(value, Block):
            found = {}
            for key, inner in value.items():
                below = f"{path}.{key}" if path else key
                self.lines[below] = value.lines.get(key, 0)
                resolved = self.plain(inner, below)
                if resolved is not NOTHING:
                    found[str(key)] = resolved
            return found
        if isinstance(value, list):
            items = [self.plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
            return [item for item in items if item is not NOTHING]
        if isinstance(value, Substitution):
            return self._substitute(value, path)
        if isinstance(value, Concat):
            return self._concat(value, path)
        if isinstance(value, Append):
            return [self.plain(value.value, path)]
        if isinstance(value, str):
            return value if self._literal else _IN_TEXT.sub(lambda match: self._in_text(match, path), value)
        return value

    def _substitute(self, item: Substitution, path: str) -> Any:
        if item.path in self._variables:
            self.used.add(item.path)
            return self._from_text(self._variables[item.path])
        found = look_up(self._root, item.path)
        if found is not NOTHING:
            if item.path in self._open:
                chain = " -> ".join([*self._open, item.path])
                raise ConfigError(
                    [Problem(path, f"the substitutions go in a circle: {chain}", "", self._file, item.line)]
                )
            self._open.append(item.path)
            try:
                return self.plain(found, path)
            finally:
                self._open.pop()
        if item.path in self._environment:
            return self._environment[item.path]
        if item.default is not None:
            return self._from_text(item.default)
        if item.optional:
            return NOTHING
        self.unset.append(Unset(path, item.path, item.line))
        return str(item)

    def _concat(self, value: Concat, path: str) -> Any:
        parts = [self.plain(part, path) for part in value.parts]
        parts = [part for part in parts if part is not NOTHING]
        if any(isinstance(part, list) for part in parts):
            return [item for part in parts if isinstance(part, list) for item in part]
        if any(isinstance(part, dict) for part in parts):
            return {k: v for part in parts if isinstance(part, dict) for k, v in part.items()}
        return "".join(
            "null" if p is None else str(p).lower() if isinstance(p, bool) else str(p) for p in parts
        ).strip()

    def _in_text(self, match: re.Match[str], path: str) -> str:
        name, default = match[1].strip(), match[2]
        if name in self._variables:
            self.used.add(name)
            return self._variables[name]
        if name in self._environment:
            return self._environment[name]
        if default is None and name not in RESERVED:
            self.unset.append(Unset(path, name, self._line_of(path)))
        return match[0] if default is None or name in RESERVED else default

    def _line_of(self, path: str) -> int:
        while path and not self.lines.get(path):
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 0)

    def _from_text(self, text: str) -> Any:
        """A variable's value: a list or an object where it looks like one, text otherwise."""
        if text[:1] in ("[", "{"):
            try:
                return Resolver(self._root, {}, "", environment=self._environment).plain(
                    parse_hocon(f"x = {text}")["x"], ""
                )
            except (ConfigError, KeyError):
                return text
        return text


class _Nothing:
    """The value of `${?x}` without a value: the key is left out."""


NOTHING: Any = _Nothing()


def look_up(block: Any, path: str) -> Any:
    """The value at a dotted path of the file: literal keys first, then nested blocks."""
    if not isinstance(block, Block):
        return NOTHING
    if path in block and not isinstance(block[path], Plugins):
        return block[path]
    for i, char in enumerate(path):
        if char == "." and path[:i] in block:
            found = look_up(block[path[:i]], path[i + 1 :])
            if found is not NOTHING:
                return found
    return NOTHING
