"""Whose a staged thing is. It stands in the thing's own name, so that no file elsewhere need say it."""

import re
from dataclasses import dataclass

_NAME = re.compile(r"([0-9a-z]+)_(\d+)_(\d+)_(\d+)_(\d+)")

NO_STORE = "0"
"""The identity of a store of jobs that nobody can ask; what is staged under it stays until somebody cleans it up."""


@dataclass(frozen=True, order=True)
class Claim:
    """One start of a pipeline, as the store of jobs knows it.

    Only who can ask that store, and hears that the job is over or has moved on, removes what is staged under a claim.

    store: the identity of that store, digits and small letters. run, epoch: see JobContext.
    """

    store: str
    job_id: int
    run: int
    epoch: int
    pipeline: int

    @property
    def name(self) -> str:
        """The claim as one name of a directory, an object or a tag."""
        return f"{self.store}_{self.job_id}_{self.run}_{self.epoch}_{self.pipeline}"

    @classmethod
    def read(cls, name: str) -> "Claim | None":
        """The claim with this name; None where it is not a claim's."""
        found = _NAME.fullmatch(name)
        return cls(found[1], *map(int, found.groups()[1:])) if found else None

    def is_of_job(self, other: "Claim") -> bool:
        """Whether both are of one job."""
        return (self.store, self.job_id) == (other.store, other.job_id)

    def is_older_than(self, other: "Claim") -> bool:
        """Whether it is a start of the same pipeline that the other one has replaced."""
        return self.is_of_job(other) and self.pipeline == other.pipeline and self.epoch < other.epoch
