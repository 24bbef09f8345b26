"""How Hazelcast's listener treats methods and paths: v1's manners."""

from starlette.responses import Response

from headrace.api.listener import HangUp
from headrace.api.page import Page
from headrace.api.paths import GET, MAPS, POST, group, route
from headrace.api.problems import failure
from headrace.server_settings import ServerSettings

_METHODS = ("GET", "HEAD", "POST", "PUT")
_WITH_QUERY = tuple(f"{MAPS}/{name}/" for name in ("running-job", "job-info", "finished-jobs"))
"""Endpoints whose last part takes the query in: `/job-info/1?x=2` asks for the job `1?x=2`."""


class HazelcastManners:
    """Endpoints are found by how a path begins; PUT is POST; what is switched off closes the connection.

    page: what is shown to everybody. is_start: whether a browser is shown it at `/`.
    """

    def __init__(self, settings: ServerSettings, page: Page, *, is_start: bool) -> None:
        self._settings, self._page, self._is_start = settings, page, is_start

    def before(self, method: str, path: str, query: str) -> Response | HangUp | None:
        """See Manners."""
        of = group(method, path)
        if of is not None and (not self._settings.rest_enabled or not self._settings.groups.get(of, False)):
            return HangUp()
        return self._page.answer(method, path, start=self._is_start)

    def unauthenticated(self, method: str, path: str, accept: str) -> Response:
        """See Manners."""
        return failure("authentication is needed", status=401)

    def routed(self, method: str, path: str, query: str, accept: str) -> Response | tuple[str, str]:
        """See Manners."""
        if method not in _METHODS:
            answer = failure(f"the method {method} is not allowed", status=405)
            answer.headers["Allow"] = ", ".join(_METHODS)
            return answer
        served = {"HEAD": "GET", "PUT": "POST"}.get(method, method)
        found = route(method, path)
        if query and found.startswith(_WITH_QUERY):
            found = f"{found}?{query}"
        return _other_way_round(served, path) or (served, found)


def _other_way_round(method: str, path: str) -> Response | None:
    """GET of what is posted has no body; POST to what is read is a write to a map without a name."""
    if not path.startswith(f"{MAPS}/"):
        return None
    name = path[len(MAPS) + 1 :].removesuffix("/")
    if method == "GET" and name in POST:
        return Response(status_code=400)
    if method == "POST" and name in GET:
        return failure("Missing map name")
    return None
