"""How Jetty treats methods and paths: v2's manners. rest-contract of SeaTunnel 2.3.9 and later, as recorded."""

import html
from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse, Response

from headrace.api.page import Page
from headrace.api.paths import nearest
from headrace.api.problems import Json

_PAGE = """<html>
<head>
<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>
<title>Error {status} {message}</title>
</head>
<body><h2>HTTP ERROR {status} {message}</h2>
<table>
<tr><th>URI:</th><td>{path}</td></tr>
<tr><th>STATUS:</th><td>{status}</td></tr>
<tr><th>MESSAGE:</th><td>{message}</td></tr>
{more}</table>
</body>
</html>
"""


class JettyManners:
    """Endpoints are whole names, with whatever stands behind them; errors of the transport are small pages.

    base: the context path, empty or with a slash before it. page: what is shown to everybody. more: paths that are
    served beside the endpoints.
    """

    def __init__(self, base: str, page: Page, more: Iterable[str] = ()) -> None:
        self._base, self._page, self._more = base, page, frozenset(more)
        self._methods: dict[str, set[str]] = {}
        self._with_rest: set[str] = set()

    def know(self, routes: Iterable[object]) -> None:
        """Learn the endpoints of an application."""
        for found in routes:
            if isinstance(found, APIRoute):
                name = found.path.partition("/{")[0]
                self._methods.setdefault(name, set()).update(found.methods or ())
                if "/{" in found.path:
                    self._with_rest.add(name)

    def before(self, method: str, path: str, query: str) -> Response | None:
        """See Manners. The context path itself, what lies outside it, and the page are for everybody."""
        if self._base and path == self._base:
            return RedirectResponse(f"{self._base}/", 302)
        if not path.startswith(f"{self._base}/"):
            return self.not_found(path, "")
        return self._page.answer(method, path)

    def unauthenticated(self, method: str, path: str, accept: str) -> Response:
        """See Manners."""
        return Response(status_code=401) if method == "OPTIONS" else error_page(401, "Unauthorized", path, accept)

    def routed(self, method: str, path: str, query: str, accept: str) -> Response | tuple[str, str]:
        """See Manners."""
        if path in self._more and method in ("GET", "HEAD"):
            return "GET", path
        name = self._name(path)
        if name is None:
            return self.not_found(path, accept)
        allowed = self._methods[name]
        if (odd := _odd_method(method, allowed, path, accept)) is not None:
            return odd
        rest = path[len(name) :]
        return "GET" if method == "HEAD" else method, path if name in self._with_rest and rest != "/" else name

    def not_found(self, path: str, accept: str) -> Response:
        """There is nothing at this path; the nearest one is named."""
        near = nearest(path.removeprefix(self._base), [name.removeprefix(self._base) for name in self._methods])
        cure = f"did you mean {self._base}{near}?" if near else f"all paths are listed at {self._base}/docs"
        return error_page(404, "Not Found", path, accept, cure)

    def _name(self, path: str) -> str | None:
        """The endpoint that a path names, the longest one that fits."""
        if "//" in path or ".." in path.split("/"):
            return None
        name = path.removesuffix("/")
        while name and name not in self._methods:
            name = name.rpartition("/")[0]
        return name or None


def _odd_method(method: str, allowed: set[str], path: str, accept: str) -> Response | None:
    """The answer to a method that an endpoint does not have; None for one that it has."""
    if method in allowed or (method == "HEAD" and "GET" in allowed):
        return None
    known = sorted(allowed | ({"HEAD"} if "GET" in allowed else set()) | {"OPTIONS"})
    if method == "OPTIONS":
        return Response(status_code=200, headers={"Allow": ", ".join(known)})
    if method in ("GET", "POST", "HEAD"):
        answer = error_page(405, f"HTTP method {method} is not supported by this URL", path, accept)
    else:
        answer = Response(status_code=501 if method not in ("PUT", "DELETE") else 405)
    answer.headers["Allow"] = ", ".join(known)
    return answer


def error_page(status: int, message: str, path: str, accept: str, cure: str = "") -> Response:
    """An error of the transport: a page, or JSON for a client that asks for it."""
    if "application/json" in accept:
        body = {"servlet": "default", "message": message, "url": path, "status": str(status)}
        problem = {"place": path, "message": message, "cure": cure, "line": 0}
        return Json({**body, "problems": [problem]} if cure else body, status)
    more = f"<tr><th>CURE:</th><td>{html.escape(cure)}</td></tr>\n" if cure else ""
    text = _PAGE.format(status=status, message=message, path=html.escape(path), more=more)
    content = text.encode("latin-1", "xmlcharrefreplace")
    return Response(content, status, {"Content-Type": "text/html;charset=iso-8859-1"})
