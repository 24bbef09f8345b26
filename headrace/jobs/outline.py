"""What a job consists of, as plain values: kept with the job, so that any service can describe it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.connector import Sink, SinkKind
from headrace.plan.plan import Pipeline, Plan, Step
from headrace.rows import TableSchema


@dataclass(frozen=True)
class Part:
    """A plugin at its place in a pipeline.

    step: its id in the plan. index: its position among its kind in the job file. output: the dataset it names, empty
    when it names none. inputs: how many datasets it reads, as written. first_source: place of the source above it.
    tables: paths of the tables it gives (source, transform) or gets (sink), as far as known. code: where its class is.
    commits: whether what it writes becomes visible by a commit.
    """

    step: int
    kind: str
    index: int
    name: str
    output: str
    inputs: tuple[str, ...]
    next: tuple[int, ...]
    tables: tuple[str, ...]
    code: str
    commits: bool = False


@dataclass(frozen=True)
class Line:
    """A pipeline: its parts in the order of the data."""

    id: int
    parallelism: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Outline:
    """A job's pipelines. warnings: what its file was warned of, such as options that nothing knows."""

    lines: tuple[Line, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As values of JSON."""
        lines = [{**vars(line), "parts": [vars(part) for part in line.parts]} for line in self.lines]
        return {"lines": lines, "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> "Outline":
        """What `to_json` gave; version 0.1.0 stored the lines alone."""
        lines, warnings = (values["lines"], values["warnings"]) if isinstance(values, Mapping) else (values, ())
        return cls(
            tuple(
                Line(
                    line["id"],
                    line["parallelism"],
                    tuple(_part_from_json(part) for part in line["parts"]),
                )
                for line in lines
            ),
            tuple(warnings),
        )

    def parts(self) -> list[Part]:
        """All parts of all pipelines."""
        return [part for line in self.lines for part in line.parts]

    def slots(self) -> int:
        """How many slots the job needs, as SeaTunnel counts: tasks, one for the splits, one for each sink's commits."""
        return sum(line.parallelism + 1 + sum(part.commits for part in line.parts) for line in self.lines)


def _part_from_json(values: Mapping[str, Any]) -> Part:
    given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return Part(**given)


def outline_of(plan: Plan, tables: Mapping[int, Sequence[TableSchema]]) -> Outline:
    """The outline of a plan. tables: step id → its tables, of the steps where they are known."""
    warnings = tuple(map(str, plan.warnings))
    return Outline(tuple(_line(pipeline, tables) for pipeline in plan.pipelines), warnings)


def _line(pipeline: Pipeline, tables: Mapping[int, Sequence[TableSchema]]) -> Line:
    parts = tuple(_part(step, tables) for step in dict.fromkeys(pipeline.steps()))
    return Line(pipeline.id, pipeline.parallelism, parts)


def _part(step: Step, tables: Mapping[int, Sequence[TableSchema]]) -> Part:
    cls = type(step.instance)
    return Part(
        step.id,
        step.plugin.kind,
        step.plugin.index,
        step.plugin.name,
        step.plugin.output or "",
        step.plugin.inputs,
        tuple(output.id for output in step.outputs),
        tuple(table.path for table in tables.get(step.id, ())),
        f"{cls.__module__}:{cls.__qualname__}",
        isinstance(step.instance, Sink) and step.instance.kind is not SinkKind.PLAIN,
    )
