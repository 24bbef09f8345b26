"""What clients send: bodies and queries, read as leniently as SeaTunnel does and refused in its words."""

import json
import re
from collections.abc import Mapping
from email import policy
from email.parser import BytesParser
from typing import Any
from urllib.parse import unquote_plus

from headrace.api.operations import no_block
from headrace.api.problems import BadRequest
from headrace.errors import Problem
from headrace.server_settings import Wire

LONG = 2**63

_TOKENS = {list: ("Array", "START_ARRAY"), bool: ("Boolean", "VALUE_TRUE"), int: ("Integer", "VALUE_NUMBER_INT")}
MAX_DEPTH = 200


def text_of(body: bytes) -> str:
    """The body as text. Raises BadRequest when it is empty or not UTF-8."""
    if not body:
        raise BadRequest("Request body is empty.", [Problem("", "there is no body", "send a job or what is asked for")])
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(
            "Invalid JSON format in request body.",
            [Problem("", f"byte {error.start} of the body, 0x{body[error.start]:02x}, is not UTF-8", "send UTF-8")],
        ) from None


def file_of(body: bytes, content_type: str, part: str) -> tuple[str, bytes]:
    """The name and the content of the file that a form holds as `part`. Raises BadRequest without one."""
    kind = content_type.partition(";")[0].strip().lower()
    cure = f"send it as curl -F {part}=@job.conf does"
    if kind != "multipart/form-data":
        text = f"Unsupported Content-Type [{kind}], expected [multipart/form-data]"
        raise BadRequest(text, [Problem("Content-Type", text, cure)])
    head = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n"
    form = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    for found in form.iter_parts():
        if found.get_param("name", header="content-disposition") == part:
            content = found.get_payload(decode=True)
            return found.get_filename() or "", content if isinstance(content, bytes) else b""
    text = f"the form has no file {part!r}"
    raise BadRequest(text, [Problem(part, text, cure)])


def json_of(text: str) -> tuple[Any, str]:
    """The first JSON value of the text, and its own text; what follows it is not looked at, as SeaTunnel does not.

    Raises BadRequest.
    """
    stripped = text.lstrip()
    if not stripped:
        raise BadRequest("objectMap is marked non-null but is null", [Problem("", "the body is blank", "send a job")])
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(stripped)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(
            "Invalid JSON format in request body.", [Problem("", f"{error.msg} at {place}", "send a JSON object")]
        ) from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        text = "a number has more digits than can be read"
        raise BadRequest("Invalid JSON format in request body.", [Problem("", text, "write it as a text")]) from None
    except RecursionError:
        raise BadRequest(
            "Invalid JSON format in request body.",
            [Problem("", "it is nested too deeply", f"nest {MAX_DEPTH} levels at most")],
        ) from None
    if _depth_exceeds(value, MAX_DEPTH):
        raise BadRequest(
            "Invalid JSON format in request body.",
            [Problem("", "it is nested too deeply", f"nest {MAX_DEPTH} levels at most")],
        )
    if "\\ud" in stripped.lower():
        _refuse_halves(value)
    return value, stripped[:end]


def _refuse_halves(value: Any) -> None:
    """An escape such as \\ud83d alone is half a character: no store and no target can hold it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        cure = "send both halves, or the character itself"
        raise BadRequest(
            "Invalid JSON format in request body.", [Problem("", f"{half} alone is half a character", cure)]
        ) from None


def object_of(text: str, wire: Wire) -> tuple[dict[str, Any], str]:
    """A JSON object and its text. Raises BadRequest in the words of SeaTunnel's JSON library."""
    value, own = json_of(text)
    if isinstance(value, dict):
        return value, own
    if value is None:
        raise BadRequest(
            "objectMap is marked non-null but is null", [Problem("", "the body is null", "send an object")]
        )
    if isinstance(value, str):
        kind, token = "String", "VALUE_STRING"
    elif isinstance(value, float):
        kind, token = "Floating-point", "VALUE_NUMBER_FLOAT"
    else:
        kind, token = _TOKENS[type(value)]
        token = "VALUE_FALSE" if value is False else token
    source = "line: -1, column: -1" if wire is Wire.V2_3_3 else "byte offset: #UNKNOWN"
    raise BadRequest(
        f"Cannot deserialize value of type `java.util.LinkedHashMap<java.lang.String,java.lang.Object>` from {kind} "
        f"value (token `JsonToken.{token}`)\n at [Source: UNKNOWN; {source}]"
    )


def list_of(text: str, message: str) -> list[Any]:
    """A JSON array. Raises BadRequest with `message` for anything else."""
    value, _ = json_of(text)
    if not isinstance(value, list):
        raise BadRequest(message, [Problem("", f"the body is {type(value).__name__}", "send an array of objects")])
    return value


def query_of(query: str) -> dict[str, str]:
    """The parameters of a query: the text between the first two `=`; the last of equal names wins.

    Raises BadRequest for a parameter without a value, or one that cannot be decoded.
    """
    found: dict[str, str] = {}
    for part in query.split("&") if query else ():
        pieces = part.split("=")
        if len(pieces) < 2 or not pieces[1]:
            raise BadRequest("Invalid Params format in Params.", [Problem(part, "it is not name=value", "")])
        found[_decode(pieces[0])] = _decode(pieces[1])
    return found


def jetty_query(query: str) -> dict[str, str]:
    """The parameters of a query as Jetty reads them: what stands behind the first `=`; the last of equal names wins.

    Raises BadRequest for what cannot be decoded.
    """
    if broken := _BROKEN_ESCAPE.search(query):
        cure = "write a percent sign as %25"
        problem = Problem("", f"{broken[0]!r} in the query is not an escape of a character", cure)
        raise BadRequest("Unable to parse URI query", [problem])
    pairs = (part.partition("=") for part in query.split("&") if part)
    return {unquote_plus(name, errors="replace"): unquote_plus(value, errors="replace") for name, _, value in pairs}


def tags_of(query: str) -> dict[str, str]:
    """Attributes of nodes in a query, not decoded, as Hazelcast's listener takes them. Raises BadRequest for one that
    stands twice."""
    tags: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if name in tags:
            text = f"Duplicate key {name} (attempted merging values {tags[name]} and {value})"
            raise BadRequest(text, [Problem(name, "the attribute is given twice", "ask for one value")])
        tags[name] = value
    return tags


_BROKEN_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})(.{0,2})")


def _decode(text: str) -> str:
    broken = _BROKEN_ESCAPE.search(text)
    if broken is None:
        return unquote_plus(text, errors="replace")
    if len(broken[1]) < 2:
        raise BadRequest("URLDecoder: Incomplete trailing escape (%) pattern")
    wrong = next(index for index, char in enumerate(broken[1]) if char not in "0123456789abcdefABCDEF")
    raise BadRequest(
        f'URLDecoder: Illegal hex characters in escape (%) pattern - Error at index {wrong} in: "{broken[1]}"'
    )


def long_of(value: Any, place: str = "jobId") -> int:
    """A number as Java's Long.parseLong reads it. Raises BadRequest `For input string: "…"`, and says the place."""
    text = value if isinstance(value, str) else json.dumps(value)
    digits = text[1:] if text[:1] in "+-" else text
    sign, plain = text[: len(text) - len(digits)], digits.lstrip("0") or "0"
    is_number = digits.isascii() and digits.isdigit() and len(plain) <= len(str(LONG))
    if not is_number or not -LONG <= int(sign + plain) < LONG:
        problem = Problem(place, f"{text!r} is not a whole number of 64 bits", "give a number")
        raise BadRequest(f'For input string: "{text}"', [problem])
    return int(sign + plain)


def truth(value: Any) -> bool:
    """What Java's Boolean.parseBoolean says: only `true`, in any case."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def need_blocks(job: Mapping[str, Any]) -> None:
    """What SeaTunnel finds missing only by failing: the blocks of a job. Raises BadRequest with all of them."""
    problems = []
    if "env" not in job:
        problems.append(Problem("env", "No configuration setting found for key 'env'", 'add "env": {}'))
    for kind in ("source", "sink"):
        if job.get(kind) is None:
            problems.append(no_block(kind))
        elif not isinstance(job[kind], list):
            text = f"must be an array of plugins, not {type(job[kind]).__name__}"
            problems.append(Problem(kind, text, f'write "{kind}": [{{"plugin_name": …}}]'))
    if problems:
        first = problems[0]
        raise BadRequest(first.message if first.place == "env" else f"{first.place}: {first.message}", problems)


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            item
            for node in level
            if isinstance(node, dict | list)
            for item in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return True
