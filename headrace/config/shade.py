"""Secrets of a job file: encrypted where the file lies, plain only in a job that was read.

`env.shade.identifier` names the cipher. It applies to options on the top level of sources and sinks: KEYS, those the
cipher adds, and those of `env.shade.options`. SeaTunnel's page: «Config File Encryption And Decryption».
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.config.ciphers import Cipher, cipher_names, find_cipher, no_cipher
from headrace.errors import ConfigError, Problem, told
from headrace.options import MISSING, look_up

KEYS = ("password", "username", "auth", "token", "access_key", "secret_key")
"""Options that every cipher applies to."""

PLAIN = "default"
"""SeaTunnel's name for no cipher."""

_REFERENCE = re.compile(r"\$\{[^{}]+\}\Z")


def is_reference(value: Any) -> bool:
    """Whether an option is only `${name}`: its value comes from outside."""
    return isinstance(value, str) and _REFERENCE.match(value) is not None


def unknown_cipher(env: Mapping[str, Any]) -> list[Problem]:
    """A warning when an env block names a cipher that is not here: as in SeaTunnel, its secrets are taken as plain."""
    identifier = look_up(env, "shade.identifier")
    if identifier in (MISSING, None, PLAIN) or find_cipher(str(identifier)) is not None:
        return []
    message = f"there is no cipher {str(identifier)!r}: secrets are taken as they stand"
    return [Problem("env.shade.identifier", message, f"known ones are {', '.join(cipher_names())}")]


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
        made = None if identifier in (MISSING, None, PLAIN) else find_cipher(str(identifier))
        if made is None:
            return None
        properties, more = look_up(env, "shade.properties"), look_up(env, "shade.options")
        try:
            cipher = made(properties if isinstance(properties, Mapping) else {})
        except ConfigError:
            raise
        except Exception as error:  # another package's
            text = f"cannot use cipher {identifier!r}: {told(error)}"
            raise no_cipher(text, "look at env shade.properties") from error
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
            except Exception as error:  # another package's cipher may raise anything
                problems.append(self._problem(found[key], key, error))
        return found

    def _encrypt(self, text: str) -> str:
        if is_reference(text):
            return text
        try:
            return self.cipher.encrypt(text)
        except Exception as error:  # another package's
            raise no_cipher(f"cannot encrypt with cipher {self.identifier!r} ({type(error).__name__})") from error

    def _each(self, value: Any, change: Callable[[str], str]) -> Any:
        """A text, or each of a list; numbers count as text, blocks hold no secret of their own."""
        if isinstance(value, list):
            return [self._each(item, change) for item in value]
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return change(str(value))
        return value

    def _problem(self, value: Any, place: str, error: Exception) -> Problem:
        if is_reference(value):
            return Problem(place, f"{value} has no value", "give it with -i or in the environment, encrypted")
        cure = (
            "`headrace encrypt JOB` prints the file with encrypted secrets; without env shade.identifier they are plain"
        )
        # The text of another error may hold the value.
        reason = f": {error}" if isinstance(error, ValueError) else f" ({type(error).__name__})"
        return Problem(place, f"cannot decrypt ****** with cipher {self.identifier!r}{reason}", cure)


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
