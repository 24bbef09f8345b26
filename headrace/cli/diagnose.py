"""`headrace diagnose ID`: what is known about a job, the likely cause of its failure first."""

import re
from typing import Any

from headrace.cli.remote import talk
from headrace.client import Client, Job
from headrace.errors import HeadraceError

LINES = 20
"""Warnings and errors of the log that are printed, at most: the last ones."""

_PROBLEM = re.compile(r"^\S+ \S+ (WARNING|ERROR|CRITICAL)\b")


def diagnose_job(server: str | None, job_id: int) -> int:
    """Print it; the exit code, 1 when the job has failed or there is none."""

    def act(client: Client) -> int:
        job = client.job(job_id)
        problems = _problems(client, job_id)
        print(f"Job {job.id} {job.name}: {job.status}")
        print(f"  likely cause: {_cause(job, problems)}")
        for line in _known(client, job):
            print(f"  {line}")
        if problems:
            print("  warnings and errors of its log:")
            print("\n".join(f"    {line}" for line in problems[-LINES:]))
        return 1 if job.status == "FAILED" else 0

    return talk(server, act)


def _cause(job: Job, problems: list[str]) -> str:
    if job.error:
        return job.error.strip().splitlines()[0]
    if job.status == "PENDING":
        return "it waits for slots: see overview, or raise slot-service.slot-num"
    if not job.is_ended:
        return str(job.raw.get("slowSide") or "none: it runs")
    if job.status == "FAILED" and problems:
        return problems[-1]
    return "none: it did not fail"


def _known(client: Client, job: Job) -> list[str]:
    lines = [f"created {job.created}" + (f", ended {job.finished}" if job.finished else "")]
    lines.append(f"{job.rows_read:,} rows read, {job.rows_written:,} written")
    if job.raw.get("deliveryReport"):
        lines.append(str(job.raw["deliveryReport"]["summary"]))
    for pipeline in _checkpoints(client, job.id):
        counts = pipeline["counts"]
        text = f"pipeline {pipeline['pipelineId']}: {counts['completed']} checkpoints, {counts['failed']} failed"
        failed = pipeline.get("latestFailed") or {}
        lines.append(text + (f", the last because {failed['failureReason']}" if failed.get("failureReason") else ""))
    if job.status == "FAILED":
        lines.append(f"to go on from its last checkpoint: headrace submit JOB --job-id {job.id} --restore")
    return lines


def _checkpoints(client: Client, job_id: int) -> list[dict[str, Any]]:
    try:
        return list(client.checkpoints(job_id).get("pipelines", []))
    except HeadraceError:  # a SeaTunnel of an older release does not tell
        return []


def _problems(client: Client, job_id: int) -> list[str]:
    try:
        return [line for line in client.log(job_id).splitlines() if _PROBLEM.match(line)]
    except HeadraceError:
        return []
