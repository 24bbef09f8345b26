"""`headrace server`: the REST API and the jobs behind it."""

from collections.abc import Mapping
from typing import Any

from headrace.cli.exits import exit_code
from headrace.cli.output import print_error, tell
from headrace.errors import HeadraceError
from headrace.server_settings import load_server_settings


def serve_until_stopped(overrides: Mapping[str, Any]) -> int:
    """Serve; the exit code."""
    try:
        settings, warnings = load_server_settings(overrides)
        from headrace.api.server import serve

        serve(settings, warnings, on_ready=tell)
    except HeadraceError as error:
        print_error(error)
        return exit_code(error)
    return 0
