"""What the documentation says is what the program does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.checksums import RULES
from headrace.config.env import NO_MEANING, Env
from headrace.config.job import parse_job
from headrace.connector import sinks, sources, transforms
from headrace.options import option_names
from headrace.plan.plan import make_plan
from headrace.program import run
from tests.docs.pages import PAGES, blocks

ROOT = Path(__file__).parent.parent.parent
JOBS = [(block.page, block.text) for page in PAGES for block in blocks(page) if block.language == "hocon"]
JOBS = [(page, text) for page, text in JOBS if not page.startswith(("docs/recipes.md", "docs/connectors/"))]
"""But for those that have a test of their own."""


@pytest.mark.parametrize(("page", "text"), JOBS, ids=[f"{page}-{i}" for i, (page, _) in enumerate(JOBS)])
def test_every_job_in_the_docs_runs(page, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("id,name\n1,ann\n2,bob\n")
    if "discovery_mode = continuous" in text:  # has no end
        make_plan(parse_job(text), strict=True)
    elif "source" in text and "sink" in text:
        result = run(text, on_print=lambda line: None, strict=True)
        assert result.status == "FINISHED", result.error
    else:
        parse_job(text)


def test_the_sql_job_in_the_docs_runs(tmp_path):
    (text,) = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "sql-job-files.md").read_text(), re.DOTALL)
    (tmp_path / "job.sql").write_text(text)
    lines = []
    assert run(tmp_path / "job.sql", on_print=lines.append, strict=True).status == "FINISHED"
    assert sum("rowType" in line for line in lines) == 4


def test_every_example_plans():
    for file in (ROOT / "examples").glob("*.conf"):
        make_plan(parse_job(file.read_text(), variables={"input": "/in", "output": "/out"}), strict=True)


NOT_RUN = {"llm.conf": "asks a service", "embedding.conf": "asks a service"}
"""Examples that cannot run here, and why; they are planned."""

TRANSFORM_EXAMPLES = sorted((ROOT / "examples" / "transforms").glob("*.conf"))


@pytest.mark.parametrize("file", TRANSFORM_EXAMPLES, ids=lambda file: file.stem)
def test_every_example_of_a_transform_runs(file):
    if file.name in NOT_RUN:
        make_plan(parse_job(file.read_text(), variables={"OPENAI_API_KEY": "key"}), strict=True)
        return
    lines = []
    result = run(file, on_print=lines.append, strict=True)
    assert result.status == "FINISHED", result.error
    assert "\n".join(lines).count("SeaTunnelRow#") >= 2


def test_every_transform_has_an_example_unless_it_cannot_run():
    without = {name.lower() for name in transforms.names()} - {file.stem for file in TRANSFORM_EXAMPLES}
    assert without == {"dynamiccompile"}  # its Java code is refused


@pytest.mark.parametrize("name", transforms.names())
def test_every_transform_and_option_is_documented(name):
    text = (ROOT / "docs" / "transforms" / f"{name.lower()}.md").read_text()
    for key, field in transforms.find(name).Options.model_fields.items():
        assert [option for option in option_names(key, field) if f"`{option}`" not in text] == []
    assert f"transforms/{name.lower()}.md" in (ROOT / "mkdocs.yml").read_text()


def test_every_env_key_is_documented():
    text = (ROOT / "docs" / "job-files.md").read_text()
    names = [name for key, field in Env.model_fields.items() for name in option_names(key, field)]
    assert [name for name in [*names, *NO_MEANING] if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", dict.fromkeys([*sources.names(), *sinks.names()]))
def test_every_connector_and_option_is_documented(name):
    text = (ROOT / "docs" / "connectors" / f"{name.lower()}.md").read_text()
    for registry in (sources, sinks):
        cls = registry.find(name)
        for key, field in cls.Options.model_fields.items() if cls else ():
            for option in option_names(key, field):
                assert f"`{option}`" in text


@pytest.mark.parametrize("script", ["connector_pages.py", "transform_pages.py", "python_page.py"])
def test_the_pages_are_those_the_declarations_make(script):
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / script), "--check"], timeout=120)
    assert done.returncode == 0, f"run scripts/{script}"


def test_every_command_is_documented():
    from headrace.cli.app import app

    text = (ROOT / "docs" / "cli.md").read_text()
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert [name for name in names if f"## headrace {name}" not in text] == []


def test_every_endpoint_is_documented(tmp_path):
    from headrace.api.app import first_app, second_app
    from headrace.api.paths import MAPS
    from headrace.api.state import State
    from headrace.execution.embedded import EmbeddedRunner
    from headrace.jobs.service import JobService
    from headrace.jobs.store import store_in
    from headrace.server_settings import ServerSettings

    text = (ROOT / "docs" / "rest.md").read_text()
    store = store_in(tmp_path)
    service = JobService(tmp_path, store, EmbeddedRunner())
    state = State(service, ServerSettings(), list)
    try:
        documents = [
            app.document() for app in (first_app(state, "here:1", alone=False), second_app(state, "here:2", "http"))
        ]
    finally:
        state.close()
        service.close()
        store.close()
    for document in documents:
        assert len(document["paths"]) > 25
        for template, operations in document["paths"].items():
            path = re.sub(r"{\w+}$", "", template.removeprefix(f"{MAPS}/")).rstrip("/")
            path = path.replace("{job_id}", ":jobId").replace("{kind}", ":kind")
            for method in map(str.upper, operations):
                row = next((line for line in text.splitlines() if f"`{method} " in line and path in line), None)
                assert row is not None, (method, path)


def test_every_difference_is_documented():
    from tests.api.test_recordings import OTHER_STATUS

    text = " ".join((ROOT / "docs" / "compatibility.md").read_text().split())
    assert [reason for reason in OTHER_STATUS if reason not in text] == []


def test_every_monitoring_key_is_documented():
    from headrace.api.monitoring import Monitor
    from headrace.jobs.record import Node

    names = "waiting_jobs waiting_writes waiting_requests running_requests answered_requests asked_jobs running_jobs"
    monitor = Monitor({name: lambda: 0 for name in (*names.split(), "connections", "clients", "workers")})
    try:
        keys = monitor.values(Node("a", "localhost:1", 0.0, 1.0, None, 0, {}), master=True)
    finally:
        monitor.close()
    text = (ROOT / "docs" / "monitoring.md").read_text()
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_every_setting_of_a_server_is_documented():
    from headrace.server_settings import ServerSettings

    text = (ROOT / "docs" / "server.md").read_text() + (ROOT / "docs" / "settings.md").read_text()
    assert [name for name in ServerSettings.model_fields if f"`HEADRACE_{name.upper()}`" not in text] == []


def test_what_counts_of_a_value_is_documented_by_the_rules_themselves():
    text = (ROOT / "docs" / "delivery.md").read_text()
    assert [rule.types for rule in RULES if f"| {rule.types} | {rule.text} |" not in text] == []


def test_every_page_is_reached_from_the_first_one():
    docs = ROOT / "docs"
    first = (docs / "index.md").read_text()
    pages = {str(page.relative_to(docs)) for page in docs.rglob("*.md") if page.parent.name != "transforms"}
    assert sorted(page for page in pages - {"index.md"} if f"({page}" not in first) == []


def test_dir_shows_every_public_name():
    import headrace

    assert dir(headrace) == sorted(headrace.__all__)
    assert all(hasattr(headrace, name) for name in headrace.__all__)
