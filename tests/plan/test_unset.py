"""Variables without a value are problems, all of them at once; names that a plugin fills in itself are none."""

import pytest

from headrace.config.job import parse_job
from headrace.errors import ConfigError
from headrace.plan.plan import make_plan

SOURCE = "source { FakeSource { plugin_output = t, schema { fields { id = int } } } }\n"
FILES = "sink { LocalFile { path = PATH, file_format_type = csv } }"


def problems(text, **variables):
    try:
        make_plan(parse_job(text, variables=variables), strict=True)
    except ConfigError as error:
        return error.problems
    return []


def test_a_name_without_a_value_is_a_problem_with_its_place_and_line():
    [problem] = problems(SOURCE + FILES.replace("PATH", '"out/${day}"'))
    assert (problem.place, problem.line) == ("sink[0].LocalFile.path", 2)
    assert problem.message == "the variable ${day} is not set"
    assert problem.cure == "give -i day=VALUE, or a default: ${day:default}"


def test_all_of_them_are_told_at_once_beside_the_other_problems():
    text = "env { job.name = ${name} }\n" + SOURCE + 'sink { LocalFile { path = "${a}/${b}", file_format_typ = csv } }'
    messages = [problem.message for problem in problems(text)]
    assert [f"the variable ${{{name}}} is not set" in messages for name in ("name", "a", "b")] == [True] * 3
    assert "unknown option" in messages


@pytest.mark.parametrize(
    "options",
    [
        'path = "out/${table_name}"',
        'path = "out/${database_name:none}/${schema_full_name}"',
        'path = out, custom_filename = true, file_name_expression = "${now}-${uuid}-${transactionId}"',
        'path = out, have_partition = true, partition_by = [id], partition_dir_expression = "${k0}=${v0}"',
        'path = "out/${day:2024}"',
    ],
)
def test_what_a_sink_fills_in_itself_and_what_has_a_default_is_none(options):
    assert problems(SOURCE + f"sink {{ LocalFile {{ {options}, file_format_type = csv }} }}") == []


def test_a_sinks_own_name_is_a_variable_elsewhere():
    [problem] = problems(SOURCE + FILES.replace("PATH", '"out/${now}"'))
    assert problem.message == "the variable ${now} is not set"


def test_the_sink_of_bad_rows_fills_in_tables_too():
    sink = 'sink { plugin_name = LocalFile, path = "bad/${NAME}", file_format_type = csv }'
    text = f"env {{ error_handler {{ mode = ROUTE, {sink} }} }}\n"
    job = SOURCE + FILES.replace("PATH", "out")
    assert problems(text.replace("NAME", "table_name") + job) == []
    [problem] = problems(text.replace("NAME", "day") + job)
    assert problem.place == "env.error_handler.sink.LocalFile.path"


def test_a_value_may_look_like_a_variable():
    assert problems(SOURCE + FILES.replace("PATH", "${p}"), p="out/${x}") == []


def test_a_variable_that_nothing_uses_is_a_warning_with_the_likely_name():
    job = parse_job(SOURCE + FILES.replace("PATH", '"out/${day}"'), variables={"dya": "1", "day": "2"})
    [warning] = job.warnings
    assert (warning.place, warning.message) == ("-i dya", "nothing in the job file uses it")
    found = problems(SOURCE + FILES.replace("PATH", '"out/${day}"'), dya="1")
    assert [p.message for p in found] == ["the variable ${day} is not set", "nothing in the job file uses it"]
    assert "did you mean ${dya}" in found[0].cure


def test_a_text_of_somebody_else_keeps_its_names():
    make_plan(parse_job(SOURCE + FILES.replace("PATH", '"out/${day}"')))
