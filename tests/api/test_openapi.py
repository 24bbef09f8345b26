"""Our own OpenAPI document, and a machine that sends whatever it allows and more."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi import checks

EXAMPLES = 20
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.mark.parametrize("which", ["server", "second"])
def test_no_request_gets_an_answer_that_is_not_documented(request, which):
    server = request.getfixturevalue(which)
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 25
    for operation in operations:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            case.validate_response(case.call(), checks=CHECKS)

        ask()


@pytest.mark.parametrize("which", ["server", "second"])
def test_the_document_is_openapi_3_1_and_has_every_path(request, which):
    server = request.getfixturevalue(which)
    document = server.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    for name in ("running-jobs", "running-job/{job_id}", "system-monitoring-information", "submit-job", "stop-jobs"):
        assert any(path.startswith(f"{server.base}/{name}") for path in document["paths"])
    methods = set(document["paths"][f"{server.base}/update-tags"])
    assert methods == ({"put", "post"} if which == "server" else {"post"})
    for route in document["paths"].values():
        for operation in route.values():
            assert "422" not in operation["responses"]
            names = [(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", ())]
            assert len(names) == len(set(names))
    page = server.get("/docs")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "&quot;only&quot;: &quot;api&quot;" in page.content.decode()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("encrypt-config", '{"env": {"n": 123456789012345678901234567890}, "source": [], "sink": []}', 200),
        ("submit-job", '{"env": {"job.name": "\\ud83d"}, "source": [{}], "sink": [{}]}', 400),
        ("update-tags", '{"tag": "\\ud83d"}', 400),
    ],
)
def test_numbers_and_characters_that_do_not_fit_are_no_server_errors(server, path, body, status):
    answer = server.ask("POST", path, body)
    assert answer.status == status
    if status == 200:
        assert answer.json["env"]["n"] == 123456789012345678901234567890
    else:
        assert "half a character" in answer.json["problems"][0]["message"]
