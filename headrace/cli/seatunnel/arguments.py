"""The arguments of seatunnel.sh: a list of texts in, Arguments out, read as SeaTunnel's JCommander reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class UsageError(Exception):
    """The arguments cannot be read; the text is JCommander's sentence."""


@dataclass
class Arguments:
    """What was asked for. Ids are texts as given. ignored: what no option of ours took, such as JVM options."""

    config: str | None = None
    name: str | None = None
    variables: list[str] = field(default_factory=list)
    master: str = "cluster"
    run_async: bool = False
    close_job: bool = True
    cluster: str | None = None
    savepoint: str | None = None
    restore: str | None = None
    set_job_id: str | None = None
    cancel: list[str] | None = None
    job_id: str | None = None
    metrics: str | None = None
    running_metrics: bool = False
    list_jobs: bool = False
    check: bool = False
    encrypt: bool = False
    decrypt: bool = False
    help: bool = False
    old_master_name: bool = False
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Option:
    """names: all spellings. target: the field of Arguments. takes: `value`, `list`, `rest` or `nothing`."""

    names: tuple[str, ...]
    target: str
    takes: str
    meaning: str


_OPTIONS = (
    _Option(("-c", "--config"), "config", "value", "the job file"),
    _Option(("-n", "--name"), "name", "value", "the job's name (default: env job.name, else SeaTunnel)"),
    _Option(("-i", "--variable"), "variables", "list", "name=value for ${name} in the job file; repeatable"),
    _Option(("-m", "--master", "-e", "--deploy-mode"), "master", "value", "local or cluster (default: cluster)"),
    _Option(("--async",), "run_async", "nothing", "submit, print the job's id, and exit"),
    _Option(
        ("-cj", "--close-job", "--close"),
        "close_job",
        "nothing",
        "false, or nothing, behind it: the job goes on when this command is ended (default: it is canceled)",
    ),
    _Option(("-cn", "--cluster"), "cluster", "value", "the cluster's name; servers are found by their address"),
    _Option(("-s", "--savepoint", "--savepoint-job"), "savepoint", "value", "stop the job ID with a savepoint"),
    _Option(("-r", "--restore", "--restore-job"), "restore", "value", "go on from the saved state of the job ID"),
    _Option(("--set-job-id",), "set_job_id", "value", "the id of the new job"),
    _Option(("-can", "--cancel-job", "--cancel"), "cancel", "rest", "cancel the jobs ID..."),
    _Option(("-j", "--job-id"), "job_id", "value", "print the state of the job ID as JSON"),
    _Option(("--metrics",), "metrics", "value", "print the metrics of the job ID as JSON"),
    _Option(("--get_running_job_metrics",), "running_metrics", "nothing", "print the metrics of all running jobs"),
    _Option(("-l", "--list"), "list_jobs", "nothing", "print a table of all jobs"),
    _Option(("--check",), "check", "nothing", "validate the job file; run nothing"),
    _Option(("--encrypt",), "encrypt", "nothing", "print the job file with its secrets encrypted"),
    _Option(("--decrypt",), "decrypt", "nothing", "print the job file with its secrets in plain text"),
    _Option(("-h", "--help"), "help", "nothing", "show this text"),
)
_BY_NAME = {name: option for option in _OPTIONS for name in option.names}


def parse_arguments(given: Sequence[str]) -> Arguments:
    """The arguments. Raises UsageError for a missing value, a repeated option, an unknown one beside -can."""
    found = Arguments()
    seen: set[str] = set()
    rest = list(given)
    while rest:
        name, value = _split(rest.pop(0))
        option = _BY_NAME.get(name)
        if option is None:
            found.ignored.append(name)
        elif option.takes == "nothing":
            _switch(found, option, rest, value)
        elif option.takes == "rest":
            found.cancel = (found.cancel or []) + ([value] if value is not None else []) + _until_option(rest)
        else:
            taken = _value(name, value, rest)
            if option.takes == "list":
                found.variables.append(taken)
            elif option.target in seen:
                raise UsageError(f"Can only specify option {name} once.")
            else:
                setattr(found, option.target, taken)
            seen.add(option.target)
            found.old_master_name |= name in ("-e", "--deploy-mode")
    return found if found.help else _checked(found)


def usage() -> str:
    """What -h prints."""
    lines = ["Usage: seatunnel.sh [options]", "  Options:"]
    for option in _OPTIONS:
        value = {"value": " VALUE", "list": " NAME=VALUE", "rest": " ID...", "nothing": ""}[option.takes]
        lines += [f"    {', '.join(option.names)}{value}", f"      {option.meaning}"]
    return "\n".join(lines)


def _split(text: str) -> tuple[str, str | None]:
    """`--name=value` in two; JCommander would take all of it for an unknown option and do something else."""
    name, equals, value = text.partition("=")
    return (name, value) if equals and name.startswith("--") and name in _BY_NAME else (text, None)


def _value(name: str, value: str | None, rest: list[str]) -> str:
    if value is not None:
        return value
    if not rest or rest[0] in _BY_NAME:
        raise UsageError(f"Expected a value after parameter {name}")
    return rest.pop(0)


def _switch(found: Arguments, option: _Option, rest: list[str], value: str | None) -> None:
    """A switch turns its default round, so that -cj alone says false; true or false behind it is what was meant."""
    default: Any = getattr(Arguments(), option.target)
    if option.target == "close_job" and value is None and rest and rest[0].lower() in ("true", "false"):
        value = rest.pop(0)
    setattr(found, option.target, not default if value is None else value.lower() == "true")


def _until_option(rest: list[str]) -> list[str]:
    taken = []
    while rest and not rest[0].startswith("-"):
        taken.append(rest.pop(0))
    return taken


def _checked(found: Arguments) -> Arguments:
    found.master = found.master.lower()
    if found.master not in ("local", "cluster"):
        raise UsageError(f"-m {found.master}: a job is submitted to one of these only: [local, cluster]")
    if found.cancel is not None and not found.cancel:
        raise UsageError("Expected a value after parameter -can")
    if found.cancel is not None and found.ignored:
        raise UsageError(f"Was passed main parameter '{found.ignored[0]}' but no main parameter was defined")
    return found
