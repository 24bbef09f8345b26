"""Passwords and tokens of a job: found by the names of their options and in URLs, masked wherever text leaves us."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

MASK = "******"

_SECRET_KEY = re.compile(
    r"(?:^|[._-])(?:auth|pass|passphrase|sas|credentials?|private)$"
    r"|password|passwd|secret|token|api[._-]?key|access[._-]?key|private[._-]?key|sasl.*jaas|encrypt.*key",
    re.IGNORECASE,
)
_IN_URL = re.compile(
    r"://[^/\s:@]*:([^/\s@]+)@|[?&;](?:password|passwd|pwd|token|secret|api_key|access_key)=([^&;\s]+)", re.I
)
_SHORT = 4


def is_secret(key: str) -> bool:
    """Whether an option of this name holds a secret."""
    return _SECRET_KEY.search(key) is not None


def mask_values(values: Any) -> Any:
    """The same nested values with the secrets masked."""
    if isinstance(values, Mapping):
        return {key: MASK if is_secret(str(key)) and value else mask_values(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [mask_values(value) for value in values]
    return mask_urls(values) if isinstance(values, str) else values


def shown(name: str, value: Any) -> str:
    """A value of an option or a setting as an error may show it."""
    return MASK if is_secret(name) else repr(mask_values(value))


def mask_urls(text: str) -> str:
    """The text with passwords in URLs masked."""
    return _IN_URL.sub(lambda m: m[0].replace(m[1] or m[2], MASK), text)


class Masker:
    """Masks the secrets that `values`, options nested as they are, hold."""

    def __init__(self, *values: Any) -> None:
        found = sorted({s for value in values for s in _secrets(value)}, key=len, reverse=True)
        patterns = [re.escape(s) if len(s) >= _SHORT else rf"(?<!\w){re.escape(s)}(?!\w)" for s in found]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def __call__(self, text: str) -> str:
        """The text without the secrets; a short one is masked only where it stands alone."""
        return self._pattern.sub(MASK, text) if self._pattern else text


def _secrets(values: Any, *, secret: bool = False) -> Iterator[str]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _secrets(value, secret=secret or is_secret(str(key)))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _secrets(value, secret=secret)
    elif isinstance(values, str):
        if secret and values:
            yield values
        for match in _IN_URL.finditer(values):
            yield match[1] or match[2]
            yield unquote(match[1] or match[2])
