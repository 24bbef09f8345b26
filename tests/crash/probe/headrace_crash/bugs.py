"""Bugs that can be planted into the engine, to see that a kill shows them."""

from collections.abc import Callable

from headrace.checkpoint.coordinator import Save

from .points import CLAIM, SAVING
from .wraps import replaced

BEGINNING = "headrace.execution.beginning:Beginning"


def _commits_stay_owed():
    """A restart does not finish what was saved and not committed (guarantee 4)."""

    def make(inner):
        def find(self, context):
            commit, self._saving.commit = self._saving.commit, lambda checkpoint, context: None
            try:
                return inner(self, context)
            finally:
                self._saving.commit = commit

        return find

    replaced(f"{BEGINNING}.find", make)


def _target_is_not_asked():
    """A restart reads after the saved positions, also where the target has come further (guarantee 4)."""
    replaced(f"{BEGINNING}._target_positions", lambda inner: lambda self, base, context: None)


def _commit_comes_first():
    """Rows are visible before the checkpoint that holds them is saved (guarantee 2)."""

    def make(inner):
        def wrapped(self, action, context):
            if isinstance(action, Save):
                self.commit(action.checkpoint, context)
            return inner(self, action, context)

        return wrapped

    replaced(f"{SAVING}.act", make)


def _staged_rows_stay():
    """Nobody removes what killed starts have staged."""
    replaced(f"{CLAIM}.is_older_than", lambda inner: lambda claim, other: False)


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__.strip("_"): bug
    for bug in (_commits_stay_owed, _target_is_not_asked, _commit_comes_first, _staged_rows_stay)
}
