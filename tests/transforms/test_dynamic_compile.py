"""DynamicCompile: refused before anything runs, with the transform that does the same."""

import pytest

from headrace.config.job import parse_job
from headrace.connector import transforms
from headrace.errors import ConfigError
from headrace.options import read_options
from headrace.plan.plan import make_plan
from headrace.testing import assert_described, batch, make, task
from headrace.transforms.dynamic_compile import CURE, DynamicCompileTransform

JOB = """
source {{ FakeSource {{ schema {{ fields {{ price = double, amount = int }} }} }} }}
transform {{ {0} }}
sink {{ Console {{}} }}
"""


def test_the_plan_is_refused_with_the_language_and_the_cure():
    assert_described(DynamicCompileTransform)
    job = parse_job(JOB.format('DynamicCompile { compile_language = GROOVY, source_code = "class A {}" }'))
    with pytest.raises(ConfigError) as error:
        make_plan(job)
    [problem] = error.value.problems
    assert problem.place.endswith("compile_language")
    assert problem.message == f"cannot run Groovy code: there is no JVM; {CURE}"


def test_the_transform_that_the_cure_shows_runs():
    [plugin] = parse_job(JOB.format(CURE.split("\n", 1)[1])).transforms
    python = make(transforms.find(plugin.name), **plugin.options)
    rows = batch((2, "x"))
    rows = rows.with_rows(rows.rows.from_pydict({"price": [1.5], "amount": [2]}))
    assert python.apply(rows, task()).rows["total"].to_pylist() == [3.0]


def test_without_a_language_both_are_named():
    [problem] = read_options(DynamicCompileTransform.Options, {}).problems
    assert "cannot run Java and Groovy code" in problem.message
