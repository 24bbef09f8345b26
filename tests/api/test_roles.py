"""Who may look, who may change, until when, and how often somebody may guess."""

import base64
import os
import subprocess
import sys

import pytest

from headrace.api.security import Attempts
from headrace.api.tokens import DAY, Role, Tokens
from headrace.errors import ConfigError
from tests.api.servers import job


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def headrace_token(home, *arguments):
    command = [sys.executable, "-m", "headrace", "token", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=os.environ)


def test_a_token_holds_until_its_end_and_not_a_moment_longer(tmp_path):
    now = [1000.0]
    tokens = Tokens(tmp_path, lambda: now[0])
    token = tokens.add("ci", Role.VIEWER, days=2)
    now[0] += 2 * DAY - 1
    assert tokens.role(token) is Role.VIEWER
    now[0] += 1
    assert tokens.role(token) is None
    assert tokens.role("") is None


def test_a_name_is_given_once_until_it_is_revoked(tmp_path):
    tokens = Tokens(tmp_path)
    first = tokens.add("ci", Role.OPERATOR, days=1)
    with pytest.raises(ConfigError, match="there is a token 'ci' already"):
        tokens.add("ci", Role.OPERATOR, days=1)
    Tokens(tmp_path).revoke("ci")
    assert tokens.role(first) is None
    with pytest.raises(ConfigError, match="there is no token 'ci'"):
        tokens.revoke("ci")


def test_the_file_of_tokens_tells_none_of_them_and_only_its_owner_reads_it(tmp_path):
    token = Tokens(tmp_path).add("ci", Role.OPERATOR, days=1)
    file = tmp_path / "tokens.json"
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_guesses_are_counted_by_address_for_a_minute():
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(Attempts.MOST):
        assert attempts.wait("a") == 0
        attempts.was_wrong("a")
    assert attempts.wait("a") == 60
    assert attempts.wait("b") == 0
    now[0] = 60.0
    assert attempts.wait("a") == 0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    from tests.api.servers import Server

    env = {"USER": "admin", "PASSWORD": "secret", "VIEWER_USER": "eve", "VIEWER_PASSWORD": "looks"}
    env = {f"HEADRACE_{name}": value for name, value in env.items()}
    running = Server(tmp_path_factory.mktemp("roles") / "home", env=env).start()
    yield running
    running.stop()


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_a_viewer_looks_and_changes_nothing(guarded, generation):
    server = guarded if generation == "v1" else guarded.second()
    eve = basic("eve", "looks")
    assert server.ask("GET", "overview", headers=eve).status == 200
    assert server.ask("POST", "encrypt-config", {"env": {}, "source": [], "sink": []}, eve).status == 200
    for path, body in (("submit-job", job(1)), ("stop-job", {"jobId": 1}), ("update-tags", {})):
        answer = server.ask("POST", path, body, eve)
        assert (answer.status, answer.message) == (403, "this user may look, and change nothing")
        assert server.ask("POST", path, body, basic("admin", "secret")).status == 200


def test_tokens_of_the_command_hold_at_once_with_their_role(guarded):
    made = headrace_token(guarded.home, "board", "--role", "viewer", "--days", "1")
    assert made.returncode == 0, made.stderr
    token = bearer(made.stdout.strip())
    second = guarded.second()
    assert second.ask("GET", "overview", headers=token).status == 200
    assert second.ask("POST", "submit-job", job(1), token).status == 403
    assert "board  viewer  until" in headrace_token(guarded.home, "--list").stdout
    assert headrace_token(guarded.home, "board", "--revoke").returncode == 0
    assert second.ask("GET", "overview", headers=token).status == 401


def test_wrong_logins_are_limited_and_told_how_long(start):
    server = start(env={"HEADRACE_TOKEN": "right"}).second()
    answers = [server.ask("GET", "overview", headers=bearer("wrong")).status for _ in range(11)]
    assert answers == [401] * 10 + [429]
    limited = server.ask("GET", "overview", headers=bearer("right"))
    assert limited.status == 429
    assert 0 < int(limited.headers["retry-after"]) <= 60
