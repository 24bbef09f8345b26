"""A model's HTTP service: JSON there and back, tried again with patience, no faster than allowed."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import orjson
from pydantic import AliasChoices, Field, SecretStr

from headrace.connector import Choice, Options
from headrace.errors import Rejected, Unavailable
from headrace.options import HOST
from headrace.transforms._tables import TableOptions

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

T = TypeVar("T")
R = TypeVar("R")

_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
"""Status codes that another try may turn into an answer."""


class Provider(Choice):
    """Who runs the model; CUSTOM is any service, described by custom_config."""

    OPENAI = "OPENAI"
    DOUBAO = "DOUBAO"
    QIANFAN = "QIANFAN"
    KIMIAI = "KIMIAI"
    DEEPSEEK = "DEEPSEEK"
    MICROSOFT = "MICROSOFT"
    ZHIPU = "ZHIPU"
    CUSTOM = "CUSTOM"


class CustomConfig(Options):
    """How a CUSTOM service is asked and answers."""

    custom_response_parse: str = Field(description="JSONPath of what is wanted in the answer.")
    custom_request_headers: dict[str, SecretStr] = Field(default={}, description="Headers of the request.")
    custom_request_body: dict[str, Any] = Field(
        description="The request; ${model}, ${input} and ${prompt} in its texts are filled in."
    )


class ModelOptions(TableOptions):
    """What LLM and Embedding have in common."""

    filled_in: ClassVar[Mapping[str, str]] = {"custom_config": "model|input|prompt"}

    known_urls: ClassVar[Mapping[Provider, str]] = {}
    """Provider → its service's URL; empty where only the options say."""

    model_provider: Provider = Field(description="Who runs the model.")
    model: str = Field(description="The model's name.")
    api_key: SecretStr | None = Field(default=None, description="The key; needed unless CUSTOM.")
    api_path: str | None = Field(
        default=None,
        validation_alias=AliasChoices("api_path", "openai.api_path"),
        json_schema_extra=HOST,
        description="The service's URL; that of the provider when left out.",
    )
    custom_config: CustomConfig | None = Field(default=None, description="The service, for CUSTOM.")
    model_request_timeout_ms: int = Field(default=20_000, gt=0, description="How long an answer may take.")
    model_retry_max_attempts: int = Field(
        default=5, gt=0, description="How often a request is made when the service is busy, broken or slow; 1: once."
    )
    model_retry_backoff_ms: int = Field(default=1000, ge=0, description="The first wait; it doubles each time.")
    model_retry_max_backoff_ms: int = Field(default=10_000, ge=0, description="The longest wait.")
    model_requests_per_second: float | None = Field(
        default=None, gt=0, description="How many requests a second may begin, of all tasks of a process together."
    )
    model_parallel_requests: int = Field(default=4, gt=0, description="How many requests a task has open at once.")

    def touches(self) -> Iterable[tuple[str, str, str]]:
        """The URL as it is asked: the provider's own is no option's value, and the model's name may stand in one."""
        yield "api_path", "host", self.url()

    def url(self) -> str:
        """Where to ask. Raises ValueError when neither the options nor the provider say."""
        found = self.api_path or self.known_urls.get(self.model_provider)
        if not found:
            raise ValueError(f"{self.model_provider.value} needs api_path, the service's URL")
        need_http("api_path", found)
        return fill(found, {"model": self.model})

    def check(self) -> None:
        """Raises ValueError for what is missing or does not fit together."""
        if self.model_provider not in self.known_urls:
            raise ValueError(f"{self.model_provider.value} is not one of {', '.join(p.value for p in self.known_urls)}")
        self.url()
        if self.model_provider is Provider.CUSTOM:
            if self.custom_config is None:
                raise ValueError("CUSTOM needs custom_config: custom_request_body and custom_response_parse")
        elif self.api_key is None:
            raise ValueError(f"{self.model_provider.value} needs api_key")

    def headers(self) -> dict[str, str]:
        """The headers of a request."""
        found = {"Content-Type": "application/json"}
        if self.model_provider is Provider.CUSTOM and self.custom_config is not None:
            own = self.custom_config.custom_request_headers
            return {**found, **{name: value.get_secret_value() for name, value in own.items()}}
        assert self.api_key is not None
        return {**found, "Authorization": f"Bearer {self.api_key.get_secret_value()}"}


def need_http(option: str, url: str) -> None:
    """Raises ValueError for a URL that names anything but an HTTP service, such as a file."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{option} {url!r} must begin with http:// or https://")


def fill(template: Any, values: Mapping[str, str]) -> Any:
    """A text, or everything within a list or object, with `${name}` and `${name:default}` filled in."""
    if isinstance(template, str):
        return re.sub(
            r"\$\{(\w+)(?::([^}]*))?\}",
            lambda m: m[0] if m[1] not in values else values[m[1]] or (m[2] or "").strip(),
            template,
        )
    if isinstance(template, list):
        return [fill(item, values) for item in template]
    if isinstance(template, dict):
        return {key: fill(item, values) for key, item in template.items()}
    return template


class Service:
    """Asks a service. One instance serves all tasks of a process, so that they share the allowed rate."""

    def __init__(self, options: ModelOptions, plugin: str) -> None:
        self._options, self._plugin = options, plugin
        self._pace = Pace(options.model_requests_per_second)

    def post(self, url: str, body: Any, headers: Mapping[str, str]) -> Any:
        """The answer to a request. Raises Unavailable when no try brought one, Rejected when it was refused."""
        data = orjson.dumps(body, default=str)
        return self._patiently(url, lambda: _send(url, data, headers, self._options.model_request_timeout_ms / 1000))

    def get(self, url: str) -> Any:
        """As `post`, for what is only read."""
        return self._patiently(url, lambda: _send(url, None, {}, self._options.model_request_timeout_ms / 1000))

    def each(self, ask: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """What `ask` gives for each item, in order, several at once. Raises what the first failing one raises."""
        waiting = list(items)
        if len(waiting) <= 1 or self._options.model_parallel_requests == 1:
            return [ask(item) for item in waiting]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self._options.model_parallel_requests, "model-request") as pool:
            try:
                return list(pool.map(ask, waiting))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _patiently(self, url: str, send: Callable[[], "Answer"]) -> Any:
        options, place = self._options, url.partition("?")[0]
        wait = options.model_retry_backoff_ms / 1000
        for attempt in range(1, options.model_retry_max_attempts + 1):
            time.sleep(self._pace.wait(time.monotonic()))
            answer = send()
            if answer.status == 200:
                return self._parsed(answer.body, place)
            if answer.status and answer.status not in _AGAIN:
                raise Rejected(f"{place} answered {answer.status}: {_short(answer.body)}", self._plugin)
            if attempt < options.model_retry_max_attempts:
                time.sleep(min(max(wait, answer.retry_after), options.model_retry_max_backoff_ms / 1000))
                wait *= 2
        what = f"answered {answer.status}: {_short(answer.body)}" if answer.status else _short(answer.body)
        times = "" if attempt == 1 else f" ({attempt} times)"
        raise Unavailable(f"{place} {what}{times}", self._plugin)

    def _parsed(self, body: bytes, place: str) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise Rejected(f"{place} answered what is not JSON: {_short(body)}", self._plugin) from error


class Pace:
    """Lets things begin no more often than `rate` times a second; None: as often as they like."""

    def __init__(self, rate: float | None) -> None:
        self._gap = 0.0 if rate is None else 1 / rate
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, now: float) -> float:
        """How many seconds from `now` the next one must wait; its turn is taken."""
        with self._lock:
            at = max(self._next, now)
            self._next = at + self._gap
        return at - now


class Answer:
    """What came back. status: 0 when nothing did, then the body says why. retry_after: seconds the service asks for."""

    def __init__(self, status: int, body: bytes, retry_after: float = 0.0) -> None:
        self.status, self.body, self.retry_after = status, body, retry_after


def _send(url: str, data: bytes | None, headers: Mapping[str, str], timeout: float) -> Answer:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    try:
        with _opener().open(Request(url, data, dict(headers)), timeout=timeout) as response:
            return Answer(response.status, response.read())
    except HTTPError as error:
        with error:
            if 300 <= error.code < 400:
                return Answer(
                    error.code, f"it sends on to {error.headers.get('Location')}, which is not asked".encode()
                )
            return Answer(error.code, error.read(), _seconds(error.headers.get("Retry-After", "")))
    except TimeoutError:
        return Answer(0, f"gave no answer within {timeout:g} s".encode())
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return Answer(0, f"gave no answer within {timeout:g} s".encode())
        return Answer(0, f"cannot be reached: {reason}".encode())


@cache
def _opener() -> "OpenerDirector":
    """Sends no request, and no key with it, to an address that the job does not name."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    return build_opener(Stay)


def _seconds(text: str) -> float:
    return float(text) if text.strip().isdigit() else 0.0


def _short(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    return text if len(text) <= 300 else f"{text[:300]}…"
