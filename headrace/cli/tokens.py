"""`headrace token`: tokens of a home."""

import sys
import time
from pathlib import Path

from headrace.api.tokens import Role, Tokens
from headrace.cli.exits import exit_code
from headrace.cli.output import print_error
from headrace.errors import ConfigError, HeadraceError, Problem
from headrace.settings import load_settings


def manage_tokens(name: str | None, role: str, days: float, *, show: bool, revoke: bool, home: Path | None) -> int:
    """Make, list or revoke; the exit code."""
    try:
        tokens = Tokens(load_settings({"home": home}).home)
        if show:
            _print(tokens)
        elif not name:
            raise ConfigError([Problem("NAME", "the token needs a name", "headrace token NAME, or --list")])
        elif revoke:
            tokens.revoke(name)
            print(f"the token {name} holds no longer", file=sys.stderr)
        else:
            print(tokens.add(name, _role(role), days))
            print("keep it: it is not shown again", file=sys.stderr)
    except HeadraceError as error:
        print_error(error)
        return exit_code(error)
    return 0


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise ConfigError([Problem("--role", f"there is no role {text!r}", "viewer or operator")]) from None


def _print(tokens: Tokens) -> None:
    now = time.time()
    for token in tokens.all():
        end = time.strftime("%Y-%m-%d %H:%M", time.localtime(token.expires))
        print(f"{token.name}  {token.role}  {'ended' if token.is_over(now) else 'until'} {end}")
