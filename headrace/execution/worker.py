"""Hosts the tasks of many jobs: takes commands, sends events. The same in a worker process and embedded."""

import math
import threading
from collections.abc import Callable

from headrace.errors import HeadraceError, JobCanceled
from headrace.execution.budget import Budget, MemoryShare
from headrace.execution.calls import CALLS, LoadedJob
from headrace.execution.messages import (
    Call,
    Command,
    Event,
    Forget,
    LoadJob,
    Reply,
    SetTables,
    StartTask,
    TaskFailed,
    ToTask,
    portable,
)
from headrace.execution.task import Task
from headrace.logs import OF_JOB
from headrace.plan.plan import Plan, make_plan


class Worker:
    """`handle` takes one command at a time and never blocks: calls and tasks run on threads of their own.

    budget: of this process.
    """

    def __init__(self, send: Callable[[Event], None], budget: Budget) -> None:
        self._send, self._budget = send, budget
        self._jobs: dict[str, LoadedJob] = {}
        self._broken: dict[str, HeadraceError] = {}
        self._tasks: dict[tuple[str, int, int, int], Task] = {}
        self._threads: dict[tuple[str, int, int, int], threading.Thread] = {}

    def load(self, job: str, plan: Plan) -> None:
        """Know a job by its plan: the embedded way, where plugins may hold Python objects."""
        self._jobs[job] = LoadedJob(plan, memory_bytes=self._budget.call_bytes)

    def handle(self, command: Command) -> None:
        """Act on a command."""
        if isinstance(command, LoadJob):
            self._plan(command)
        elif isinstance(command, SetTables):
            if command.job in self._jobs:
                self._jobs[command.job].tables = command.tables
        elif isinstance(command, Call):
            name = f"{command.name}-{command.job}"
            threading.Thread(target=self._call, args=(command,), name=name, daemon=True).start()
        elif isinstance(command, StartTask):
            self._start(command)
        elif isinstance(command, ToTask):
            task = self._tasks.get((command.job, command.pipeline, command.epoch, command.task))
            if task is not None:
                task.put(command)
        elif isinstance(command, Forget):
            loaded = self._jobs.pop(command.job, None)
            if loaded is not None:
                loaded.ended.set()
            self._broken.pop(command.job, None)

    def stuck(self, job: str) -> list[threading.Thread]:
        """Threads of a job's tasks that still run: the readers that hold a task back, else the task's own."""
        found = []
        for key, thread in list(self._threads.items()):
            task = self._tasks.get(key)
            if key[0] == job and thread.is_alive() and task is not None:
                found += [r for r in task.readers if r.is_alive()] or [thread]
        return found

    def _plan(self, command: LoadJob) -> None:
        try:
            self.load(command.job, make_plan(command.resolved.config()))
        except Exception as error:  # every call for this job answers with it
            self._broken[command.job] = portable(error)

    def _call(self, call: Call) -> None:
        OF_JOB.set(call.job.partition(".")[0])
        try:
            if call.job in self._broken:
                raise self._broken[call.job]
            loaded = self._jobs.get(call.job)
            if loaded is None:
                raise JobCanceled("the job has ended")
            self._send(Reply(call.job, call.id, call.name, CALLS[call.name](loaded, *call.arguments)))
        except Exception as error:  # whatever a plugin raises is the answer; so is a result that cannot be sent
            self._send(Reply(call.job, call.id, call.name, error=portable(error)))

    def _start(self, command: StartTask) -> None:
        context = command.spec.context
        key = (command.job, context.pipeline, context.epoch, command.spec.index)
        loaded = self._jobs.get(command.job)
        if loaded is None:  # its plan failed here, or it was forgotten meanwhile
            self._send(TaskFailed(*key, self._broken.get(command.job, JobCanceled("the job has ended"))))
            return
        pipeline = next(p for p in loaded.plan.pipelines if p.id == context.pipeline)
        tasks = sum(p.parallelism for p in loaded.plan.pipelines)
        share = self._budget.join(math.ceil(tasks * command.spec.neighbours / pipeline.parallelism))
        try:
            task = Task(command.job, pipeline, command.spec, loaded.tables, self._send, share)
        except Exception as error:
            self._budget.leave(share)
            self._send(TaskFailed(*key, portable(error)))
            return
        self._tasks[key] = task
        thread = threading.Thread(
            target=self._run, args=(key, task, share), name=f"task-{key[1]}-{key[3]}", daemon=True
        )
        self._threads[key] = thread
        thread.start()

    def _run(self, key: tuple[str, int, int, int], task: Task, share: MemoryShare) -> None:
        OF_JOB.set(key[0].partition(".")[0])
        try:
            task.run()
        finally:
            self._budget.leave(share)
            self._tasks.pop(key, None)
            self._threads.pop(key, None)
