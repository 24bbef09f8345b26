"""The package of docs/own-connector.md, as it stands there: its tests pass, and `headrace` knows its connector."""

import tomllib

from tests.docs.pages import DOCS, Terminal, blocks


def test_the_connector_of_the_page_works(tmp_path, monkeypatch):
    stands_for = {"pip install -e '.[dev]'": "true", "pytest -q": "pytest -q -p no:xdist -p no:cacheprovider"}
    here = Terminal(tmp_path, stands_for, alone=True)
    for block in blocks(DOCS / "own-connector.md"):
        if block.name:
            here.save(block)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    installed = tmp_path / f"headrace_shop-{project['version']}.dist-info"  # what pip would write
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    ((group, entries),) = project["entry-points"].items()
    lines = [f"{name} = {module}" for name, module in entries.items()]
    (installed / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    consoles = [block for block in blocks(DOCS / "own-connector.md") if block.language == "console"]
    assert consoles
    for block in consoles:
        here.follow(block)
