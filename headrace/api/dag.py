"""A job's plan as the two generations of SeaTunnel show it, with the names and ids of each."""

from collections.abc import Mapping
from typing import Any

from headrace.jobs.outline import Line, Outline, Part

NO_NAME = "default-identifier"
NO_TABLE = "default.default.default"
_OLDER_SINKS = ("File", "Hive", "Iceberg", "Paimon")
"""Ends of the names of sinks that 2.3.3 does not make from a table; their actions carry no table."""


def job_dag(job_id: int, env: Mapping[str, str], outline: Outline) -> dict[str, Any]:
    """`vertices` and `edges` for clients of 2.3.3, `pipelineEdges` and `vertexInfoMap` for later ones."""
    pipeline_edges, vertices = _later(outline)
    return {
        "jobId": str(job_id),
        "pipelineEdges": pipeline_edges,
        "envOptions": dict(env),
        "vertexInfoMap": vertices,
        **_earlier(outline),
    }


def table_path(path: str) -> str:
    """SeaTunnel's name of a table; one that the job does not name has a long one."""
    return NO_TABLE if path == "default" else path


# ----------------------------------------------------------------------------------------------- 2.3.3: one logical DAG


def _earlier(outline: Outline) -> dict[str, Any]:
    """Every plugin once, sources, transforms and sinks numbered one after the other from 1."""
    parallelism = {(part.kind, part.index): line.parallelism for line in reversed(outline.lines) for part in line.parts}
    plugins = {(part.kind, part.index): part for part in outline.parts()}
    order = [key for kind in ("source", "transform", "sink") for key in sorted(k for k in plugins if k[0] == kind)]
    ids = {key: number for number, key in enumerate(order, 1)}
    feeding = _feeding_sources(outline)
    names = {key: _earlier_name(plugins[key], feeding[key]) for key in order}
    edges: dict[tuple[tuple[str, int], tuple[str, int]], None] = {}
    for line in outline.lines:
        by_step = {part.step: part for part in line.parts}
        for part in line.parts:
            for step in part.next:
                target = by_step[step]
                edges[(part.kind, part.index), (target.kind, target.index)] = None
    return {
        "vertices": [
            {"id": ids[key], "name": f"{names[key]}(id={ids[key]})", "parallelism": parallelism[key]} for key in order
        ],
        "edges": [{"inputVertex": names[start], "targetVertex": names[end]} for start, end in edges],
    }


def _feeding_sources(outline: Outline) -> dict[tuple[str, int], Part]:
    """Plugin → the first source whose rows reach it."""
    found: dict[tuple[str, int], Part] = {}
    for line in outline.lines:
        for part in line.parts:
            found.setdefault((part.kind, part.index), line.parts[0])
    return found


def _earlier_name(part: Part, source: Part) -> str:
    if part.kind != "sink":
        return f"{part.kind.capitalize()}[0]-{part.name}-{part.output or NO_NAME}"
    table = NO_NAME if part.name.endswith(_OLDER_SINKS) else f"default.{source.output or NO_NAME}"
    return f"Sink[{part.index}]-{part.name}-{table}"


# ------------------------------------------------------------------------------- later: pipelines with fused transforms


def _later(outline: Outline) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ids count along the pipelines; each chain of transforms is one vertex with a new id after all of them."""
    ids = _own_ids(outline)
    last = len(ids)
    edges: dict[str, Any] = {}
    vertices: list[dict[str, Any]] = []
    for line in outline.lines:
        chain_of: dict[int, int] = {}
        for chain in _chains(line):
            last += 1
            chain_of |= {part.step: last for part in chain}
            name = "->".join(f"Transform[{part.index}]-{part.name}" for part in chain)
            vertices.append(_vertex(last, "transform", line, f"TransformChain[{name}]", []))
        number = {part.step: chain_of.get(part.step) or ids[line.id, part.step] for part in line.parts}
        for part in line.parts:
            if part.kind != "transform":
                tables = [] if _is_union(part) else [table_path(path) for path in part.tables]
                vertices.append(_vertex(number[part.step], part.kind, line, _later_name(part), tables))
        pairs = dict.fromkeys(
            (number[part.step], number[step])
            for part in line.parts
            for step in part.next
            if number[part.step] != number[step]
        )
        edges[str(line.id)] = [{"inputVertexId": str(a), "targetVertexId": str(b)} for a, b in pairs]
    return edges, sorted(vertices, key=lambda vertex: vertex["vertexId"])


def _own_ids(outline: Outline) -> dict[tuple[int, int], int]:
    """(pipeline, step) → its number, along the pipelines."""
    keys = dict.fromkeys((line.id, part.step) for line in outline.lines for part in line.parts)
    return {key: number for number, key in enumerate(keys, 1)}


def vertex_ids(outline: Outline) -> dict[tuple[int, int], int]:
    """(pipeline, step) → the id of the vertex that shows it; the transforms of a chain share one."""
    ids = _own_ids(outline)
    last = len(ids)
    for line in outline.lines:
        for chain in _chains(line):
            last += 1
            ids |= {(line.id, part.step): last for part in chain}
    return ids


def _chains(line: Line) -> list[list[Part]]:
    """Transforms that follow each other without a branch."""
    by_step = {part.step: part for part in line.parts}
    chains: list[list[Part]] = []
    for part in line.parts:
        if part.kind != "transform":
            continue
        before = next((c for c in chains if c[-1].next == (part.step,) and by_step[c[-1].step]), None)
        if before is not None:
            before.append(part)
        else:
            chains.append([part])
    return chains


def _is_union(part: Part) -> bool:
    return part.kind == "sink" and len(part.inputs) > 1


def _later_name(part: Part) -> str:
    name = f"{part.kind.capitalize()}[{part.index}]-{part.name}"
    if part.kind == "source":
        return name
    return f"{name}-{part.inputs[0]}" if _is_union(part) else f"{name}-MultiTableSink"


def _vertex(number: int, kind: str, line: Line, name: str, tables: list[str]) -> dict[str, Any]:
    return {"vertexId": number, "type": kind, "vertexName": f"pipeline-{line.id} [{name}]", "tablePaths": tables}
