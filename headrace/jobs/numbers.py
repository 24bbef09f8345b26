"""Whole numbers of a job that are too big to be kept."""

from collections.abc import Iterator, Mapping
from typing import Any

from headrace.config.job import JobConfig
from headrace.errors import ConfigError, Problem

_LONG = 1 << 63


def check_numbers(job: JobConfig) -> None:
    """Raises ConfigError with each whole number of `env`, and each parallelism, that has more than 64 bits.

    Java's longs end there; rows that a job file holds may have bigger ones, as decimals.
    """
    found = list(_big(job.env_raw, "env"))
    for plugin in job.plugins:
        found += _big(plugin.parallelism, f"{plugin.place}.parallelism")
    if found:
        cure = f"give one from {-_LONG} to {_LONG - 1}"
        raise ConfigError([Problem(place, f"{text} is not a whole number of 64 bits", cure) for place, text in found])


def _big(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _big(item, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _big(item, f"{place}[{number}]")
    elif isinstance(value, int) and not -_LONG <= value < _LONG:
        text = str(value) if value.bit_length() < 300 else f"a number of {value.bit_length()} bits"
        yield place, text
