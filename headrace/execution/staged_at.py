"""The machine where a sink has staged something stands beside it until it is committed: in answers, checkpoints, notes.

Only of sinks whose calls run where it was staged; what others give stays as it is.
"""

from collections.abc import Iterable, Mapping

from headrace.connector import CallsRun, Committable
from headrace.plan.plan import Step

_MACHINE, _STAGED = "headrace:machine", "staged"


def with_machine(
    committables: Mapping[str, list[Committable]], sinks: Iterable[Step], machine: str
) -> dict[str, list[Committable]]:
    """What a task has prepared, by the names of sinks, with its machine where that matters."""
    stay = {step.name for step in sinks if step.sink.calls_run is CallsRun.WHERE_STAGED}
    return {
        name: [{_MACHINE: machine, _STAGED: item} for item in items] if name in stay else items
        for name, items in committables.items()
    }


def by_machine(committables: Iterable[Committable]) -> dict[str, list[Committable]]:
    """Machine → what was staged there, as the sink gave it, in order; an empty name where any machine will do."""
    found: dict[str, list[Committable]] = {}
    for item in committables:
        if isinstance(item, Mapping) and item.keys() == {_MACHINE, _STAGED}:
            found.setdefault(item[_MACHINE], []).append(item[_STAGED])
        else:
            found.setdefault("", []).append(item)
    return found
