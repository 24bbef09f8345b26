"""What a command imports and makes while it starts stays: the collector of cycles finds nothing to remove there."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Do without it: for a start alone, as what comes after may leave cycles that hold batches."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
