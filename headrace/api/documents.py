"""Parts of the OpenAPI document that several routes share."""

from typing import Any

from headrace.api import models

REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": models.Failure, "description": "The request is wrong; `problems` lists everything."},
    401: {"description": "Authentication is needed."},
    403: {"model": models.Failure, "description": "A page of another address asks, or this user may only look."},
    413: {"model": models.Failure, "description": "The body is too large."},
    415: {"model": models.Failure, "description": "The body is packed otherwise than with gzip."},
    503: {"model": models.Failure, "description": "Only another node of the cluster knows, and it does not answer."},
}
NO_NODE: dict[int | str, dict[str, Any]] = {
    404: {"model": models.Failure, "description": "There is no such node."},
}


def query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter of the query."""
    return {"name": name, "in": "query", "schema": schema}


def body(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A body in JSON."""
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"description": description, "required": True, "content": content}}


NODE = query("node", {"type": "string", "description": "host:port of another node of the cluster."})
JOB = {
    "type": "object",
    "required": ["env", "source", "sink"],
    "properties": {
        "env": {"type": "object"},
        "source": {"type": "array", "items": {"type": "object"}},
        "transform": {"type": "array", "items": {"type": "object"}},
        "sink": {"type": "array", "items": {"type": "object"}},
    },
}
UPLOAD = {
    "description": "The job file, as `config_file`.",
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["config_file"],
                "properties": {"config_file": {"type": "string", "format": "binary"}},
            }
        }
    },
}
SUBMIT_QUERY = (
    query("jobId", {"type": "integer", "minimum": 1}),
    query("jobName", {"type": "string"}),
    query("isStartWithSavePoint", {"type": "boolean"}),
    query("strict", {"type": "boolean"}),
    query("restoreMode", {"enum": ["SAVEPOINT", "CHECKPOINT"]}),
    query("restoreSourceJobId", {"type": "integer", "minimum": 1}),
)
FORMAT = query("format", {"enum": ["json", "hocon", "sql"]})
STOP = {
    "type": "object",
    "required": ["jobId"],
    "properties": {
        "jobId": {"type": ["integer", "string"]},
        "isStopWithSavePoint": {"type": "boolean"},
        "force": {"type": "boolean"},
    },
}
DRAIN = {
    "type": "object",
    "required": ["node"],
    "properties": {"node": {"type": "string"}, "undo": {"type": "boolean"}},
}
PAGES = (query("page", {"type": "integer", "minimum": 1}), query("rows", {"type": "integer", "minimum": 1}))
