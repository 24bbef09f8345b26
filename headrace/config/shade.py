"""Secrets of a job file: encrypted where the file lies, plain only in a job that was read.

`env.shade.identifier` names the cipher. It applies to options on the top level of sources and sinks: KEYS, those the
cipher adds, and those of `env.shade.options`. SeaTunnel's page: «Config File Encryption And Decryption».
"""

import base64
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar

from headrace.errors import ConfigError, Problem
from headrace.options import MISSING, look_up

KEYS = ("password", "username", "auth", "token", "access_key", "secret_key")
"""Options that every cipher applies to."""

PLAIN = "default"
"""SeaTunnel's name for no cipher."""

KEY, KEY_FILE = "HEADRACE_SHADE_KEY", "HEADRACE_SHADE_KEY_FILE"
"""Environment variables that hold the key of `aes`, or name the file that does."""

_REFERENCE = re.compile(r"\$\{[^{}]+\}\Z")
_NONCE = 12
_VERSION = b"\x01"


def is_reference(value: Any) -> bool:
    """Whether an option is only `${name}`: its value comes from outside."""
    return isinstance(value, str) and _REFERENCE.match(value) is not None


class Cipher(ABC):
    """Turns secrets into text that may lie in a file, and back. Made anew for each job that is read.

    Packages add ciphers by the entry-point group `headrace.ciphers`: the entry's name is the identifier, its object
    the class. keys: names of options it applies to beside KEYS. properties: `env.shade.properties` of the job.
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
            raise _wrong(f"cannot read the key of cipher 'aes' from {where}: {reason}") from error
    if not text:
        cure = f"set {KEY}, or {KEY_FILE} to the path of a file; `openssl rand -base64 32` makes a key"
        raise _wrong("cannot use cipher 'aes': there is no key", cure)
    text = text.strip()
    try:
        plain = text.replace("-", "+").replace("_", "/")
        key = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(plain, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        cure = "write 32 bytes as base64 or as 64 hexadecimal digits; `openssl rand -base64 32` makes such a key"
        raise _wrong(f"cannot use cipher 'aes': {where} holds no key of 32 bytes", cure)
    return key


def _wrong(message: str, cure: str = "") -> ConfigError:
    return ConfigError([Problem("env.shade.identifier", message, cure)])


_BUILT_IN: dict[str, Callable[[Mapping[str, Any]], Cipher]] = {"base64": Base64, "aes": Aes}


def cipher_names() -> list[str]:
    """All identifiers that mean a cipher here."""
    return sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group="headrace.ciphers"))})


def unknown_cipher(env: Mapping[str, Any]) -> list[Problem]:
    """A warning when an env block names a cipher that is not here: as in SeaTunnel, its secrets are taken as plain."""
    identifier = look_up(env, "shade.identifier")
    if identifier in (MISSING, None, PLAIN) or _find(str(identifier)) is not None:
        return []
    message = f"there is no cipher {str(identifier)!r}: secrets are taken as they stand"
    return [Problem("env.shade.identifier", message, f"known ones are {', '.join(cipher_names())}")]


def _find(identifier: str) -> Callable[[Mapping[str, Any]], Cipher] | None:
    if identifier in _BUILT_IN:
        return _BUILT_IN[identifier]
    return next((e.load() for e in entry_points(group="headrace.ciphers", name=identifier)), None)


@dataclass(frozen=True)
class Shade:
    """One job's cipher, and the options it applies to."""

    cipher: Cipher
    keys: tuple[str, ...]
    identifier: str

    @classmethod
    def of(cls, env: Mapping[str, Any]) -> "Shade | None":
        """The one an env block names; None without or with an unknown one. Raises ConfigError without its key."""
        identifier = look_up(env, "shade.identifier")
        made = None if identifier in (MISSING, None, PLAIN) else _find(str(identifier))
        if made is None:
            return None
        properties, more = look_up(env, "shade.properties"), look_up(env, "shade.options")
        cipher = made(properties if isinstance(properties, Mapping) else {})
        if isinstance(more, str):
            more = [part.strip() for part in more.split(",")]
        added = [str(key) for key in more] if isinstance(more, list) else []
        return cls(cipher, tuple(dict.fromkeys([*KEYS, *cipher.keys, *added])), str(identifier))

    def encrypt(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """A plugin's options with the secrets encrypted; one that is only `${name}` stays: it comes from outside."""
        return {k: self._each(v, self._encrypt) if k in self.keys else v for k, v in options.items()}

    def decrypt(self, options: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
        """A plugin's options with the secrets in plain text; what cannot be decrypted is added to `problems`."""
        found = dict(options)
        for key in self.keys:
            if found.get(key) is None:
                continue
            try:
                found[key] = self._each(found[key], self.cipher.decrypt)
            except ValueError as error:
                problems.append(self._problem(found[key], key, error))
        return found

    def _encrypt(self, text: str) -> str:
        return text if is_reference(text) else self.cipher.encrypt(text)

    def _each(self, value: Any, change: Callable[[str], str]) -> Any:
        """A text, or each of a list; numbers count as text, blocks hold no secret of their own."""
        if isinstance(value, list):
            return [self._each(item, change) for item in value]
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return change(str(value))
        return value

    def _problem(self, value: Any, place: str, error: ValueError) -> Problem:
        if is_reference(value):
            return Problem(place, f"{value} has no value", "give it with -i or in the environment, encrypted")
        cure = (
            "`headrace encrypt JOB` prints the file with encrypted secrets; without env shade.identifier they are plain"
        )
        return Problem(place, f"cannot decrypt ****** with cipher {self.identifier!r}: {error}", cure)


def encrypt_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A job in its JSON shape with the secrets of sources and sinks encrypted as its env says; key order is kept.

    Unchanged where env names no cipher, or one that is unknown here. Raises ConfigError when the cipher has no key.
    """
    return _change(config, lambda shade, options, problems: shade.encrypt(options))


def decrypt_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `encrypt_config`. Raises ConfigError naming every secret that cannot be decrypted."""
    return _change(config, Shade.decrypt)


def _change(
    config: Mapping[str, Any], change: Callable[[Shade, Mapping[str, Any], list[Problem]], dict[str, Any]]
) -> dict[str, Any]:
    env = config.get("env")
    shade = Shade.of(env) if isinstance(env, Mapping) else None
    found, problems = dict(config), []
    for kind in ("source", "sink"):
        plugins = found.get(kind)
        if shade is None or not isinstance(plugins, list):
            continue
        found[kind] = changed = list(plugins)
        for index, plugin in enumerate(plugins):
            if isinstance(plugin, Mapping):
                wrong: list[Problem] = []
                changed[index] = change(shade, plugin, wrong)
                problems += [problem.under(f"{kind}[{index}]") for problem in wrong]
    if problems:
        raise ConfigError(problems)
    return found
