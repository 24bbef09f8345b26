"""Job files written anew: in one canonical layout, in another format, with their secrets encrypted or decrypted."""

import os

from headrace.config.blocks import KINDS, Block, Concat, Named, Plugins, Substitution, plugins_of
from headrace.config.ciphers import cipher_names
from headrace.config.job import read_blocks
from headrace.config.print_hocon import print_hocon
from headrace.config.print_json import print_json
from headrace.config.print_sql import print_sql
from headrace.config.shade import Shade, is_reference
from headrace.config.variables import Resolver
from headrace.errors import ConfigError, Problem

FORMATS = ("hocon", "json", "sql")


def read_document(text: str, format: str, file: str = "") -> Block:  # noqa: A002  the word of the REST API
    """A job's blocks with nothing filled, and its plugins by name, whichever shape they stood in.

    Raises ConfigError with all problems of the shape.
    """
    root, _ = read_blocks(text, format, file)
    problems: list[Problem] = []
    for kind in KINDS:
        items, wrong = plugins_of(kind, root, file)
        problems += wrong
        if kind in root and not wrong:
            tail = root[kind].tail if isinstance(root[kind], Plugins | Block) else []
            root[kind] = Plugins([_by_name(named) for named in items], tail)
    if problems:
        raise ConfigError(problems)
    return root


def print_document(root: Block, format: str, file: str = "") -> str:  # noqa: A002
    """The text of a job that `read_document` gave. Raises ConfigError for what JSON and SQL cannot say."""
    if format == "hocon":
        return print_hocon(root)
    return print_json(root, file) if format == "json" else print_sql(root, file)


def encrypt_document(root: Block, file: str = "") -> None:
    """Encrypt the secrets in place. Those that are only references stay: they come from outside.

    Raises ConfigError when env names no cipher, or for a secret that is part text, part reference.
    """
    shade = _shade(root, file)
    problems: list[Problem] = []
    for place, named in _sources_and_sinks(root):
        for key in shade.keys:
            value = named.block.get(key)
            if isinstance(value, Concat):
                line = named.block.lines.get(key, 0)
                cure = "encrypt it as a whole and give it in a variable"
                problems.append(Problem(f"{place}.{key}", "is part text, part reference", cure, file, line))
            elif not is_reference(value) and not isinstance(value, Substitution) and value is not None:
                named.block.update(shade.encrypt({key: value}))
    if problems:
        raise ConfigError(problems)


def decrypt_document(root: Block, file: str = "") -> None:
    """Decrypt the secrets in place. Raises ConfigError naming every one that cannot be decrypted."""
    shade = _shade(root, file)
    problems: list[Problem] = []
    for place, named in _sources_and_sinks(root):
        values = named.block.items()
        plain = {k: v for k, v in values if not is_reference(v) and not isinstance(v, Substitution | Concat)}
        wrong: list[Problem] = []
        named.block.update(shade.decrypt(plain, wrong))
        problems += [
            Problem(f"{place}.{p.place}", p.message, p.cure, file, named.block.lines.get(p.place, 0)) for p in wrong
        ]
    if problems:
        raise ConfigError(problems)


def _by_name(named: Named) -> Named:
    """The plugin under the name that `plugin_name` gives it, where that is not a variable."""
    name = named.block.get("plugin_name")
    if not isinstance(name, str) or not name or "${" in name:
        return named
    del named.block["plugin_name"]
    return Named(str(name), named.block, named.line, named.table, named.comments)


def _sources_and_sinks(root: Block) -> list[tuple[str, Named]]:
    return [
        (f"{kind}[{index}].{named.name}", named)
        for kind in ("source", "sink")
        if kind in root
        for index, named in enumerate(root[kind].items)
    ]


def _shade(root: Block, file: str) -> Shade:
    env = root.get("env")
    shade = (
        Shade.of(Resolver(root, {}, file, environment=os.environ).plain(env, "env")) if isinstance(env, Block) else None
    )
    if shade is None:
        cure = f"write one of {', '.join(cipher_names())}: env {{ shade.identifier = aes }}"
        line = root.lines.get("env", 0)
        raise ConfigError([Problem("env.shade.identifier", "names no cipher", cure, file, line)])
    return shade
