"""Messages between a job master and its workers as bytes: JSON that says its version, for any way they may travel.

A message is `[version, name, values]`. Another version is refused, by a worker with `Refused`, which every version
writes and reads in this form: `[version, "Refused", [why]]`. Values are told by the types that `messages` and `calls`
declare; whoever changes one of these raises VERSION.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, get_args, get_type_hints

from headrace.checkpoint.json_values import dump_values, load_values
from headrace.errors import (
    OWN_ERRORS,
    BadRow,
    ConfigError,
    ConnectorError,
    HeadraceError,
    Problem,
    Rejected,
    StuckTask,
    TablesFailed,
    WorkerLost,
    own_error,
)
from headrace.execution.calls import CALLS
from headrace.execution.messages import Call, Command, Event, Reply
from headrace.execution.plain import FORMS, Form, from_data, plain, to_data

VERSION = 1

NAMES: dict[str, type[Any]] = {cls.__name__: cls for cls in (*get_args(Command), *get_args(Event))}
"""All messages."""

_REFUSED = "Refused"


class Unreadable(HeadraceError):
    """A message cannot be understood; the text says why, in words that go on after who sent it."""


def write_message(message: Command | Event) -> bytes:
    """Raises Rejected when it holds what is no plain data, such as a set in a position or a Python object as option."""
    if isinstance(message, Call):
        kinds, _ = _call_kinds(message.name)
        values = to_data(Call, replace(message, arguments=()))
        values[-1] = [to_data(kind, given) for kind, given in zip(kinds, message.arguments, strict=True)]
    elif isinstance(message, Reply):
        values = to_data(Reply, replace(message, value=None))
        values[-2] = None if message.error else to_data(_call_kinds(message.call)[1], message.value)
    else:
        values = to_data(type(message), message)
    return dump_values([VERSION, type(message).__name__, values])


def read_message(content: bytes) -> Any:
    """The inverse. Raises Unreadable for another version, for a refusal, and for what is no message."""
    try:
        version, name, values = load_values(content)
    except (ValueError, TypeError) as error:
        raise Unreadable(f"sent {len(content)} bytes that are not a message") from error
    if name == _REFUSED:
        raise Unreadable(values[0])
    if version != VERSION:
        raise Unreadable(
            f"speaks version {version} of the messages between a job and its workers, and this process version "
            f"{VERSION}: they run different versions of Headrace; install the same one for both, and restart what "
            "still runs the other"
        )
    try:
        return _read(NAMES[name], values)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise Unreadable(f"sent a {name} that cannot be read") from error


def write_refusal(why: str) -> bytes:
    """What a worker answers to a message that it cannot read, before it ends."""
    return dump_values([VERSION, _REFUSED, [why]])


def _read(cls: type[Any], values: list[Any]) -> Any:
    if cls is Call:
        kinds, _ = _call_kinds(values[2])
        values[-1] = [from_data(kind, given) for kind, given in zip(kinds, values[-1], strict=True)]
    elif cls is Reply and values[-1] is None:
        values[-2] = from_data(_call_kinds(values[2])[1], values[-2])
    return from_data(cls, values)


@cache
def _call_kinds(name: str) -> tuple[tuple[Any, ...], Any]:
    """The types of a call's arguments, after the job, and of its result."""
    hints = get_type_hints(CALLS[name])
    result = hints.pop("return")
    return tuple(hints.values())[1:], result


# -------------------------------------------------------------------------------------------------------- errors

_ARGUMENTS: dict[type[HeadraceError], tuple[Any, ...]] = {
    ConfigError: (list[Problem],),
    ConnectorError: (str, str, str, str),
    WorkerLost: (str, bool),
    BadRow: (str, str, int, str, Any),
    TablesFailed: (Mapping[str, HeadraceError],),
    StuckTask: (str, str, str),
}
"""What the arguments of an error, or of those below it, are; of others there is the text alone."""


def _error_to_data(error: HeadraceError) -> list[Any]:
    error = own_error(error)
    cls = type(error)
    kinds = _kinds_of(cls)
    if not kinds:
        return [cls.__name__, [str(error)]]
    if isinstance(error, BadRow):
        error = BadRow(error.message, error.table, error.row, error.column, _shown(error.value))
    return [cls.__name__, [to_data(kind, given) for kind, given in zip(kinds, error.args, strict=True)]]


def _kinds_of(cls: type[HeadraceError]) -> tuple[Any, ...]:
    return next((_ARGUMENTS[base] for base in cls.__mro__ if base in _ARGUMENTS), ())


def _shown(value: Any) -> Any:
    """A value of a row: as it is where JSON has it, else as text."""
    try:
        return plain(value)
    except Rejected:
        return str(value)


def _error_from_data(data: list[Any]) -> HeadraceError:
    name, given = data
    cls = OWN_ERRORS[name]
    kinds = _kinds_of(cls) or (str,)
    return cls(*(from_data(kind, value) for kind, value in zip(kinds, given, strict=True)))


FORMS[HeadraceError] = Form(_error_to_data, _error_from_data)
