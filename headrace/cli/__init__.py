"""The `headrace` command. Every command imports what it needs when it runs, so that help comes at once."""

from headrace.cli.app import main

__all__ = ["main"]
