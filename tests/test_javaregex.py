"""Java's regular expressions mean in Python what they mean in Java."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.javaregex import compile_regex, replacement_template, split


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"(?<word>\w+)-\k<word>", "ab-ab", True),
        (r"\Qa.b\E+", "a.bb", True),
        (r"\Qa.b", "axb", False),
        (r"\p{Alpha}\p{Digit}", "a1", True),
        (r"\p{Lu}\p{L}*", "Łódź", True),
        (r"\pL\P{L}", "é1", True),
        (r"\p{IsHan}+", "東京", True),
        (r"[\p{Upper}&&[^AEIOU]]+", "BCD", True),
        (r"[\p{Upper}&&[^AEIOU]]+", "BAD", False),
        (r"[a-c[x-z]]+", "axbz", True),
        (r"[^a-c[x-z]]+", "mno", True),
        (r"[^a-c[x-z]]+", "may", False),
        (r"[^\P{L}]", "x", True),
        (r"[]a]", "]", True),
        (r"[\w-\.]+@([\w-]+\.)+[\w-]{2,4}", "a-b.c@x-y.org", True),
        (r"[\p{Lu}-z]+", "A-z", True),
        (r"[\p{Lu}-z]+", "a", False),
        (r"a(?i)b|c", "aB", True),
        (r"a(?i)b|c", "C", True),
        (r"a(?i)b|c", "Ab", False),
        (r"((?i)a)b", "Ab", True),
        (r"((?i)a)b", "AB", False),
        (r"(?i:é)", "É", False),
        (r"\d", "٣", False),
        (r"\w", "é", False),
        (r"é\bX?", "é", True),
        (r"é\bX", "éX", False),
        (r"é\BX", "éX", True),
        (r".", "\u2028", False),
        (r"(?s).", "\u2028", True),
        (r"a$\R", "a\r\n", True),
        (r"a\Z\n", "a\n", True),
        (r"a\z", "a", True),
        (r"\h\v", "\u3000\x0b", True),
        (r"\x{1F6B0}\x41\u0042\0101\cA\e", "🚰ABA\x01\x1b", True),
        (r"a++b?+(?>c)", "aac", True),
        (r"(?u)a(?:b)(?=c)c(?<=c)", "abc", True),
    ],
)
def test_means_what_it_means_in_java(pattern, text, matches):
    assert (compile_regex(pattern).fullmatch(text) is not None) is matches


@pytest.mark.parametrize("pattern", ["(", ")", "[", "a**", r"\p{Nope}", r"\p{", r"\G", r"\k", "[&&a]", r"\0", "\\"])
def test_what_is_none_is_refused_with_the_reason(pattern):
    with pytest.raises(ValueError, match="is not a regular expression: ."):
        compile_regex(pattern)


def test_case_is_ignored_on_demand():
    assert compile_regex("ab", ignore_case=True).fullmatch("AB")


@pytest.mark.parametrize(
    ("pattern", "replacement", "text", "expected"),
    [
        ("(a)(b)", "$2$1", "ab", "ba"),
        ("(a)", "$12", "a", "a2"),
        ("(?<x>a)", "<${x}>", "a", "<a>"),
        ("a", r"\$1\\", "a", "$1\\"),
        ("(a)|b", "[$1]", "b", "[]"),
        ("a", "\n", "a", "\n"),
    ],
)
def test_replacements_take_groups(pattern, replacement, text, expected):
    compiled = compile_regex(pattern)
    assert compiled.sub(replacement_template(replacement, compiled), text) == expected


@pytest.mark.parametrize("replacement", ["$2", "$", "${nope}"])
def test_replacements_with_groups_that_are_not_there_are_refused(replacement):
    with pytest.raises(ValueError, match="replacement"):
        replacement_template(replacement, compile_regex("(a)"))


@pytest.mark.parametrize(
    ("pattern", "text", "limit", "parts"),
    [
        (",", "a,b,c", 2, ["a", "b,c"]),
        ("(,)", "a,b", 5, ["a", "b"]),
        (",", ",a,", 5, ["", "a", ""]),
        ("", "abc", 2, ["a", "bc"]),
        ("", "", 3, [""]),
        (",", "a,b", 1, ["a,b"]),
    ],
)
def test_splits_as_java(pattern, text, limit, parts):
    assert split(compile_regex(pattern), text, limit) == parts


@given(st.text(max_size=10), st.text(max_size=20))
def test_a_quoted_text_matches_itself_and_nothing_else(quoted, text):
    if "\\E" not in quoted:
        found = compile_regex(f"\\Q{quoted}\\E").fullmatch(text)
        assert (found is not None) == (quoted == text)


@given(st.text(alphabet="ab,; ", max_size=12), st.integers(1, 5))
def test_parts_of_a_plain_separator_are_those_of_python(text, limit):
    expected = re.split("[,;]", text, maxsplit=limit - 1) if limit > 1 else [text]
    assert split(compile_regex("[,;]"), text, limit) == expected
