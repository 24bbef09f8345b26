"""JSONPath: every kind of step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.transforms._json_paths import parse_path

STORE = {
    "book": [
        {"title": "A", "price": 8.95, "tags": ["x", "y"], "isbn": "1"},
        {"title": "B", "price": 12.99, "tags": ["z"]},
        {"title": "C", "price": 22, "tags": [], "isbn": None},
    ],
    "bike": {"color": "red", "price": 19.95, "it's": 1, "a.b": 2},
    "名": "東京",
    "n": None,
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", STORE),
        ("$.bike.color", "red"),
        ("$['bike']['color']", "red"),
        ('$.bike["color"]', "red"),
        (r"$.bike['it\'s']", 1),
        ("$.bike['a.b']", 2),
        ("$.名", "東京"),
        ("$.n", None),
        ("$.book[0].title", "A"),
        ("$.book[-1].title", "C"),
        ("$.book[0,2].title", ["A", "C"]),
        ("$.book[0:2].title", ["A", "B"]),
        ("$.book[-2:].title", ["B", "C"]),
        ("$.book[::2].title", ["A", "C"]),
        ("$.book[*].tags[*]", ["x", "y", "z"]),
        ("$.book.*.title", ["A", "B", "C"]),
        ("$..title", ["A", "B", "C"]),
        ("$..book[1].title", ["B"]),
        ("$..[0].title", ["A"]),
        ("$.bike['color','price']", {"color": "red", "price": 19.95}),
        ("$.book[*].nothing", []),
        ("$.book[?(@.price < 10)].title", ["A"]),
        ("$.book[?(@.price >= 12.99 && @.price <= 20)].title", ["B"]),
        ("$.book[?(@.title == 'A' || @.title == \"C\")].price", [8.95, 22]),
        ("$.book[?(@.isbn)].title", ["A", "C"]),
        ("$.book[?(!@.isbn)].title", ["B"]),
        ("$.book[?(@.isbn == null)].title", ["C"]),
        ("$.book[?(@.isbn != '1')].title", ["B", "C"]),
        ("$.book[?((@.price > 10) && @.title in ['B', 'C'])].title", ["B", "C"]),
        ("$.book[?(@.title nin ['B'])].title", ["A", "C"]),
        ("$.book[?(@.title =~ /[ab]/i)].title", ["A", "B"]),
        ("$.book[?(@.tags[0] == 'z')].title", ["B"]),
        ("$.book[?(@.tags.length() > 1)].title", ["A"]),
        ("$.book[?(@.price > 'a')].title", []),
        ("$.book[?('x' in @.tags)].title", ["A"]),
        ("$.book.length()", 3),
        ("$.book[*].price.max()", 22),
        ("$.book[*].price.sum()", 8.95 + 12.99 + 22),
        ("$.bike.keys()", ["color", "price", "it's", "a.b"]),
    ],
)
def test_finds(path, found):
    assert parse_path(path).find(STORE) == found


@pytest.mark.parametrize("path", ["$.nothing", "$.book[3]", "$.book.title", "$.bike[0]", "$.n.x", "$.n.length()"])
def test_one_value_that_is_not_there_is_an_error(path):
    with pytest.raises(LookupError):
        parse_path(path).find(STORE)


@pytest.mark.parametrize(
    "path", ["a", "$.", "$[", "$[]", "$['a]", "$[?(@.a ==)]", "$[?(@.a]", "$[1,'a']", "$.a b", "$.a]"]
)
def test_what_cannot_be_read_is_refused(path):
    with pytest.raises(ValueError, match="path"):
        parse_path(path)


DOCUMENTS = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(DOCUMENTS, st.lists(st.sampled_from("abc") | st.integers(0, 2), max_size=3))
def test_plain_paths_find_what_python_finds(document, keys):
    path = "$" + "".join(f"[{key!r}]" for key in keys)
    expected = document
    try:
        for key in keys:
            if not isinstance(expected, dict if isinstance(key, str) else list):
                raise LookupError
            expected = expected[key]
    except LookupError:
        with pytest.raises(LookupError):
            parse_path(path).find(document)
    else:
        assert parse_path(path).find(document) == expected


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.book[?(@.price<10)].title", ["A"]),
        ("$.book[?(@.price>=12.99&&@.title!='C')].title", ["B"]),
        ("$.book[?(@.price<9||@.price>20)].title", ["A", "C"]),
        ('$.book[?(@.title=="B")].price', [12.99]),
        ("$.book[?@.title=='B'].price", [12.99]),
        ("$.book[?@.price>10&&(@.title=='B'||@.title=='C')].title", ["B", "C"]),
        ("$.book[?(!@.tags[0])].title", ["C"]),
        ("$.book[?(@.isbn==null)].title", ["C"]),
        ("$.book[?(@.price<=22)].price", [8.95, 12.99, 22]),
        (r"$.bike['\u0069t\u0027s']", 1),
        (r'$.bike["it\u0027s"]', 1),
        ('$.bike["it\'s"]', 1),
    ],
)
def test_filters_need_no_blanks_and_texts_have_quotes_of_both_kinds(path, found):
    assert parse_path(path).find(STORE) == found


def test_true_is_not_one():
    document = [{"v": True}, {"v": 1}, {"v": [True]}, {"v": [1]}]
    assert parse_path("$[?(@.v==1)]").find(document) == [{"v": 1}]
    assert parse_path("$[?(@.v in [1])]").find(document) == [{"v": 1}]
    assert parse_path("$[?(@.v==true)]").find(document) == [{"v": True}]
