"""Commands that look without moving data: check, connectors, doctor."""

import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from headrace.cli.exits import FINISHED, WRONG, exit_code
from headrace.cli.output import print_error, print_warnings, problem_json, problems_of
from headrace.cli.terminal import only_for_the_answer
from headrace.cli.variables import parse_variables
from headrace.config.job import load_job, placed
from headrace.connector import Registry, Sink, Source, Transform, sinks, sources, transforms
from headrace.errors import ConfigError, HeadraceError, Problem
from headrace.execution.calls import LoadedJob, describe
from headrace.options import Options, option_names
from headrace.plan.kinds import kind_mismatches
from headrace.plan.plan import Plan, Step, make_plan
from headrace.plan.render import render
from headrace.plan.schemas import describe_offline
from headrace.settings import load_settings


def check_job(job: Path, variables: Sequence[str], *, connect: bool, as_json: bool) -> int:
    """Validate, print the plan; unknown options are errors here. The exit code: 0, or 2 when the job file is wrong."""
    with only_for_the_answer() if as_json else nullcontext(print) as answer:
        advice = list[Problem]()
        try:
            plan = make_plan(load_job(job, parse_variables(variables)), strict=True)
            if connect:
                tables = dict(describe(LoadedJob(plan)))
                problems = kind_mismatches(plan, tables)
                advice += [] if problems else _advice(plan)
            else:
                tables, problems = describe_offline(plan)
            if problems:
                raise ConfigError(problems)
        except HeadraceError as error:
            code = exit_code(error)
            if as_json:
                found = [problem_json(problem) for problem in problems_of(error)]
                answer(json.dumps({"valid": False, "exitCode": code, "problems": found, "warnings": [], "plan": None}))
            print_error(error)
            return code
        tree, found_warnings = render(plan, tables), [*plan.warnings, *_hints(plan), *advice]
        if as_json:
            warnings = [problem_json(warning) for warning in found_warnings]
            answer(json.dumps({"valid": True, "exitCode": 0, "problems": [], "warnings": warnings, "plan": tree}))
        print_warnings(found_warnings)
        if not as_json:
            print(tree)
    return FINISHED


def _plugged(plan: Plan) -> dict[str, Step]:
    """The place of each plugin → a step of it."""
    return {step.plugin.place: step for pipeline in plan.pipelines for step in pipeline.all_steps()}


def _hints(plan: Plan) -> Iterator[Problem]:
    for plugin, step in _plugged(plan).items():
        for text, cure in step.instance.options.hints():
            yield Problem(plugin, text, cure, plan.job.file, step.plugin.line())


def _advice(plan: Plan) -> Iterator[Problem]:
    """What the outside systems say of their settings."""
    for step in _plugged(plan).values():
        if isinstance(step.instance, Source | Sink):
            yield from (placed(problem, step.plugin, plan.job.file) for problem in step.instance.advice())


def show_connectors(name: str | None, *, json_schema: bool) -> int:
    """The list of all plugins, or the options of one."""
    found = _plugins(name)
    if name is None and not json_schema:
        _print_list()
        print_warnings(Registry.broken.values())
        return 0
    print_warnings(Registry.broken.values())
    if not found:
        near = [n for registry in (sources, transforms, sinks) for n in registry.near(name or "")]
        print_error(
            ConfigError([Problem("", f"there is no plugin {name!r}", f"did you mean {near[0]}?" if near else "")])
        )
        return WRONG
    if json_schema:
        print(json.dumps({kind: cls.Options.model_json_schema() for kind, cls in found.items()}, indent=2, default=str))
        return 0
    for kind, cls in found.items():
        _print_options(kind, name or "", cls)
    return 0


def _plugins(name: str | None) -> dict[str, Any]:
    kinds: dict[str, Any] = {"source": sources, "transform": transforms, "sink": sinks}
    return {kind: cls for kind, registry in kinds.items() if name and (cls := registry.find(name)) is not None}


def _print_list() -> None:
    table = Table(show_edge=False, box=None, pad_edge=False)
    for column in ("plugin", "source", "transform", "sink", "what it does"):
        table.add_column(column)
    names = dict.fromkeys(sorted([*sources.names(), *transforms.names(), *sinks.names()], key=str.lower))
    for name in names:
        classes = [sources.find(name), transforms.find(name), sinks.find(name)]
        first = next(cls for cls in classes if cls is not None)
        marks = ["yes" if cls else "" for cls in classes]
        table.add_row(name, *marks, (first.__doc__ or "").strip().partition("\n")[0])
    Console().print(table)


def _print_options(kind: str, name: str, cls: type[Source] | type[Transform] | type[Sink]) -> None:
    print(f"{kind} {name}: {(cls.__doc__ or '').strip()}\n")
    table = Table(show_edge=False, box=None, pad_edge=False)
    for column in ("option", "type", "default", "what it means"):
        table.add_column(column, overflow="fold")
    for row in option_rows(cls.Options):
        table.add_row(*row)
    Console().print(table)
    print()
    example = getattr(cls, "example", "")
    if example:
        print(f"{example.strip()}\n")


def option_rows(model: type[Options]) -> list[tuple[str, str, str, str]]:
    """(name and old names, type or the values there are, default or `required`, description) of every option.

    The options of a block follow it, as `schema.fields`, or `columns[].name` in a list of blocks; where a kind of block
    comes again, or has an option that is told outside of it, they are not told again.
    """
    return list(_option_rows(model, "", {model}))


def _option_rows(
    model: type[BaseModel], place: str, told: set[type[BaseModel]], outer: Collection[tuple[str, str | None]] = ()
) -> Iterator[tuple[str, str, str, str]]:
    fields = [(option_names(name, field), field) for name, field in model.model_fields.items()]
    here = {*outer, *((names[0], field.description) for names, field in fields)}
    for names, field in fields:
        if (names[0], field.description) in outer:
            continue
        default = "required" if field.is_required() else "" if field.default is None else str(field.default)
        whole = " / ".join(place + name for name in names)
        yield whole, _kind(field.annotation), default[:40], field.description or ""
        for mark, part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel) and part not in told:
                told.add(part)
                yield from _option_rows(part, f"{place}{names[0]}{mark}.", told, here)


def _parts(annotation: Any, mark: str = "") -> Iterator[tuple[str, Any]]:
    """All types that an annotation is made of, each with `[]` for a list around it, `.NAME` for a map."""
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from _parts(inner[0], mark)
    elif get_origin(annotation) is dict:
        yield from _parts(inner[1], mark + ".NAME")
    elif inner:
        for part in inner:
            yield from _parts(part, mark + "[]" * (get_origin(annotation) is list))
    else:
        yield mark, annotation


def _kind(annotation: Any) -> str:
    """The type of an option; of a closed list its values."""
    kind = getattr(annotation, "__name__", str(annotation)).replace("typing.", "")
    if "|" in str(annotation) or "[" in str(annotation):
        kind = re.sub(r"(\w+\.)+", "", _plain(str(annotation))).replace(" | None", "")
    for _, part in _parts(annotation):
        if isinstance(part, type) and issubclass(part, Enum):
            *values, last = [str(member.value) for member in part]
            kind = kind.replace(part.__name__, " or ".join([", ".join(values), last] if values else [last]))
        elif isinstance(part, type) and issubclass(part, BaseModel):
            kind = kind.replace(part.__name__, "block")
    return kind


def _plain(annotation: str) -> str:
    """A type without what pydantic is told beside it."""
    bare = re.sub(r"typing\.Annotated\[([^,]+), .*?\)\]", r"\1", annotation)
    return re.sub(r"typing\.Optional\[(.*)\]", r"\1", bare)


def examine(home: Path | None) -> int:
    """What works here and what does not."""
    settings = load_settings({"home": home})
    checks: list[tuple[str, bool, str]] = [
        ("Python 3.11 or newer", sys.version_info >= (3, 11), "install a newer Python"),
        (f"{os.cpu_count()} cores", True, ""),
    ]
    folder = settings.home.resolve()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free >> 20
    checks.append((f"home {folder} can be written", os.access(existing, os.W_OK), "choose another with --home"))
    checks.append((f"{free:,} MiB free there", free > 512, "free some space, or choose another home"))
    for module, why, extra in (("obstore", "checkpoints in object stores", "s3"),):
        there = importlib.util.find_spec(module) is not None
        checks.append((f"{module} ({why})", there, f"pip install 'headrace[{extra}]'"))
    checks.append(("lzop (LZO files)", shutil.which("lzop") is not None, "apt-get install lzop"))
    broken = [name for registry in (sources, transforms, sinks) for name in registry.names() if not registry.find(name)]
    count = len({*sources.names(), *transforms.names(), *sinks.names()})
    checks.append((f"{count} plugins load", not broken, ", ".join(broken)))
    checks += [
        (f"{problem.file}:{problem.line}: {problem.message}", False, problem.cure)
        for problem in Registry.broken.values()
    ]
    for text, fine, cure in checks:
        print(f"{'ok     ' if fine else 'missing'} {text}" + ("" if fine else f": {cure}"))
    return 0 if all(fine for text, fine, _ in checks if text.startswith(("Python", "home"))) else 1
