"""Each recipe of docs/recipes.md: its files are saved, its commands run, and what they print is what the page shows."""

from itertools import groupby

import psycopg
import pymysql
import pytest

from tests.docs.pages import DOCS, Terminal, blocks

BLOCKS = list(blocks(DOCS / "recipes.md"))
RECIPES = {title: list(found) for title, found in groupby(BLOCKS, key=lambda block: block.section)}
INPUT = RECIPES.pop("Recipes")
PLACES = {
    "db.example.com:5432/shop": "postgresql_address",
    "mysql.example.com:3306/shop": "mariadb_address",
    "http://minio.example.com:9000": "s3_endpoint",
}
"""What a recipe calls a server → the fixture that starts one and gives its address."""


@pytest.fixture
def terminal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_HOME", raising=False)
    return Terminal(tmp_path, {"/data": str(tmp_path / "data")})


def fill(address, statements, is_mysql):
    """Run the statements of a recipe in the emptied database."""
    place, _, name = address.partition("/")
    host, _, port = place.partition(":")
    if is_mysql:
        connection = pymysql.connect(host=host, port=int(port), user="ann", password="secret", autocommit=True)
        statements = f"DROP DATABASE {name}; CREATE DATABASE {name}; USE {name}; {statements}"
    else:
        connection = psycopg.connect(f"host={host} port={port} user=ann dbname={name}", autocommit=True)
        statements = f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; {statements}"
    with connection, connection.cursor() as cursor:
        for statement in filter(None, map(str.strip, statements.split(";"))):
            cursor.execute(statement)


def test_there_are_twenty_recipes_or_more():
    assert len(RECIPES) >= 20
    assert [title for title, found in RECIPES.items() if not any(block.language == "console" for block in found)] == []


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_does_what_the_page_says(title, request, terminal, monkeypatch):
    recipe = RECIPES[title]
    text = "".join(block.text for block in recipe)
    for place, fixture in PLACES.items():
        if place in text:
            terminal.stands_for[place] = request.getfixturevalue(fixture)
    (sql, *_) = [block.text for block in recipe if block.language == "sql"] or [""]
    asked = [place for place in PLACES if place.endswith("/shop") and place in text]
    for place in asked:
        is_mysql = "mysql" in place
        fill(terminal.stands_for[place], sql if is_mysql or len(asked) == 1 else "", is_mysql)
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
