"""Holds the sources of a job back: so many rows pass, the others wait until the gate is opened.

A package of plugins to worker processes, which HEADRACE_GATE makes look at gates; embedded, a test calls `install`.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from headrace.execution import task as task_module
from headrace.rows import TARGET_ROWS


class Gate:
    """Of one pipeline of one job; its file is what the processes share. Without a file nothing is held back."""

    def __init__(self, folder: Path, job_id: int, pipeline: int) -> None:
        self._file = folder / f"{job_id}-{pipeline}.json"

    def close_after(self, rows: int) -> None:
        self._file.write_text(json.dumps({"allowed": rows, "given": 0, "handled": 0, "waiting": False}))

    @property
    def batch_rows(self) -> int:
        """Small batches, so that the gate can close where it is told to."""
        with self._state() as state:
            return max(1, state["allowed"] // 5) if state else TARGET_ROWS

    def open(self) -> None:
        self._file.unlink()

    def admits(self, rows: int) -> bool:
        """Whether a batch may pass. The first one always may: it cannot be cut here."""
        with self._state() as state:
            passes = not state or not state["given"] or state["given"] + rows <= state["allowed"]
            if state:
                state["given"] += rows if passes else 0
                state["waiting"] |= not passes
            return passes

    def handled(self, rows: int) -> None:
        """So many rows have reached the sinks."""
        with self._state() as state:
            if state:
                state["handled"] += rows

    @property
    def is_reached(self) -> bool:
        """Whether all rows that may pass have reached the sinks, and others wait."""
        with self._state() as state:
            return bool(state) and state["waiting"] and state["handled"] == state["given"] > 0

    @contextmanager
    def _state(self):
        try:
            file = open(self._file, "r+")
        except FileNotFoundError:
            yield {}
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            state = json.load(file)
            yield state
            file.seek(0)
            file.truncate()
            json.dump(state, file)


class _GatedSource:
    def __init__(self, inner, gate):
        self._inner, self._gate = inner, gate

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def read(self, split, position, task):
        for read in self._inner.read(split, position, replace(task, batch_rows=self._gate.batch_rows)):
            while read is not None and not self._gate.admits(read.batch.num_rows):
                time.sleep(0.01)
                yield None
            yield read


class GatedTask(task_module.Task):
    """A task whose source is behind a gate."""

    folder: Path

    def __init__(self, job, pipeline, spec, *arguments):
        super().__init__(job, pipeline, spec, *arguments)
        self._gate = Gate(self.folder, spec.context.job_id, pipeline.id)
        self._source = _GatedSource(self._source, self._gate)

    def _handle(self, split, read, *told):
        super()._handle(split, read, *told)
        self._gate.handled(read.batch.num_rows)


def install(folder: Path, put: Callable[[object, str, object], None] = setattr) -> None:
    """From now on the tasks of this process look at the gates in `folder`."""
    from headrace.execution import worker

    put(worker, "Task", type("GatedTask", (GatedTask,), {"folder": folder}))


if "HEADRACE_GATE" in os.environ:
    install(Path(os.environ["HEADRACE_GATE"]))
