"""JSON that may hold half surrogates: a split may be a file whose name is not UTF-8."""

import json
from typing import Any

import orjson


def dump_values(values: Any) -> bytes:
    """Values as JSON on one line."""
    try:
        return orjson.dumps(values)
    except TypeError:  # half surrogates
        return json.dumps(values, separators=(",", ":")).encode()


def load_values(content: bytes) -> Any:
    """The inverse. Raises ValueError when it is not JSON."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content)
