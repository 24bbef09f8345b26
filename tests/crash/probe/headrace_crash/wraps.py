"""Ways to wrap a function of Headrace so that something is called where it begins or ends."""

import functools
import importlib
import threading
from collections.abc import Callable

Wrap = Callable[[Callable[[], None]], None]
"""Wraps what it knows so that the function it is given is called at the point."""


def _owner(place: str) -> tuple[object, str]:
    """`package.module:Class.method` as the object that has it, and the name."""
    module, _, names = place.partition(":")
    found = importlib.import_module(module)
    *path, name = names.split(".")
    for part in path:
        found = getattr(found, part)
    return found, name


def replaced(place: str, make: Callable[[Callable], Callable]) -> None:
    owner, name = _owner(place)
    inner = getattr(owner, name)
    setattr(owner, name, functools.wraps(inner)(make(inner)))


def before(*places: str, where: Callable[..., bool] = lambda *arguments: True) -> Wrap:
    def wrap(stop):
        def make(inner):
            def wrapped(*arguments, **named):
                if where(*arguments):
                    stop()
                return inner(*arguments, **named)

            return wrapped

        for place in places:
            replaced(place, make)

    return wrap


def after(*places: str, where: Callable[..., bool] = lambda *arguments: True) -> Wrap:
    def wrap(stop):
        def make(inner):
            def wrapped(*arguments, **named):
                result = inner(*arguments, **named)
                if where(*arguments):
                    stop()
                return result

            return wrapped

        for place in places:
            replaced(place, make)

    return wrap


def within(outer: str, inner: Wrap) -> Wrap:
    """`inner`, but only while this thread is in `outer`."""
    inside = threading.local()

    def wrap(stop):
        def make(function):
            def wrapped(*arguments, **named):
                inside.depth = getattr(inside, "depth", 0) + 1
                try:
                    return function(*arguments, **named)
                finally:
                    inside.depth -= 1

            return wrapped

        replaced(outer, make)
        inner(lambda: stop() if getattr(inside, "depth", 0) else None)

    return wrap


class _Seen:
    """A module as one other module sees it."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)


def seen(place: str, wrap_as: Callable[..., Wrap], where: Callable[..., bool]) -> Wrap:
    """`package.module:imported.function`, wrapped for this module alone."""
    module, names = place.split(":")
    imported, function = names.split(".")

    def wrap(stop):
        owner = importlib.import_module(module)
        mine = _Seen(getattr(owner, imported))
        setattr(mine, function, getattr(mine, function))
        setattr(owner, imported, mine)
        wrap_as(f"{module}:{imported}.{function}", where=where)(stop)

    return wrap
