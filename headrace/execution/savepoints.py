"""The savepoints of one job: asked of every pipeline, taken by all of them or by none (guarantee 8)."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Savepoint:
    """Take a savepoint, then wait for Decision. number: of the request; a pipeline takes each once."""

    number: int


@dataclass(frozen=True)
class Decision:
    """After a savepoint: `stop` when all pipelines of the job have theirs, go on otherwise."""

    stop: bool


class Inbox(Protocol):
    """Takes what a pipeline is told."""

    def put(self, item: Any, /) -> None:
        """Add to what the pipeline takes next."""


class Savepoints:
    """Called by any thread. One request is under way at a time; who asks meanwhile waits for its answer.

    on_begin, on_refused: called when a request begins, and when the job goes on after it, in this order.
    """

    def __init__(
        self, on_begin: Callable[[], None] = lambda: None, on_refused: Callable[[], None] = lambda: None
    ) -> None:
        self._on_begin, self._on_refused = on_begin, on_refused
        self._lock = threading.Lock()
        self._inboxes: Mapping[int, Inbox] = {}
        self._ended: set[int] = set()
        self._number = 0
        self._problems: dict[int, str] | None = None
        self._answer: Future[str] = Future()
        self._answer.set_result("")
        self._closed: str | None = None
        self._late: set[int] = set()

    def ask(self) -> "Future[str]":
        """Begin a request. The future gives "" once the job was saved and has stopped, else why it was not."""
        with self._lock:
            if self._answer.done():
                self._answer = Future()
                if self._closed is not None:
                    self._answer.set_result(self._closed)
                elif self._late:
                    late = ", ".join(map(str, sorted(self._late)))
                    self._answer.set_result(f"pipeline {late} has not answered the one that was given up before")
                else:
                    self._begin()
            return self._answer

    def _begin(self) -> None:
        self._number += 1
        self._problems = {}
        self._on_begin()
        for inbox in self._inboxes.values():
            inbox.put(Savepoint(self._number))

    def join(self, inboxes: "Mapping[int, Inbox]") -> None:
        """The job has pipelines now; a request that came before is passed on to them."""
        with self._lock:
            self._inboxes = inboxes
            if self._problems is not None:
                for inbox in inboxes.values():
                    inbox.put(Savepoint(self._number))

    def waits_for(self) -> list[int] | None:
        """The pipelines that have not answered the request under way; none of them when there are none yet."""
        with self._lock:
            if self._problems is None:
                return None
            return sorted(self._inboxes.keys() - self._problems.keys() - self._ended)

    def give_up(self, problem: str) -> None:
        """Refuse the request under way; a pipeline that takes its savepoint later is told to go on."""
        with self._lock:
            if self._problems is None:
                return
            answers, self._problems = self._problems, None
            self._late = set(self._inboxes.keys() - answers.keys() - self._ended)
            for pipeline, problem_of in answers.items():
                if not problem_of:
                    self._inboxes[pipeline].put(Decision(stop=False))
            self._on_refused()
            answer = self._answer
        _tell(answer, problem)

    def answered(self, pipeline: int, problem: str) -> None:
        """A pipeline has its savepoint and waits for the decision, or goes on because of a problem."""
        with self._lock:
            if pipeline in self._late:
                self._late.discard(pipeline)
                if not problem:
                    self._inboxes[pipeline].put(Decision(stop=False))
                return
            if self._problems is not None:
                self._problems[pipeline] = problem
            refused = self._decide()
        _tell(self._answer, refused)

    def ended(self, pipeline: int) -> None:
        """A pipeline has ended, for whatever reason: its answer is not waited for."""
        with self._lock:
            self._ended.add(pipeline)
            self._late.discard(pipeline)
            refused = self._decide()
        _tell(self._answer, refused)

    def close(self, status: str) -> None:
        """The job has ended: what was asked is answered, and whatever will be."""
        with self._lock:
            self._closed = f"the job has ended {status}"
            answer = self._answer
        _tell(answer, "" if status == "SAVEPOINT_DONE" else f"the job ended {status} before it")

    def _decide(self) -> str | None:
        """Once all have answered, tell those that wait; why the job goes on, None when it does not or not yet."""
        answers = self._problems
        if answers is None or not self._inboxes.keys() <= answers.keys() | self._ended:
            return None
        self._problems = None
        problems = "; ".join(problem for problem in answers.values() if problem)
        for pipeline, problem in answers.items():
            if not problem:
                self._inboxes[pipeline].put(Decision(stop=not problems))
        if problems:
            self._on_refused()
        return problems or None


def _tell(answer: "Future[str]", text: str | None) -> None:
    """Outside the lock, for it runs what others have attached. The first answer counts."""
    if text is not None:
        with suppress(InvalidStateError):
            answer.set_result(text)
