"""Writes docs/connectors/*.md from the declarations of all connectors; `--check` only says whether they are current."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.cli.look import option_rows
from headrace.connector import Options, sinks, sources

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "connectors"


def page(name: str) -> str:
    """One connector's page: what it does, an example and a table of options for each of its sides."""
    parts = [f"# {name}\n"]
    for kind, registry in (("Source", sources), ("Sink", sinks)):
        cls = registry.find(name)
        if cls is None:
            continue
        text = "\n".join(line.strip() for line in (cls.__doc__ or "").strip().splitlines())
        parts.append(f"## {kind}\n\n{text}\n")
        parts.append(f"```hocon\n{cls.example.strip()}\n```\n")
        parts += [*table_of_options(cls.Options), ""]
        notes = getattr(cls, "notes", None)  # what a connector says beside, from declarations of its own
        parts += [notes()] if notes is not None else []
    return "\n".join(parts)


def table_of_options(model: type[Options]) -> Iterator[str]:
    """A row for each option, from its declaration."""
    yield "| option | type | default | meaning |\n|---|---|---|---|"
    for option, kind_name, default, meaning in option_rows(model):
        names = ", ".join(f"`{alias}`" for alias in option.split(" / "))
        meaning = re.sub(r"(`[^`]*`)|<", lambda found: found[1] or "&lt;", meaning)
        cells = [names, kind_name, f"`{default}`" if default not in ("", "required") else default, meaning]
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "\\n") for cell in cells) + " |"


def write_pages(pages: Mapping[Path, str]) -> int:
    """Write the pages, or only compare them."""
    if "--check" in sys.argv:
        stale = [file.name for file, text in pages.items() if not file.exists() or file.read_text() != text]
        print("not current:", ", ".join(stale)) if stale else None
        return 1 if stale else 0
    for file, text in pages.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return 0


if __name__ == "__main__":
    all_names = dict.fromkeys(sorted([*sources.names(), *sinks.names()], key=str.lower))
    sys.exit(write_pages({FOLDER / f"{name.lower()}.md": page(name) for name in all_names}))
