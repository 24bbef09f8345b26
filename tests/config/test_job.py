import contextlib
import os
from pathlib import Path

import pytest

from headrace.config.job import job_from_dict, load_job, parse_job
from headrace.errors import ConfigError

JOB = """
env {
  job.mode = "batch"
  parallelism = 2
  checkpoint.interval = 5000
}
source {
  FakeSource { result_table_name = "a", row.num = 5, schema { fields { id = int } } }
  FakeSource { plugin_output = b, parallelism = 3 }
}
transform { Filter { plugin_input = [a, b], plugin_output = c } }
sink { Console { source_table_name = "c, d" } }
"""


def problems(text, **options):
    try:
        found = parse_job(text, file="job.conf", **options).problems
    except ConfigError as error:
        found = error.problems
    assert found
    return [str(p) for p in found]


def test_reads_both_generations_of_names():
    job = parse_job(JOB)
    assert [p.output for p in job.sources] == ["a", "b"]
    assert job.transforms[0].inputs == ("a", "b")
    assert job.sinks[0].inputs == ("c", "d")
    assert (job.sources[1].parallelism, job.env.parallelism, job.env.checkpoint_interval) == (3, 2, 5000)
    assert job.sources[0].options == {"row.num": 5, "schema": {"fields": {"id": "int"}}}


def test_reads_json_with_plugin_names():
    job = parse_job(
        '{"source": [{"plugin_name": "Fake", "row.num": 1}], "sink": [{"plugin_name": "Console"}]}', format="json"
    )
    assert (job.sources[0].name, job.sources[0].options) == ("Fake", {"row.num": 1})
    assert job.sources[0].place == "source[0].Fake"


def test_knows_the_line_of_every_option():
    plugin = parse_job(JOB).sources[0]
    assert (plugin.line("schema.fields.id"), plugin.line("nothing"), parse_job(JOB).sinks[0].line()) == (8, 8, 12)


def test_fills_variables_everywhere():
    text = 'source { Fake { a = "x${v}", b = ${list}, c = "${d:5}", e = "${f:}", g = "${table_name}", h = "${none}" } }'
    job = parse_job(text, variables={"v": "1", "list": "[1, 2]"})
    assert job.sources[0].options == {
        "a": "x1", "b": [1, 2], "c": "5", "e": "", "g": "${table_name}", "h": "${none}",
    }  # fmt: skip


def test_takes_variables_from_the_environment(monkeypatch):
    monkeypatch.setenv("HEADRACE_TEST_VALUE", "from outside")
    for text in ("a = ${HEADRACE_TEST_VALUE}", 'a = "${HEADRACE_TEST_VALUE}"'):
        assert parse_job(f"source {{ F {{ {text} }} }}", variables={}).sources[0].options == {"a": "from outside"}


@pytest.mark.parametrize("value", ["${HEADRACE_TEST_VALUE}", '"${HEADRACE_TEST_VALUE}"', "${?HEADRACE_TEST_VALUE}"])
def test_somebody_elses_text_reads_nothing_of_the_environment(monkeypatch, value):
    monkeypatch.setenv("HEADRACE_TEST_VALUE", "from outside")
    job = parse_job(f"source {{ F {{ a = {value} }} }}")
    assert "from outside" not in str(job.sources[0].options)
    assert job.variables is None


def test_a_text_that_lies_beside_no_file_includes_none(tmp_path):
    (tmp_path / "secret.conf").write_text("a = 1")
    with pytest.raises(ConfigError, match="secret.conf' cannot be included: this text lies beside no file"):
        parse_job(f'env {{}}\ninclude file("{tmp_path}/secret.conf")')


def test_leaves_variables_in_json_that_comes_over_rest_alone():
    text = '{"source": [{"plugin_name": "F", "a": "${PATH}"}]}'
    assert parse_job(text, format="json").sources[0].options == {"a": "${PATH}"}


def test_refuses_variables_that_sinks_fill():
    assert "System placeholders cannot be used" in problems("a = 1", variables={"table_name": "x"})[0]


def test_reports_every_problem_with_its_place():
    found = problems(
        "env {\n job.mode = nope\n parallelism = 0\n}\nsource = [ {a = 1}, 5 ]\nsink { C { parallelism = x } }"
    )
    assert len(found) == 5
    assert all(text.startswith("job.conf") for text in found)
    assert any(text.startswith("job.conf:2: env.job.mode") for text in found)
    assert any("env.job.mode: 'nope' is not one of 'BATCH' or 'STREAMING'" in text for text in found)
    assert any("The 'plugin_name' option is not configured" in text for text in found)
    assert any("sink[0].C.parallelism: 'x' is not a whole number" in text for text in found)


def test_warns_of_keys_that_do_nothing_here():
    job = parse_job("env { spark.master = local, jars = x, whatever = 1 }\nother { }")
    texts = [str(w) for w in job.warnings]
    assert any("jars" in t and "Java class path" in t for t in texts)
    assert any("spark.master" in t and "it speaks to spark" in t for t in texts)
    assert any("env.whatever: unknown option" in t for t in texts)
    assert any("other: unknown block" in t for t in texts)


def test_a_misspelt_env_key_is_a_warning_with_the_right_name():
    [warning] = [w for w in parse_job("env { job.mde = BATCH }").warnings if w.place == "env.job.mde"]
    assert "did you mean 'job.mode'" in str(warning)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "nope.conf", "there is no file"),
        (lambda p: p, "is a directory"),
        (lambda p: _write(p / "a.conf", b""), "the job file is empty"),
        (
            lambda p: _write(p / "a.conf", b"a = 1\nb = \xff"),
            "a.conf:2: byte 0xff is not UTF-8; save the file as UTF-8",
        ),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path, make, message):
    with pytest.raises(ConfigError) as error:
        load_job(make(tmp_path))
    assert message in str(error.value)


def _write(path, content):
    path.write_bytes(content)
    return path


def test_an_unreadable_file_says_why(tmp_path):
    path = _write(tmp_path / "a.conf", b"a = 1")
    path.chmod(0)
    with as_nobody(), pytest.raises(ConfigError, match="cannot read .*Permission denied"):
        load_job(path)


@contextlib.contextmanager
def as_nobody():
    """Root may read every file, so a test that runs as root steps down for a moment."""
    before = os.geteuid()
    if before == 0:
        for folder in Path(os.environ.get("PYTEST_TMP", "/tmp")).glob("pytest-of-*"):
            folder.chmod(0o755)
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_python_values_stay_as_they_are():
    marker = object()
    job = job_from_dict({"source": [{"plugin_name": "Arrow", "data": marker}]})
    assert job.sources[0].options["data"] is marker
    assert job.text == ""


def test_json_that_is_no_json_says_where():
    assert "not JSON: line 1, column" in problems('{"a": }', format="json")[0]
