"""Plugins and their options: as JSON schema, and as SeaTunnel 3 tells them (/option-rules)."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, PydanticUndefined, to_jsonable_python

from headrace.api.problems import BadRequest
from headrace.connector import Registry, Sink, Source, Transform, sinks, sources, transforms
from headrace.errors import Problem
from headrace.options import option_names

Plugin = type[Source] | type[Transform] | type[Sink]
KINDS: dict[str, Registry[Any]] = {"source": sources, "transform": transforms, "sink": sinks}


def plugins() -> list[dict[str, Any]]:
    """Every plugin: its name, what it can be, and what it does in one line."""
    names = dict.fromkeys(sorted((name for kind in KINDS.values() for name in kind.names()), key=str.lower))
    found = []
    for name in names:
        classes = {kind: cls for kind, registry in KINDS.items() if (cls := registry.find(name)) is not None}
        if classes:
            first = next(iter(classes.values()))
            found.append({"name": name, "kinds": list(classes), "description": _first_line(first)})
    return found


def plugin(kind: str, name: str) -> dict[str, Any]:
    """One plugin: what it does, and its options as JSON schema. Raises BadRequest, 404, when there is none."""
    cls = _find(kind, name, status=404)
    schema = cls.Options.model_json_schema(schema_generator=_AnySchema)
    return {"name": name, "kind": kind, "description": (cls.__doc__ or "").strip(), "options": schema}


class _AnySchema(GenerateJsonSchema):
    """An option that only a Python program can give, such as a table in memory, may be anything in JSON."""

    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> JsonSchemaValue:
        return {}


def option_rule(kind: str, name: str) -> dict[str, Any]:
    """The options of a plugin in SeaTunnel's form. Raises BadRequest, which names the nearest plugin."""
    cls = _find(kind.lower(), name, status=400)
    fields = cls.Options.model_fields.items()
    required = [_option(key, field) for key, field in fields if field.is_required()]
    rules = [{"ruleType": "ABSOLUTELY_REQUIRED", "options": required}] if required else []
    return {
        "engineType": "seatunnel",
        "pluginType": kind.lower(),
        "pluginName": name,
        "optionRule": {
            "optionalOptions": [_option(key, field) for key, field in fields if not field.is_required()],
            "requiredOptions": rules,
            "conditionRules": [],
            "valueConstraints": [],
        },
    }


def _find(kind: str, name: str, *, status: int) -> Plugin:
    registry = KINDS.get(kind)
    if registry is None:
        text = f"there is no type of plugins {kind!r}"
        raise BadRequest(text, [Problem("type", text, f"give one of {', '.join(KINDS)}")], status)
    cls: Plugin | None = registry.find(name)
    if cls is None:
        near = registry.near(name)
        text, cure = f"unknown {kind} {name!r}", f"did you mean {near[0]}?" if near else "see /plugins"
        raise BadRequest(f"{text}; {cure}", [Problem("plugin", text, cure)], status)
    return cls


_JAVA = {
    bool: "java.lang.Boolean",
    int: "java.lang.Integer",
    float: "java.lang.Double",
    str: "java.lang.String",
}


def _option(name: str, field: Any) -> dict[str, Any]:
    names = option_names(name, field)
    default = None if field.default in (None, PydanticUndefined) else to_jsonable_python(field.default, fallback=str)
    members = getattr(field.annotation, "__members__", None)
    return {
        "key": names[0],
        "type": _JAVA.get(field.annotation) or _type_name(field.annotation),
        "defaultValue": default,
        "description": field.description or "",
        "fallbackKeys": names[1:],
        "optionValues": [one.value for one in members.values()] if members else None,
    }


def _type_name(annotation: Any) -> str:
    """Java's name of the plain type in an annotation such as `int | None`; else Python's of the whole."""
    parts = [part for part in getattr(annotation, "__args__", ()) if part is not type(None)]
    if len(parts) == 1 and parts[0] in _JAVA:
        return _JAVA[parts[0]]
    return getattr(annotation, "__name__", str(annotation).replace("typing.", ""))


def _first_line(cls: Plugin) -> str:
    return ((cls.__doc__ or "").strip().splitlines() or [""])[0]
