"""Stops a process at a named point of the commit sequence, where it waits to be killed.

`sitecustomize` imports it in the command and in its workers. HEADRACE_CRASH names the directory of a Stage; empty,
nothing stops. HEADRACE_PLANTED names a bug.
"""

import os
from pathlib import Path

from .bugs import BUGS
from .stage import Stage, install

if "HEADRACE_CRASH" in os.environ:
    if "HEADRACE_PLANTED" in os.environ:
        BUGS[os.environ["HEADRACE_PLANTED"]]()
    if os.environ["HEADRACE_CRASH"]:
        install(Stage(Path(os.environ["HEADRACE_CRASH"])))
