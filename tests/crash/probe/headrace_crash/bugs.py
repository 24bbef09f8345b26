"""Bugs that can be planted into the engine, to see that a kill shows them."""

from collections.abc import Callable

from .points import CLAIM, PIPELINE
from .wraps import replaced


def _commits_stay_owed():
    """A restart does not finish what was saved and not committed (guarantee 4)."""
    replaced(f"{PIPELINE}._commit", lambda inner: lambda self, checkpoint: self.running and inner(self, checkpoint))


def _target_is_not_asked():
    """A restart reads after the saved positions, also where the target has come further (guarantee 4)."""
    replaced(f"{PIPELINE}._target_positions", lambda inner: lambda self, base: None)


def _commit_comes_first():
    """Rows are visible before the checkpoint that holds them is saved (guarantee 2)."""

    def make(inner):
        def wrapped(self, checkpoint):
            self._commit(checkpoint)
            return inner(self, checkpoint)

        return wrapped

    replaced(f"{PIPELINE}._save", make)


def _staged_rows_stay():
    """Nobody removes what killed starts have staged."""
    replaced(f"{CLAIM}.is_older_than", lambda inner: lambda claim, other: False)


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__.strip("_"): bug
    for bug in (_commits_stay_owed, _target_is_not_asked, _commit_comes_first, _staged_rows_stay)
}
