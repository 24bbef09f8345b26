"""What can be asked of a server: to take jobs, stop them, look at them. No path, version or text of an API stands here.

Every listener says it in its own words: it reads an `Order` or a `Stop` out of a request, and writes an answer from the
records that come back. What is refused is raised as an error of `headrace.errors`, with all its problems.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.api.commands import Commands
from headrace.checkpoint.history import History
from headrace.config.shade import encrypt_config
from headrace.errors import ConfigError, HeadraceError, Problem
from headrace.jobs.record import JobRecord, JobText, Node
from headrace.jobs.service import CheckedJob, JobService, Overview, PreparedJob, Submission, Submitted
from headrace.jobs.status import JobStatus

MAX_TAGS = 20_000
"""Characters of a node's attributes, which are stored every second."""

NO_ID_TO_GO_ON = "no-id-to-go-on"
ID_TOO_SMALL = "id-too-small"
ID_TWICE = "id-twice"
NO_BLOCK = "no-block"
"""Codes of problems, by which a listener finds its own words for them."""


@dataclass(frozen=True)
class Order:
    """A job to take.

    job_id: None for a new one. name: None for the job's own. savepoint: whether it goes on from the saved state of
    its id. strict: whether an unknown option is an error.
    """

    text: str
    format: str = "json"
    job_id: int | None = None
    name: str | None = None
    savepoint: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Stop:
    """A job to end. force: at once, even where a savepoint is under way, and whatever `savepoint` says."""

    job_id: int
    savepoint: bool = False
    force: bool = False


class Refused(HeadraceError):
    """Mistakes of several jobs that were given together. errors: position → what is wrong with that one."""

    def __init__(self, errors: Mapping[int, HeadraceError]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        return "; ".join(f"[{number}] {error}" for number, error in self.errors.items())


class Operations:
    """The one meaning of every request, over the service of jobs. on_taken: called with each job that was taken."""

    def __init__(
        self, service: JobService, on_taken: Callable[[JobRecord, PreparedJob], None] = lambda record, job: None
    ) -> None:
        self._service, self._on_taken = service, on_taken
        self._commands = Commands(service.home)

    def close(self) -> None:
        """End what still runs for who asked."""
        self._commands.close()

    # ----------------------------------------------------------------------------------------------------- submitting

    def submit(self, order: Order) -> Submitted:
        """Take a job. Once this returns, it survives a crash of the server. Raises what is wrong with it."""
        return self._take([self._submission(order)])[0]

    def submit_all(self, orders: Sequence[Order | HeadraceError]) -> list[Submitted]:
        """Take several jobs, all or none. An error stands for a job that could not even be read.

        Raises Refused with the mistakes of all of them, an id that stands twice included.
        """
        ready: list[Submission] = []
        wrong: dict[int, HeadraceError] = {}
        for number, order in enumerate(orders):
            try:
                if isinstance(order, HeadraceError):
                    raise order
                ready.append(self._one_of_several(order, ready))
            except HeadraceError as error:
                wrong[number] = error
        if wrong:
            raise Refused(wrong)
        return self._take(ready)

    def _take(self, submissions: Sequence[Submission]) -> list[Submitted]:
        taken = self._service.submit_all(submissions)
        for one, submission in zip(taken, submissions, strict=True):
            if one.record is not None:
                self._on_taken(one.record, submission.job)
        return taken

    def _submission(self, order: Order) -> Submission:
        if order.savepoint and order.job_id is None:
            cure = "give the id of the job that was saved"
            raise ConfigError([Problem("jobId", "there is no id to go on with", cure, code=NO_ID_TO_GO_ON)])
        if order.job_id is not None and order.job_id < 1:
            text, cure = f"{order.job_id} is not the id of a job", "give one from 1 to 9223372036854775807"
            raise ConfigError([Problem("jobId", text, cure, code=ID_TOO_SMALL)])
        job = self._service.prepare(order.text, format=order.format, strict=order.strict)
        return Submission(job, order.job_id, order.name, order.savepoint)

    def _one_of_several(self, order: Order, others: Sequence[Submission]) -> Submission:
        found = self._submission(order)
        if found.job_id is not None:
            if found.job_id in [other.job_id for other in others]:
                text = f"the jobId {found.job_id} is that of another job in the list"
                cure = "give every job an id of its own, or none"
                raise ConfigError([Problem("params.jobId", text, cure, code=ID_TWICE)])
            self._service.check_id(found.job_id, savepoint=found.savepoint)
        return found

    # ------------------------------------------------------------------------------------------------------- stopping

    def stop(self, stop: Stop) -> bool:
        """Ask for the end of a job; False when no such job is running, which is not a mistake."""
        return self._service.stop(stop.job_id, savepoint=stop.savepoint and not stop.force)

    # -------------------------------------------------------------------------------------------------------- looking

    def job(self, job_id: int) -> JobRecord | None:
        """The last run of a job, running or ended."""
        return self._service.job(job_id)

    def running(self) -> list[JobRecord]:
        """All jobs that have not ended, on all nodes, oldest first."""
        return self._service.jobs()

    def ended(self, status: str | None = None) -> list[tuple[int, int, int]]:
        """(job id, run, version) of the runs that have ended, newest first; none for a state that does not exist."""
        if status is not None and status not in {one.value for one in JobStatus}:
            return []
        return self._service.finished_keys(status)

    def histories(self, job_id: int) -> list[History]:
        """The checkpoints of a job's pipelines."""
        return self._service.histories(job_id)

    def overview(self, tags: Mapping[str, str]) -> Overview:
        """Figures of the cluster; slots and workers of the nodes that have all `tags`."""
        return self._service.overview(tags)

    def nodes(self) -> list[Node]:
        """The living nodes, the master first."""
        return self._service.nodes()

    def pending(self) -> list[JobRecord]:
        """Jobs that wait for slots, oldest first."""
        return [record for record in self._service.jobs() if record.status is JobStatus.PENDING]

    def check(self, text: str, form: str) -> CheckedJob:
        """All that is wrong with a job, without taking it; and its plan where it has one."""
        return self._service.check(text, format=form)

    def preview(self, text: str, form: str) -> list[dict[str, Any]]:
        """The first rows of each table as they would reach the sinks. Raises what is wrong with the job."""
        return self._commands.preview(self._service.prepare(text, format=form).text)

    # ------------------------------------------------------------------------------------------------------- changing

    def replay(self, record: JobRecord, text: JobText) -> dict[str, Any]:
        """Send in the rows that a job has set aside and that were not replayed; what became of them."""
        job = self._service.prepare(text.text, format=text.format, variables=text.variables)
        return self._commands.replay(job.text, record.name)

    def text_of(self, record: JobRecord) -> JobText:
        """What a job was submitted as, secrets and all. Raises HeadraceError when it has ended."""
        return self._service.store.text(record)

    def encrypted(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job with its secrets encoded as its env shade.identifier says. Raises ConfigError without its blocks."""
        missing = [kind for kind in ("source", "sink") if not isinstance(job.get(kind), list)]
        if missing:
            raise ConfigError([no_block(kind) for kind in missing])
        return encrypt_config(job)

    def drain(self, address: str, *, drained: bool) -> list[int]:
        """Have the node at host:port give its jobs to others and take none, or take jobs again; the jobs it has now.

        Raises ConfigError where there is no such node, or none that could take them.
        """
        nodes = self._service.nodes()
        node = next((node for node in nodes if node.address == address), None)
        if node is None:
            known = ", ".join(node.address for node in nodes)
            raise ConfigError([Problem("node", f"there is no living node {address!r}", f"there are {known}")])
        if drained and not any(other.runs_jobs for other in nodes if other.id != node.id):
            text = f"{address} cannot be drained: no other living node runs jobs"
            raise ConfigError([Problem("node", text, "start another one, or stop its jobs with savepoints")])
        if node.drained != drained:
            self._service.drain(node, drained=drained)
        return [record.job_id for record in self._service.jobs() if record.owner == node.id]

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace the attributes of this node. Raises ConfigError when they are too long."""
        if sum(map(len, (*tags, *tags.values()))) > MAX_TAGS:
            text = f"the attributes have more than {MAX_TAGS} characters"
            raise ConfigError([Problem("", text, "send fewer or shorter ones")])
        self._service.set_tags(tags)


def no_block(kind: str) -> Problem:
    """A job lacks one of its blocks."""
    return Problem(kind, f"the job has no {kind!r}", f'add "{kind}": [{{"plugin_name": …}}]', code=NO_BLOCK)
