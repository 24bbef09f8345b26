"""Bodies that were packed on their way: unpacked before anything reads them. RFC 9110, 8.4."""

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from headrace.api.problems import BadRequest
from headrace.errors import Problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

PACKED = ("gzip", "x-gzip")
"""What can be unpacked; x-gzip is its old name."""


class TooLarge(Exception):
    """A body without a length, or a packed one, turned out to be too large."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


def encodings(header: str) -> list[str]:
    """The encodings of a body that change it, in lower case, in the order in which they were applied."""
    return [name for part in header.split(",") if (name := part.strip().lower()) and name != "identity"]


def not_unpacked(names: list[str]) -> str:
    """Why a body cannot be read; empty when it can."""
    if not names or (len(names) == 1 and names[0] in PACKED):
        return ""
    return f"the body is encoded as {', '.join(names)}, and only gzip is unpacked; send it as it is, or with gzip"


def unpacked(receive: Receive, limit: int) -> Receive:
    """The body that a gzip body holds. Raises TooLarge beyond `limit` bytes, BadRequest for what is not a gzip."""
    member = zlib.decompressobj(wbits=31)
    size = 0

    def unpack(data: bytes) -> bytes:
        nonlocal member, size
        found = []
        while data:
            if member.eof:  # a file of several members: RFC 1952, 2.2
                member = zlib.decompressobj(wbits=31)
            try:
                part = member.decompress(data, limit - size + 1)
            except zlib.error as error:
                raise _broken(str(error)) from None
            found.append(part)
            size += len(part)
            if size > limit:
                raise TooLarge(limit)
            data = member.unused_data if member.eof else member.unconsumed_tail
        return b"".join(found)

    async def unpacking() -> Message:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body = unpack(message.get("body", b""))
        if not message.get("more_body", False) and not member.eof:
            raise _broken("it ends in the middle")
        return {**message, "body": body}

    return unpacking


def _broken(reason: str) -> BadRequest:
    text = f"the body is not gzip, as its Content-Encoding says: {reason}"
    return BadRequest(text, [Problem("", text, "leave Content-Encoding out, or pack the body with gzip")])
