"""Each recipe of docs/recipes.md: its files are saved, its commands run, and what they print is what the page shows."""

from itertools import groupby

import pytest

from tests.docs.conftest import fill
from tests.docs.pages import DOCS, Terminal, blocks

BLOCKS = list(blocks(DOCS / "recipes.md"))
RECIPES = {title: list(found) for title, found in groupby(BLOCKS, key=lambda block: block.section)}
INPUT = RECIPES.pop("Recipes")


@pytest.fixture
def terminal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_HOME", raising=False)
    return Terminal(tmp_path, {"/data": str(tmp_path / "data")})


def test_there_are_twenty_recipes_or_more():
    assert len(RECIPES) >= 20
    assert [title for title, found in RECIPES.items() if not any(block.language == "console" for block in found)] == []


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_does_what_the_page_says(title, request, terminal, places, monkeypatch):
    recipe = RECIPES[title]
    text = "".join(block.text for block in recipe)
    terminal.stands_for.update(places(text))
    (sql, *_) = [block.text for block in recipe if block.language == "sql"] or [""]
    databases = sorted(place for place in terminal.stands_for if place.endswith("/shop"))
    for place in databases:
        fill(place, terminal.stands_for[place], sql if place == databases[-1] else "")  # the source is the last
    if "localhost:5801" in text or "headrace submit" in text:
        running = request.getfixturevalue("server")
        terminal.stands_for["localhost:5801"] = f"localhost:{running.port}"
        monkeypatch.setenv("HEADRACE_SERVER", f"http://localhost:{running.port}")
    for block in [*INPUT, *recipe]:
        if block.name:
            terminal.save(block)
        elif block.language == "console":
            terminal.follow(block)
        else:
            assert block.language == "crontab", f"{block.page}:{block.line} is neither saved nor run"
