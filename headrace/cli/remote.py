"""Commands that talk to a server."""

import codecs
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from headrace.cli.exits import exit_code
from headrace.cli.output import amount, print_error, print_warnings
from headrace.cli.variables import parse_variables
from headrace.client import Client, Job
from headrace.errors import ConfigError, HeadraceError, JobNotFound, Problem, Unavailable

POLL_SECONDS = 0.5

PATIENCE_SECONDS = 60.0
"""How long a server may be away before a command that waits for a job gives up; the job may go on without it."""


def submit_job(
    server: str | None,
    file: Path,
    variables: Sequence[str],
    job_id: int | None,
    name: str | None,
    *,
    restore: bool,
    wait: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """Submit a job file; the exit code."""

    def act(client: Client) -> int:
        text, form = job_text(file, variables)
        number = client.submit(
            text,
            job_id=job_id,
            name=name,
            savepoint=restore,
            format=form,
            strict=strict,
            patience=PATIENCE_SECONDS if wait else 0,
        )
        if not wait:
            print(json.dumps({"jobId": number}) if as_json else number)
            if not as_json:
                with suppress(HeadraceError):  # the job is taken, whatever can be told of it
                    _print_job_warnings(client.job(number))
            return 0
        return _follow(client, number, as_json=as_json)

    return talk(server, act)


def list_jobs(server: str | None, *, everything: bool, as_json: bool) -> int:
    """Print a table of jobs; the exit code."""

    def act(client: Client) -> int:
        found = client.jobs() + (client.finished() if everything else [])
        if as_json:
            print(json.dumps([dict(job.raw) for job in found]))
            return 0
        if not found:
            print("no jobs" if everything else "no running jobs; --all shows those that have ended")
            return 0
        rows = [("ID", "NAME", "STATUS", "READ", "WRITTEN", "CREATED", "FINISHED")]
        rows += [
            (str(j.id), j.name, j.status, amount(j.rows_read), amount(j.rows_written), j.created, j.finished or "")
            for j in found
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return 0

    return talk(server, act)


def show_job(server: str | None, job_id: int, *, watch: bool, as_json: bool) -> int:
    """Print a job; the exit code, 0 when it has not failed."""

    def act(client: Client) -> int:
        if watch:
            return _follow(client, job_id, as_json=as_json)
        job = client.job(job_id)
        if as_json:
            print(json.dumps(dict(job.raw)))
        else:
            _print_job(job)
        return 1 if job.status == "FAILED" else 0

    return talk(server, act)


def stop_job(server: str | None, job_id: int, *, savepoint: bool) -> int:
    """Stop a job and wait for its end; the exit code, 0 when it ended as asked."""

    def act(client: Client) -> int:
        ended = client.job(job_id)
        if ended.is_ended:
            print(f"job {job_id} has already ended {ended.status}")
            return 0 if not savepoint or ended.status == "SAVEPOINT_DONE" else 1
        client.stop(job_id, savepoint=savepoint)
        doing = False
        while True:
            job = client.job(job_id)
            if job.is_ended:
                print(f"job {job_id} ended {job.status}")
                return 0 if job.status == ("SAVEPOINT_DONE" if savepoint else "CANCELED") else 1
            if savepoint and doing and job.status == "RUNNING":
                print(
                    f"the savepoint of job {job_id} failed and it goes on: {_reason(client, job_id)}", file=sys.stderr
                )
                return 1
            doing = doing or job.status == "DOING_SAVEPOINT"
            time.sleep(POLL_SECONDS / 5)

    return talk(server, act)


def print_log(server: str | None, job_id: int, *, follow: bool) -> int:
    """Print a job's log; the exit code."""

    def act(client: Client) -> int:
        printed = _Log(client, job_id)
        while True:
            ended = client.job(job_id).is_ended
            try:
                printed.go_on()
            except JobNotFound:
                if ended or not follow:
                    raise  # a job that waits for its start has no log yet
            if ended or not follow:
                return 0
            time.sleep(POLL_SECONDS)

    return talk(server, act)


class _Log:
    """A job's log as far as it is printed."""

    def __init__(self, client: Client, job_id: int) -> None:
        self._client, self._job_id = client, job_id
        self._after, self._whole = "", b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def go_on(self) -> None:
        """Print what came since."""
        while (part := self._client.log_part(self._job_id, self._after)).content:
            if part.cut:
                print("warning: what the log says before this was rotated away", file=sys.stderr)
            content = part.content
            if not part.position:  # a SeaTunnel tells all of the file each time
                content = content[len(self._whole) :] if content.startswith(self._whole) else content
                self._whole = part.content
            print(self._decoder.decode(content), end="", flush=True)
            self._after = part.position
            if not part.position:
                return


def drain_node(server: str | None, node: str, *, undo: bool, wait: bool) -> int:
    """Have a node give its jobs to others, and wait until it has none; the exit code."""

    def act(client: Client) -> int:
        left = client.drain(node, undo=undo)
        if undo:
            print(f"{node} takes jobs again")
            return 0
        told: list[int] = []
        while left and wait:
            if left != told:
                print(f"{node} still has {len(left)} jobs: {', '.join(map(str, left))}", file=sys.stderr)
                told = left
            time.sleep(POLL_SECONDS)
            left = client.drain(node)
        print(f"{node} is drained" if not left else f"{node} gives away {len(left)} jobs")
        return 0

    return talk(server, act)


def talk(server: str | None, act: Callable[[Client], int]) -> int:
    """Do something with a server; the exit code."""
    url = server or os.environ.get("HEADRACE_SERVER") or "http://localhost:5801"
    try:
        with Client(
            url,
            user=os.environ.get("HEADRACE_USER"),
            password=os.environ.get("HEADRACE_PASSWORD"),
            token=os.environ.get("HEADRACE_TOKEN"),
        ) as client:
            return act(client)
    except HeadraceError as error:
        print_error(error)
        return exit_code(error)


def job_text(file: Path, variables: Sequence[str]) -> tuple[str, str]:
    """The text to send: a file as it is, or as JSON with variables and includes filled in; secrets stay encrypted."""
    from headrace.config.job import load_job
    from headrace.plan.unset import unset_variables

    filled = load_job(file, parse_variables(variables), decrypt=False)
    if problems := unset_variables(filled):
        raise ConfigError(problems)
    print_warnings(warning for warning in filled.warnings if warning.place.startswith("-i "))
    if not variables and not re.search(r"\$\{|\binclude\b", filled.text):
        return filled.text, filled.format
    blocks = {"source": filled.sources, "transform": filled.transforms, "sink": filled.sinks}
    job = {
        "env": dict(filled.env_raw),
        **{
            kind: [
                {
                    "plugin_name": plugin.name,
                    **plugin.options,
                    **({"plugin_input": list(plugin.inputs)} if plugin.inputs else {}),
                    **({"plugin_output": plugin.output} if plugin.output else {}),
                    **({"parallelism": plugin.parallelism} if plugin.parallelism else {}),
                }
                for plugin in plugins
            ]
            for kind, plugins in blocks.items()
        },
    }
    try:
        return json.dumps(job), "json"
    except TypeError as error:
        raise ConfigError([Problem("", f"the job cannot be sent: {error}", "", str(file))]) from error


def _follow(client: Client, job_id: int, *, as_json: bool) -> int:
    """Show a job's progress until it has ended; 0 when it FINISHED or was saved."""
    terminal = sys.stderr.isatty()
    before: tuple[int, float] | None = None
    said = ""
    while True:
        job = _patiently(lambda: client.job(job_id), job_id)
        if job.is_ended:
            break
        now = time.monotonic()
        rate = f"  {amount((job.rows_read - before[0]) / (now - before[1]))} rows/s" if before else ""
        waits = f"  {job.raw['slowSide']}" if job.raw.get("slowSide") else ""
        line = f"{job.status}  {amount(job.rows_read)} rows read, {amount(job.rows_written)} written{rate}{waits}"
        if terminal and not as_json:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif job.status != said and not as_json:
            print(line, file=sys.stderr, flush=True)
        before, said = (job.rows_read, now), job.status
        time.sleep(POLL_SECONDS)
    if terminal and not as_json:
        print("\r\x1b[K", end="", file=sys.stderr)
    if as_json:
        print(json.dumps(dict(job.raw)))
    else:
        _print_job(job)
    return 0 if job.status in ("FINISHED", "SAVEPOINT_DONE") else 1


def _patiently(ask: Callable[[], Job], job_id: int) -> Job:
    """The answer; asked again while the server is away, as when it is started anew. Raises Unavailable in the end."""
    since = time.monotonic()
    told = False
    while True:
        try:
            return ask()
        except Unavailable as error:
            if time.monotonic() - since > PATIENCE_SECONDS:
                raise Unavailable(
                    f"{error}; waited {PATIENCE_SECONDS:.0f} s for it. Job {job_id} may go on: `headrace job {job_id}`"
                ) from error
            if not told:
                print(f"\r{error}; waiting for it, the job may go on", file=sys.stderr, flush=True)
                told = True
            time.sleep(2 * POLL_SECONDS)


def _print_job(job: Job) -> None:
    print(f"Job {job.id} {job.name}: {job.status}")
    print(f"  created {job.created}" + (f", ended {job.finished}" if job.finished else ""))
    print(f"  {job.rows_read:,} rows read, {job.rows_written:,} written")
    for kind, word in (("TableSourceReceivedCount", "read"), ("TableSinkWriteCount", "written")):
        for table, count in (job.raw.get("metrics") or {}).get(kind, {}).items():
            print(f"  {table}: {int(count):,} rows {word}")
    if job.raw.get("slowSide"):
        print(f"  {job.raw['slowSide']}")
    if job.raw.get("deliveryReport"):
        print(f"  {job.raw['deliveryReport']['summary']}")
    if job.error:
        print(f"  error: {job.error}")
    _print_job_warnings(job)


def _print_job_warnings(job: Job) -> None:
    for warning in job.raw.get("warnings") or ():
        print(f"warning: {warning}", file=sys.stderr)


def _reason(client: Client, job_id: int) -> str:
    lines = [line for line in client.log(job_id).splitlines() if "the savepoint failed" in line]
    return lines[-1].rpartition("goes on: ")[2] if lines else "see its log"
