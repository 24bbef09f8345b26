"""What SeaTunnel's client prints of jobs: the table of -l, the JSON of -j and --metrics, the boxes while a job runs.

REST tells times to the second and counts per job and table; what SeaTunnel's client gets beyond that from inside the
cluster follows from them: milliseconds are 0, every task of a job is in the job's state, and there is one entry for
each metric and table, whose value is the sum over all tasks.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from headrace.cli.output import BOX_WIDTH
from headrace.client import Job

_COLUMNS = (("Job ID", 6), ("Job Name", 8), ("Job Status", 10), ("Submit Time", 23), ("Finished Time", 23))
_TIME = "%Y-%m-%d %H:%M:%S"

_TASK_STATES = {
    "PENDING": "CREATED",
    "DOING_SAVEPOINT": "RUNNING",
    "SAVEPOINT_DONE": "FINISHED",
}
"""Job status → state of its pipelines and tasks, where both differ."""

_LATER_KEY = re.compile(r"(Source|Sink|Transform)\[\d+\]\.")
_PIPELINE = re.compile(r"pipeline-(\d+) \[(?:Source\[(\d+)\])?")


def jobs_table(jobs: Iterable[Job]) -> str:
    """The table of -l, the newest job first; of an id that ran several times the last run.

    Columns are as wide as their longest value, with two spaces between them.
    """
    last = {job.id: job for job in sorted(jobs, key=lambda job: (job.created, not job.is_ended))}
    newest = sorted(last.values(), key=lambda job: (job.created, job.id), reverse=True)
    rows = [(str(j.id), j.name, j.status, _timestamp(j.created), _timestamp(j.finished or "")) for j in newest]
    widths = [max([least, *(len(row[i]) for row in rows)]) for i, (_, least) in enumerate(_COLUMNS)]
    heads = ([name for name, _ in _COLUMNS], ["-" * width for width in widths])
    lines = [_line(head, widths) + "  " for head in heads] + [_line(row, widths) for row in rows]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))


def _timestamp(text: str) -> str:
    """Java's Timestamp has one digit of a second at least."""
    return f"{text}.0" if text else ""


# ------------------------------------------------------------------------------------------------------ the state of -j


def job_state(job: Job) -> str:
    """The JSON of -j, in one line."""
    state = _TASK_STATES.get(job.status, job.status)
    values = {
        "jobId": job.id,
        "jobName": job.name,
        "jobStatus": job.status,
        "submitTime": _milliseconds(job.created),
        "startTime": _milliseconds(job.raw.get("startTime")),
        "finishTime": _milliseconds(job.finished),
        "pipelineStateMapperMap": {
            f"PipelineLocation(jobId={job.id}, pipelineId={pipeline})": {
                "pipelineStatus": state,
                "executionStateMap": {
                    _location(job.id, pipeline, group): "CANCELED" if state == "FAILED" and group < 10_000 else state
                    for group in _groups(pipeline, parallelism)
                },
            }
            for pipeline, parallelism in _pipelines(job).items()
        },
        "errorMessage": job.error,
    }
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def unknown_job(job_id: int) -> str:
    """What -j prints about an id that no job has."""
    return json.dumps({"err": f"jobId : {job_id} not found"}, separators=(",", ":"))


def _milliseconds(text: str | None) -> int | None:
    """A time of the server, taken for one of this host's zone."""
    if not text:
        return None
    return int(datetime.strptime(text[:19], _TIME).timestamp()) * 1000  # noqa: DTZ007  REST writes times without a zone


def _pipelines(job: Job) -> dict[int, int]:
    """Pipeline → its parallelism, as the two descriptions of the DAG tell together."""
    dag = job.raw.get("jobDag") or {}
    plugins = [vertex.get("parallelism", 1) for vertex in dag.get("vertices") or ()]
    found: dict[int, int] = {}
    for vertex in dag.get("vertexInfoMap") or ():
        named = _PIPELINE.match(vertex.get("vertexName", ""))
        if named:
            source = int(named[2]) if named[2] else -1
            parallelism = plugins[source] if 0 <= source < len(plugins) else 1
            found[int(named[1])] = max(found.get(int(named[1]), 1), parallelism)
    return dict(sorted(found.items())) or {1: 1}


def _groups(pipeline: int, parallelism: int) -> list[int]:
    """Task groups under 2.3.3's numbers, five to a pipeline: one for each parallel task, then that of the splits."""
    first = 5 * (pipeline - 1)
    return [(first + 3) * 10_000 + index for index in range(parallelism)] + [first + 1]


def _location(job_id: int, pipeline: int, group: int) -> str:
    return f"TaskGroupLocation{{jobId={job_id}, pipelineId={pipeline}, taskGroupId={group}}}"


# ---------------------------------------------------------------------------------------------------------- the metrics


def metrics(job: Job, member: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Metric → its values; `metric#table` for one table. member: the node, as /hazelcast/rest/cluster tells of it."""
    taken = _milliseconds(job.finished) or int(time.time() * 1000)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, value in _values(job):
        entry = {"tags": _tags(job, member, name), "metric": name, "value": value, "timestamp": taken}
        found.setdefault(name, []).append(entry)
    return found


def _values(job: Job) -> Iterator[tuple[str, int | float]]:
    for name, value in (job.raw.get("metrics") or {}).items():
        if isinstance(value, Mapping):
            for table, text in value.items():
                yield f"{name.removeprefix('Table')}#{_LATER_KEY.sub('', table, count=1)}", _number(text)
        elif name[:1].isupper():  # sourceReceivedCount and sinkWriteCount are the same once more
            yield name, _number(value)


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def _tags(job: Job, member: Mapping[str, Any], name: str) -> dict[str, str]:
    """Those of a task only for a job that has a single one: other values are sums."""
    reads = name.startswith("Source")
    tags = {"jobId": str(job.id)}
    if member:
        tags |= {"address": str(member["address"]), "member": str(member["uuid"])}
    tags |= {
        "service": "TaskExecutionService",
        "taskName": "SourceSeaTunnelTask" if reads else "TransformSeaTunnelTask",
    }
    if _pipelines(job) == {1: 1}:
        (group, _) = _groups(1, 1)
        tags |= {
            "pipelineId": "1",
            "taskGroupId": str(group),
            "taskGroupLocation": _location(job.id, 1, group),
            "taskID": "40000" if reads else "50000",
        }
    return tags


def pretty(value: Any, indent: str = "") -> str:
    """JSON as Jackson's default printer lays it out."""
    inner = indent + "  "
    if isinstance(value, Mapping):
        parts = [f"{inner}{json.dumps(k, ensure_ascii=False)} : {pretty(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}" if parts else "{ }"
    if isinstance(value, list):
        return "[ " + ", ".join(pretty(item, indent) for item in value) + " ]" if value else "[ ]"
    return json.dumps(value, ensure_ascii=False)


# ------------------------------------------------------------------------------------------------------------ the boxes


def progress_box(job: Job, before: tuple[int, int, float] | None, now: float) -> str:
    """`Job Progress Information`. before: rows read, rows written and the time of the box before this one."""
    read, written, then = before or (0, 0, now)
    seconds = now - then
    rows = [
        ("Job Id", str(job.id)),
        ("Read Count So Far", str(job.rows_read)),
        ("Write Count So Far", str(job.rows_written)),
        ("Average Read Count", f"{_rate(job.rows_read - read, seconds)}/s"),
        ("Average Write Count", f"{_rate(job.rows_written - written, seconds)}/s"),
        ("Last Statistic Time", time.strftime(_TIME, time.localtime(then))),
        ("Current Statistic Time", time.strftime(_TIME, time.localtime(now))),
    ]
    line = "*" * BOX_WIDTH
    title = "Job Progress Information"
    title = f"{' ' * ((BOX_WIDTH - len(title)) // 2)}{title}"  # `center` puts the odd blank on the left
    return "\n".join(["", line, title, line, *(f"{name:<26}: {value:>19}" for name, value in rows), line, ""])


def _rate(rows: int, seconds: float) -> int:
    return int(rows / seconds) if seconds > 0 else 0
