import pytest

from headrace.config.job import parse_job
from headrace.errors import ConfigError
from headrace.plan.graph import connect
from headrace.plan.plan import make_plan
from headrace.plan.render import render
from headrace.plan.schemas import describe_offline, names_of_tables

FAKE = "schema { fields { id = int } }"


def plan(text, **options):
    return make_plan(parse_job(text, file="job.conf"), **options)


def problems(text, **options):
    with pytest.raises(ConfigError) as error:
        plan(text, **options)
    return [str(p) for p in error.value.problems]


def source(name="a", more=FAKE):
    return f'FakeSource {{ plugin_output = "{name}", {more} }}\n'


def shape(found):
    """Pipelines as nested names with ids."""

    def walk(step):
        inner = [walk(output) for output in step.outputs]
        return (step.id, step.name, *inner)

    return [walk(pipeline.source) for pipeline in found.pipelines]


def test_a_simple_job_needs_no_names():
    assert shape(plan(f"source {{ FakeSource {{ {FAKE} }} }}\nsink {{ Console {{}} }}")) == [
        (1, "Source[0]-FakeSource", (2, "Sink[0]-Console"))
    ]


def test_a_simple_job_with_wrong_names_runs_and_warns():
    found = plan(f"source {{ {source()} }}\nsink {{ Console {{ plugin_input = x }} }}")
    assert "reads 'x', but source[0].FakeSource gives 'a'" in str(found.warnings[0])


def test_fan_out_is_one_pipeline():
    text = f"source {{ {source()} }}\nsink {{ Console {{ plugin_input = a }}\nConsole {{ plugin_input = a }} }}"
    assert shape(plan(text)) == [(1, "Source[0]-FakeSource", (2, "Sink[0]-Console"), (3, "Sink[1]-Console"))]


def test_a_union_is_a_pipeline_for_each_source_with_its_own_sink():
    text = f"source {{ {source('a')}{source('b')} }}\nsink {{ Console {{ plugin_input = [a, b] }} }}"
    assert shape(plan(text)) == [
        (1, "Source[0]-FakeSource", (3, "Sink[0]-Console")),
        (2, "Source[1]-FakeSource", (6, "Sink[0]-Console")),
    ]


def test_parallelism_is_the_sources_own_or_that_of_the_job():
    text = f"env {{ parallelism = 2 }}\nsource {{ {source('a')}{source('b', FAKE + ', parallelism = 5')} }}"
    text += "\nsink { Console { plugin_input = [a, b] } }"
    assert [p.parallelism for p in plan(text).pipelines] == [2, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sink { Console {} }", "Miss <Source> config! Please check the config file."),
        (f"source {{ {source()} }}", "Miss <Sink> config! Please check the config file."),
        (f"source.{source()}\nsink {{ Console {{}} }}", "write source { Name { … } } in place of 'source.FakeSource'"),
        (f"source {{ {source()} }}\nSinks {{ Console {{}} }}", "write sink { Name { … } } in place of 'Sinks'"),
        (
            f"source {{ {source('a')}{source('a')} }}\nsink {{ Console {{ plugin_input = a }} }}",
            "'a' is also the output of",
        ),
        (
            f"source {{ {source('people')}{source('b')} }}\nsink {{ Console {{ plugin_input = [peple, b] }} }}",
            "there is no dataset 'peple'; did you mean 'people'?",
        ),
        (f"source {{ {source('a')}{source('b')} }}\nsink {{ Console {{ plugin_input = a }} }}", "nobody reads 'b'"),
        (
            f"source {{ FakeSource {{ {FAKE} }}\n {source('b')} }}\nsink {{ Console {{ plugin_input = b }} }}",
            "plugin_output: required",
        ),
        ("source { FakeSorce {} }\nsink { Console {} }", "unknown source 'FakeSorce'; did you mean FakeSource"),
        (f"source {{ {source()} }}\nsink {{ Consol {{}} }}", "unknown sink 'Consol'"),
        ("source { FakeSource {} }\nsink { Console {} }", "please specify [schema] as non-empty"),
        (
            f"source {{ {source('a', FAKE + ', row.nun = 3, row.num = x')} }}\nsink {{ Console {{}} }}",
            "row.num: Input should be a valid integer",
        ),
        (
            f"source {{ {source('a', FAKE + ', row.num = x')} }}\nsink {{ Console {{}} }}",
            "row.num: Input should be a valid integer",
        ),
    ],
)
def test_says_what_is_wrong(text, message):
    assert any(message in text for text in problems(text)), problems(text)


def test_reports_the_problems_of_all_plugins_with_their_lines():
    found = problems("source {\n FakeSource {\n  row.num = -1\n }\n}\nsink {\n Assert {}\n Nope {}\n}")
    lines = [text.split(": ")[0] for text in found]
    assert lines == sorted(lines)
    assert {"job.conf:2", "job.conf:3", "job.conf:7", "job.conf:8"} <= set(lines)


def test_a_misspelt_option_is_a_warning_and_with_strict_an_error():
    text = f"source {{ {source('a', FAKE + ', row.nun = 3')} }}\nsink {{ Console {{}} }}"
    [warning] = [str(w) for w in plan(text).warnings]
    assert "row.nun: unknown option; did you mean 'row.num'?" in warning
    assert any("did you mean 'row.num'?" in text for text in problems(text, strict=True))


def test_wrong_options_of_env_hide_no_problem_of_a_plugin():
    env = "env {\n job.mode = BATCHH\n job.nme = x\n}\n"
    text = env + "source {\n FakeSource { row.nun = 1, schema.fields.n = int }\n}\nsink { Nope {} }"
    found = [text.split(";")[0] for text in problems(text)]
    assert [text.split(": ")[:2] for text in found] == [
        ["job.conf:2", "env.job.mode"],
        ["job.conf:3", "env.job.nme"],
        ["job.conf:6", "source[0].FakeSource.row.nun"],
        ["job.conf:8", "sink[0].Nope"],
    ]


def test_a_misspelt_mode_says_nothing_about_the_sources():
    text = f"env {{ job.mode = STREAMNG }}\nsource {{ {source()} }}\nsink {{ Console {{}} }}"
    [wrong] = problems(text)
    assert "env.job.mode: 'STREAMNG' is not one of 'BATCH' or 'STREAMING'" in wrong


def test_unknown_options_are_warnings_or_with_strict_errors():
    text = f"source {{ {source('a', FAKE + ', spark.x = 1')} }}\nsink {{ Console {{}} }}"
    assert any("spark.x: unknown option" in str(w) for w in plan(text).warnings)
    assert any("spark.x: unknown option" in text for text in problems(text, strict=True))


def test_unequal_columns_do_not_unite():
    other = source("b", "schema { fields { other = string } }")
    found = plan(f"source {{ {source()}{other} }}\nsink {{ Console {{ plugin_input = [a, b] }} }}")
    _, wrong = describe_offline(found)
    assert "two different structures: a (id) and b (other)" in str(wrong[0])


def test_the_names_of_tables_are_known_without_running_a_transform():
    sql = 'Sql { query = "SELECT nothing FROM a" }'
    found = plan(f"source {{ {source()} }}\ntransform {{ {sql} }}\nsink {{ Console {{}} }}")
    assert [[t.path for t in tables] for tables in names_of_tables(found).values()] == [["a"], ["a"], ["a"]]
    rename = "TableRename { prefix = x_ }"
    found = plan(f"source {{ {source()} }}\ntransform {{ {rename} }}\nsink {{ Console {{}} }}")
    assert [[t.path for t in tables] for tables in names_of_tables(found).values()] == [["a"]]


def test_shows_the_plan_as_a_tree():
    found = plan(f"source {{ {source()} }}\nsink {{ Console {{}} }}")
    tables, _ = describe_offline(found)
    assert render(found, tables).splitlines() == [
        "SeaTunnel_Job (BATCH)",
        "└─ pipeline 1, 1 task",
        "   └─ source FakeSource",
        "         a: id INT",
        "      └─ sink Console, plain",
        "            a: id INT",
    ]


def test_transforms_that_wait_for_one_another_are_named():
    text = f"""source {{ {source()} }}
    transform {{
      Copy {{ plugin_input = [a, c], plugin_output = b }}
      Copy {{ plugin_input = b, plugin_output = c }}
    }}
    sink {{ Console {{ plugin_input = b }} }}"""
    with pytest.raises(
        ConfigError, match="the transforms go in a circle: transform\\[0\\].Copy -> transform\\[1\\].Copy"
    ):
        connect(parse_job(text))


def test_transforms_may_stand_in_any_order():
    text = f"""source {{ {source()} }}
    transform {{
      Copy {{ plugin_input = b, plugin_output = c }}
      Copy {{ plugin_input = a, plugin_output = b }}
    }}
    sink {{ Console {{ plugin_input = c }} }}"""
    job = parse_job(text)
    assert connect(job).consumers(job.sources[0], job) == [job.transforms[1]]


CHANGING = """plugin_output = a, schema { fields { id = int } }, rows = [{ kind = INSERT, fields = [1] },
  { kind = DELETE, fields = [1] }]"""
INTO_FILES = 'LocalFile { path = "/tmp/x", file_format_type = csv }'


def mismatches(sink, *transforms, rows=CHANGING):
    chain = "".join(f"{name}\n" for name in transforms)
    _, wrong = describe_offline(
        plan(f"source {{ FakeSource {{ {rows} }} }}\ntransform {{ {chain} }}\nsink {{ {sink} }}")
    )
    return [str(problem) for problem in wrong]


def test_changes_that_a_sink_would_write_like_inserts_are_named_with_the_cure():
    [wrong] = mismatches(INTO_FILES)
    assert "sink[0].LocalFile: would write updates and deletes of a from source[0].FakeSource" in wrong
    assert "write debezium_json, canal_json or maxwell_json, or put RowKindExtractor before it" in wrong
    into_table = 'Jdbc { url = "jdbc:sqlite:/tmp/no.db", table = t, generate_sink_sql = true, KEYS }'
    [wrong] = mismatches(into_table.replace("KEYS", ""))
    assert "name primary_keys" in wrong
    assert mismatches(into_table.replace("KEYS", "primary_keys = [id]")) == []
    assert mismatches(INTO_FILES, rows=CHANGING.replace("DELETE", "INSERT")) == []


@pytest.mark.parametrize("sink", ["Console {}", INTO_FILES.replace("csv", "debezium_json")])
def test_sinks_that_act_on_kinds_or_write_them_take_changes(sink):
    assert mismatches(sink) == []


@pytest.mark.parametrize(
    ("transform", "passes"),
    [
        ("RowKindExtractor {}", False),
        ("FilterRowKind { include_kinds = [INSERT] }", False),
        ("FilterRowKind { exclude_kinds = [UPDATE_BEFORE, UPDATE_AFTER, DELETE] }", False),
        ("FilterRowKind { exclude_kinds = [UPDATE_BEFORE] }", True),
        ("TableRename { prefix = x_ }", True),
        ("RowKindExtractor { table_match_regex = other }", True),
    ],
)
def test_transforms_may_take_changes_away(transform, passes):
    assert bool(mismatches(INTO_FILES, transform)) is passes
