"""seatunnel.sh: one action a call, as SeaTunnel's client takes them."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from headrace.cli.exits import FAILED, FINISHED, REJECTED, WRONG
from headrace.cli.output import print_error, statistics, tell
from headrace.cli.seatunnel import USAGE_EXIT
from headrace.cli.seatunnel.arguments import Arguments, UsageError, parse_arguments, usage
from headrace.cli.seatunnel.members import Cluster, adopt_installation, progress_interval
from headrace.cli.seatunnel.texts import job_state, jobs_table, metrics, pretty, progress_box, unknown_job
from headrace.client import Client, Job
from headrace.errors import ConfigError, HeadraceError, JobFailed, JobNotFound, Problem, Unavailable

POLL_SECONDS = 0.2
CANCEL_SECONDS = 15.0
"""How long a closed client waits for the end of the job it cancels."""

PATIENCE_SECONDS = 60.0
"""How long no server may be reachable before a waiting client gives up; the job may go on without it."""

_BANNER = "=" * 79
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OLD_NAME = "-e and --deploy-mode deprecated in 2.3.1, please use -m and --master instead of it"


def main(given: Sequence[str]) -> int:
    """The exit code: 0, 1 when the action or its job failed, 234 for help and unreadable arguments, 128 + a signal."""
    try:
        arguments = parse_arguments(given)
    except UsageError as error:
        print(error, file=sys.stderr)
        print(usage())
        return USAGE_EXIT
    if arguments.help or not given:
        print(usage())
        return USAGE_EXIT
    if arguments.old_master_name:
        print("\n".join(["*" * 90, _OLD_NAME, "*" * 90]), file=sys.stderr)
    ignored = [text for text in arguments.ignored if "JvmOption" not in text]
    if ignored:
        print(f"warning: ignored: {' '.join(ignored)}", file=sys.stderr)
    adopt_installation(os.environ)
    try:
        return _act(arguments)
    except HeadraceError as error:
        _print_banner("Config Error" if isinstance(error, ConfigError) else "Fatal Error")
        print_error(error)
        return 1


def _act(arguments: Arguments) -> int:
    """The first action of SeaTunnel's order that was asked for."""
    if arguments.check:
        return _check(arguments)
    if arguments.encrypt or arguments.decrypt:
        from headrace.cli.rewrite import decrypt_job, encrypt_job

        return (encrypt_job if arguments.encrypt else decrypt_job)(_job_file(arguments), write=False)
    asks = (arguments.job_id, arguments.cancel, arguments.metrics, arguments.savepoint)
    if arguments.list_jobs or arguments.running_metrics or any(ask is not None for ask in asks):
        with Cluster(os.environ).client() as client:
            return _ask(client, arguments)
    return _run_here(arguments) if arguments.master == "local" else _run_there(arguments)


def _ask(client: Client, arguments: Arguments) -> int:
    if arguments.list_jobs:
        print(jobs_table([*client.jobs(), *client.finished()]))
    elif arguments.running_metrics:
        member = _member(client)
        print(pretty({str(job.id): {"metrics": metrics(job, member)} for job in client.jobs()}))
    elif arguments.job_id is not None:
        number = _id(arguments.job_id, "-j")
        try:
            print(job_state(client.job(number)))
        except JobNotFound:
            print(unknown_job(number))
    elif arguments.cancel is not None:
        for number in [_id(text, "-can") for text in arguments.cancel]:
            client.stop(number)
    elif arguments.metrics is not None:
        print(pretty(metrics(client.job(_id(arguments.metrics, "--metrics")), _member(client))))
    else:
        _save(client, _id(arguments.savepoint or "", "-s"))
    return 0


def _member(client: Client) -> dict[str, str]:
    """The server itself among its cluster's nodes; nothing when it does not tell."""
    with suppress(HeadraceError):
        return next((member for member in client.members() if member.get("localMember")), {})
    return {}


def _save(client: Client, job_id: int) -> None:
    """Stop with a savepoint and wait for it. Raises JobFailed when the savepoint failed and the job goes on."""
    if client.job(job_id).is_ended:
        raise JobFailed(f"the job with id {job_id} is not running, the savepoint failed")
    client.stop(job_id, savepoint=True)
    saving = False
    while not (job := client.job(job_id)).is_ended:
        if saving and job.status == "RUNNING":
            raise JobFailed(f"the savepoint of job {job_id} failed and it goes on; its log says why")
        saving = saving or job.status == "DOING_SAVEPOINT"
        time.sleep(POLL_SECONDS)
    if job.status not in ("SAVEPOINT_DONE", "FINISHED"):
        raise JobFailed(f"job {job_id} ended {job.status}, the savepoint failed" + _because(job))


def _check(arguments: Arguments) -> int:
    from headrace.cli.variables import parse_variables
    from headrace.config.job import load_job
    from headrace.plan.plan import make_plan

    make_plan(load_job(_job_file(arguments), parse_variables(arguments.variables)))
    print(f"{arguments.config} is valid")
    return 0


# -------------------------------------------------------------------------------------------------------------- running


def _run_here(arguments: Arguments) -> int:
    from headrace.cli.run import run_job

    if arguments.run_async:
        print("warning: the job runs in this process (-m local): --async is ignored", file=sys.stderr)
    job_id, restore = _new_id(arguments)
    code = run_job(
        _job_file(arguments),
        arguments.variables,
        {},
        job_id,
        arguments.name,
        restore=restore,
        strict=False,
        quiet=False,
        as_json=False,
        on_start=_print_submitted,
    )
    return {WRONG: FAILED, REJECTED: FINISHED}.get(code, code)


def _run_there(arguments: Arguments) -> int:
    from headrace.cli.remote import job_text

    text, form = job_text(_job_file(arguments), arguments.variables)
    job_id, restore = _new_id(arguments)
    cluster = Cluster(os.environ)
    with cluster.client() as client:
        patience = 0 if arguments.run_async else PATIENCE_SECONDS
        number = client.submit(
            text, job_id=job_id, name=arguments.name, savepoint=restore, format=form, patience=patience
        )
        name = arguments.name or "SeaTunnel"
        with suppress(Unavailable):  # the job is taken: what happens to the server now is a matter of waiting
            name = client.job(number).name
    _print_submitted(number, name)
    return 0 if arguments.run_async else _wait(cluster, number, close_job=arguments.close_job)


def _print_submitted(job_id: int, name: str) -> None:
    """The line in which schedulers look for the id, to cancel the job by it."""
    print(f"Submit job finished, job id: {job_id}, job name: {name}", flush=True)


def _wait(cluster: Cluster, job_id: int, *, close_job: bool) -> int:
    """Wait for a job's end; the exit code. A client that is ended before cancels the job, unless told otherwise."""
    started = time.time()
    try:
        _end_on_signals()
        job = _follow(cluster, job_id)
    except _ClosedError as closed:
        if close_job:
            tell("Task will be closed due to client shutdown.")
            _cancel(cluster, job_id)
        return 128 + closed.number
    print(f"Job ({job_id}) end with state {job.status}")
    if job.status == "FAILED" or job.error:
        _print_banner("Fatal Error")
        print(f"Reason: job {job_id} ended {job.status}{_because(job)}", file=sys.stderr)
        return 1
    print(statistics(started, time.time(), job.rows_read, job.rows_written, job.rows_rejected, job.rows_filtered))
    return 0


def _follow(cluster: Cluster, job_id: int) -> Job:
    """The job when it has ended; boxes with its progress until then. Raises Unavailable when no server answers."""
    interval = progress_interval(os.environ)
    shown = (0, 0, time.time())
    reached = time.monotonic()
    while True:
        try:
            with cluster.client() as client:
                while True:
                    job = client.job(job_id)
                    reached = time.monotonic()
                    if job.is_ended:
                        return job
                    if time.time() - shown[2] >= interval:
                        now = time.time()
                        print(progress_box(job, shown, now), flush=True)
                        shown = (job.rows_read, job.rows_written, now)
                    time.sleep(POLL_SECONDS)
        except Unavailable:
            if time.monotonic() - reached > PATIENCE_SECONDS:
                raise
            time.sleep(1)


def _cancel(cluster: Cluster, job_id: int) -> None:
    deadline = time.monotonic() + CANCEL_SECONDS
    try:
        with cluster.client() as client:
            client.stop(job_id)
            while not client.job(job_id).is_ended and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
    except HeadraceError as error:
        tell(f"Cancel job failed: {error}")


class _ClosedError(Exception):
    """This command was told to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _end_on_signals() -> None:
    """Ctrl-C, SIGTERM and a closed terminal raise _ClosedError; a second one ends the process at once.

    nohup, which ignores the end of the terminal, keeps the job.
    """
    heard = [number for number in _SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]

    def close(number: int, frame: object) -> None:
        for either in heard:
            signal.signal(either, signal.SIG_DFL)
        raise _ClosedError(number)

    for number in heard:
        signal.signal(number, close)


# -------------------------------------------------------------------------------------------------- what arguments mean


def _job_file(arguments: Arguments) -> Path:
    if arguments.config is None:
        raise ConfigError([Problem("-c", "there is no job file", "give it with -c FILE; -h shows all options")])
    return Path(arguments.config)


def _new_id(arguments: Arguments) -> tuple[int | None, bool]:
    """The id of the job to run, and whether it goes on from saved state; -r wins over --set-job-id."""
    if arguments.restore is not None:
        return _id(arguments.restore, "-r"), True
    return (None if arguments.set_job_id is None else _id(arguments.set_job_id, "--set-job-id")), False


def _id(text: str, option: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()) or not 0 < int(digits) < 2**63:
        raise ConfigError([Problem(option, f"{text!r} is not an id of a job", "ids are numbers; -l shows them")])
    return int(digits)


def _because(job: Job) -> str:
    return f": {job.error}" if job.error else ""


def _print_banner(title: str) -> None:
    print(f"{_BANNER}\n\n{title}, \n", file=sys.stderr)
