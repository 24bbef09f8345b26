"""The page: a bundle of static files that the build made of `webui/`, served as it is.

Its parts are shown to everybody, since they hold nothing but the program; what it asks for is guarded as anybody's
requests are.
"""

import gzip
import html
import json
import mimetypes
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from starlette.responses import HTMLResponse, Response

from headrace import __version__

FOLDER = "ui"
"""Where its parts lie, below the path of the page."""

_START = "index.html"
_ABOUT = "%headrace%"
_NONCE = "%nonce%"
_NOT_BUILT = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Headrace</title></head><body>
<h1>The page is not built</h1><p>This is a clone of the sources: <code>scripts/install</code> builds the page.
The REST API answers all the same; <a href="openapi.json">openapi.json</a> lists its paths.</p></body></html>
"""
_SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True)
class Part:
    """A file of the bundle, packed."""

    content: bytes
    media_type: str


class Page:
    """The page of one listener. base: its context path. about: what the page is told about its server."""

    def __init__(self, base: str, about: Mapping[str, Any]) -> None:
        self._base, self._about = base, {"version": __version__, **about}
        self._parts: dict[str, Part] = {}

    def answer(self, method: str, path: str, *, start: bool = True) -> Response | None:
        """The page itself or a part of it; None for any other path. start: whether `/` is the page."""
        if method not in ("GET", "HEAD"):
            return None
        if start and path == f"{self._base}/":
            return self.first()
        beginning = f"{self._base}/{FOLDER}/"
        return self._part(path.removeprefix(beginning)) if path.startswith(beginning) else None

    def first(self, **about: Any) -> Response:
        """The page's HTML. about: what is told beside the rest."""
        start = self._packed(_START)
        if start is None:
            return HTMLResponse(_NOT_BUILT, 503, _SAFE)
        nonce = secrets.token_urlsafe(16)
        told = html.escape(json.dumps({**self._about, **about}), quote=True)
        text = gzip.decompress(start.content).decode("utf-8")
        headers = {**_SAFE, "Cache-Control": "no-store", "Content-Security-Policy": _policy(nonce)}
        return HTMLResponse(text.replace(_ABOUT, told).replace(_NONCE, nonce), headers=headers)

    def _part(self, name: str) -> Response | None:
        part = self._packed(f"{FOLDER}/{name}")
        if part is None:
            return None
        headers = {**_SAFE, "Cache-Control": "public, max-age=31536000, immutable", "Content-Encoding": "gzip"}
        return Response(part.content, headers=headers, media_type=part.media_type)

    def _packed(self, path: str) -> Part | None:
        """A part, packed when it is first asked for: most visits need few of them."""
        if path not in self._parts and (file := self._files.get(path)) is not None:
            content = gzip.compress(file.read_bytes(), 6)
            self._parts[path] = Part(content, mimetypes.guess_type(path)[0] or "application/octet-stream")
        return self._parts.get(path)

    @cached_property
    def _files(self) -> dict[str, Traversable]:
        """Path in the bundle → its file; nothing where the page was not built."""
        bundle = files("headrace.api").joinpath("page_files")
        if not bundle.joinpath(_START).is_file():
            return {}
        parts = {f"{FOLDER}/{one.name}": one for one in bundle.joinpath(FOLDER).iterdir() if one.is_file()}
        return {_START: bundle.joinpath(_START), **parts}


def _policy(nonce: str) -> str:
    """Nothing comes from elsewhere, nothing is run that is not a file of the bundle, nobody frames the page."""
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": f"'self' 'nonce-{nonce}'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())
