import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.cli.variables import parse_variables
from headrace.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["a=1,b=2"], {"a": "1", "b": "2"}),
        (["a=1", "b=2"], {"a": "1", "b": "2"}),
        (['a="x,y=2",b=3'], {"a": "x,y=2", "b": "3"}),
        (["a=[1,b=2],c={x=1,y=2}"], {"a": "[1,b=2]", "c": "{x=1,y=2}"}),
        (["a=,b="], {"a": "", "b": ""}),
        (["ids=1,2,3"], {"ids": "1,2,3"}),
        (["where=a < 2 order by a, b = 1 desc"], {"where": "a < 2 order by a, b = 1 desc"}),
        (["where=a in (1,2) and b=3"], {"where": "a in (1,2) and b=3"}),
        (["text=one, two, three"], {"text": "one, two, three"}),
    ],
)
def test_cuts_what_can_only_be_a_list(given, found):
    assert parse_variables(given) == found


@pytest.mark.parametrize(
    "text",
    ["set=x=1,y=2", "set=x = 1,y=2", "set=a, b=2", "f=max(a,b=1)", "q='p,q=1'", "a=1,2,b=3", "url=jdbc:x?y=1,z=2"],
)
def test_what_can_be_read_both_ways_is_refused_with_both(text):
    with pytest.raises(ConfigError) as raised:
        parse_variables([text])
    [problem] = raised.value.problems
    assert "one value of" in problem.message
    assert "variables" in problem.message
    assert "-i of its own" in problem.cure


@given(st.text(alphabet="ab=, \"'()[]1", max_size=30))
def test_a_value_is_whole_or_refused_or_a_list_of_words(value):
    try:
        found = parse_variables([f"v={value}"])
    except ConfigError:
        return
    if len(found) > 1:
        assert all(not set(text) & set(" '()") for text in found.values() if "[" not in text and '"' not in value)
    else:
        assert found["v"] in (value, value[1:-1]) or "v=" in value
