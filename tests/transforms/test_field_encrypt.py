"""FieldEncrypt: what is encrypted comes back, and only with its key."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadRow, ConfigError
from headrace.options import read_options
from headrace.testing import ROWS, TABLE, ListRejects, TransformContract, batch, make, task
from headrace.transforms.field_encrypt import FieldEncryptTransform

KEY = "base64:" + base64.b64encode(bytes(range(16))).decode()
OTHER = base64.b64encode(b"x" * 32).decode()


def crypt(rows, mode="ENCRYPT", key=KEY, rejects=None, **options):
    transform = make(FieldEncryptTransform, fields=["name"], key=key, mode=mode, **options)
    return transform.apply(rows, task(rejects=rejects) if rejects else task())


def texts(rows):
    return rows.rows["name"].to_pylist()


class TestFieldEncrypt(TransformContract):
    @pytest.fixture
    def transform(self):
        return make(FieldEncryptTransform, fields=["name"], key=KEY, mode="DECRYPT")

    @pytest.fixture
    def rows(self):
        return crypt(batch(*ROWS))


@pytest.mark.parametrize("algorithm", ["AES_CBC", "aes_gcm"])
@given(text=st.text(max_size=40))
def test_what_is_encrypted_comes_back(algorithm, text):
    sealed = crypt(batch((1, text)), algorithm=algorithm)
    assert texts(crypt(sealed, "DECRYPT", algorithm=algorithm)) == [text]
    assert (texts(sealed) == [text]) is (not text.strip())


@pytest.mark.parametrize("size", [16, 24, 32])
def test_reads_what_others_encrypted(size):
    """A text that Java's AES/CBC/PKCS5Padding made, rebuilt with the library at hand."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    key, start = b"k" * size, b"i" * 16
    padder, cipher = PKCS7(128).padder(), Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    sealed = start + cipher.update(padder.update("Łódź".encode()) + padder.finalize()) + cipher.finalize()
    rows = batch((1, base64.b64encode(sealed).decode()))
    assert texts(crypt(rows, "DECRYPT", base64.b64encode(key).decode())) == ["Łódź"]


def test_the_same_text_is_never_encrypted_the_same_twice():
    one, other = texts(crypt(batch((1, "ann"), (2, "ann"))))
    assert one != other


def test_nulls_and_blanks_stay():
    assert texts(crypt(batch((1, None), (2, ""), (3, "  ")))) == [None, "", "  "]


@pytest.mark.parametrize("algorithm", ["AES_CBC", "AES_GCM"])
@pytest.mark.parametrize("text", ["no base64!", "QUJD", base64.b64encode(bytes(48)).decode()])
def test_what_cannot_be_decrypted_is_named(algorithm, text):
    with pytest.raises(BadRow, match="row 1: column name: cannot decrypt"):
        crypt(batch((1, text)), "DECRYPT", algorithm=algorithm)


def test_a_row_of_another_key_does_not_take_the_others_with_it():
    rejects = ListRejects()
    good = crypt(batch((1, "ann")), algorithm="AES_GCM")
    bad = crypt(batch((2, "bob")), key=OTHER, algorithm="AES_GCM")
    rows = batch((1, texts(good)[0]), (2, texts(bad)[0]))
    assert texts(crypt(rows, "DECRYPT", rejects=rejects, algorithm="AES_GCM")) == ["ann"]
    assert [row["id"] for _, row, _ in rejects.found] == [2]


def test_a_text_that_is_too_long_is_an_error():
    with pytest.raises(BadRow, match="4 characters are more than 3"):
        crypt(batch((1, "abcd")), max_field_length=3)


@pytest.mark.parametrize(
    ("key", "message"), [("base64:??", "key is not base64"), ("QUJD", "key has 3 bytes; AES takes 16, 24 or 32")]
)
def test_a_wrong_key_is_a_problem_of_the_plan_that_does_not_show_it(key, message):
    [problem] = read_options(FieldEncryptTransform.Options, {"fields": ["name"], "key": key}).problems
    assert message in str(problem)
    assert key not in str(problem)


def test_only_texts_can_be_encrypted_and_their_length_is_open_then():
    with pytest.raises(ConfigError, match="column 'id' is BIGINT, only STRING"):
        make(FieldEncryptTransform, fields=["id"], key=KEY).schema(TABLE)
    table = TABLE.with_columns([replace(column, length=5) for column in TABLE.columns])
    assert make(FieldEncryptTransform, fields=["name"], key=KEY).schema(table).column("name").length is None
