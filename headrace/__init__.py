"""Runs Apache SeaTunnel's job files on Arrow, without a JVM."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.client import Client, Job
    from headrace.program import JobResult, run
    from headrace.sql.udf import sql_function
    from headrace.tables import Tables

__all__ = ["Client", "Job", "JobResult", "Tables", "__version__", "run", "sql_function"]

__version__ = "0.1.0"

_HOMES = {
    "Client": "headrace.client",
    "Job": "headrace.client",
    "JobResult": "headrace.program",
    "Tables": "headrace.tables",
    "run": "headrace.program",
    "sql_function": "headrace.sql.udf",
}


def __dir__() -> list[str]:
    """The public names, those that are not imported yet among them."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import public names when they are first used: `headrace --help` must not wait for Arrow."""
    if name not in _HOMES:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
