"""The commands of README and of the pages that have no test of their own are run; what is not run is listed here."""

import gzip
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.docs.pages import PAGES, Terminal, blocks

BLOCKS = [block for page in PAGES for block in blocks(page)]
ORDERS = "order_id,amount\n1,9.50\n2,20.00\n"
JOB = "source { FakeSource { schema { fields { id = bigint } } } }\nsink { Console {} }\n"

RUN_HERE = ("README.md", "docs/getting-started.md", "docs/cli.md", "docs/memory.md", "docs/monitoring.md")

ELSEWHERE = {
    "docs/recipes.md": "test_recipes.py",
    "docs/install.md": "test_install.py",
    "docs/own-connector.md": "test_own_connector.py",
    "docs/contributing.md": "test_contributing.py",
    "docs/python.md": "test_python.py",
    "docs/connectors/": "test_connector_examples.py",
    "docs/sql-job-files.md": "test_docs.py",
    "docs/server.md": "test_server_page.py",
}

NOT_RUN = {
    ("README.md", "Headrace"): "scripts/test is what runs these tests, and scripts/demo has a test in CI",
    ("docs/install.md", "From source"): "each run of CI begins with scripts/install in a fresh clone",
    (
        "docs/rest.md",
        "A first job",
    ): "the same requests are under An example of each, which tests/api/test_examples.py asks",
    ("docs/rest.md", "REST v2"): "v2 answers what v1 does, by the recordings of tests/api",
    ("docs/rest.md", "Events"): "a stream without an end: tests/api/test_events.py",
    ("docs/rest.md", "An example of each"): "tests/api/test_examples.py asks a server each of them",
    (
        "docs/checkpoints.md",
        "Where they are kept",
    ): "names a bucket of yours; tests/checkpoint/test_store.py sets each of them",
    ("docs/bad-rows.md", "Looking at them"): "shows times and sizes of a run; tests/cli runs each of the commands",
    ("docs/bad-rows.md", "Replay"): "shows figures of a bigger file; the recipe of it is run",
    ("docs/bad-rows.md", "Mending by hand"): "shows figures of a bigger file; the recipe of it is run",
    ("docs/cluster.md", "Tasks on Ray"): "names a Ray of yours; tests/execution/test_ray.py joins one, and starts one",
    ("docs/transforms/sql.md", "Queries"): "a query without its job; tests/sql run such queries",
    ("docs/transforms/embedding.md", "Example"): "asks a service",
    ("docs/transforms/llm.md", "Example"): "asks a service",
    (
        "docs/file-formats.md",
        "Changes as JSON",
    ): "a fragment, with a directory of yours; the connector's tests read such files",
    ("docs/file-formats.md", "Files in S3"): "the connector's own example is run",
    ("docs/file-formats.md", "Files in OSS, COS and OBS"): "likewise",
    ("docs/file-formats.md", "Files on an SFTP server"): "likewise; tests/storage/test_sftp.py logs in by keys",
    ("docs/file-formats.md", "Files in HDFS"): "likewise; tests/storage/test_hdfs.py reads such a file of settings",
    ("docs/file-formats.md", "Files on an FTP server"): "likewise; tests/storage/test_ftp.py has all ways of transfer",
}
"""(page, section) of blocks that nothing runs as they stand, and why."""

NO_PROGRAM = ("text", "json", "csv", "toml", "crontab", "yaml")
"""What a block holds that is shown, not run: outputs, data, settings."""


def is_covered(block):
    if block.language == "hocon" or block.language in NO_PROGRAM or block.name:
        return True
    if (block.page, block.section) in NOT_RUN:
        return False
    run_here = block.page in RUN_HERE and block.language == "console"
    return run_here or (bool(block.language) and block.page.startswith(tuple(ELSEWHERE)))


def test_every_block_is_run_or_listed_with_its_reason():
    left = {(block.page, block.section) for block in BLOCKS if not is_covered(block)}
    assert sorted(left - set(NOT_RUN)) == []
    assert sorted(set(NOT_RUN) - left) == [], "nothing is there any more"


def test_what_is_shown_holds_no_command():
    shown = [block for block in BLOCKS if block.language in ("", "text")]
    assert [f"{b.page}:{b.line}" for b in shown if b.text.startswith(("$ ", "headrace "))] == []


@pytest.fixture
def web(tmp_path):
    """A server of the files of the directory `web`."""

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            """Nothing."""

    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "orders.csv").write_text(ORDERS)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=tmp_path / "web")) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize("page", RUN_HERE)
def test_the_commands_of_a_page_run(page, tmp_path, monkeypatch, request, places, server, web):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_SERVER", f"http://localhost:{server.port}")
    mine = [block for block in BLOCKS if block.page == page]
    text = "".join(block.text for block in mine)
    here = Terminal(
        tmp_path, {"https://example.com": web, "localhost:5801": f"localhost:{server.port}", **places(text)}
    )
    here.alone = "--memory" in text  # all that a process holds counts
    here.stands_for["headrace server &"] = "true"  # it runs already
    here.stands_for["headrace server --memory 8G"] = "true"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "2024-01.csv.gz").write_bytes(gzip.compress(ORDERS.encode()))
    for name, content in {"orders.csv": ORDERS, "people.csv": "id,name\n1,ann\n", "job.conf": JOB}.items():
        (tmp_path / name).write_text(content)
    for block in mine:
        if block.name:
            here.save(block)
        elif block.language == "console":
            here.follow(block)
