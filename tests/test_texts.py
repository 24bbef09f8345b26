import pytest

from headrace.texts import near_names, readable, storable, storable_values, with_article

BYTE = b"\xff".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("text", "stored", "read"),
    [
        ("Zoë 東京 😀\n\tx", "Zoë 東京 😀\n\tx", "Zoë 東京 😀\n\tx"),
        (f"{BYTE}.csv", "\\xff.csv", "\\xff.csv"),
        ("\ud83d", "\\ud83d", "\\ud83d"),
        ("a\0b", "a\\x00b", "a\\x00b"),
        ("\x1b[2J\r\x7f\x9b", "\x1b[2J\r\x7f\x9b", "\\x1b[2J\\x0d\\x7f\\x9b"),
        ("abc\u202etxt.exe", "abc\u202etxt.exe", "abc\\u202etxt.exe"),
    ],
)
def test_what_no_store_takes_and_what_a_terminal_obeys_are_written_as_escapes(text, stored, read):
    assert storable(text) == stored
    assert readable(text) == read
    stored.encode()


def test_a_long_text_keeps_its_beginning_and_its_end():
    text = storable("a" * 600_000 + "b" * 600_000, most=100)
    assert text == "a" * 50 + " … (1,199,900 characters are left out here) … " + "b" * 50


def test_keys_and_values_are_storable_wherever_they_stand():
    values = {"a\0": [BYTE, 1, None, {"b": "\ud800"}]}
    assert storable_values(values) == {"a\\x00": ["\\xff", 1, None, {"b": "\\ud800"}]}


@pytest.mark.parametrize(
    ("noun", "told"),
    [("STRING", "a STRING"), ("INT", "an INT"), ("ARRAY<INT>", "an ARRAY<INT>"), ("csv file", "a csv file"),
     ("orc file", "an orc file"), ("xlsx file", "an xlsx file")],
)  # fmt: skip
def test_a_noun_has_its_article(noun, told):
    assert with_article(noun) == told


def test_names_that_resemble_come_first_and_hidden_ones_not_at_all():
    names = [f"a{i}.csv" for i in range(9)] + [".hidden", "orders.csv"]
    assert near_names(names, "ordres.csv").startswith("orders.csv, a0.csv, a1.csv")
    assert near_names(names, "ordres.csv").endswith("a6.csv, …")
    assert near_names([".hidden"], "x") == ""
