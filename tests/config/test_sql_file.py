"""Job files written as SQL statements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config.job import load_job, parse_job
from headrace.errors import ConfigError

FAKE = """CREATE TABLE fake WITH (
  'connector' = 'FakeSource', 'type' = 'source',
  'row.num' = '5',
  'schema' = '{
    fields {
      id = int, name = string
    }
  }'
);
"""
CONSOLE = "CREATE TABLE console WITH ('connector' = 'Console', 'type' = 'sink', 'log' = 'it''s; -- here');\n"


def read(text, **options):
    return parse_job(text, format="sql", **options)


def problems(text):
    with pytest.raises(ConfigError) as error:
        parse_job(text, format="sql", file="job.sql")
    return [str(p) for p in error.value.problems]


def test_a_source_a_sink_and_a_select_between_them():
    text = """/* config
    env {
      parallelism = 2
    }
    */
    """
    job = read(text + FAKE + CONSOLE + "INSERT INTO console SELECT id FROM fake WHERE id > 1;")
    assert job.env.parallelism == 2
    (source,), (transform,), (sink,) = job.sources, job.transforms, job.sinks
    assert (source.name, source.output) == ("FakeSource", "fake")
    assert source.options == {"row.num": "5", "schema": {"fields": {"id": "int", "name": "string"}}}
    assert (transform.inputs, transform.output) == (("fake",), "fake__temp1")
    assert transform.options == {"query": "SELECT id FROM fake WHERE id > 1"}
    assert (sink.name, sink.inputs, sink.options) == ("Console", ("fake__temp1",), {"log": "it's; -- here"})
    assert transform.step_name == "Transform[0]-sql"


def test_a_dataset_alone_passes_as_it_is():
    job = read(FAKE + CONSOLE + "insert into console select fake")
    assert (job.transforms, job.sinks[0].inputs) == ((), ("fake",))


def test_a_select_gives_a_dataset_that_others_read():
    text = "CREATE TABLE mid AS SELECT name FROM fake;"
    text += (
        "INSERT INTO console SELECT a FROM mid; INSERT INTO console SELECT mid; INSERT INTO console SELECT b FROM mid;"
    )
    job = read(FAKE + text + CONSOLE)
    assert [(p.inputs, p.output) for p in job.transforms] == [
        (("fake",), "mid"), (("mid",), "mid__temp1"), (("mid",), "mid__temp2"),
    ]  # fmt: skip
    assert [p.inputs for p in job.sinks] == [("mid__temp1",), ("mid",), ("mid__temp2",)]
    assert all(p.options == {"log": "it's; -- here"} for p in job.sinks)


def test_comments_are_no_part_of_anything():
    text = FAKE + CONSOLE + "-- a; 'b\n/* c; ' */ INSERT INTO console -- d\nSELECT id, -- e\n name FROM fake /* ; */;"
    assert read(text).transforms[0].options["query"] == "SELECT id,\n name FROM fake"


def test_from_within_an_expression_is_no_table():
    query = "SELECT TRIM(BOTH 'FROM x' FROM name), id IS NOT DISTINCT FROM 3, `from` FROM db.fake f"
    assert read(FAKE + CONSOLE + f"INSERT INTO console {query}").transforms[0].inputs == ("fake",)


def test_names_in_quotes():
    job = read(FAKE.replace("fake", "`select`") + CONSOLE + 'INSERT INTO "console" SELECT a FROM "select"')
    assert (job.sources[0].output, job.sinks[0].inputs) == ("select", ("select__temp1",))


def test_values_are_text_as_hocon_quotes_it_and_bare_ones_keep_their_type():
    more = r"""'a' = '\t\\x', 'b' = ' "x" ', c = 5, 'd' = true, 'e' = null, 'f' = '5', 'g.h' = '[1, {k = "v"}]',
      'i' = '\u005bx]', 'j' = 'two
         lines', 'k' = ${x}, 'l' = '${y}', 'm' = 'ü→', 'n' = -1.5"""
    text = FAKE.replace("'row.num' = '5'", more) + CONSOLE + "INSERT INTO console SELECT fake;"
    options = dict(read(text, variables={"x": "1", "y": "2"}).sources[0].options)
    assert options.pop("schema")
    assert options == {
        "a": "\t\\x", "b": ' "x" ', "c": 5, "d": True, "e": None, "f": "5", "g.h": [1, {"k": "v"}], "i": "[x]",
        "j": "two lines", "k": "1", "l": "2", "m": "ü→", "n": -1.5,
    }  # fmt: skip


def test_what_sql_cannot_say_stands_in_the_config_comment():
    text = """/* config
    transform { FilterRowKind { plugin_input = fake, plugin_output = "rows", include_kinds = [INSERT] } }
    */
    """
    job = read(text + FAKE + CONSOLE + "INSERT INTO console SELECT id FROM `rows`;")
    assert [(p.name, p.index, p.output) for p in job.transforms] == [
        ("FilterRowKind", 0, "rows"), ("sql", 1, "rows__temp1"),
    ]  # fmt: skip


def test_options_have_the_lines_they_stand_on():
    job = read("\n\n" + FAKE + CONSOLE + "INSERT INTO console SELECT fake;")
    assert [job.sources[0].line(path) for path in ("row.num", "schema.fields.name", "nope")] == [5, 8, 3]


def test_all_problems_are_named_with_their_lines():
    text = f"""{CONSOLE}
    CREATE TABLE a WITH ('type' = 'source');
    CREATE TABLE b WITH ('connector' = 'X', 'type' = 'sorce');
    CREATE TABLE console AS SELECT x FROM console;
    DROP TABLE a;
    CREATE TABLE c WITH ('connector' = 'X', 'type' 'source');
    CREATE TABLE d WITH ('connector' = 'X', 'type' = 'source', 'p' = '\\d', 'q' = '[x');
    CREATE TABLE e WITH ('connector' = 'X', 'type' = 'source', 'p' = '[x {{ ]');
    INSERT INTO cnsole SELECT fake;
    INSERT INTO console (id) SELECT id FROM fake;
    INSERT INTO console SELECT 1 + 1;
    INSERT INTO console SELECT x FROM (SELECT y FROM fake);
    INSERT INTO console VALUES (1);
    CREATE TABLE f AS SELECT fake;
    CREATE TABLE g"""
    found = problems(text + "\n;" + FAKE)
    assert [p.split(": ", 1)[1].split(";")[0] for p in found] == [
        "table 'a' has no 'connector'",
        "table 'b' has type 'sorce'",
        "Table name duplicate: console",
        "cannot read the statement 'DROP TABLE'",
        "cannot read the statement: there is 'source'",
        "cannot read the option 'p': \\d is not an escape",
        "cannot read the option 'p': the bracket of line 9 is not closed",
        "The sink table[cnsole] is not found",
        "Insert sql must not have columns",
        "cannot read the statement: there is '1'",
        "cannot read the statement: there is '('",
        "cannot read the statement behind console: there is 'VALUES'",
        "CREATE TABLE f AS SELECT needs FROM and the name of a table",
        "cannot read the statement behind CREATE TABLE g: the statement ends",
    ]
    assert [int(p.split(":")[1]) for p in found] == [*range(3, 9), *range(9, 17)]
    assert "did you mean 'console'?" in found[7]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("\nCREATE TABLE 'x", 2, "the text that begins with ' is not closed"),
        ("a\n\n/* b", 3, "the comment that begins with / is not closed"),
        ("/* config\nenv {}", 1, "the comment `/* config` is not closed"),
        ("-- nothing", 0, "The SQL config must contain at least one source table"),
        (FAKE, 0, "The SQL config must contain `INSERT INTO ... SELECT ...` syntax"),
        ("/* config\nenv { a = }\n*/\n" + FAKE, 2, "a value is missing"),
    ],
)
def test_a_file_that_is_no_job_is_refused(text, line, reason):
    problem = problems(text)[0]
    assert reason in problem
    assert problem.startswith(f"job.sql:{line}:" if line else "job.sql: ")


def test_what_is_left_out_is_a_warning():
    job = read(FAKE.replace("fake WITH", "fake (id INT, n DECIMAL(5, 2)) WITH") + CONSOLE + CONSOLE.replace(
        "console", "other") + "INSERT INTO console SELECT fake")  # fmt: skip
    assert [(p.line, p.message) for p in job.warnings] == [
        (1, "the columns of table 'fake' are left out"),
        (11, "sink table 'other' is left out: no INSERT INTO names it"),
    ]


def test_the_suffix_says_sql(tmp_path):
    (tmp_path / "job.SQL").write_text(FAKE + CONSOLE + "INSERT INTO console SELECT fake;")
    assert load_job(tmp_path / "job.SQL").format == "sql"


@given(text=st.text(alphabet=st.sampled_from("CREATE TABLE x WITH('a'=;)--/*\n\"`SELECT FROM INSERT INTO[]{}\\")))
def test_any_text_is_read_or_refused(text):
    try:
        parse_job(text, format="sql")
    except ConfigError as error:
        assert error.problems
