"""Ciphers for the secrets of job files: base64, AES, and those of other packages."""

import base64
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar

from headrace.errors import ConfigError, Problem

KEY, KEY_FILE = "HEADRACE_SHADE_KEY", "HEADRACE_SHADE_KEY_FILE"
"""Environment variables that hold the key of `aes`, or name the file that does."""

_GROUP = "headrace.ciphers"
_NONCE = 12
_VERSION = b"\x01"


class Cipher(ABC):
    """Turns secrets into text that may lie in a file, and back. Made anew for each job that is read.

    Packages add ciphers by the entry-point group `headrace.ciphers`: the entry's name is the identifier, its object
    the class. keys: names of options it applies to beside `password` and its like. properties: the job's
    `env.shade.properties`.
    """

    keys: ClassVar[tuple[str, ...]] = ()

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self.properties = properties

    @abstractmethod
    def encrypt(self, text: str) -> str:
        """What the file shall hold instead of `text`."""

    @abstractmethod
    def decrypt(self, text: str) -> str:
        """The secret of what `encrypt` gave. Raises ValueError saying why it cannot, without the value."""


class Base64(Cipher):
    """SeaTunnel's own: keeps secrets from a passing glance, not from a reader."""

    def encrypt(self, text: str) -> str:
        """As RFC 4648, padded."""
        return base64.b64encode(text.encode()).decode()

    def decrypt(self, text: str) -> str:
        """Padding may be missing, as Java's decoder allows."""
        bare = text.strip().rstrip("=")
        try:
            return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).decode()
        except ValueError as error:
            raise ValueError("it is not the base64 of a text") from error


class Aes(Cipher):
    """AES-256-GCM: without the key nobody reads a secret, nor changes one unnoticed.

    The text is the base64 of one byte for the version, the random nonce, and the ciphertext with its tag.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        super().__init__(properties)
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aes = AESGCM(_read_key())

    def encrypt(self, text: str) -> str:
        """Another text each time, since the nonce is random; what is encrypted already stays."""
        with suppress(ValueError):
            self.decrypt(text)
            return text
        nonce = os.urandom(_NONCE)
        return base64.b64encode(_VERSION + nonce + self._aes.encrypt(nonce, text.encode(), None)).decode()

    def decrypt(self, text: str) -> str:
        """Refuses what was changed, or encrypted with another key."""
        from cryptography.exceptions import InvalidTag

        try:
            sealed = base64.b64decode(text.strip(), validate=True)
        except ValueError as error:
            raise ValueError("it is not encrypted") from error
        if not sealed.startswith(_VERSION) or len(sealed) < 1 + _NONCE + 16:
            raise ValueError("it is not encrypted")
        try:
            return self._aes.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], None).decode()
        except InvalidTag:
            raise ValueError("it was encrypted with another key, or changed since") from None


def _read_key() -> bytes:
    """32 bytes, from base64 or hexadecimal digits."""
    where, text = KEY, os.environ.get(KEY, "")
    if not text and (name := os.environ.get(KEY_FILE)):
        where = f"the file {name!r} of {KEY_FILE}"
        try:
            text = Path(name).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not plain text"
            raise no_cipher(f"cannot read the key of cipher 'aes' from {where}: {reason}") from error
    if not text:
        cure = f"set {KEY}, or {KEY_FILE} to the path of a file; `openssl rand -base64 32` makes a key"
        raise no_cipher("cannot use cipher 'aes': there is no key", cure)
    text = text.strip()
    try:
        plain = text.replace("-", "+").replace("_", "/")
        key = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(plain, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        cure = "write 32 bytes as base64 or as 64 hexadecimal digits; `openssl rand -base64 32` makes such a key"
        raise no_cipher(f"cannot use cipher 'aes': {where} holds no key of 32 bytes", cure)
    return key


def no_cipher(message: str, cure: str = "") -> ConfigError:
    """The error of a cipher that cannot be used."""
    return ConfigError([Problem("env.shade.identifier", message, cure)])


_BUILT_IN: dict[str, Callable[[Mapping[str, Any]], Cipher]] = {"base64": Base64, "aes": Aes}


def cipher_names() -> list[str]:
    """All identifiers that mean a cipher here."""
    return sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=_GROUP))})


def find_cipher(identifier: str) -> Callable[[Mapping[str, Any]], Cipher] | None:
    """What makes the cipher of an identifier, given `env.shade.properties`; None when there is none."""
    if identifier in _BUILT_IN:
        return _BUILT_IN[identifier]
    return next((e.load() for e in entry_points(group=_GROUP, name=identifier)), None)
