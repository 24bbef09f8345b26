"""A client for REST v1 and v2: of a Headrace server, or of a real SeaTunnel."""

import http.client
import json
import math
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from headrace.addresses import joined
from headrace.errors import ConfigError, HeadraceError, JobNotFound, Problem, Unavailable
from headrace.jobs.status import JobStatus
from headrace.logs import LOG_CUT, LOG_POSITION

_MAPS = "/hazelcast/rest/maps"


@dataclass(frozen=True)
class Job:
    """A job as a server tells of it.

    status: a JobStatus, or the server's own word for a state that we do not know. created, finished: texts in the
    server's zone. rows_read, rows_written: over all tables. error: None when there is none. raw: the whole answer.
    """

    id: int
    name: str
    status: str
    created: str = ""
    finished: str | None = None
    rows_read: int = 0
    rows_written: int = 0
    error: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def rows_rejected(self) -> int:
        """Rows set aside as bad; 0 from a server that does not tell."""
        return int((self.raw.get("metrics") or {}).get("RejectedCount", 0))

    @property
    def rows_filtered(self) -> int:
        """Rows that transforms dropped, known when the job has ended."""
        return sum(d["filtered"] for d in (self.raw.get("deliveryReport") or {}).get("deliveries", ()))

    @property
    def is_ended(self) -> bool:
        """Whether it has ended."""
        return self.status in {status.value for status in JobStatus if status.is_end}


@dataclass(frozen=True)
class LogPart:
    """Bytes of a job's log. position: where the next part begins; empty for a SeaTunnel, which gives all at once.

    cut: whether what lay before is no longer there.
    """

    content: bytes
    position: str
    cut: bool = False


_IDS = 2**53 - 2
"""Ids that are made here are drawn from so many: no two are alike, and no client loses digits."""


_SILENCE = 45.0
"""Seconds without a word after which a server that tells of changes is gone: three times what it is silent for."""

_BREATH = 1.0
"""Seconds before a connection is made anew."""


class _UnansweredError(Unavailable):
    """A request was sent, and no answer came: nobody knows whether it was taken."""


class Client:
    """Talks to one server. Its methods raise Unavailable when it cannot be reached, ConfigError when it refuses.

    Threads may share one; each request that is under way has a connection of its own.

    url: such as `http://localhost:5801`; with api="v2" such as `http://localhost:8080`, a context path behind it.
    user, password or token: for a server that asks for them; `user:password@` in the URL comes before them.
    """

    def __init__(
        self,
        url: str = "http://localhost:5801",
        *,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        timeout: float = 30.0,
        api: Literal["v1", "v2"] = "v1",
    ) -> None:
        parts = _parts(url)
        self._is_v2 = api == "v2"
        self._base = parts.path.rstrip("/") if self._is_v2 else _MAPS
        host, port = str(parts.hostname), parts.port or (8080 if self._is_v2 else 5801)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connect = partial(kind, host, port, timeout=timeout)
        self._kept: list[http.client.HTTPConnection] = []
        self._url = f"{parts.scheme}://{joined(host, port)}"
        if parts.username is not None:
            user, password, token = unquote(parts.username), unquote(parts.password or ""), None
        self._headers = {"Content-Type": "application/json", **_authorization(user, password, token)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._kept:
            self._kept.pop().close()

    def submit(
        self,
        job: str | Mapping[str, Any],
        *,
        job_id: int | None = None,
        name: str | None = None,
        savepoint: bool = False,
        format: str = "json",  # noqa: A002  the word of the REST API
        strict: bool = False,
        patience: float = 0.0,
    ) -> int:
        """Submit a job, as a dict or a text in JSON, HOCON or SQL; its id. Raises ConfigError with all problems.

        strict: an unknown option is a problem; else it is a warning in the job's record.
        patience: seconds for which the server may be away once the job was sent, as when it is started anew. The job is
        sent again, and the server knows it by its id, which is made here where none is given. A job that goes on from
        its saved state is sent once only: it may have ended meanwhile, and would run again.
        """
        repeats = patience > 0 and not savepoint
        number = secrets.randbelow(_IDS) + 1 if job_id is None and repeats else job_id
        query = {"jobId": number, "jobName": name, "isStartWithSavePoint": "true" if savepoint else None}
        query["strict"] = "true" if strict else None
        query["format"] = format if format != "json" else None
        text = job if isinstance(job, str) else json.dumps(job)
        sent_at: float | None = None
        while True:
            try:
                return int(self._ask("POST", "/submit-job", query, text)["jobId"])
            except Unavailable as error:
                if not repeats or (sent_at is None and not isinstance(error, _UnansweredError)):
                    raise
                sent_at = sent_at or time.monotonic()
                if time.monotonic() - sent_at > patience:
                    raise
                time.sleep(0.5)
            except ConfigError:  # also what refuses an id that was given before
                if sent_at is None or job_id is not None or number is None or not self._knows(number):
                    raise
                return number  # it was taken, its answer was lost, and it has ended since

    def _knows(self, job_id: int) -> bool:
        try:
            self.job(job_id)
        except JobNotFound:
            return False
        return True

    def stop(self, job_id: int, *, savepoint: bool = False) -> None:
        """Ask for a job's end, at once or with a savepoint."""
        self._ask("POST", "/stop-job", {}, json.dumps({"jobId": job_id, "isStopWithSavePoint": savepoint}))

    def drain(self, node: str, *, undo: bool = False) -> list[int]:
        """Have a node, host:port, give its jobs to others and take none, or take them again; those that it has left."""
        answer = self._ask("POST", "/drain-node", {}, json.dumps({"node": node, "undo": undo}))
        return [int(job_id) for job_id in answer["jobIds"]]

    def job(self, job_id: int) -> Job:
        """One job, running or ended. Raises JobNotFound."""
        answer = self._ask("GET", f"/running-job/{job_id}")
        if not answer.get("jobStatus"):  # a SeaTunnel 2.3.3 knows running jobs only, later ones tell of the others here
            answer = self._ask("GET", f"/job-info/{job_id}", missing={})
        if not answer.get("jobStatus"):
            raise JobNotFound(f"{self._url} knows no job {job_id}")
        return _job(answer)

    def jobs(self) -> list[Job]:
        """The jobs that have not ended."""
        return [_job(answer) for answer in self._ask("GET", "/running-jobs")]

    def finished(self, status: str | None = None) -> list[Job]:
        """The jobs that have ended, those of one status when it is given."""
        path = "/finished-jobs" if status is None else f"/finished-jobs/{quote(status)}"
        return [_job(answer) for answer in self._ask("GET", path)]

    def checkpoints(self, job_id: int) -> dict[str, Any]:
        """The checkpoints of a job's pipelines, as the server answers."""
        return dict(self._ask("GET", f"/jobs/checkpoints/{job_id}"))

    def wait(self, job_id: int, timeout: float | None = None, poll: float = 0.1, patience: float = 60.0) -> Job:
        """The job when it has ended. Raises Unavailable after `timeout` seconds.

        patience: seconds for which the server may be away meanwhile, as when it is started anew.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        reached = time.monotonic()
        while True:
            try:
                job = self.job(job_id)
            except Unavailable:
                if time.monotonic() > min(reached + patience, deadline or math.inf):
                    raise
                time.sleep(max(poll, 0.5))
                continue
            reached = time.monotonic()
            if job.is_ended:
                return job
            if deadline is not None and time.monotonic() > deadline:
                raise Unavailable(f"job {job_id} is still {job.status} after {timeout} s")
            time.sleep(poll)

    def watch(self, patience: float = 60.0) -> Iterator[Job]:
        """Each job that has not ended, then each one as it begins, changes or ends; as the server tells, without end.

        A connection that breaks is made anew, and nothing is missed. `raw` is the job as `/jobs` shows it. Raises
        Unavailable when the server was away for `patience` seconds. Only v2 tells, or v1 where no v2 is on.
        """
        known: dict[str, dict[str, Any]] = {}
        last_id = ""
        away_since: float | None = None
        while True:
            reason = "it ended the connection"
            with closing(self._connect()) as connection:
                try:
                    with self._listen(connection, last_id) as answer:
                        away_since = None
                        for event_id, event, data in _events(answer):
                            yield from self._told(event, data, known)
                            last_id = event_id or last_id
                except (http.client.HTTPException, OSError, Unavailable) as error:
                    reason = str(error)
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > patience:
                raise Unavailable(f"cannot reach {self._url}: {reason}")
            time.sleep(_BREATH)

    def _listen(self, connection: http.client.HTTPConnection, last_id: str) -> http.client.HTTPResponse:
        connection.timeout = max(connection.timeout or 0.0, _SILENCE)
        headers = {**self._headers, "Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        connection.request("GET", f"{self._base}/events", headers=headers)
        answer = connection.getresponse()
        if answer.status == 503:
            raise Unavailable(f"it answered 503: {answer.read().decode('utf-8', 'replace')}")
        if answer.status != 200 or answer.headers.get_content_type() != "text/event-stream":
            raise HeadraceError(f"{self._url} answered {answer.status} to /events; REST v2 of a Headrace has them")
        return answer

    def _told(self, event: str, data: Any, known: dict[str, dict[str, Any]]) -> Iterator[Job]:
        """The jobs that an event is about. known: those that have not ended, changed here."""
        if event == "jobs":  # how all is: what is not among them any more has ended while nobody listened
            for job_id in set(known) - {job["jobId"] for job in data}:
                with suppress(JobNotFound):
                    yield self.job(int(job_id))
                del known[job_id]
        elif event != "changes":
            return
        for change in data:
            job = known[change["jobId"]] = known.get(change["jobId"], {}) | change
            found = _brief_job(job)
            if found.is_ended:
                del known[change["jobId"]]
            yield found

    def overview(self) -> dict[str, str]:
        """The cluster's figures."""
        return dict(self._ask("GET", "/overview"))

    def members(self) -> list[dict[str, Any]]:
        """The nodes, the master first: address, and with v1 uuid and localMember, with v2 their slots.

        Raises Unavailable where v1's group is off.
        """
        if self._is_v2:
            return list(self._ask("GET", "/resource/workers")["workers"])
        status, content = self._send("GET", "/hazelcast/rest/cluster")
        if status != 200:
            raise HeadraceError(f"{self._url} answered {status} to /hazelcast/rest/cluster")
        return list(json.loads(content)["members"])

    def monitoring(self) -> list[dict[str, str]]:
        """What each node measures of itself."""
        return list(self._ask("GET", "/system-monitoring-information"))

    def log(self, job_id: int) -> str:
        """A job's log, as far as the server still has it. Raises JobNotFound when it has none."""
        parts = []
        after = ""
        while (part := self.log_part(job_id, after)).content:
            parts.append(part.content)
            after = part.position
            if not after:
                break
        return b"".join(parts).decode("utf-8", "replace")

    def log_part(self, job_id: int, after: str = "") -> LogPart:
        """What follows a position in a job's log, up to some MB; nothing when it was read to its end.

        after: the position of the part before; empty for the beginning. Raises JobNotFound when it has no log.
        """
        path = f"{self._base}/log/job-{job_id}.log"
        status, content, headers = self._exchange("GET", f"{path}?after={quote(after)}")
        if status != 200 and not after:  # a SeaTunnel may take the query for a part of the name
            status, content, headers = self._exchange("GET", path)
        if status != 200:
            raise JobNotFound(f"{self._url} has no log of job {job_id}")
        return LogPart(content, headers.get(LOG_POSITION, ""), headers.get(LOG_CUT) == "true")

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: str | None = None,
        missing: Any = None,
    ) -> Any:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        status, content = self._send(
            method, self._base + path + (f"?{urlencode(given, quote_via=quote)}" if given else ""), body
        )
        if status in (204, 404) and missing is not None:
            return missing
        if (status in (204, 400) and not content) or (status == 400 and b'"Missing map name"' in content):
            place = path.partition("?")[0]
            raise HeadraceError(f"{self._url} does not know {place}: it may be a SeaTunnel of an older release")
        try:
            answer = json.loads(content)
        except ValueError:
            raise HeadraceError(f"{self._url} answered {status} to {path}: {content[:200]!r}") from None
        if status >= 400:
            raise _refusal(self._url, status, answer)
        return answer

    def _send(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        return self._exchange(method, path, body)[:2]

    def _exchange(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes, http.client.HTTPMessage]:
        """One request: status, content, headers. What changes something is sent once only, on a new connection: nobody
        knows whether a server that hung up has taken it."""
        content = None if body is None else body.encode()
        connection = self._take_connection()
        if method != "GET":
            connection.close()
        for last in (True,) if connection.sock is None else (False, True):
            self._connected(connection)
            try:
                connection.request(method, path, content, self._headers)
                answer = connection.getresponse()
                status, content_read = answer.status, answer.read()
            except (http.client.HTTPException, OSError) as error:
                connection.close()  # a kept connection may have been closed by the server: once more on a new one
                if last:
                    raise _UnansweredError(f"cannot reach {self._url}: {error}") from error
            else:
                self._kept.append(connection)
                return status, content_read, answer.headers
        raise AssertionError

    def _connected(self, connection: http.client.HTTPConnection) -> None:
        if connection.sock is None:
            try:
                connection.connect()
            except (http.client.HTTPException, OSError) as error:
                raise Unavailable(f"cannot reach {self._url}: {error}") from error

    def _take_connection(self) -> http.client.HTTPConnection:
        with suppress(IndexError):
            return self._kept.pop()
        return self._connect()


def _parts(url: str) -> SplitResult:
    """A server's address. Raises ConfigError, which does not show the password in it."""
    with suppress(ValueError):
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port):
            return parts
    shown = url.rpartition("@")[2]
    raise ConfigError([Problem("server", f"{shown!r} is not an address", "write http://HOST:5801")])


def _authorization(user: str | None, password: str | None, token: str | None) -> dict[str, str]:
    if token is not None:
        return {"Authorization": f"Bearer {token}"}
    if user is not None:
        import base64

        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()}
    return {}


def _refusal(url: str, status: int, answer: Any) -> HeadraceError:
    message = answer.get("message") if isinstance(answer, dict) else None
    problems = answer.get("problems") if isinstance(answer, dict) else None
    if problems and status != 503:
        return ConfigError([Problem(p["place"], p["message"], p["cure"], "", p["line"]) for p in problems])
    if status == 400:
        return ConfigError([Problem("", message or f"{url} answered 400 without a reason")])
    if status == 503:
        return _UnansweredError(f"{url}: {message or 'it answers nothing at the moment'}")
    return HeadraceError(f"{url} answered {status}: {message or 'no reason was given'}")


def _events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str, Any]]:
    """Server-sent events: id, empty where there is none, name and data. HTML Living Standard, 9.2.6."""
    found: dict[str, str] = {}
    while line := answer.readline():
        name, _, value = line.decode().rstrip("\r\n").partition(":")
        if name:
            found[name] = value.removeprefix(" ")
            continue
        if not line.startswith(b":") and "data" in found:
            yield found.get("id", ""), found.get("event", ""), json.loads(found["data"])
        found = {}


def _brief_job(answer: Mapping[str, Any]) -> Job:
    return Job(
        int(answer["jobId"]),
        answer["jobName"],
        answer["jobStatus"],
        answer["createTime"],
        answer["finishTime"],
        int(answer["sourceReceivedCount"]),
        int(answer["sinkWriteCount"]),
        answer["errorMsg"],
        answer,
    )


def _job(answer: Mapping[str, Any]) -> Job:
    metrics = answer.get("metrics") or {}
    read = metrics.get("SourceReceivedCount", metrics.get("sourceReceivedCount", 0))
    written = metrics.get("SinkWriteCount", metrics.get("sinkWriteCount", 0))
    return Job(
        int(answer["jobId"]),
        str(answer.get("jobName", "")),
        str(answer.get("jobStatus", "")),
        str(answer.get("createTime", "")),
        answer.get("finishTime"),
        int(read),
        int(written),
        answer.get("errorMsg"),
        answer,
    )
