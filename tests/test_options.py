from typing import Any

import pytest
from pydantic import AliasChoices, Field, SecretStr

from headrace.options import Choice, Options, edits, is_slip, local_path, read_options


class Mode(Choice):
    RANGE = "RANGE"


class Inner(Options):
    rule_type: str = Field(description="x")
    value: int | None = Field(default=None, description="x")


class Outer(Options):
    rows: int = Field(default=5, gt=0, validation_alias="row.num", description="x")
    path: str = Field(validation_alias=AliasChoices("path", "old.path"), description="Where.")
    names: list[str] = Field(default=[], description="x")
    extra: dict[str, Any] = Field(default={}, description="x")
    mode: Mode = Field(default=Mode.RANGE, description="x")
    rules: list[Inner] = Field(default=[], description="x")
    secret: SecretStr | None = Field(default=None, description="x")
    properties: dict[str, str] = Field(default={}, description="x")
    inner: Inner | None = Field(default=None, description="x")


def problems(**values):
    return [str(p) for p in read_options(Outer, {k.replace("__", "."): v for k, v in values.items()}).problems]


def test_finds_dotted_options_as_keys_and_as_blocks():
    for values in ({"row.num": 3, "path": "x"}, {"row": {"num": 3}, "path": "x"}):
        assert read_options(Outer, values).options.rows == 3


def test_dotted_keys_lead_into_options_that_hold_keys():
    for values in (
        {"extra.a.b": 1, "extra.c": {"d": 1, "e": 2}},
        {"extra": {"a.b": 1, "c": {"d": 1}}, "extra.c": {"e": 2}},
    ):
        assert read_options(Outer, {"path": "x", **values}).options.extra == {"a.b": 1, "c": {"d": 1, "e": 2}}
    assert read_options(Outer, {"path": "x", "row.num.more": 1}).unknown[0].place == "row.num.more"
    assert read_options(Outer, {"path": "x", "extra": "[]", "extra.a": 1}).unknown[0].place == "extra.a"


def test_old_names_still_work():
    assert read_options(Outer, {"old": {"path": "x"}}).options.path == "x"


def test_takes_text_for_lists_maps_and_numbers():
    options = read_options(Outer, {"path": 5, "names": "a, b", "extra": '{"k": 1}', "row.num": "7"}).options
    assert (options.path, options.names, options.extra, options.rows) == ("5", ["a", "b"], {"k": 1}, 7)


def test_null_is_no_value():
    options = read_options(Outer, {"path": "x", "row.num": None, "names": None, "mode": None, "secret": None}).options
    assert (options.rows, options.names, options.mode) == (5, [], Mode.RANGE)
    assert problems(path=None) == ["path: required option is missing; Where."]


def test_takes_booleans_and_numbers_for_text():
    values = {"path": True, "names": [False, 1], "secret": 123456, "properties": {"useSSL": False, "size": 1}}
    options = read_options(Outer, {**values, "extra": {"k": True}}).options
    assert (options.path, options.names, options.properties) == (
        "true",
        ["false", "1"],
        {"useSSL": "false", "size": "1"},
    )
    assert (options.secret.get_secret_value(), options.extra) == ("123456", {"k": True})


def test_closed_lists_ignore_case():
    assert read_options(Outer, {"path": "x", "mode": "range"}).options.mode is Mode.RANGE


def test_reports_all_problems_at_once():
    found = problems(row__num=0, mode="x", rules=[{"rule_type": "a"}, {}])
    assert found == [
        "row.num: Input should be greater than 0, not 0",
        "path: required option is missing; Where.",
        "mode: 'x' is not one of 'RANGE'",
        "rules[1].rule_type: required option is missing",
    ]


def test_a_misspelt_option_is_listed_with_the_right_name():
    read = read_options(Outer, {"path": "x", "row.nun": 3})
    assert read.problems == ()
    assert [str(p) for p in read.unknown if is_slip(p)] == ["row.nun: unknown option; did you mean 'row.num'?"]


def test_an_empty_block_says_nothing():
    assert read_options(Outer, {"path": "x", "inner": {}}).options.inner is None


def test_a_block_may_be_written_as_json_text():
    assert read_options(Outer, {"path": "x", "inner": '{"rule_type":\n"a"}'}).options.inner.rule_type == "a"


def test_other_unknown_options_are_only_listed_also_within_lists():
    read = read_options(Outer, {"path": "x", "spark.master": "local", "rules": [{"rule_type": "a", "whatever": 1}]})
    assert read.problems == ()
    assert [p.place for p in read.unknown] == ["rules[0].whatever", "spark.master"]


def test_secrets_do_not_show():
    assert "hush" not in repr(read_options(Outer, {"path": "x", "secret": "hush"}).options)


def test_counts_edits():
    assert [edits("row.num", other) for other in ("row.num", "row.nun", "rownum", "rows")] == [0, 1, 1, 4]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/a/b", "/a/b"),
        ("a:b", "a:b"),
        ("file:///a/b", "/a/b"),
        ("file:/a/b", "/a/b"),
        ("FILE://localhost/a", "/a"),
        ("file:////a", "/a"),
        ("file:a", "a"),
        ("file:///a/${table_name}", "/a/${table_name}"),
    ],
)
def test_a_path_may_be_a_file_url(text, path):
    assert local_path(text) == path


@pytest.mark.parametrize("text", ["hdfs://node/a", "s3a://bucket/a", "file://other/a", "http://x"])
def test_other_urls_are_no_paths(text):
    with pytest.raises(ValueError, match="not a path of this machine|on another machine"):
        local_path(text)


def test_an_error_shows_no_secret():
    wrong = problems(path="x", secret={"a": "hunter2"}, names=5, rules=[{"rule_type": {"token": "hunter2", "n": 1}}])
    assert "secret: Input should be a valid string, not ******" in wrong
    assert "rules[0].rule_type: Input should be a valid string, not {'token': '******', 'n': 1}" in wrong
    assert "hunter2" not in " ".join(wrong)
