"""What a shell completes: names of plugins and ids of jobs; and the script that a shell loads."""

import contextlib
import os

VARIABLE = "_HEADRACE_COMPLETE"
"""Set by a shell that asks what could come next."""

SHELLS = ("bash", "zsh", "fish")

_INSTALL = {
    "bash": "headrace completion bash > ~/.local/share/bash-completion/completions/headrace",
    "zsh": 'headrace completion zsh > "${fpath[1]}/_headrace"',
    "fish": "headrace completion fish > ~/.config/fish/completions/headrace.fish",
}


def print_script(shell: str) -> int:
    """Print what the shell loads; the exit code."""
    import sys

    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        print(f"error: there is no completion for {shell!r}\n  possible: {', '.join(SHELLS)}", file=sys.stderr)
        return 2
    print(get_completion_script(prog_name="headrace", complete_var=VARIABLE, shell=shell))
    print(f"# {_INSTALL[shell]}")
    return 0


def plugin_names(incomplete: str) -> list[str]:
    """The plugins whose name begins so, in any case."""
    from headrace.connector import sinks, sources, transforms

    names = sorted({*sources.names(), *transforms.names(), *sinks.names()}, key=str.lower)
    return [name for name in names if name.lower().startswith(incomplete.lower())]


def job_ids(incomplete: str) -> list[tuple[str, str]]:
    """The jobs of the server that HEADRACE_SERVER names, or of the usual one, with their names."""
    from headrace.client import Client

    with contextlib.suppress(Exception):  # a shell that completes shows no errors
        client = Client(os.environ.get("HEADRACE_SERVER", "http://localhost:5801"), timeout=2.0)
        found = [(str(job.id), f"{job.name} {job.status}") for job in [*client.jobs(), *client.finished()]]
        return [job for job in found if job[0].startswith(incomplete)]
    return []
