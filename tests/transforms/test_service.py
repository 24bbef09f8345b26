"""A model's service: asked again with patience, no faster than allowed, several requests at once."""

import threading
import time

import pytest
from werkzeug import Response

from headrace.errors import Rejected, Unavailable
from headrace.options import read_options
from headrace.transforms._service import ModelOptions, Pace, Service, fill

FAST = {"model_provider": "OPENAI", "model": "m", "api_key": "k", "model_retry_backoff_ms": 1}


def service(**options):
    return Service(read_options(ModelOptions, {**FAST, **options}).options, "LLM")


def test_an_answer_is_json_and_the_request_too(httpserver):
    httpserver.expect_request("/ask", method="POST", json={"a": "é"}, headers={"X-Y": "z"}).respond_with_json([1])
    assert service().post(httpserver.url_for("/ask"), {"a": "é"}, {"X-Y": "z", "Content-Type": "application/json"}) == [
        1
    ]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_service_is_asked_again(httpserver, status):
    httpserver.expect_ordered_request("/").respond_with_data("busy", status, {"Retry-After": "0"})
    httpserver.expect_ordered_request("/").respond_with_json("ok")
    assert service().get(httpserver.url_for("/")) == "ok"


def test_a_service_that_stays_busy_is_unavailable(httpserver):
    httpserver.expect_request("/").respond_with_data("come back later", 503)
    with pytest.raises(Unavailable, match=r"LLM: http://.*/ answered 503: come back later \(3 times\)"):
        service(model_retry_max_attempts=3).get(httpserver.url_for("/") + "?token=secret")
    assert len(httpserver.log) == 3


def test_a_refusal_is_not_tried_again_and_shows_no_secrets(httpserver):
    httpserver.expect_request("/").respond_with_data("wrong key" + "!" * 400, 401)
    with pytest.raises(Rejected, match="answered 401: wrong key") as error:
        service().get(httpserver.url_for("/") + "?token=secret")
    assert "secret" not in str(error.value)
    assert str(error.value).endswith("!…")
    assert len(httpserver.log) == 1


def test_nothing_is_sent_to_an_address_that_the_job_does_not_name(httpserver):
    httpserver.expect_request("/").respond_with_data("", 307, {"Location": httpserver.url_for("/other")})
    for ask in (lambda url: service().get(url), lambda url: service().post(url, {}, {"Authorization": "Bearer k"})):
        with pytest.raises(Rejected, match="answered 307: it sends on to http://.*/other, which is not asked"):
            ask(httpserver.url_for("/"))
    assert [request.path for request, _ in httpserver.log] == ["/", "/"]


def test_a_slow_service_is_asked_again(httpserver):
    ready = threading.Event()

    def slow(request):
        if ready.is_set():
            return Response("1")
        ready.set()
        time.sleep(0.3)
        return Response("0")

    httpserver.expect_request("/").respond_with_handler(slow)
    assert service(model_request_timeout_ms=100).get(httpserver.url_for("/")) == 1


def test_nobody_there_is_unavailable():
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9/ cannot be reached: .*refused"):
        service(model_retry_max_attempts=1).get("http://127.0.0.1:9/")


def test_what_is_no_json_is_refused(httpserver):
    httpserver.expect_request("/").respond_with_data("<html>")
    with pytest.raises(Rejected, match="answered what is not JSON: <html>"):
        service().get(httpserver.url_for("/"))


def test_requests_are_open_at_once_and_answers_stay_in_order():
    together = threading.Barrier(3, timeout=10)

    def ask(number):
        together.wait()
        return number * 2

    assert service(model_parallel_requests=3).each(ask, [3, 1, 2]) == [6, 2, 4]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("model-request")]


def test_the_first_failure_ends_the_others():
    asked = []

    def ask(number):
        asked.append(number)
        if number == 0:
            raise Rejected("no")
        time.sleep(0.01)

    with pytest.raises(Rejected):
        service(model_parallel_requests=2).each(ask, range(1000))
    assert len(asked) < 1000


def test_requests_keep_the_allowed_pace():
    pace = Pace(2)
    assert [pace.wait(now) for now in (10.0, 10.0, 10.25, 13.0, 13.0)] == [0, 0.5, 0.75, 0, 0.5]
    assert [Pace(None).wait(now) for now in (1.0, 1.0)] == [0, 0]


def test_a_paced_service_answers(httpserver):
    httpserver.expect_request("/").respond_with_json(1)
    paced = service(model_requests_per_second=1000)
    assert paced.each(paced.get, [httpserver.url_for("/")] * 5) == [1] * 5


def test_placeholders_are_filled_wherever_they_are():
    template = {"a": ["${x}", 1, {"b": "<${y:none}> ${z}"}], "c": None}
    assert fill(template, {"x": "1", "y": ""}) == {"a": ["1", 1, {"b": "<none> ${z}"}], "c": None}
