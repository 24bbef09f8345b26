"""Compares an answer of a real SeaTunnel with ours: keys, types and texts of keys exactly, figures by their form."""

import re
from typing import Any

FORMS = {
    "time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "whole number": r"[+-]?\d+",
    "number": r"\d+\.\d+(E-?\d+)?",
    "percent": r"\d+(\.\d+)?%",
    "milliseconds": r"\d+ms",
    "size": r"\d+(\.\d+)?[KMGTPE]?",
    "name of a log": r".+\.(log|out)",
}
"""Texts of one form are equal, whatever their figures. The order matters: a whole number is also a size."""

EXACT = {
    "envOptions",
    "pipelineEdges",
    "vertexInfoMap",
    "vertices",
    "edges",
    "jobName",
    "jobStatus",
    "message",
    "status",
}
"""Keys below which every text counts as it stands."""

FREE = {"jarPath", "projectVersion", "gitCommitAbbrev", "host", "port", "address", "uuid", "memberVersion", "errorMsg"}
FREE |= {"threadName", "threadState", "stackTrace", "classLoader", "node", "logLink", "logName"}
"""Keys whose values only need the recorded type: they name what runs there."""

SIZES = re.compile(r"^(physical\.memory|heap\.memory|swap\.space)\.[a-z]+$")

MORE = {
    "": {"startTime", "slowSide", "deliveryReport", "problems", "envOptions", "warnings", "diagnostics"},
    "jobDag": {"jobId", "pipelineEdges", "envOptions", "vertexInfoMap", "vertices", "edges"},
    "metrics": None,
    "system": {"isMaster", "host", "port"},
}
"""Where our answers serve two generations at once: the keys that may be there besides the recorded ones."""


def differences(theirs: Any, ours: Any, path: str = "", *, exact: bool = False) -> list[str]:
    """What differs, one text each; empty when our answer does for a client that knows theirs."""
    key = path.rsplit(".", 1)[-1].split("[")[0]
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return _of_objects(theirs, ours, path, exact=exact or key in EXACT)
    if isinstance(theirs, list) and isinstance(ours, list):
        return _of_lists(theirs, ours, path, exact=exact or key in EXACT)
    if key == "errorMsg" and (theirs is None) == (ours is None):
        return []
    if type(theirs) is not type(ours):
        return [f"{path}: {theirs!r} is {type(theirs).__name__}, ours {ours!r} is {type(ours).__name__}"]
    if key in FREE or theirs == ours:
        return []
    if isinstance(theirs, str) and not (exact or key in EXACT):
        form = "size" if SIZES.match(path.partition("].")[2]) else _form(theirs)
        if form is not None:
            return [] if re.fullmatch(FORMS[form], ours) else [f"{path}: {ours!r} is not a {form} as {theirs!r} is"]
    if isinstance(theirs, int | float) and not isinstance(theirs, bool) and not exact:
        return []
    return [f"{path}: {theirs!r}, ours {ours!r}"]


def _of_objects(theirs: dict[str, Any], ours: dict[str, Any], path: str, *, exact: bool) -> list[str]:
    found = [f"{path}: there is no {key!r}" for key in theirs if key not in ours]
    place = path.rsplit(".", 1)[-1].split("[")[0]
    if "processors" in theirs:
        place = "system"
    allowed = MORE.get(place, MORE[""] if {"jobId", "status"} & set(ours) else set())
    if allowed is not None:
        found += [f"{path}: {key!r} is too much" for key in ours if key not in theirs and key not in allowed]
    for key in theirs:
        if key in ours:
            below = exact and key not in ("jobId",)
            found += differences(theirs[key], ours[key], f"{path}.{key}", exact=below)
    return found


def _of_lists(theirs: list[Any], ours: list[Any], path: str, *, exact: bool) -> list[str]:
    if theirs and all(isinstance(item, dict) and "name" in item and "parallelism" in item for item in theirs + ours):
        theirs, ours = (sorted(items, key=lambda item: item["id"]) for items in (theirs, ours))
    if exact and len(theirs) != len(ours):
        return [f"{path}: {len(theirs)} elements, ours {len(ours)}"]
    if theirs and not ours:
        return [f"{path}: nothing is in our list"]
    return [
        text
        for number, (one, other) in enumerate(zip(theirs, ours, strict=False))
        for text in differences(one, other, f"{path}[{number}]", exact=exact)
    ]


def _form(text: str) -> str | None:
    return next((name for name, pattern in FORMS.items() if re.fullmatch(pattern, text)), None)
