"""Pages of the documentation as their readers use them: blocks are saved as files, commands run, answers compared."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from typer.testing import CliRunner

from headrace.cli.app import app

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`([\w./-]+)`:\s*$")
_COMMAND = re.compile(r"^\$ (.*(?:\\\n.*)*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block. name: of the file that the words before it call it; empty where they call it none."""

    page: str
    section: str
    line: int
    language: str
    text: str
    name: str

    @property
    def steps(self) -> Iterator[tuple[str, str]]:
        """(command, what it answers) of a block of commands; an empty answer is not looked at."""
        found = list(_COMMAND.finditer(self.text))
        for one, following in zip(found, [*found[1:], None], strict=True):
            yield one[1], self.text[one.end() : following.start() if following else None].strip("\n")


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in their order."""
    text = page.read_text()
    for found in _FENCE.finditer(text):
        before = text[: found.start()]
        named = _NAMED.search(before)
        section = (re.findall(r"^#+ (.*)$", re.sub(_FENCE, "", before), re.MULTILINE) or [""])[-1]
        name = str(page.relative_to(ROOT))
        yield Block(name, section, before.count("\n") + 1, found[1], found[2], named[1] if named else "")


def as_pattern(answer: str) -> re.Pattern[str]:
    """`…` is whatever is left out, also several lines; blanks at the ends of lines do not count."""
    return re.compile(r"\s*".join(".*".join(map(re.escape, line.split("…"))) for line in answer.split("\n")), re.DOTALL)


@dataclass
class Terminal:
    """A directory to work in. stands_for: what a page calls an address or a directory → what it is here.

    A `headrace` without anything of a shell's is run in this process, which takes a tenth of the time, unless `alone`.
    """

    folder: Path
    stands_for: dict[str, str] = field(default_factory=dict)
    alone: bool = False

    def here(self, text: str) -> str:
        """A text of a page with what is here."""
        for there, here in self.stands_for.items():
            text = text.replace(there, here)
        return text

    def save(self, block: Block) -> None:
        """As the file that the page calls it."""
        file = self.folder / block.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.here(block.text))

    def follow(self, block: Block) -> None:
        """Run each command of a block and compare its answer."""
        for command, answer in block.steps:
            said = self._run(self.here(command)).strip("\n")
            lines = "\n".join(line.rstrip() for line in said.splitlines())
            expected = self.here(answer)
            assert not answer or as_pattern(expected).fullmatch(lines), (
                f"$ {command}\nshould say\n{answer}\nbut says\n{lines}"
            )

    def _run(self, command: str) -> str:
        bare = re.sub(r"'[^']*'|\"[^\"$`]*\"", "", command)
        if not self.alone and command.startswith("headrace ") and not re.search(r"[|&;<>$`*?()#]", bare):
            result = CliRunner().invoke(app, shlex.split(command.replace("\\\n", ""))[1:])
            assert result.exit_code == 0, f"$ {command}\n{result.output}"
            return result.output
        env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "80"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return done.stdout
