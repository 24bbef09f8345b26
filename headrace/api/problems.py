"""Errors as answers: SeaTunnel's text first, where it has one, and beside it all problems with place and cure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from starlette.responses import Response

from headrace.api.operations import ID_TOO_SMALL, ID_TWICE, NO_BLOCK, NO_ID_TO_GO_ON, Refused
from headrace.errors import ConfigError, HeadraceError, JobExists, JobStoreUnavailable, NotEnoughSlots, Problem
from headrace.secrets import mask_urls
from headrace.server_settings import Wire
from headrace.texts import storable_values


class BadRequest(HeadraceError):
    """What was sent cannot be used. status: of HTTP. message: SeaTunnel's text where it has one."""

    def __init__(self, message: str, problems: Sequence[Problem] = (), status: int = 400) -> None:
        super().__init__(message, problems, status)
        self.message, self.problems, self.status = message, list(problems), status

    def __str__(self) -> str:
        return self.message


class Json(Response):
    """Minimal JSON in UTF-8, without a charset in its type, as SeaTunnel answers."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of a value, or those given."""
        if isinstance(content, bytes):
            return content
        try:
            return orjson.dumps(content)
        except TypeError:  # whole numbers of more than 64 bits, half surrogates
            return json.dumps(storable_values(content), ensure_ascii=False, separators=(",", ":")).encode()


RETRY_SECONDS = "1"
"""When whoever was told that the store of jobs is away may ask again: each node looks for it as often."""

MISTAKES = (BadRequest, ConfigError, JobExists, NotEnoughSlots, Refused)
"""Errors that whoever asks can mend."""


def failure(message: str, problems: Sequence[Problem] = (), status: int = 400) -> Json:
    """SeaTunnel's body of an error, with the complete list of problems where there is one."""
    body: dict[str, Any] = {"status": "fail", "message": mask_urls(message)}
    if problems:
        body["problems"] = [problem_json(problem) for problem in problems]
    return Json(body, status)


def answer_to(error: HeadraceError, wire: Wire) -> Json:
    """The answer that an error of ours becomes."""
    if isinstance(error, JobStoreUnavailable):
        text, cure = str(error), "ask again in a moment"
        answer = failure(f"{text}; {cure}", [Problem("", text, cure)], 503)
        answer.headers["Retry-After"] = RETRY_SECONDS
        return answer
    status = error.status if isinstance(error, BadRequest) else 400 if isinstance(error, MISTAKES) else 500
    return failure(*told(error, wire), status)


def told(error: HeadraceError, wire: Wire) -> tuple[str, list[Problem]]:
    """What a client reads of an error: the message, and the list of problems."""
    if isinstance(error, BadRequest):
        return error.message, error.problems
    if isinstance(error, ConfigError):
        return _message(error.problems[0], wire), error.problems
    if isinstance(error, Refused):
        mistakes = {f"[{number}]": mistake for number, mistake in error.errors.items()}
        return told(next(iter(mistakes.values())), wire)[0], _problems_of(mistakes, wire)
    if isinstance(error, NotEnoughSlots):
        cure = "raise slot-service.slot-num, or lower the parallelism"
        return f"{error}; {cure}", [Problem("env.parallelism", str(error), cure)]
    if isinstance(error, JobExists):
        cure = "set isStartWithSavePoint=true to go on from its saved state, or give another id"
        return str(error), [Problem("jobId", str(error), cure)]
    return str(error), []


def _problems_of(errors: Mapping[str, HeadraceError], wire: Wire) -> list[Problem]:
    """The mistakes of several jobs, by the place of each."""
    problems = []
    for place, error in errors.items():
        message, found = told(error, wire)
        problems += [replace(problem, place=f"{place}.{problem.place}".rstrip(".")) for problem in found]
        problems += [] if found else [Problem(place, message)]
    return problems


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem in an answer, passwords in URLs masked."""
    return {
        "place": problem.place,
        "message": mask_urls(problem.message),
        "cure": problem.cure,
        "line": problem.line,
    }


_PLACE = re.compile(r"^(source|transform|sink)\[\d+]\.([^.]+)")


def _message(problem: Problem, wire: Wire) -> str:
    """What SeaTunnel says of such a problem, then what we know of it."""
    found = _PLACE.match(problem.place)
    ours = str(problem)
    if problem.place == "env.job.mode":
        value = re.search(r"'([^']*)'", problem.message)
        return (
            f"Json parsing exception, value '{value[1] if value else ''}', and expected type "
            "'org.apache.seatunnel.common.constants.JobMode'"
        )
    if problem.code == NO_ID_TO_GO_ON:
        return "Please provide jobId when start with save point."
    if problem.code == ID_TOO_SMALL:
        return f'For input string: "{problem.message.partition(" ")[0]}"'
    if problem.code == ID_TWICE:
        return problem.message
    if problem.code == NO_BLOCK:
        return f"{problem.place}: {problem.message}"
    if problem.code == "seatunnel":
        return f"{problem.message} {problem.place}: {problem.cure}"
    if problem.code == "unknown-plugin" and found:
        kind, name = found.groups()
        if kind == "transform":
            return (
                "ErrorCode:[API-06], ErrorDescription:[Factory initialize failed] - Could not find any factory for "
                f"identifier '{name}' that implements 'org.apache.seatunnel.api.table.factory.TableTransformFactory' "
                f"in the classpath. {ours}"
            )
        if wire is Wire.V2_3_3:
            identifier = f"engineType='seatunnel', pluginType='{kind}', pluginName='{name}'"
            return f"Plugin PluginIdentifier{{{identifier}}} not found. {ours}"
        return f"{_factory(kind, name)} {ours}"
    if problem.code == "options" and found:
        return f"{_factory(*found.groups())} {ours}"
    if not problem.place and problem.message.startswith("Miss <"):
        return problem.message
    return ours if problem.place else "; ".join(part for part in (problem.message, problem.cure) if part)


def _factory(kind: str, name: str) -> str:
    return (
        "ErrorCode:[API-06], ErrorDescription:[Factory initialize failed] - "
        f"Unable to create a {kind} for identifier '{name}'."
    )
