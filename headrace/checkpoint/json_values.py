"""JSON that may hold half surrogates, as in the name of a file that is not UTF-8, and whole numbers of any size."""

import json
from typing import Any

import orjson

_OF_ANY_SIZE = b" "
"""Begins what orjson cannot write: it would read such whole numbers as the nearest floating-point ones."""


def dump_values(values: Any) -> bytes:
    """Values as JSON on one line."""
    try:
        return orjson.dumps(values)
    except TypeError:  # half surrogates, or a number of more than 64 bits
        return _OF_ANY_SIZE + json.dumps(values, separators=(",", ":")).encode()


def load_values(content: bytes) -> Any:
    """The inverse. Raises ValueError when it is not JSON."""
    if content.startswith(_OF_ANY_SIZE):
        return json.loads(content)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content)
