"""A server says that its tasks do not run on Ray, before it opens anything."""

import os
import subprocess
import sys


def test_a_server_refuses_the_runner_of_commands(tmp_path):
    command = [sys.executable, "-m", "headrace", "server", "--home", str(tmp_path / "home"), "--port", "0"]
    env = {**os.environ, "HEADRACE_RUNNER": "ray"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "ray runs the tasks of `headrace run` alone" in done.stderr
    assert "take processes" in done.stderr
    assert not (tmp_path / "home").exists()
