"""The databases that Jdbc knows: each module or package here is one, found by walking the folder."""

import importlib
import pkgutil
from functools import cache

from headrace.connectors._jdbc.dialect import Dialect


@cache
def dialects() -> tuple[Dialect, ...]:
    """All of them, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return tuple(importlib.import_module(f"{__name__}.{name}").DIALECT for name in names)


def dialect_of(kind: str) -> Dialect:
    """The dialect of a URL's kind. Raises ValueError with those there are."""
    found = next((dialect for dialect in dialects() if kind in dialect.kinds), None)
    if found is None:
        forms = ", ".join(dialect.url_form for dialect in dialects())
        raise ValueError(f"url: databases of the kind {kind!r} are not supported; possible: {forms}")
    return found
