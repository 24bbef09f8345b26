"""Brings the probe into every process of a run before Headrace begins: a job imports only the plugins that it names."""

import os

if "HEADRACE_CRASH" in os.environ:
    import headrace_crash  # noqa: F401
