"""The runners that jobs of tests run on. One Ray serves all tests of a process: it takes seconds to start."""

import importlib.util
from functools import cache

import pytest

from headrace.execution import local
from headrace.execution.ray_cluster import RayCluster


def why_no_ray() -> str:
    """Why there is no Ray; empty when there is."""
    return "" if importlib.util.find_spec("ray") else "ray is not installed: pip install 'headrace[ray]'"


@cache
def shared_ray() -> RayCluster:
    """A Ray of this process, joined; closed when the tests end, by `close_ray`."""
    if reason := why_no_ray():
        pytest.skip(reason)
    return RayCluster(cpus=4, memory=4 << 30)


def close_ray() -> None:
    if shared_ray.cache_info().currsize:
        shared_ray().close()
        shared_ray.cache_clear()


def make_runner(name: str, workers: int | None = None):
    """As headrace.execution.local.make_runner; on Ray its workers are ended with it, and Ray stays."""
    if name != "ray":
        return local.make_runner(name, workers)
    from headrace.execution.ray_runner import RayRunner

    return RayRunner(shared_ray(), workers)
