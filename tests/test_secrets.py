import pytest

from headrace.secrets import MASK, Masker, is_secret, mask_urls, mask_values, shown


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "Password",
        "db.password",
        "auth",
        "token",
        "api_key",
        "secret_key",
        "access-key",
        "kafka.sasl.jaas.config",
    ],
)
def test_secret_keys(key):
    assert is_secret(key)


@pytest.mark.parametrize("key", ["author", "path", "tokenizer_path_is_fine"[:4], "primary_keys", "key", "user"])
def test_keys_that_are_no_secrets(key):
    assert not is_secret(key)


def test_masks_nested_values_and_urls():
    values = {"a": {"password": "x1"}, "urls": ["jdbc:mysql://u:p4ss@h/db?password=q", "plain"], "n": 5, "token": None}
    assert mask_values(values) == {
        "a": {"password": MASK},
        "urls": [f"jdbc:mysql://u:{MASK}@h/db?password={MASK}", "plain"],
        "n": 5,
        "token": None,
    }


def test_masks_the_values_wherever_they_stand():
    mask = Masker({"password": "s3cret"}, {"url": "x://u:p%40ss@h"}, {"auth": {"inner": "deep-value"}}, {"token": "ab"})
    assert (
        mask("login s3cret failed, p@ss p%40ss deep-value ab, tab")
        == f"login {MASK} failed, {MASK} {MASK} {MASK} {MASK}, tab"
    )
    assert Masker({})("nothing s3cret") == "nothing s3cret"


def test_a_text_without_secrets_stays():
    assert mask_urls("see https://host/path?page=1") == "see https://host/path?page=1"


def test_a_value_is_shown_without_its_secrets():
    assert shown("sink[0].db.password", ["p"]) == MASK
    assert shown("url", "x://u:p4ss@h") == f"'x://u:{MASK}@h'"
    assert shown("rows", {"token": "t", "n": 1}) == f"{{'token': '{MASK}', 'n': 1}}"
