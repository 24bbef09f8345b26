"""The store of jobs of another node: the same methods, carried to that node as versioned data, and answered there.

Reads are single requests. Writes go in their order, those that wait together in one request; each has a number, by
which the other side knows one that is sent again because its answer was lost.
"""

import queue
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from typing import Any

import orjson

from headrace.errors import HeadraceError, JobStoreUnavailable, OtherRelease, told
from headrace.jobs.record import JobRecord, JobText, Node
from headrace.jobs.seal import Seal
from headrace.jobs.store import (
    READ_AT_ONCE,
    JobStore,
    change_of,
    opened_text,
    record_of,
    row_of,
    row_of_job,
)

VERSION = 1
"""Of the data that is sent; nodes of other versions are refused with both numbers."""

WRITE_SECONDS = 3.0
"""How long a write is tried again before whoever waits for it is told that it failed."""

AGAIN_SECONDS = 0.2

BATCH_BYTES = 4 * 1024 * 1024
"""Writes that wait are sent together up to so much."""

REMEMBERED = 10_000
"""Numbers of writes whose results are kept for those who ask again."""

Ask = Callable[[bytes], bytes]
"""Carries a request to the other node and gives its answer. Raises HeadraceError when none came."""


class RemoteStore:
    """Like JobStore, whose methods say what each does. place: the node that serves it, for messages.

    What is stored as a job's text is sealed here, and crosses the network sealed.
    """

    def __init__(self, ask: Ask, place: str, seal: Seal) -> None:
        self._ask, self._place, self._seal = ask, place, seal
        self._identity = ""
        self._writes: queue.SimpleQueue[tuple[bytes, Future[Any], Callable[[Any], Any]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """See JobStore."""
        self._writes.put(None)
        self._writer.join()

    # -------------------------------------------------------------------------------------------------------- jobs

    def identity(self) -> str:
        """See JobStore."""
        self._identity = self._identity or str(self._read("identity"))
        return self._identity

    def new_id(self) -> int:
        """See JobStore."""
        return int(self._read("new_id"))

    def add(self, record: JobRecord, text: JobText) -> "Future[bool]":
        """See JobStore."""
        return self.add_all([(record, text)])

    def add_all(self, jobs: Sequence[tuple[JobRecord, JobText]]) -> "Future[bool]":
        """See JobStore."""
        return self._write("add", [row_of_job(record, text, self._seal) for record, text in jobs])

    def change(self, record: JobRecord, **values: Any) -> "Future[JobRecord | None]":
        """See JobStore."""
        changed, row, durable = change_of(record, values)
        return self._write("change", row, durable, made=lambda is_done: changed if is_done else None)

    def request(self, job_id: int, request: str) -> "Future[bool]":
        """See JobStore."""
        return self._write("request", job_id, request)

    def get(self, job_id: int) -> JobRecord | None:
        """See JobStore."""
        found = self._read("get", job_id)
        return None if found is None else record_of(found)

    def owner(self, job_id: int) -> tuple[int, str, int] | None:
        """See JobStore."""
        found = self._read("owner", job_id)
        return None if found is None else (found[0], found[1], found[2])

    def text(self, record: JobRecord) -> JobText:
        """See JobStore."""
        return opened_text(record.job_id, self._read("text", *record.key), self._seal)

    def unfinished(self, but_of: Collection[str] = ()) -> list[JobRecord]:
        """See JobStore."""
        return [record_of(found) for found in self._read("unfinished", list(but_of))]

    def unfinished_keys(self) -> list[tuple[int, int, int]]:
        """See JobStore."""
        return [(one[0], one[1], one[2]) for one in self._read("unfinished_keys")]

    def finished(self, status: str | None = None, since: float = 0.0) -> list[JobRecord]:
        """See JobStore."""
        return [record_of(found) for found in self._read("finished", status, since)]

    def finished_keys(self, status: str | None = None, since: float = 0.0) -> list[tuple[int, int, int]]:
        """See JobStore."""
        return [(one[0], one[1], one[2]) for one in self._read("finished_keys", status, since)]

    def runs(self, keys: Iterable[tuple[int, int]]) -> Iterator[JobRecord]:
        """See JobStore."""
        wanted = sorted(set(keys))
        for start in range(0, len(wanted), READ_AT_ONCE):
            yield from map(record_of, self._read("runs", wanted[start : start + READ_AT_ONCE]))

    def waiting(self) -> int:
        """See JobStore."""
        return self._writes.qsize()

    def counts(self) -> dict[str, int]:
        """See JobStore."""
        return dict(self._read("counts"))

    def requests(self, owner: str) -> list[tuple[int, int, str]]:
        """See JobStore."""
        return [(one[0], one[1], one[2]) for one in self._read("requests", owner)]

    def unbegun(self, owner: str) -> list[tuple[int, int]]:
        """See JobStore."""
        return [(one[0], one[1]) for one in self._read("unbegun", owner)]

    def forget(self, before: float) -> "Future[dict[int, int]]":
        """See JobStore."""
        return self._write("forget", before, made=lambda found: {int(job_id): run for job_id, run in found})

    # ------------------------------------------------------------------------------------------------------- nodes

    def beat(self, node: Node) -> "Future[None]":
        """See JobStore."""
        return self._write("beat", asdict(node))

    def drain(self, node_id: str, *, drained: bool) -> "Future[bool]":
        """See JobStore."""
        return self._write("drain", node_id, drained)

    def leave(self, node_id: str) -> "Future[int]":
        """See JobStore."""
        return self._write("leave", node_id)

    def nodes(self) -> list[Node]:
        """See JobStore."""
        return [Node(**values) for values in self._read("nodes")]

    # ------------------------------------------------------------------------------------------------------ inside

    def _read(self, name: str, *arguments: Any) -> Any:
        """Raises JobStoreUnavailable when the store cannot be read now, OtherRelease when it never will be."""
        try:
            return _result(self._send([_call("", name, arguments)])[0])
        except OtherRelease:
            raise
        except HeadraceError as error:
            raise JobStoreUnavailable(f"cannot read the store of jobs, which {self._place} serves: {error}") from error

    def _write(self, name: str, *arguments: Any, made: Callable[[Any], Any] = lambda result: result) -> "Future[Any]":
        future: Future[Any] = Future()
        self._writes.put((_call(uuid.uuid4().hex, name, arguments), future, made))
        return future

    def _write_all(self) -> None:
        open_ = True
        while open_:
            batch = [self._writes.get()]
            size = 0
            while batch[-1] is not None and not self._writes.empty() and size < BATCH_BYTES:
                batch.append(self._writes.get())
                size += len(batch[-1][0]) if batch[-1] is not None else 0
            open_ = batch[-1] is not None
            self._write_batch([item for item in batch if item is not None])

    def _write_batch(self, batch: Sequence[tuple[bytes, "Future[Any]", Callable[[Any], Any]]]) -> None:
        if not batch:
            return
        try:
            results = self._sent([call for call, _, _ in batch])
        except HeadraceError as error:
            for _, future, _ in batch:
                future.set_exception(error if isinstance(error, OtherRelease) else _unwritten(self._place, error))
            return
        for (_, future, made), result in zip(batch, results, strict=True):
            try:
                future.set_result(made(_result(result)))
            except JobStoreUnavailable as error:
                future.set_exception(_unwritten(self._place, error))
            except HeadraceError as error:  # what the database refuses for its content, again and again
                future.set_exception(error)

    def _sent(self, calls: Sequence[bytes]) -> list[Any]:
        deadline = time.monotonic() + WRITE_SECONDS
        while True:
            try:
                return self._send(calls)
            except OtherRelease:
                raise
            except HeadraceError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN_SECONDS)

    def _send(self, calls: Sequence[bytes]) -> list[Any]:
        """Raises HeadraceError when no answer came, or one that is not understood: OtherRelease where it says why."""
        content = self._ask(b'{"version":%d,"calls":[%b]}' % (VERSION, b",".join(calls)))
        try:
            answer = orjson.loads(content)
        except orjson.JSONDecodeError:
            raise HeadraceError(f"its answer is none: {content[:200]!r}") from None
        if answer.get("error"):
            raise OtherRelease(f"{self._place}: {answer['error']}")
        return list(answer["results"])


AnyStore = JobStore | RemoteStore


def _unwritten(place: str, error: HeadraceError) -> JobStoreUnavailable:
    return JobStoreUnavailable(f"cannot write to the store of jobs, which {place} serves: {error}")


def _call(number: str, name: str, arguments: Sequence[Any]) -> bytes:
    return orjson.dumps([number, name, arguments])


def _result(found: Mapping[str, Any]) -> Any:
    if "error" in found:
        raise (JobStoreUnavailable if found.get("away") else HeadraceError)(found["error"])
    return found["result"]


class ServedStore:
    """Answers what RemoteStores of other nodes ask of a store."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._known: OrderedDict[str, Future[Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._reads: dict[str, Callable[..., Any]] = {
            "identity": store.identity,
            "new_id": store.new_id,
            "get": self._get,
            "owner": store.owner,
            "text": store.sealed_text,
            "unfinished": lambda but_of: _rows(store.unfinished(but_of)),
            "unfinished_keys": store.unfinished_keys,
            "finished": lambda status, since: _rows(store.finished(status, since)),
            "finished_keys": store.finished_keys,
            "runs": lambda keys: _rows(store.runs([(job_id, run) for job_id, run in keys])),
            "counts": store.counts,
            "requests": store.requests,
            "unbegun": store.unbegun,
            "nodes": lambda: [asdict(node) for node in store.nodes()],
        }
        self._writes: dict[str, Callable[..., Future[Any]]] = {
            "add": store.add_rows,
            "change": lambda row, durable: store.change_row(row, durable=durable),
            "request": store.request,
            "forget": store.forget,
            "beat": lambda values: store.beat(Node(**values)),
            "drain": lambda node_id, drained: store.drain(node_id, drained=drained),
            "leave": store.leave,
        }

    def answer(self, content: bytes) -> bytes:
        """The answer to a request of a RemoteStore. Raises ValueError or KeyError for what none has sent."""
        asked = orjson.loads(content)
        if asked["version"] != VERSION:
            text = f"this node speaks version {VERSION} of the store's messages, and the other one {asked['version']}"
            return orjson.dumps({"error": f"{text}; run the same release of Headrace on both"})
        begun = [self._begun(number, name, arguments) for number, name, arguments in asked["calls"]]
        return orjson.dumps({"results": [_outcome(result) for result in begun]})

    def _begun(self, number: str, name: str, arguments: Sequence[Any]) -> Callable[[], Any]:
        """What gives the result. Writes that came together share one commit: all are begun before one is waited for."""
        if not number:
            return partial(self._reads[name], *arguments)
        with self._lock:
            if number not in self._known:
                self._known[number] = self._writes[name](*arguments)
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            return partial(_written, name, self._known[number])

    def _get(self, job_id: int) -> dict[str, Any] | None:
        record = self._store.get(job_id)
        return None if record is None else row_of(vars(record))


def _written(name: str, future: "Future[Any]") -> Any:
    found = future.result()
    return list(found.items()) if name == "forget" else found


def _rows(records: Iterable[JobRecord]) -> list[dict[str, Any]]:
    return [row_of(vars(record)) for record in records]


def _outcome(give: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"result": give()}
    except HeadraceError as error:
        return {"error": told(error), "away": isinstance(error, JobStoreUnavailable)}
