"""How many bad rows a job may set aside: a number, and a share of the rows read."""

from collections.abc import Mapping, Sequence

from headrace.config.error_handlers import Limit, Stage
from headrace.errors import TooManyBadRows
from headrace.execution.progress import Counts, Flow
from headrace.plan.plan import Plan


def check_limits(limits: Sequence[Limit], plan: Plan, counts: Mapping[Flow, Counts], reasons: Sequence[str]) -> None:
    """Raises TooManyBadRows when one is exceeded. counts: of all tasks, with what was counted before a restart."""
    if not any(count.rejected for count in counts.values()):
        return
    stages = {step.id: Stage(step.plugin.kind.upper()) for p in plan.pipelines for step in p.steps()}
    read = sum(count.rows for (step, _, _), count in counts.items() if stages.get(step) is Stage.SOURCE)
    for limit in limits:
        rejected = sum(count.rejected for (step, _, _), count in counts.items() if stages.get(step) in limit.stages)
        many = limit.records and rejected > limit.records
        share = limit.ratio and read >= max(limit.min_records, 1) and rejected > limit.ratio * read
        if many or share:
            raise TooManyBadRows(too_many(limit, rejected, read, reasons, by_share=not many))


def too_many(limit: Limit, rejected: int, read: int | None, reasons: Sequence[str], *, by_share: bool = False) -> str:
    """The sentence with the numbers and the first reasons."""
    of = f" of {read:,} rows read" if read is not None else ""
    if by_share:
        assert read is not None
        allowed = f"max_error_ratio = {limit.ratio:g} allows, they are {rejected / read:.2%}"
    else:
        allowed = f"max_error_records = {limit.records:,} allows"
    first = "".join(f"\n  {reason}" for reason in reasons)
    return f"{rejected:,} bad rows{of} are more than env.{limit.block}.{allowed}; the first reasons:{first}"
