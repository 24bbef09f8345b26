"""What the rows of a part fulfil, as SQL."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headrace.connectors._jdbc.dialect import Entry
from headrace.connectors._jdbc.dialects.mysql.text import literal
from headrace.connectors._jdbc.dialects.mysql.types import BYTES, declared
from headrace.connectors._jdbc.parts import SIGNS
from headrace.errors import Rejected

_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "decimal", "numeric")

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?")

Quote = Callable[[str], str]


def key_value(source_type: str, text: str) -> str:
    """A value of a key as SQL."""
    base = declared(source_type).base
    if base in _NUMBERS:
        if not _NUMBER.fullmatch(text):
            raise Rejected(f"the saved state has a key {text!r} where a number belongs")
        return text
    if base in BYTES:
        return f"x'{bytes.fromhex(text).hex()}'"
    return literal(text).decode()


def compared(entry: Entry, quote: Quote, key: Sequence[str], sign: str, values: Sequence[str]) -> str:
    """A key compared with values of it: written out, as MySQL finds no range in a comparison of rows."""
    types = {column.name: column.source_type or "" for column in entry.schema.columns}
    given = [key_value(types[name], value) for name, value in zip(key, values, strict=True)]
    names = [f"t.{quote(name)}" for name in key]
    strict = sign[0]
    cases = []
    for last in range(len(names)):
        same = [f"{names[i]} = {given[i]}" for i in range(last)]
        here = sign if last == len(names) - 1 else strict
        cases.append(" AND ".join([*same, f"{names[last]} {here} {given[last]}"]))
    if len(cases) == 1:
        return cases[0]
    return f"({names[0]} {strict}= {given[0]} AND ({' OR '.join(f'({case})' for case in cases)}))"


def conditions(entry: Entry, quote: Quote, data: Mapping[str, Any]) -> list[str]:
    """What the rows of a part fulfil."""
    found = []
    if "key" in data:
        for name, sign in SIGNS.items():
            if name in data:
                found.append(compared(entry, quote, data["key"], sign, data[name]))
    elif "column" in data:
        column = f"t.{quote(data['column'])}"
        for name, sign in SIGNS.items():
            if name in data:
                value = data[name]
                found.append(f"{column} {sign} {literal(value).decode() if isinstance(value, str) else repr(value)}")
        if "hash" in data:
            count, number = data["hash"]
            found.append(f"MOD(CRC32({column}), {int(count)}) = {int(number)}")
        if "null" in data:
            found.append(f"{column} IS {'' if data['null'] else 'NOT '}NULL")
    return found
