"""SeaTunnel's MCP server, in an environment of its own, makes all its calls of ours: what a language model would do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.servers import job

PACKAGES = ("iflow-mcp-ocean-zhc-seatunnel-mcp==0.1.2", "mcp<1.10", "pydantic<2.12")

HOCON = """
env { job.mode = BATCH }
source { FakeSource { row.num = 1, schema { fields { a = int } } } }
sink { Console {} }
"""

ASK = """
import asyncio, json, os, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main():
    calls = json.load(sys.stdin)
    how = StdioServerParameters(command=sys.executable, args=["-m", "src.seatunnel_mcp"], env=dict(os.environ))
    async with stdio_client(how) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = [tool.name for tool in (await session.list_tools()).tools]
        answers = []
        for name, arguments in calls:
            answer = await session.call_tool(name, arguments)
            answers.append([answer.isError, [getattr(part, "text", "") for part in answer.content]])
        print(json.dumps({"tools": tools, "answers": answers}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def python(request):
    """The Python of the environment; made once, and kept in pytest's cache."""
    place = Path(request.config.cache.mkdir("seatunnel-mcp"))
    found = place / "bin" / "python"
    marker = place / "complete"
    if not marker.exists():
        uv = [str(Path(sys.executable).parent / "uv")]
        env = {**os.environ, "UV_SYSTEM_CERTS": "true", "UV_PYTHON_DOWNLOADS": "never"}
        subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, str(place)], check=True, env=env)
        install = [*uv, "pip", "install", "-q", "--python", str(found), *PACKAGES]
        subprocess.run(install, check=True, env=env, timeout=600)
        marker.touch()
    return found


@pytest.fixture
def calls(python, second):
    """Make calls of tools, one after the other: the names of all tools, and [is an error, texts] of each call."""

    def make(*wanted):
        url = f"http://localhost:{second.port}{second.base}"
        env = {**os.environ, "SEATUNNEL_API_URL": url}
        done = subprocess.run(
            [str(python), "-c", ASK],
            input=json.dumps(wanted),
            capture_output=True,
            text=True,
            timeout=280,
            env=env,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return found["tools"], found["answers"]

    return make


@pytest.mark.service
def test_every_tool_of_seatunnels_mcp_server_gets_its_answer(calls, second, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(job(2, name="uploaded")))
    ended = second.submit(job(3, name="ended"))
    running = second.submit(job(1, "STREAMING", name="running"))
    second.wait(ended)
    second.wait(running, "RUNNING")
    wanted = [
        ("get-overview", {}),
        ("get-running-jobs", {}),
        ("get-running-job", {"jobId": str(running)}),
        ("get-job-info", {"jobId": str(ended)}),
        ("get-finished-jobs", {"state": "FINISHED"}),
        ("get-system-monitoring-information", {}),
        ("submit-job", {"job_content": HOCON, "jobName": "asked"}),
        ("submit-jobs", {"request_body": [{**job(1), "params": {"jobName": "several"}}]}),
        ("submit-job-upload", {"config_file": str(tmp_path / "job.json"), "jobName": "uploaded"}),
        ("stop-job", {"jobId": str(running)}),
        ("get-connection-settings", {}),
        ("update-connection-settings", {"url": "http://localhost:1"}),
    ]
    tools, answers = calls(*wanted)
    assert {name for name, _ in wanted} == set(tools)
    assert [texts for failed, texts in answers if failed] == []
    told = {name: list(map(json.loads, texts)) for (name, _), (_, texts) in zip(wanted, answers, strict=True)}
    assert told["get-running-job"][0]["jobStatus"] == "RUNNING"
    assert told["get-job-info"][0]["metrics"]["SinkWriteCount"] == "3"
    assert told["submit-job"][0]["jobName"] == "asked"
    assert told["submit-jobs"][0]["jobName"] == "several"
    assert str(ended) in [one["jobId"] for one in told["get-finished-jobs"]]
    assert second.wait(running)["jobStatus"] == "CANCELED"
