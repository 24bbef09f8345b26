"""The examples of docs/rest.md, asked of a server: it answers what stands there, but for figures and what … hides."""

import re
import shlex
from pathlib import Path

import pytest

from tests.api.servers import FORM, MAPS, Server, form, job

PAGE = (Path(__file__).parents[2] / "docs" / "rest.md").read_text()
SECTION = PAGE.partition("## An example of each")[2].partition("\n## ")[0]
EXAMPLES = [part.strip() for part in re.findall(r"```console\n(.*?)```", SECTION, re.DOTALL)[0].split("\n$ ")]
HOME = "http://localhost:5801"
CONF = """
env { job.mode = BATCH }
source { FakeSource { plugin_output = fake, row.num = 100, schema { fields { name = string, age = int } } } }
sink { Console { plugin_input = fake } }
"""


def parsed(example):
    """(method, path, body, answer) of one example."""
    words = shlex.split(example.removeprefix("$ ").partition("\n")[0]) if "-d '" not in example else None
    if words is None:  # a body of several lines
        command, _, rest = example.removeprefix("$ ").partition(" -d '")
        body, _, answer = rest.partition("'\n")
        words = [*shlex.split(command), "-d", body]
    else:
        answer = example.partition("\n")[2]
    assert words.pop(0) == "curl"
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    body = next((words[words.index(option) + 1] for option in ("-d", "-F") if option in words), None)
    (url,) = (word for word in words if word.startswith(("$M", HOME)))
    return method, url.replace("$M", MAPS).removeprefix(HOME), body, answer.strip()


def as_pattern(answer):
    """Figures may be any, `…` is whatever is left out."""
    escaped = re.escape(re.sub(r"\s*…\s*", "…", answer)).replace("…", ".*")
    return re.compile(re.sub(r"\d+", r"\\d+", escaped), re.DOTALL)


@pytest.fixture(scope="module")
def fresh_server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("examples") / "home", env={"HEADRACE_TELEMETRY": "true"}).start()
    yield running
    running.stop()


def test_every_example_answers_as_it_says(fresh_server):
    files = {
        "@job.json": job(100, name=None),
        "@endless.json": job(100, mode="STREAMING", name=None),
        "config_file=@job.conf": form("job.conf", CONF),
    }
    for example in EXAMPLES:
        method, path, body, expected = parsed(example)
        headers = {"Content-Type": FORM} if str(body).startswith("config_file") else {}
        body = files.get(body, body)
        if isinstance(body, str):
            body = body.replace("localhost:5801", f"localhost:{fresh_server.port}")
        answer = fresh_server.ask(method, path, body, headers)
        assert answer.status == 200, (example, answer.content)
        text = answer.content.decode().strip()
        assert as_pattern(expected).fullmatch(text), f"{example}\n\nis answered by\n\n{text}"
        for number in re.findall(r"100\d", expected if "submit" in path else ""):
            fresh_server.wait(int(number), "RUNNING" if "endless" in path else "FINISHED")


def test_every_endpoint_has_an_example(fresh_server):
    asked = {(method, path.partition("?")[0]) for method, path, _, _ in map(parsed, EXAMPLES)}
    paths = fresh_server.get("/openapi.json").json["paths"]
    patterns = {path: re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) for path in paths}
    missing = [
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if not any(m == method.upper() and re.fullmatch(patterns[path], p) for m, p in asked)
    ]
    assert missing == []
