"""Writes the reference of docs/python.md from the docstrings of all public names; `--check` only compares."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from connector_pages import write_pages

import headrace

PAGE = Path(__file__).resolve().parent.parent / "docs" / "python.md"
BEGIN, END = "<!-- the reference, made by scripts/python_page.py -->", "<!-- end of the reference -->"


def reference() -> Iterator[str]:
    """Every public name, with its public methods and attributes."""
    for name in sorted(headrace.__all__, key=str.lower):
        thing = getattr(headrace, name)
        if isinstance(thing, str):
            continue
        yield f"### {name}\n"
        yield from described(name, thing)
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                    yield f"#### {name}.{member}\n"
                    yield from described(f"{name}.{member}", value)


def described(name: str, thing: Any) -> Iterator[str]:
    """How it is called, and its docstring."""
    names = () if isinstance(thing, property) else tuple(inspect.signature(thing).parameters)
    if not isinstance(thing, property):
        yield f"```text\n{signature(name, thing)}\n```\n"
    text = inspect.getdoc(thing) or ""
    yield f"{as_markdown(text, names) if names else text}\n"


def signature(name: str, thing: Any) -> str:
    """On one line, or where that is long with a line for each parameter."""
    found = inspect.signature(thing)
    parts = [part for part in found.parameters.values() if part.name != "self"]
    plain = str(found.replace(parameters=parts)).replace("<built-in function print>", "print")
    plain = re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", plain).replace(" -> None", "").replace("~", "")
    plain = re.sub(r" = <factory>|<factory>", " = …", plain).replace("= = ", "= ")
    if len(name + plain) <= 100:
        return name + plain
    lines = re.split(r", (?=\*?\*?\w+(?::|=|,|\))|\*,|/,)", plain[1 : plain.rindex(")")])
    return "\n".join([f"{name}(", *(f"    {line}," for line in lines), plain[plain.rindex(")") :]])


def as_markdown(text: str, names: Iterable[str]) -> str:
    """A docstring as Markdown: what is said of a parameter is a paragraph of its own."""
    one = f"(?:{'|'.join(map(re.escape, names))})"
    told = re.compile(rf"(^|(?<=\.)\s+)({one}(?:(?:, | or ){one})*): ", re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", told.sub(r"\n\n`\2`: ", text)).strip()


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    made = "\n".join([BEGIN, "", *reference(), END])
    sys.exit(write_pages({PAGE: before + made + after}))
