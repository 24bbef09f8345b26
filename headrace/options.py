"""A plugin's options: declared once as a pydantic model, read from a job file's values with all problems at once."""

import json
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from headrace.errors import Problem
from headrace.secrets import shown

O = TypeVar("O", bound="Options")  # noqa: E741  reads as the options' own type

MISSING: Any = object()

PATH: dict[str, Any] = {"format": "path"}
"""`json_schema_extra` of an option that names a file or directory of this machine: a server says which are allowed."""

HOST: dict[str, Any] = {"format": "host"}
"""Likewise for a host or the URL of one."""

STORE_PATH: dict[str, Any] = {"format": "store-path"}
"""Likewise for a path within a store of another host: a server says which hosts are allowed, not which paths."""

CODE: dict[str, Any] = {"format": "code"}
"""Likewise for code, or the name of some: a server takes it only where its operator allows jobs to run code."""


def local_path(text: str) -> str:
    """The path that a text names; it may be a `file:` URL. Raises ValueError for a URL of anything else."""
    scheme, _, rest = text.partition(":")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return text
    if scheme.lower() != "file":
        if rest.startswith("//"):
            raise ValueError(f"{text!r} is not a path of this machine")
        return text
    if not rest.startswith("//"):
        return rest
    machine, _, path = rest[2:].partition("/")
    if machine not in ("", "localhost"):
        raise ValueError(f"{text!r} lies on another machine")
    return f"/{path.lstrip('/')}"


LocalPath = Annotated[str, AfterValidator(local_path)]
"""An option that names a file or directory of this machine, alone or as a `file:` URL; mark it PATH."""


class Options(BaseModel):
    """Base of all options: unknown keys are problems, values never change, numbers may stand for text.

    Declare each option once: `rows: int = Field(default=5, validation_alias="row.num", description="Rows per task.")`.
    The first alias is the option's documented name, further ones (`AliasChoices`) are old names that still work.
    A unit that the key does not name stands in the description. Secrets are `SecretStr`.
    """

    filled_in: ClassVar[Mapping[str, str]] = {}
    """Option → regular expression of the names that the plugin itself fills in there: `${now}` is then no variable."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, arbitrary_types_allowed=True)

    def hints(self) -> Iterable[tuple[str, str]]:
        """(what is so, what could be done about it) of what is right as it is, though often not what is meant."""
        return ()

    def touches(self) -> Iterable[tuple[str, str, str]]:
        """(option, format of a mark such as HOST, value) of what no marked option says by itself, such as a default."""
        return ()


class Choice(StrEnum):
    """Base of an option's closed list of values, matched without regard to case as SeaTunnel does."""

    @classmethod
    def _missing_(cls, value: object) -> "Choice | None":
        wanted = str(value).strip().lower()
        return next((member for member in cls if member.value.lower() == wanted), None)


@dataclass(frozen=True)
class ReadOptions(Generic[O]):
    """What `read_options` found.

    options: the model; None when there are problems. unknown: keys no option has; some are likely misspelt.
    """

    options: O | None
    problems: tuple[Problem, ...]
    unknown: tuple[Problem, ...]


_RESEMBLES = "did you mean"


def is_slip(problem: Problem) -> bool:
    """Whether an unknown option is likely a known one, misspelt: it is within two letters of one that is not set."""
    return problem.message == "unknown option" and problem.cure.startswith(_RESEMBLES)


def read_options(model: type[O], values: Mapping[str, Any]) -> ReadOptions[O]:
    """Make a `model` from a job file's values.

    An option is looked up under each of its names, first as one literal key, then as a nested path, as SeaTunnel's
    ReadonlyConfig does; a dotted key may lead into an option that holds others (`schema.fields { id = int }`). An
    unknown key is only listed, as SeaTunnel's own files hold some; see is_slip. Text stands for a list (`a,b`) or a map
    (JSON) as in SeaTunnel; null for no value.
    """
    problems: list[Problem] = []
    unknown: list[Problem] = []
    found = _normalise(model, values, "", unknown)
    try:
        options = model.model_validate(found)
    except ValidationError as error:
        problems = [_problem(model, item) for item in error.errors()]
    return ReadOptions(None if problems else options, tuple(problems), tuple(unknown))


@cache
def _options_of(model: type[Options]) -> tuple[tuple[tuple[str, ...], FieldInfo], ...]:
    """Each option's names, the documented one first."""
    return tuple((tuple(option_names(name, field)), field) for name, field in model.model_fields.items())


@cache
def _by_name(model: type[Options]) -> Mapping[str, tuple[str, FieldInfo]]:
    """The documented name and the option of each name."""
    return {name: (names[0], field) for names, field in _options_of(model) for name in names}


def _normalise(model: type[Options], values: Mapping[str, Any], place: str, unknown: list[Problem]) -> dict[str, Any]:
    """The values under their documented names, without unknown keys; likewise for the options within them."""
    found: dict[str, Any] = {}
    used: set[tuple[str, ...]] = set()
    values = _gathered(model, values)
    for names, field in _options_of(model):
        for alias in names:
            path = _find(values, alias)
            if path is not None:
                used.add(path)
                value = _accept_text(field.annotation, _get(values, path))
                if value is None and Any not in _union_parts(field.annotation):
                    continue  # as if the key were left out
                if isinstance(value, Mapping) and not value and _is_optional_block(field.annotation):
                    continue  # `schema {}` says nothing
                found.setdefault(names[0], _within(field.annotation, value, f"{place}{names[0]}", unknown))
    _check_unknown(model, values, used, set(found), place, unknown)
    return found


def _gathered(model: type[Options], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values, those whose dotted keys lead into an option that holds keys moved into it."""
    names = _by_name(model)
    found = dict(values)
    for key, value in values.items():
        if "." not in key or key in names:
            continue
        cuts = [i for i, char in enumerate(key) if char == "." and key[:i] in names]
        if cuts and _holds_keys(names[key[: cuts[-1]]][1].annotation):
            outer, rest = key[: cuts[-1]], key[cuts[-1] + 1 :]
            inner = found.get(outer, {})
            if isinstance(inner, Mapping):
                both = isinstance(value, Mapping) and isinstance(inner.get(rest), Mapping)
                found[outer] = {**inner, rest: {**inner[rest], **value} if both else value}
                del found[key]
    return found


def _is_optional_block(annotation: Any) -> bool:
    parts = _union_parts(annotation)
    return type(None) in parts and any(isinstance(part, type) and issubclass(part, Options) for part in parts)


def _holds_keys(annotation: Any) -> bool:
    kinds = [get_origin(part) or part for part in _union_parts(annotation)]
    return any(isinstance(kind, type) and issubclass(kind, Options | Mapping) for kind in kinds)


def _within(annotation: Any, value: Any, place: str, unknown: list[Problem]) -> Any:
    """The same for options that hold options, alone or in a list."""
    for part in _union_parts(annotation):
        if isinstance(part, type) and issubclass(part, Options) and isinstance(value, Mapping):
            return _normalise(part, value, f"{place}.", unknown)
        inner = get_args(part)
        if get_origin(part) is list and inner and isinstance(value, list):
            return [_within(inner[0], item, f"{place}[{i}]", unknown) for i, item in enumerate(value)]
    return value


def option_name(name: str, field: FieldInfo) -> str:
    """The documented name of an option."""
    return option_names(name, field)[0]


def option_names(name: str, field: FieldInfo) -> list[str]:
    """All names of an option, the documented one first."""
    alias = field.validation_alias
    if alias is None:
        return [name]
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias)]


def _find(values: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """The path of an option in nested values: the literal key first, then every way to split it at its dots."""
    if name in values:
        return (name,)
    dot = name.find(".")
    while dot >= 0:
        if isinstance(inner := values.get(name[:dot]), Mapping):
            rest = _find(inner, name[dot + 1 :])
            if rest is not None:
                return (name[:dot], *rest)
        dot = name.find(".", dot + 1)
    return None


def look_up(values: Mapping[str, Any], name: str) -> Any:
    """The value of a key in nested values, literal or as a path, as options are looked up; MISSING without one."""
    path = _find(values, name)
    return MISSING if path is None else _get(values, path)


def _get(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _leaves(
    values: Mapping[str, Any], used: set[tuple[str, ...]], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """The paths of all values outside of the used ones; a map none of whose keys is used counts as one."""
    for key, value in values.items():
        path = (*prefix, key)
        if path in used:
            continue
        if isinstance(value, Mapping) and any(u[: len(path)] == path for u in used):
            yield from _leaves(value, used, path)
        else:
            yield path


def _check_unknown(
    model: type[Options],
    values: Mapping[str, Any],
    used: set[tuple[str, ...]],
    found: set[str],
    place: str,
    unknown: list[Problem],
) -> None:
    names = _by_name(model)
    for path in _leaves(values, used):
        key = ".".join(path)
        near = [n for n in get_close_matches(key, names, 3, 0.6) if edits(key.lower(), n.lower()) <= 2]
        free = [n for n in near if names[n][0] not in found]
        if free:
            unknown.append(Problem(place + key, "unknown option", f"{_RESEMBLES} {free[0]!r}?"))
        else:
            guess = get_close_matches(key, names, 1, 0.6)
            unknown.append(
                Problem(place + key, "unknown option", f"the nearest known one is {guess[0]!r}" if guess else "")
            )


def edits(a: str, b: str) -> int:
    """How many letters must be added, removed or changed to make `b` of `a` (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def _accept_text(annotation: Any, value: Any) -> Any:
    """SeaTunnel takes `a,b` for a list and JSON text for a map, and `true` without quotes where it wants text."""
    if not isinstance(value, str):
        return _booleans_as_text(annotation, value)
    kinds = {get_origin(a) or a for a in _union_parts(annotation)}
    if str in kinds:
        return value
    if kinds & {list, tuple, set, frozenset}:
        text = value.strip()
        if text.startswith("["):
            try:
                return json.loads(text)
            except ValueError:
                return value
        return [part.strip() for part in value.split(",")]
    blocks = any(isinstance(kind, type) and issubclass(kind, Options) for kind in kinds)
    if blocks or dict in kinds or Mapping in kinds:
        try:
            return json.loads(value, strict=False)
        except ValueError:
            return value
    return value


def _booleans_as_text(annotation: Any, value: Any) -> Any:
    parts = _union_parts(annotation)
    if isinstance(value, bool):
        return str(value).lower() if set(parts) & {str, SecretStr} and not set(parts) & {bool, Any} else value
    for part in parts:
        inner = get_args(part)
        if isinstance(value, list) and get_origin(part) is list and inner:
            return [_booleans_as_text(inner[0], item) for item in value]
        if isinstance(value, Mapping) and get_origin(part) is dict and inner:
            return {key: _booleans_as_text(inner[1], item) for key, item in value.items()}
    return value


def _union_parts(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(part for inner in get_args(annotation) for part in _union_parts(inner))
    return (annotation,)


def _problem(model: type[Options], item: Any) -> Problem:
    """A pydantic error as a Problem whose place is the option's path, such as `tables_configs[1].row.num`."""
    place = ""
    for part in item["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    message, cure = item["msg"].removeprefix("Value error, "), ""
    if item["type"] == "missing":
        message = "required option is missing"
        field = next((f for n, f in model.model_fields.items() if option_name(n, f) == place), None)
        cure = field.description or "" if field else ""
    elif item["type"] == "extra_forbidden":
        message = "unknown option"
    elif item["type"] == "enum":
        message = f"{shown(place, item['input'])} is not one of {item['ctx']['expected']}"
    elif item["type"] != "value_error":
        message = f"{message}, not {shown(place, item['input'])}"
    return Problem(place, message, cure)
