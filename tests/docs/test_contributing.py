"""What docs/contributing.md adds to the source tree works as it stands there: a storage, a connector, a database."""

import os
import shutil
import tempfile

from tests.docs.pages import DOCS, ROOT, Terminal, blocks

PAGE = DOCS / "contributing.md"
TESTS = ("__init__.py", "conftest.py", "bare", "storage/__init__.py", "connectors/__init__.py")
"""What the tests of the page need beside those that it shows."""


def test_what_the_page_adds_works_as_it_stands(tmp_path, monkeypatch):
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a database waits for the disk at each commit
    files = tempfile.mkdtemp(dir=in_memory)
    stands_for = {"pytest -q": f"pytest -q -p no:xdist -p no:cacheprovider --basetemp={files}"}
    here = Terminal(tmp_path, stands_for, alone=True)
    shutil.copytree(
        ROOT / "headrace", tmp_path / "headrace", ignore=shutil.ignore_patterns("page_files", "__pycache__", "duckdb")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    there = tmp_path / "tests"
    for name in (*TESTS, "connectors/test_jdbc_dialects.py"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / "tests" / name).is_dir() else shutil.copy
        copy(ROOT / "tests" / name, there / name)
    added = [block for block in blocks(PAGE) if block.name]
    for block in added:
        assert not (tmp_path / block.name).exists(), f"{block.name} is there already"
        here.save(block)
    assert len(added) == 6
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    try:
        for block in blocks(PAGE):
            if block.language == "console":
                here.follow(block)
    finally:
        shutil.rmtree(files, ignore_errors=True)
