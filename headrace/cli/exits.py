"""The exit codes of all commands, as docs/cli.md lists them. seatunnel.sh has SeaTunnel's instead."""

from headrace.errors import ConfigError

FINISHED = 0
FAILED = 1

WRONG = 2
"""The command, a setting or the job file is wrong; nothing was started."""

REJECTED = 3
"""The job FINISHED, and all its rows were rejected, or some where --fail-on-rejects is given."""

INTERRUPTED = 130
"""128 + SIGINT, as shells expect it."""

BROKEN_PIPE = 141
"""128 + SIGPIPE: who read what the command prints has gone, as `| head -1` does."""


def exit_code(error: BaseException) -> int:
    """Of a command that an error ended."""
    return WRONG if isinstance(error, ConfigError) else FAILED
