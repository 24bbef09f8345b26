"""The commands and their options; what they do is in the other modules of this package."""

import gc
import io
import os
import sys
from copy import copy as copy_object
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from headrace.cli.starting import uncollected

app = typer.Typer(
    name="headrace",
    help="Runs Apache SeaTunnel's job files on Arrow, without a JVM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:
    if asked:
        from headrace import __version__

        typer.echo(f"headrace {__version__}")
        raise typer.Exit


@app.callback()
def all_commands(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Runs Apache SeaTunnel's job files on Arrow, without a JVM."""


JobFile = Annotated[Path, typer.Argument(help="A job file: HOCON, or JSON or SQL by its suffix.", metavar="JOB")]
Variables = Annotated[
    list[str] | None, typer.Option("-i", "--variable", help="name=value for ${name} in the job file; repeatable.")
]
Home = Annotated[Path | None, typer.Option("--home", help="Where checkpoints and logs are kept.")]
Server = Annotated[
    str | None, typer.Option("--server", help="The server's address; HEADRACE_SERVER, else http://localhost:5801.")
]


def _plugins(incomplete: str) -> Any:
    from headrace.cli.completion import plugin_names

    return plugin_names(incomplete)


def _jobs(incomplete: str) -> Any:
    from headrace.cli.completion import job_ids

    return job_ids(incomplete)


JobId = Annotated[int, typer.Argument(help="The job's id.", metavar="ID", min=1, autocompletion=_jobs)]
Write = Annotated[bool, typer.Option("--write", help="Write the file instead of printing it.")]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory limit for all processes together, such as 512M, 2G or 30%; default: half of what is available.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option("--ray-address", metavar="HOST:PORT", help="A Ray that runs; left out: one is started meanwhile."),
]
LogFormat = Annotated[
    str | None, typer.Option("--log-format", help="text, or json: one JSON object a line, on stderr and in files.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Unknown options are errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Write nothing: say what would be written, and what would not fit and why.")
]


@app.command()
def run(
    job: JobFile,
    variable: Variables = None,
    job_id: Annotated[
        int | None, typer.Option("--job-id", min=1, help="The job's id; made anew when left out.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The job's name instead of env job.name.")] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Go on from the saved state of --job-id, or of this file's last run.")
    ] = False,
    config: Annotated[Path | None, typer.Option("--config", help="Directory of seatunnel.yaml.")] = None,
    home: Home = None,
    runner: Annotated[
        str | None,
        typer.Option("--runner", help="embedded (threads), processes (a worker per core) or ray (a Ray cluster)."),
    ] = None,
    ray_address: RayAddress = None,
    memory: Memory = None,
    log_format: LogFormat = None,
    strict: Strict = False,
    fail_on_rejects: Annotated[
        bool, typer.Option("--fail-on-rejects", help="Exit code 3 when a row was rejected, not only when all were.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what sinks print, and errors.")] = False,
    json: Json = False,
) -> None:
    """Run a job to its end.

    Exit code 0: it FINISHED. 1: it FAILED. 2: the command or the job file is wrong. 3: it FINISHED, and all rows were
    rejected. 130: it was canceled.
    """
    with uncollected():
        from headrace.cli.run import run_job

    where = {"home": home, "config": config}
    how = {"runner": runner, "ray_address": ray_address, "memory": memory}
    overrides = {**where, **how, "log_format": log_format}
    raise typer.Exit(
        run_job(
            job,
            variable or [],
            overrides,
            job_id,
            name,
            restore=restore,
            strict=strict,
            quiet=quiet,
            as_json=json,
            fail_on_rejects=fail_on_rejects,
        )
    )


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="Files, a pattern such as 'data/*.csv', or a database's address.")],
    target: Annotated[str, typer.Argument(help="A file, a directory/, or a database's address.")],
    table: Annotated[str, typer.Option("--table", help="The table, where the address names none.")] = "",
    columns: Annotated[str, typer.Option("--columns", help="Only these columns: a,b.")] = "",
    where: Annotated[str, typer.Option("--where", help="Only rows that fulfil this condition.")] = "",
    sql: Annotated[str, typer.Option("--sql", help="What this SELECT gives instead of a table.")] = "",
    mode: Annotated[
        str, typer.Option("--mode", help="append, replace or upsert; left out: a target that has rows is refused.")
    ] = "",
    key: Annotated[str, typer.Option("--key", help="The columns to upsert by.")] = "",
    from_format: Annotated[str, typer.Option("--from", help="The format of the files that are read.")] = "",
    to_format: Annotated[str, typer.Option("--to", help="The format of the files that are written.")] = "",
    parallelism: Annotated[int, typer.Option("--parallelism", min=1, help="Tasks that run at once.")] = 1,
    ask_password: Annotated[bool, typer.Option("--ask-password", help="Ask for passwords.")] = False,
    only_print: Annotated[bool, typer.Option("--print", help="Print the job file instead of running it.")] = False,
    memory: Memory = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    json: Json = False,
) -> None:
    """Copy files or tables: headrace copy orders.csv orders.parquet.

    Addresses: sqlite:///shop.db --table orders, postgres://ann@db/shop.public.orders; without a table: all tables.
    Passwords come from HEADRACE_SOURCE_PASSWORD and HEADRACE_TARGET_PASSWORD, from --ask-password, or from where the
    database's own programs look.
    """
    with uncollected():
        from headrace.cli.copy import Wish
        from headrace.cli.copy import copy as copy_rows

    def parts(text: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())

    wish = Wish(table, where, parts(columns), sql, mode, parts(key), from_format, to_format, parallelism)
    how = {"ask_password": ask_password, "only_print": only_print, "quiet": quiet, "as_json": json}
    raise typer.Exit(copy_rows(source, target, wish, {"memory": memory}, **how))


@app.command()
def history(
    job_id: Annotated[int | None, typer.Argument(help="A job: show all that is known of it.", metavar="ID")] = None,
    most: Annotated[int, typer.Option("-n", "--number", min=1, help="Runs to show.")] = 20,
    home: Home = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON list, with the delivery reports.")] = False,
) -> None:
    """List the runs of this machine, the newest first; those that failed, too."""
    from headrace.cli.history import show_history

    raise typer.Exit(show_history(job_id, {"home": home}, most, as_json=json))


@app.command()
def replay(
    job: JobFile,
    variable: Variables = None,
    config: Annotated[Path | None, typer.Option("--config", help="Directory of seatunnel.yaml.")] = None,
    home: Home = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what sinks print, and errors.")] = False,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Replay rejected rows, each once, from the plugin that refused it.

    The job's error sink says where they are. Exit code 0 when every row is delivered, or there was none.
    """
    from headrace.cli.replay import replay_job

    where = {"home": home, "config": config}
    raise typer.Exit(replay_job(job, variable or [], where, quiet=quiet, as_json=json, dry_run=dry_run))


bad = typer.Typer(no_args_is_help=True, help="List, show, discard and replay the rows that jobs have set aside.")
app.add_typer(bad, name="bad")

BadPlace = Annotated[str, typer.Argument(help="A job file, or the directory of its bad rows.", metavar="JOB|DIR")]
AnyBadPlace = Annotated[
    str | None,
    typer.Argument(help="A job file, or a directory of bad rows; left out: all of this home.", metavar="JOB|DIR"),
]


@bad.command("list")
def list_bad(place: AnyBadPlace = None, variable: Variables = None, home: Home = None, json: Json = False) -> None:
    """List where bad rows lie: job, step, table, the reasons with how many rows each, size and age."""
    from headrace.cli.bad import list_bad_rows

    raise typer.Exit(list_bad_rows(place, variable or [], {"home": home}, as_json=json))


@bad.command("show")
def show_bad(
    place: AnyBadPlace = None,
    variable: Variables = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows to show.")] = 20,
    table: Annotated[str, typer.Option("--table", help="Only rows of this table.")] = "",
    home: Home = None,
    json: Json = False,
) -> None:
    """Print bad rows, each with where it was refused and why."""
    from headrace.cli.bad import show_bad_rows

    raise typer.Exit(show_bad_rows(place, variable or [], {"home": home}, limit, table, as_json=json))


@bad.command("discard")
def discard_bad(
    place: BadPlace,
    variable: Variables = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: Home = None,
) -> None:
    """Remove bad rows for good, once it is told what goes and you agree."""
    from headrace.cli.bad import discard_bad_rows

    raise typer.Exit(discard_bad_rows(place, variable or [], {"home": home}, yes=yes))


bad.command("replay")(replay)


@app.command()
def check(
    job: JobFile,
    variable: Variables = None,
    connect: Annotated[bool, typer.Option("--connect", help="Also ask sources and sinks, read-only.")] = False,
    json: Json = False,
) -> None:
    """Validate a job file and show its plan as a tree. Opens nothing unless --connect is given."""
    from headrace.cli.look import check_job

    raise typer.Exit(check_job(job, variable or [], connect=connect, as_json=json))


@app.command()
def fmt(
    job: JobFile,
    to: Annotated[str | None, typer.Option("--to", help="hocon, json or sql; left out: the file's own.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the file; with another format, one beside it.")] = False,
) -> None:
    """Print a job file in one canonical layout, or convert it between HOCON, JSON and SQL.

    Variables stay as they are. Comments stay in HOCON, but for those within lists, which move above the list; JSON has
    none; SQL keeps those of env and above plugins. Included files become part of the job. JSON and SQL have no
    references to other keys: they are filled.
    """
    from headrace.cli.rewrite import format_job

    raise typer.Exit(format_job(job, to, write=write))


@app.command()
def encrypt(job: JobFile, write: Write = False) -> None:
    """Print a job file with its secrets encrypted as env shade.identifier says."""
    from headrace.cli.rewrite import encrypt_job

    raise typer.Exit(encrypt_job(job, write=write))


@app.command()
def decrypt(job: JobFile, write: Write = False) -> None:
    """Print a job file with its secrets in plain text."""
    from headrace.cli.rewrite import decrypt_job

    raise typer.Exit(decrypt_job(job, write=write))


@app.command()
def preview(
    place: Annotated[str, typer.Argument(help="A job file, files, or a database's address.", metavar="JOB|FILE|URL")],
    variable: Variables = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows of each table.")] = 20,
    table: Annotated[str, typer.Option("--table", help="The table of a database; all when left out.")] = "",
    from_format: Annotated[str, typer.Option("--from", help="The format of the files.")] = "",
    json: Json = False,
) -> None:
    """Print columns, types and the first rows of files or a database; or those that would reach a job's sinks."""
    from headrace.cli.preview import preview_place

    raise typer.Exit(preview_place(place, variable or [], rows, table, from_format, as_json=json))


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="The job file to write.", metavar="JOB")] = Path("job.conf"),
    source: Annotated[str, typer.Option("--source", help="Files or a database's address; asked for.")] = "",
    target: Annotated[str, typer.Option("--target", help="The same; asked for.")] = "",
    table: Annotated[str, typer.Option("--table", help="The table, where the address names none.")] = "",
    connector: Annotated[
        str, typer.Option("--connector", help="Write the package of a connector of this name, with its test.")
    ] = "",
) -> None:
    """Write a job file with comments, or the package of a connector of your own."""
    from headrace.cli.init import make_connector, make_job_file

    if connector:
        raise typer.Exit(make_connector(connector, Path()))
    raise typer.Exit(make_job_file(file, source, target, table))


@app.command()
def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print what a shell loads to complete commands, options, plugins and jobs; its last line says how."""
    from headrace.cli.completion import print_script

    raise typer.Exit(print_script(shell))


@app.command()
def connectors(
    name: Annotated[str | None, typer.Argument(help="A plugin: show its options.", autocompletion=_plugins)] = None,
    json_schema: Annotated[bool, typer.Option("--json-schema", help="Print the options as JSON schema.")] = False,
) -> None:
    """List all plugins, or show the options of one."""
    from headrace.cli.look import show_connectors

    raise typer.Exit(show_connectors(name, json_schema=json_schema))


@app.command()
def server(
    config: Annotated[
        Path | None, typer.Option("--config", help="Directory of hazelcast.yaml, seatunnel.yaml, headrace.yaml.")
    ] = None,
    home: Home = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port of REST v1 (5801), which must be free; 0 takes a free one.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes (one per core).")] = None,
    memory: Memory = None,
    log_format: LogFormat = None,
    v1_wire: Annotated[str | None, typer.Option("--v1-wire", help="Answer as 2.3.3 or as 2.3.13.")] = None,
    role: Annotated[
        str | None, typer.Option("--role", help="In a cluster: master (no jobs) or worker (leads when no other can).")
    ] = None,
) -> None:
    """Serve SeaTunnel's REST API and run the jobs that come. Jobs that run when it stops go on at its next start."""
    from headrace.cli.serve import serve_until_stopped

    counts = None if port is None else False  # who names a port means that one
    where = {"config": config, "home": home, "host": host, "port": port, "auto_increment": counts}
    how = {"workers": workers, "memory": memory, "v1_wire": v1_wire, "log_format": log_format, "role": role}
    overrides = {**where, **how}
    raise typer.Exit(serve_until_stopped(overrides))


@app.command()
def token(
    name: Annotated[str | None, typer.Argument(help="What the token is for.", metavar="NAME")] = None,
    role: Annotated[str, typer.Option("--role", help="viewer (look only) or operator.")] = "operator",
    days: Annotated[float, typer.Option("--days", min=0.0, help="How long it holds.")] = 30.0,
    show: Annotated[bool, typer.Option("--list", help="Print the tokens there are.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the token NAME back.")] = False,
    home: Home = None,
) -> None:
    """Make a token for a server of this home, list tokens, or take one back."""
    from headrace.cli.tokens import manage_tokens

    raise typer.Exit(manage_tokens(name, role, days, show=show, revoke=revoke, home=home))


@app.command()
def submit(
    job: JobFile,
    variable: Variables = None,
    server: Server = None,
    job_id: Annotated[int | None, typer.Option("--job-id", min=1, help="The job's id.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="The job's name instead of env job.name.")] = None,
    restore: Annotated[bool, typer.Option("--restore", help="Go on from the saved state of --job-id.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; exit code 0 when it FINISHED.")] = False,
    strict: Strict = False,
    json: Json = False,
) -> None:
    """Submit a job file to a server and print the job's id."""
    from headrace.cli.remote import submit_job

    raise typer.Exit(
        submit_job(server, job, variable or [], job_id, name, restore=restore, wait=wait, strict=strict, as_json=json)
    )


@app.command()
def jobs(
    server: Server = None,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Those that have ended, too.")] = False,
    json: Json = False,
) -> None:
    """List the jobs of a server."""
    from headrace.cli.remote import list_jobs

    raise typer.Exit(list_jobs(server, everything=everything, as_json=json))


@app.command()
def job(
    job_id: JobId,
    server: Server = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
    json: Json = False,
) -> None:
    """Show one job of a server."""
    from headrace.cli.remote import show_job

    raise typer.Exit(show_job(server, job_id, watch=watch, as_json=json))


@app.command()
def stop(
    job_id: JobId,
    server: Server = None,
    savepoint: Annotated[
        bool, typer.Option("--savepoint", help="Save its state first; submit --restore goes on.")
    ] = False,
) -> None:
    """Stop a job of a server, and wait until it has ended."""
    from headrace.cli.remote import stop_job

    raise typer.Exit(stop_job(server, job_id, savepoint=savepoint))


@app.command()
def drain(
    node: Annotated[str, typer.Argument(help="host:port of the node, as /hazelcast/rest/cluster names it.")],
    server: Server = None,
    undo: Annotated[bool, typer.Option("--undo", help="It takes jobs again.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until it has no jobs.")] = False,
) -> None:
    """Move the jobs of a cluster's node to the others, and wait until it has none; it takes no new ones."""
    from headrace.cli.remote import drain_node

    raise typer.Exit(drain_node(server, node, undo=undo, wait=not no_wait))


@app.command()
def checkpoints(
    job_id: JobId,
    server: Server = None,
    home: Home = None,
    config: Annotated[Path | None, typer.Option("--config", help="Directory of seatunnel.yaml.")] = None,
    json: Json = False,
) -> None:
    """Show a job's checkpoints: those stored here, or what a server tells when --server or HEADRACE_SERVER names it."""
    from headrace.cli.checkpoints import show_checkpoints

    raise typer.Exit(show_checkpoints(server, job_id, {"home": home, "config": config}, as_json=json))


@app.command()
def clean(
    target: Annotated[str, typer.Argument(metavar="TARGET|JOBFILE", help="A target directory, or a job file.")],
    older_than: Annotated[str, typer.Option("--older-than", help="An age: 12H, 7D.")] = "7D",
    remove: Annotated[bool, typer.Option("--remove", help="Remove it; else it is shown only.")] = False,
    home: Home = None,
    config: Annotated[Path | None, typer.Option("--config", help="Directory of seatunnel.yaml.")] = None,
) -> None:
    """Show what jobs have left staged in a target, and what of it is older than an age."""
    from headrace.cli.clean import clean as clean_target

    raise typer.Exit(clean_target(target, older_than, {"home": home, "config": config}, remove=remove))


@app.command()
def diagnose(job_id: JobId, server: Server = None) -> None:
    """Print what is known about a job of a server, the likely cause of its failure first."""
    from headrace.cli.diagnose import diagnose_job

    raise typer.Exit(diagnose_job(server, job_id))


@app.command()
def logs(
    job_id: JobId,
    server: Server = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
) -> None:
    """Print the log of a job of a server."""
    from headrace.cli.remote import print_log

    raise typer.Exit(print_log(server, job_id, follow=follow))


@app.command(
    hidden=True,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
def script(context: typer.Context, name: Annotated[str, typer.Argument()]) -> None:
    """Do what SeaTunnel's script of this name does; its arguments follow."""
    from headrace.cli.seatunnel import client, node

    scripts = {
        "seatunnel.sh": client.main,
        "seatunnel-cluster.sh": node.start,
        "stop-seatunnel-cluster.sh": node.stop,
    }
    if name not in scripts:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(scripts)}")
    raise typer.Exit(scripts[name](context.args))


@app.command()
def doctor(home: Home = None) -> None:
    """Say what is installed, what is missing, and how to get it."""
    from headrace.cli.look import examine

    raise typer.Exit(examine(home))


@app.command()
def version() -> None:
    """Print the version."""
    from headrace import __version__

    typer.echo(f"headrace {__version__}")


def main() -> NoReturn:
    """The entry point.

    Arrow is told to allocate as the C library does: a batch is made on a reader's thread and freed on the task's, and
    Arrow's own pool keeps such memory for itself (CSV → Parquet: 330 MiB instead of 266, and a tenth slower). It reads
    the variable when it is first imported, which happens in the commands; worker processes inherit it.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if "HEADRACE_GUARDED" in os.environ:  # a server runs it for who asks
        from headrace.reach import guard_worker

        guard_worker()
    if "_HEADRACE_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without UTF-8 shows the others as escapes
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _call(_asked_for(sys.argv[1:]))
        sys.stdout.flush()
    except BrokenPipeError:
        from headrace.cli.exits import BROKEN_PIPE
        from headrace.cli.terminal import drop_output

        drop_output()
        code = BROKEN_PIPE
    gc.freeze()  # else the interpreter looks through everything once more before it ends
    sys.exit(code)


def _asked_for(arguments: list[str]) -> typer.Typer:
    """The commands, without what the arguments do not ask for.

    Typer makes every command with all its options at each start, which takes longer than most commands do. One that is
    named is made alone; for the list of commands their first lines are enough. Completion needs them all.
    """
    if "_HEADRACE_COMPLETE" in os.environ:
        return app
    asked = copy_object(app)
    if not arguments or arguments[0] in ("-h", "--help"):
        asked.registered_commands = [_told(command) for command in app.registered_commands]
        return asked
    asked.registered_commands = [command for command in app.registered_commands if _name(command) == arguments[0]]
    asked.registered_groups = [group for group in app.registered_groups if group.name == arguments[0]]
    is_known = asked.registered_commands or asked.registered_groups
    return asked if is_known else app  # who misspells a name is told the likely ones


def _name(command: typer.models.CommandInfo) -> str:
    return str(command.name or getattr(command.callback, "__name__", ""))


def _told(command: typer.models.CommandInfo) -> typer.models.CommandInfo:
    """What has the name and the help of a command, and none of its options."""

    def told() -> None:
        raise NotImplementedError

    told.__name__, told.__doc__ = _name(command), getattr(command.callback, "__doc__", None)
    found = copy_object(command)
    found.callback = told
    return found


def _call(commands: typer.Typer) -> int:
    """The exit code. With --json there is an object on stdout also of a command that cannot be understood, or fails."""
    try:
        return int(commands(prog_name="headrace", standalone_mode=False) or 0)
    except KeyboardInterrupt:
        return 130
    except (BrokenPipeError, SystemExit) as gone:  # typer exits when nobody reads what it prints
        raise BrokenPipeError from gone
    except Exception as error:
        show, code = getattr(error, "show", None), getattr(error, "exit_code", 1)
        if "--json" in sys.argv:
            _print_json(error, code)
        if show is None:  # none of typer's own: a mistake of ours
            raise
        show()
        return int(code)


def _print_json(error: Exception, code: int) -> None:
    from json import dumps

    from headrace.errors import told

    text = error.format_message() if hasattr(error, "format_message") else told(error)
    problem = {"file": "", "line": 0, "place": "", "message": text, "cure": ""}
    answer = {"jobId": None, "status": "FAILED", "exitCode": code, "error": text, "problems": [problem]}
    typer.echo(dumps(answer))
