"""Stops a process at a named point of the commit sequence, where it waits to be killed.

`sitecustomize` imports it in the command and in its workers. HEADRACE_CRASH names the directory of a Stage; empty,
nothing stops. HEADRACE_PLANTED names a bug.
"""

import os
import sys
from pathlib import Path

from .bugs import BUGS
from .stage import Stage, install


class _WithoutPandas:
    """Makes this process one of a machine without pandas: Arrow imports it where it can, for a second of each start."""

    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")


if "HEADRACE_CRASH" in os.environ:
    sys.meta_path.insert(0, _WithoutPandas())
    if "HEADRACE_PLANTED" in os.environ:
        BUGS[os.environ["HEADRACE_PLANTED"]]()
    if os.environ["HEADRACE_CRASH"]:
        install(Stage(Path(os.environ["HEADRACE_CRASH"])))
