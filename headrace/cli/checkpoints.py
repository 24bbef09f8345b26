"""`headrace checkpoints`: what is saved of a job."""

import json
import os
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from headrace.api.checkpoints import overview
from headrace.checkpoint.location import open_store
from headrace.checkpoint.store import stored_histories
from headrace.cli.exits import exit_code
from headrace.cli.output import amount, duration, print_error
from headrace.cli.remote import talk
from headrace.client import Client
from headrace.errors import HeadraceError, JobNotFound
from headrace.settings import load_settings


def show_checkpoints(server: str | None, job_id: int, overrides: Mapping[str, Any], *, as_json: bool) -> int:
    """Print a table, or the answer of REST as JSON; the exit code."""
    if server or (os.environ.get("HEADRACE_SERVER") and overrides["home"] is None):
        return talk(server, lambda client: _show(_asked(client, job_id), as_json=as_json))
    try:
        settings = load_settings(overrides)
        store = open_store(settings.checkpoint_store, settings.home / "checkpoints", settings.store_options())
        found = stored_histories(store, job_id)
        if not found:
            place = settings.checkpoint_store or settings.home
            raise JobNotFound(f"no checkpoint of job {job_id} is stored in {place}; name another --home, or a --server")
        return _show(overview(job_id, found, time.time()), as_json=as_json)
    except HeadraceError as error:
        print_error(error)
        return exit_code(error)


def _asked(client: Client, job_id: int) -> Mapping[str, Any]:
    answer = client.checkpoints(job_id)
    if "pipelines" not in answer:
        raise JobNotFound(f"the server knows no checkpoint of job {job_id}")
    return answer


def _show(answer: Mapping[str, Any], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(answer))
        return 0
    rows: list[tuple[str, ...]] = [("PIPELINE", "ID", "TYPE", "STATUS", "TRIGGERED", "TOOK", "SIZE", "")]
    for pipeline in answer["pipelines"]:
        rows += [_row(pipeline["pipelineId"], entry["checkpoint"]) for entry in pipeline["history"]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for pipeline in answer["pipelines"]:
        counts = ", ".join(f"{count} {word}" for word, count in pipeline["counts"].items() if count)
        print(f"pipeline {pipeline['pipelineId']}: {counts or 'none yet'}")
    return 0


def _row(pipeline: int, checkpoint: Mapping[str, Any]) -> tuple[str, ...]:
    triggered = datetime.fromtimestamp(checkpoint["triggerTimestamp"] / 1000).astimezone()
    when = f"{triggered:%Y-%m-%d %H:%M:%S}" if checkpoint["triggerTimestamp"] else ""
    took = duration(checkpoint["durationMillis"] / 1000) if "durationMillis" in checkpoint else ""
    size = amount(checkpoint["stateSize"], "B") if "stateSize" in checkpoint else ""
    return (
        str(pipeline),
        str(checkpoint["checkpointId"]),
        checkpoint["checkpointType"],
        checkpoint["status"],
        when,
        took,
        size,
        checkpoint.get("failureReason", ""),
    )
