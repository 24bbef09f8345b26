"""The life of a job: its states and the changes between them that are allowed."""

from headrace.options import Choice


class JobStatus(Choice):
    """A job's state, in SeaTunnel's names."""

    CREATED = "CREATED"  # accepted and stored
    PENDING = "PENDING"  # waits for slots
    SCHEDULED = "SCHEDULED"  # its sources are asked for their tables, its tasks are being started
    RUNNING = "RUNNING"
    FAILING = "FAILING"  # one pipeline has failed, the others are being stopped
    DOING_SAVEPOINT = "DOING_SAVEPOINT"
    CANCELING = "CANCELING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    SAVEPOINT_DONE = "SAVEPOINT_DONE"  # stopped, and can be started again from there

    @property
    def is_end(self) -> bool:
        """Whether nothing comes after it."""
        return not ALLOWED[self]


_S = JobStatus
_STOPPING = {_S.CANCELING, _S.CANCELED, _S.FAILING, _S.FAILED}
_ENDS = {_S.FINISHED, _S.FAILED, _S.CANCELED, _S.SAVEPOINT_DONE}

ALLOWED: dict[JobStatus, frozenset[JobStatus]] = {
    _S.CREATED: frozenset({_S.PENDING, _S.SCHEDULED, *_STOPPING}),
    # a job that another service goes on with begins again: CREATED
    _S.PENDING: frozenset({_S.CREATED, _S.SCHEDULED, *_STOPPING}),
    _S.SCHEDULED: frozenset({_S.CREATED, _S.RUNNING, _S.DOING_SAVEPOINT, *_STOPPING, *_ENDS}),
    _S.RUNNING: frozenset({_S.CREATED, _S.DOING_SAVEPOINT, *_STOPPING, *_ENDS}),
    _S.FAILING: frozenset({_S.CREATED, _S.CANCELING, _S.FAILED, _S.CANCELED}),
    _S.DOING_SAVEPOINT: frozenset({_S.CREATED, _S.RUNNING, *_STOPPING, *_ENDS}),
    _S.CANCELING: frozenset({_S.FINISHED, _S.FAILED, _S.CANCELED, _S.SAVEPOINT_DONE}),
    _S.FINISHED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELED: frozenset(),
    _S.SAVEPOINT_DONE: frozenset(),
}
"""State → the states that may follow it."""
