"""A job's blocks as HOCON text in one canonical layout; reading the text again gives the same blocks."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.config.blocks import KINDS, Block, Comments, Concat, Named, Plugins, Quoted

WIDTH = 100
"""Lists and the blocks in them stay on one line up to this."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]+\Z")


def print_hocon(root: Block, *, one_line_texts: bool = False) -> str:
    """A whole job file. Its top level keeps its order; comments stand where they stood.

    one_line_texts: no text goes over several lines, so that no line of it can be taken for something else.
    """
    return _Printer(one_line_texts=one_line_texts).document(root)


def print_nested(value: Any, indent: int = 0) -> str:
    """A list or a block for the text of an option in SQL: with commas, each text on one line, without comments."""
    return _Printer(embedded=True, one_line_texts=True).value(value, indent)


class _Printer:
    """embedded: the text stands in a SQL option, where lines are joined: commas separate, and comments are left out."""

    def __init__(self, *, embedded: bool = False, one_line_texts: bool = False) -> None:
        self._embedded, self._one_line = embedded, one_line_texts

    def document(self, root: Block) -> str:
        parts = []
        for key, value in root.items():
            comments = root.comments.get(key, Comments())
            if key in KINDS and isinstance(value, Plugins):
                parts.append(self._plugins(key, value, comments))
            else:
                parts.append("\n".join(self._field(key, value, comments, 0)))
        parts += ["\n".join(_comments(root.tail, 0))] if root.tail else []
        return "\n\n".join(parts) + "\n"

    def _plugins(self, kind: str, plugins: Plugins, comments: Comments) -> str:
        behind = f"  {comments.behind}" if comments.behind else ""
        lines = _comments(comments.above, 0)
        if not plugins.items and not plugins.tail:
            return "\n".join([*lines, f"{kind} {{}}{behind}"])
        if any(not named.name for named in plugins.items):
            return "\n".join([*lines, f"{kind} = {self.value([_listed(n) for n in plugins.items], 0)}{behind}"])
        parts = ["\n".join(self._field(n.name, n.block, n.comments, 1)) for n in plugins.items]
        parts += ["\n".join(_comments(plugins.tail, 1))] if plugins.tail else []
        return "\n".join([*lines, f"{kind} {{", "\n\n".join(parts), f"}}{behind}"])

    def _field(self, key: str, value: Any, comments: Comments, indent: int) -> list[str]:
        """The lines of one key and its value."""
        between = " " if isinstance(value, Mapping) else " = "
        behind = f"  {comments.behind}" if comments.behind and not self._embedded else ""
        text = f"{'  ' * indent}{_key(key)}{between}{self.value(value, indent, inline=False)}{behind}"
        return [*([] if self._embedded else _comments(comments.above, indent)), text]

    def value(self, value: Any, indent: int, *, inline: bool = True) -> str:
        """One value; `indent` is the depth of the line it begins on. inline: a short block may stand on one line."""
        if isinstance(value, Mapping):
            short = self._short(value, indent) if inline else ""
            return short or self._block(value, indent)
        if isinstance(value, list):
            return self._short(value, indent) or self._list(value, indent)
        if isinstance(value, Concat):
            return "".join(self._pieces(value.parts, indent))
        return self._scalar(value)

    def _block(self, block: Mapping[str, Any], indent: int) -> str:
        comments = block.comments if isinstance(block, Block) else {}
        tail = block.tail if isinstance(block, Block) and not self._embedded else []
        if not block and not tail:
            return "{}"
        fields = ["\n".join(self._field(k, v, comments.get(k, Comments()), indent + 1)) for k, v in block.items()]
        body = (",\n" if self._embedded else "\n").join([*fields, *_comments(tail, indent + 1)])
        return f"{{\n{body}\n{'  ' * indent}}}"

    def _list(self, items: list[Any], indent: int) -> str:
        body = ",\n".join(f"{'  ' * (indent + 1)}{self.value(item, indent + 1)}" for item in items)
        return f"[\n{body}\n{'  ' * indent}]"

    def _short(self, value: Any, indent: int) -> str:
        """The value on one line, or nothing where it holds blocks, comments or too much for that."""
        inner = value.values() if isinstance(value, Mapping) else value
        if any(isinstance(item, Mapping) or (isinstance(item, list) and _is_nested(item)) for item in inner):
            return ""
        if isinstance(value, Block) and value.is_commented() and not self._embedded:
            return ""
        if isinstance(value, Mapping):
            text = ", ".join(f"{_key(k)} = {self.value(v, 0)}" for k, v in value.items())
            text = f"{{ {text} }}" if text else "{}"
        else:
            text = f"[{', '.join(self.value(item, 0) for item in value)}]"
        return text if "\n" not in text and len(text) + 2 * indent <= WIDTH else ""

    def _pieces(self, parts: Iterable[Any], indent: int) -> Iterable[str]:
        """The pieces of a value side by side, neighbouring texts as one."""
        parts = list(parts)
        if any(isinstance(part, list | Block) for part in parts):
            parts = [part for part in parts if not isinstance(part, str) or part.isspace()]
        texts: list[str] = []
        for index, part in enumerate([*parts, None]):
            if isinstance(part, str):
                texts.append(part)
                continue
            if text := "".join(texts):
                inside = text.isspace() and "\n" not in text and part is not None and index > len(texts)
                yield text if inside else json.dumps(text, ensure_ascii=False)
            texts = []
            if part is not None:
                yield self.value(part, indent)

    def _scalar(self, value: Any) -> str:
        if value is None:
            return "null"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return self._text(value)
        return str(value)

    def _text(self, text: str) -> str:
        plain = "\n" in text and '"""' not in text and not text.endswith('"')
        if plain and not self._one_line and not re.search(r"[\x00-\x08\x0b-\x1f]", text):
            return f'"""{text}"""'
        return json.dumps(text, ensure_ascii=False)


def _is_nested(items: list[Any]) -> bool:
    return any(isinstance(item, list | Mapping) for item in items)


def _key(key: str) -> str:
    """A key; dots in quotes stay in quotes, since SeaTunnel takes them for a path otherwise."""
    if _PLAIN_KEY.match(key) and key != "include" and not (isinstance(key, Quoted) and "." in key):
        return str(key)
    return json.dumps(key, ensure_ascii=False)


def _comments(comments: Iterable[str], indent: int) -> list[str]:
    return [f"{'  ' * indent}{text}" if text else "" for text in comments]


def _listed(named: Named) -> Any:
    if not named.name:
        return named.block
    block = Block()
    block["plugin_name"] = named.name
    block.update(named.block)
    return block
