"""docs/install.md as it stands: from a wheel, without an index, upgrade and uninstall, each in a new environment."""

import importlib.metadata
import re
import shutil
import subprocess
import tomllib

import pytest

from tests.docs.pages import DOCS, ROOT, Terminal, blocks

CONSOLES = {
    section: [
        block for block in blocks(DOCS / "install.md") if block.section == section and block.language == "console"
    ]
    for section in ("From a wheel", "Without internet", "Upgrade and uninstall")
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    uv = ROOT / ".venv" / "bin" / "uv"
    if not uv.exists():
        pytest.skip("uv is not in .venv: scripts/install puts it there")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder], cwd=ROOT, check=True, timeout=280)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sections", [["From a wheel", "Upgrade and uninstall"], ["Without internet"]], ids=str)
def test_the_commands_of_the_page_install_it(sections, wheel, tmp_path, monkeypatch):
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(wheel, tmp_path)
    here = Terminal(tmp_path, alone=True)
    for section in sections:
        assert CONSOLES[section]
        for block in CONSOLES[section]:
            here.follow(block)
    assert (tmp_path / "headrace" / "bin" / "headrace").exists() == (sections == ["Without internet"])


def test_the_page_lists_every_extra_with_what_it_brings():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (DOCS / "install.md").read_text()
    for extra, requirements in extras.items():
        (row,) = re.findall(rf"^\| `{extra}` \|.*$", text, re.MULTILINE)
        for requirement in requirements:
            assert re.match(r"[\w-]+", requirement)[0] in row, (extra, requirement)


def test_formats_name_the_extra_they_need():
    text = (DOCS / "file-formats.md").read_text()
    assert [extra for extra in ("avro", "excel", "lzo", "orc", "s3") if f"headrace[{extra}]" not in text] == []


def test_the_page_names_the_version_there_is():
    assert f"headrace-{importlib.metadata.version('headrace')}-py3" in (DOCS / "install.md").read_text()
