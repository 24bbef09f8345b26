"""How FieldRename and TableRename make new names of old ones."""

import re

from pydantic import Field

from headrace.connector import Choice, Options
from headrace.javaregex import compile_regex
from headrace.transforms._tables import Regex, TableOptions


class Case(Choice):
    """What becomes of a name's letters."""

    UPPER = "UPPER"
    LOWER = "LOWER"


class Replacement(Options):
    """One part of a name that is replaced."""

    replace_from: Regex = Field(description="What is replaced: a regular expression, or with is_regex = false a name.")
    replace_to: str = Field(description="What takes its place, as it is.")
    is_regex: bool = Field(default=True, description="Whether replace_from is a regular expression.")


class RenameOptions(TableOptions):
    """The rules both have."""

    convert_case: Case | None = Field(default=None, description="UPPER or LOWER.")
    prefix: str = Field(default="", description="What is put before the name.")
    suffix: str = Field(default="", description="What is put behind the name.")
    replacements_with_regex: list[Replacement] = Field(
        default=[],
        description="Parts of the name to replace; the last rule that finds something is the one that holds.",
    )


def convert_case(name: str, case: Case | None) -> str:
    """The name in upper or lower case, or as it is."""
    return name if case is None else name.upper() if case is Case.UPPER else name.lower()


def new_name(name: str, options: RenameOptions) -> str:
    """A name by the rules: parts are found in the old name, what replaces them keeps its case, as the ends do."""
    found: list[tuple[int, int]] = []
    replacement = ""
    for rule in options.replacements_with_regex:
        if spans := _spans(rule, name):
            found, replacement = spans, rule.replace_to.strip()
    made, start = "", 0
    for first, last in found:
        made += convert_case(name[start:first], options.convert_case) + replacement
        start = last
    made += convert_case(name[start:], options.convert_case)
    return options.prefix.strip() + made + options.suffix.strip()


def _spans(rule: Replacement, name: str) -> list[tuple[int, int]]:
    if not rule.replace_from:
        return []
    if not rule.is_regex:
        return [(0, len(name))] if name == rule.replace_from else []
    matches: list[re.Match[str]] = list(compile_regex(rule.replace_from).finditer(name))
    return [match.span() for match in matches]
