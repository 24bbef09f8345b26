"""References of a job file to its own keys, replaced by what they name: for formats that have no references."""

from typing import Any

from headrace.config.blocks import Append, Block, Concat, Substitution
from headrace.config.variables import NOTHING, look_up
from headrace.errors import Problem


class References:
    """Fills `${key}` where the file has the key, and leaves `${name}` as text where only a variable can say it.

    problems: what is lost without references: `${?name}`, and lists or blocks beside a variable.
    """

    def __init__(self, root: Block, file: str, format: str) -> None:  # noqa: A002  the word of the REST API
        self._root, self._file, self._format = root, file, format
        self._open: list[str] = []
        self.problems: list[Problem] = []

    def fill(self, value: Any, place: str) -> Any:
        """The value with blocks as blocks, in their order and with their comments; `place` is its option path."""
        if isinstance(value, Block):
            filled = Block()
            filled.lines, filled.comments, filled.tail = value.lines, value.comments, value.tail
            filled.update({key: self.fill(inner, f"{place}.{key}".strip(".")) for key, inner in value.items()})
            return filled
        if isinstance(value, list):
            return [self.fill(item, f"{place}[{index}]") for index, item in enumerate(value)]
        if isinstance(value, Substitution):
            return self._reference(value, place)
        if isinstance(value, Concat):
            return self._concat(value, place)
        return [self.fill(value.value, place)] if isinstance(value, Append) else value

    def _reference(self, item: Substitution, place: str) -> Any:
        found = look_up(self._root, item.path)
        if found is NOTHING or item.path in self._open:
            if item.optional:
                cure = f"write ${{{item.path}}} or ${{{item.path}:default}}, or keep the file as HOCON"
                self._refuse(f"{item} may be left out, which {self._format} cannot say", cure, place, item.line)
            return str(item)
        self._open.append(item.path)
        try:
            return self.fill(found, place)
        finally:
            self._open.pop()

    def _concat(self, value: Concat, place: str) -> Any:
        parts = [self.fill(part, place) for part in value.parts]
        nested = [part for part in parts if isinstance(part, list | Block)]
        if nested:
            for part, filled in zip(value.parts, parts, strict=True):
                if isinstance(part, Substitution) and isinstance(filled, str):
                    cure = "put it inside of the brackets, or keep the file as HOCON"
                    message = f"{part} beside a list or a block cannot be said in {self._format}"
                    self._refuse(message, cure, place, part.line)
        if any(isinstance(part, list) for part in nested):
            return [item for part in nested if isinstance(part, list) for item in part]
        if nested:
            merged = Block()
            for part in nested:
                merged.update(part)
            return merged
        return "".join(_text(part) for part in parts).strip()

    def _refuse(self, message: str, cure: str, place: str, line: int) -> None:
        self.problems.append(Problem(place, message, cure, self._file, line))


def _text(part: Any) -> str:
    return "null" if part is None else str(part).lower() if isinstance(part, bool) else str(part)
