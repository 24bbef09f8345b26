import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.formats.lenient_json import loads


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "{a: this is text, b:'x', c: [1, 2.5, true, null]}",
            {"a": "this is text", "b": "x", "c": [1, 2.5, True, None]},
        ),
        ('{"t":"16:12:43", d:2023-10-29 16:12}', {"t": "16:12:43", "d": "2023-10-29 16:12"}),
        (r'{"a":"q\"\u00e9\n"}', {"a": 'q"é\n'}),
        ("[]", []),
    ],
)
def test_reads_what_json_smart_reads(text, value):
    assert loads(text) == value


@pytest.mark.parametrize("text", ["{", "{a}", '{"a": "b', "[1 {}]", "{} x"])
def test_says_where_it_cannot_go_on(text):
    with pytest.raises(ValueError, match="character"):
        loads(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8).filter(lambda t: t.isprintable()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_reads_every_json_document_as_json_does(value):
    assert loads(json.dumps(value)) == json.loads(json.dumps(value))
