"""Functions of the user's own."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headrace.errors import ConfigError
from headrace.sql import functions
from headrace.sql.select import CannotCompute
from headrace.sql.udf import sql_function
from tests.sql.evaluating import evaluate, values


@pytest.fixture(autouse=True)
def table():
    """The functions that a test adds go away again."""
    functions.find("UPPER")
    known = dict(functions.FUNCTIONS)
    yield
    functions.FUNCTIONS.clear()
    functions.FUNCTIONS.update(known)


def test_a_function_of_arrays_is_called_by_its_name_in_any_case():
    @sql_function("plus_one", "bigint")
    def plus_one(numbers):
        return pc.add(numbers, 1).cast(pa.int64())

    assert values("Plus_One(x)", "int", [1, None]) == [2, None]
    assert evaluate("plus_one(1)", rows=2) == ("BIGINT", [2, 2])


def test_a_function_of_values_sees_nulls_and_each_value_once():
    seen = []

    @sql_function("shout", lambda types: types[0], per_value=True)
    def shout(text, end):
        seen.append(text)
        return "nothing" if text is None else text.upper() + end

    assert values("shout(x, '!')", "string", ["a", None, "a"]) == ["A!", "nothing", "A!"]
    assert sorted(seen, key=str) == [None, "a"] or seen == ["a", None]


def test_an_error_of_the_function_is_the_rows():
    @sql_function("picky", "int", per_value=True)
    def picky(text):
        return {"one": 1}[text]

    with pytest.raises(CannotCompute, match=r"cannot compute picky\(x\): 'two' \(KeyError\)"):
        values("picky(x)", "string", ["two"])


def test_a_function_must_give_one_value_for_each_row():
    @sql_function("short", "int")
    def short(numbers):
        return numbers.slice(1)

    with pytest.raises(TypeError, match="SHORT gave 1 values for 2 rows"):
        values("short(x)", "int", [1, 2])


def test_names_are_taken_once():
    with pytest.raises(ValueError, match="there is a function UPPER already"):
        sql_function("upper", "string")(len)
    sql_function("mine", "string")(len)
    sql_function("MINE", "string")(len)
    with pytest.raises(ConfigError, match="did you mean MINE"):
        values("mime(x)", "int", [1])


PACKAGE = """
from headrace.sql.udf import sql_function

@sql_function("initials", "string", per_value=True)
def initials(name):
    return "".join(word[0] for word in name.split()) if name else None
"""

JOB = """
source { FakeSource { schema { fields { name = string } }, rows = [ { kind = INSERT, fields = ["Ann Lee"] } ] } }
transform { Sql { query = "SELECT Initials(name) AS i FROM fake" } }
sink { Console {} }
"""


def package_of(folder, module):
    """Make a folder look like a place where a package with SQL functions is installed."""
    info = folder / "my_functions-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-functions\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[headrace.sql_functions]\nmine = {module}\n")
    (folder / "my_functions.py").write_text(PACKAGE)
    (folder / "job.conf").write_text(JOB)


def run(folder, *more):
    command = [sys.executable, "-m", "headrace", "run", "-q", *more, "job.conf"]
    environment = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("runner", ["embedded", "processes"])
def test_a_package_adds_functions_by_entry_point(tmp_path, runner):
    package_of(tmp_path, "my_functions")
    done = run(tmp_path, "--runner", runner)
    assert done.returncode == 0, done.stderr
    assert "kind=INSERT : AL" in done.stdout


def test_a_package_that_cannot_be_loaded_is_named(tmp_path):
    package_of(tmp_path, "not_there")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "cannot load the SQL functions of package my-functions: No module" in done.stderr
