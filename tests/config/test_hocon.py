import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config.hocon import parse_hocon
from headrace.config.variables import Resolver
from headrace.errors import ConfigError


def plain(text, **variables):
    root = parse_hocon(text)
    return Resolver(root, variables, "").plain(root, "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a = 1", {"a": 1}),
        ("{a: 1, b = x y}", {"a": 1, "b": "x y"}),
        ('a { b = "c" }\na { d = true }', {"a": {"b": "c", "d": True}}),
        ("a = [1, 2\n3]", {"a": [1, 2, 3]}),
        ("a = 1 // no\n# no\nb = null", {"a": 1, "b": None}),
        ('a = """x "y"\nz"""', {"a": 'x "y"\nz'}),
        (r'a = "tab\tü\"\\"', {"a": 'tab\tü"\\'}),
        ("a = 1.10\nb = 005\nc = 1e3\nd = 2.5", {"a": "1.10", "b": "005", "c": "1e3", "d": 2.5}),
        ("a = 12345678901234567890", {"a": 12345678901234567890}),
        ("job.mode = BATCH", {"job.mode": "BATCH"}),
        ("start_mode = timestamp\nstart_mode.timestamp = 5", {"start_mode": "timestamp", "start_mode.timestamp": 5}),
        ('"a.b" = 1', {"a.b": 1}),
        ("a = [1]\na += 2", {"a": [1, 2]}),
        ("a = [1]\na = ${a} [2]", {"a": [1, 2]}),
        ("b = ${a}x\na = 5", {"b": "5x", "a": 5}),
        ("a { b = 1 }\nc = ${a} { d = 2 }", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a = ${?nothing}\nb = 1", {"b": 1}),
        ("a = ${nothing}", {"a": "${nothing}"}),
        ("path = /tmp/a-b_c.csv\nurl = jdbc:x://h:1/d?a=b", {"path": "/tmp/a-b_c.csv", "url": "jdbc:x://h:1/d?a=b"}),
        ("a = x.*-[0-9]", None),
        ("key = a\nkey = b", {"key": "b"}),
        ("\ufeffa = 1", {"a": 1}),
    ],
)
def test_reads_hocon(text, value):
    if value is None:
        with pytest.raises(ConfigError):
            plain(text)
    else:
        assert plain(text) == value


def test_keeps_repeated_plugins_in_order():
    root = parse_hocon("source { Fake { a = 1 }, Jdbc {}\nFake { a = 2 } }\nsource { Last {} }")
    assert [(p.name, dict(p.block)) for p in root["source"].items] == [
        ("Fake", {"a": 1}), ("Jdbc", {}), ("Fake", {"a": 2}), ("Last", {}),
    ]  # fmt: skip


def test_keeps_the_order_of_keys():
    assert list(plain("b = 1\na = 2\nc = 3")) == ["b", "a", "c"]


def test_json_is_hocon_with_literal_keys():
    assert plain('{"a.b": {"source": {"x": 1}}}') == {"a.b": {"source": {"x": 1}}}


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a = 1\nb {\n  c = 2\n", "line 4, column 1", "the bracket of line 2 is not closed"),
        ("a = 1\n}", "line 2, column 1", "unexpected '}'"),
        ("a =\n}", "line 2, column 1", "a value is missing"),
        ('a = "x\n', "line 1, column 5", "not closed on its line"),
        ("a", "line 1, column 2", "after the key 'a' comes the end of the text"),
        ('a = "\\q"', "line 1, column 6", "\\q is not an escape"),
        ("[1]", "line 1, column 1", "the job file is a list"),
        ("source { Fake = 5 }", "line 1, column 17", "plugin 'Fake' has no block"),
        ("a = { } x", "line 1, column 10", "stands beside text"),
        ("a = ${x", "line 1, column 5", "the substitution is not closed"),
    ],
)
def test_says_where_the_text_is_wrong(text, where, message):
    with pytest.raises(ConfigError) as error:
        parse_hocon(text, "job.conf")
    assert str(error.value).startswith("job.conf:")
    assert where in str(error.value)
    assert message in str(error.value)


def test_substitutions_in_a_circle_are_an_error():
    with pytest.raises(ConfigError, match=r"in a circle: b -> a -> b|in a circle: a -> b -> a"):
        plain("a = ${b}\nb = ${a}")


def test_includes_files_beside_the_job(tmp_path):
    (tmp_path / "env.conf").write_text("env { parallelism = 3 }")
    root = parse_hocon('include "env"\nx = 1', str(tmp_path / "job.conf"))
    assert root["env"]["parallelism"] == 3
    with pytest.raises(ConfigError, match="there is no file"):
        parse_hocon('include required("nope.conf")', str(tmp_path / "job.conf"))


def test_a_file_that_includes_itself_is_an_error(tmp_path):
    (tmp_path / "a.conf").write_text('include "a.conf"')
    with pytest.raises(ConfigError, match="includes itself"):
        parse_hocon('include "a.conf"', str(tmp_path / "job.conf"))


def test_deep_nesting_is_an_error_not_a_crash():
    with pytest.raises(ConfigError, match="within one another"):
        parse_hocon("a=" + "[" * 5000)


@given(st.text(alphabet=st.sampled_from('ab1 \n\t"\\{}[]=:,+#/$.?*é'), max_size=60))
def test_any_text_is_values_or_a_clear_error(text):
    try:
        plain(text)
    except ConfigError as error:
        assert str(error)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    )
)
def test_every_json_document_is_read_as_it_is(value):
    import json

    assert plain(json.dumps({"x": value}).replace("${", "$ {")) == json.loads(
        json.dumps({"x": value}).replace("${", "$ {")
    )


def test_json_numbers_may_have_a_positive_exponent():
    assert parse_hocon('{"a": 1e+16, "b": [2.5E+3]}', json=True) == {"a": 1e16, "b": ["2.5E+3"]}


def test_comments_belong_to_the_key_below_them_or_beside_them():
    block = parse_hocon("# one\n\n//two\na = 1 # three\nb { c = [1, # four\n2] // five\n# six\n}\n# seven")
    assert (block.comments["a"].above, block.comments["a"].behind) == (["# one", "", "#two"], "# three")
    inner = block["b"]
    assert (inner.comments["c"].above, inner.comments["c"].behind) == (["# four"], "# five")
    assert (inner.tail, block.tail) == (["# six"], ["# seven"])
