"""Functions that encrypt, hash and encode."""

import base64
import codecs
import hashlib
import os
import struct
from functools import lru_cache
from typing import Any

import pyarrow as pa

from headrace.sql.casts import to_text
from headrace.sql.functions import TEXTS, Value, by_row, function

TEXT, LONG = pa.string(), pa.int64()
_MASK = (1 << 64) - 1


@function("MD5", result=TEXT, fails=False)
def _md5(text: Value, rows: int) -> Value:
    return by_row(lambda t: hashlib.md5(t.encode(), usedforsecurity=False).hexdigest(), [to_text(text)], TEXT)


def _charset(name: str | None) -> str:
    try:
        return codecs.lookup(name or "utf-8").name
    except LookupError as error:
        raise ValueError(f"there is no charset {name!r}; name one such as UTF-8 or GBK") from error


@function("TO_BASE64", result=TEXT, most=2, takes=(None, TEXTS))
def _to_base64(value: Value, charset: Value = None, *, rows: int) -> Value:
    def encode(item: Any, name: str | None = None) -> str | None:
        if item is None:
            return None
        return base64.b64encode(item if isinstance(item, bytes) else item.encode(_charset(name))).decode()

    text = value if pa.types.is_binary(value.type) else to_text(value)
    return by_row(encode, [text, *([] if charset is None else [charset])], TEXT, nulls=True)


@function("FROM_BASE64", result=TEXT, most=2, takes=(None, TEXTS))
def _from_base64(text: Value, charset: Value = None, *, rows: int) -> Value:
    def decode(item: str | None, name: str | None = None) -> str | None:
        return None if item is None else base64.b64decode(item, validate=True).decode(_charset(name), "replace")

    return by_row(decode, [to_text(text), *([] if charset is None else [charset])], TEXT, nulls=True)


@function("MURMUR64", result=LONG, fails=False)
def _murmur64(text: Value, rows: int) -> Value:
    return by_row(lambda t: _murmur(t.encode()), [to_text(text)], LONG)


def _murmur(data: bytes) -> int:
    """The lower 64 bits of MurmurHash3 x64 128 with seed 0, signed."""
    c1, c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
    h1 = h2 = 0

    def mixed(k: int, a: int, b: int, turn: int) -> int:
        k = k * a & _MASK
        return ((k << turn | k >> (64 - turn)) & _MASK) * b & _MASK

    whole = len(data) // 16 * 16
    for k1, k2 in struct.iter_unpack("<QQ", data[:whole]):
        h1 ^= mixed(k1, c1, c2, 31)
        h1 = ((h1 << 27 | h1 >> 37) + h2) & _MASK
        h1 = (h1 * 5 + 0x52DCE729) & _MASK
        h2 ^= mixed(k2, c2, c1, 33)
        h2 = ((h2 << 31 | h2 >> 33) + h1) & _MASK
        h2 = (h2 * 5 + 0x38495AB5) & _MASK
    tail = data[whole:].ljust(16, b"\0")
    k1, k2 = struct.unpack("<QQ", tail)
    h2 ^= mixed(k2, c2, c1, 33)
    h1 ^= mixed(k1, c1, c2, 31)
    h1 ^= len(data)
    h2 ^= len(data)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1 = (_final(h1) + _final(h2)) & _MASK
    return h1 - (1 << 64) if h1 >> 63 else h1


def _final(k: int) -> int:
    k = (k ^ k >> 33) * 0xFF51AFD7ED558CCD & _MASK
    k = (k ^ k >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return k ^ k >> 33


# ------------------------------------------------------------------------------------------------------ encryption


def _encrypt(cipher: Any, data: bytes, block: int) -> bytes:
    """With the padding of PKCS 5."""
    padding = block - len(data) % block
    encryptor = cipher.encryptor()
    return encryptor.update(data + bytes([padding]) * padding) + encryptor.finalize()


def _decrypt(cipher: Any, data: bytes, block: int) -> str:
    decryptor = cipher.decryptor()
    if not data or len(data) % block:
        raise ValueError("the value is not what this encryption makes")
    plain = decryptor.update(data) + decryptor.finalize()
    padding = plain[-1]
    if not 0 < padding <= block or plain[-padding:] != bytes([padding]) * padding:
        raise ValueError("the value cannot be decrypted: another key, another initial vector, or damaged data")
    return bytes(plain[:-padding]).decode("utf-8", "replace")


@lru_cache(64)
def _des(password: str) -> Any:
    """DES is Triple DES with three equal keys; the initial vector is the one of SeaTunnel's DES functions."""
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    key = password.encode()
    if len(key) < 8:
        raise ValueError("the password of DES_ENCRYPT and DES_DECRYPT needs at least 8 characters")
    return Cipher(TripleDES(key[:8] * 3), modes.CBC(b"12345678"))


@function("DES_ENCRYPT", result=TEXT, least=2)
def _des_encrypt(password: Value, text: Value, rows: int) -> Value:
    def encrypt(key: str, value: str) -> str:
        return base64.b64encode(_encrypt(_des(key), value.encode(), 8)).decode()

    return by_row(encrypt, [to_text(password), to_text(text)], TEXT)


@function("DES_DECRYPT", result=TEXT, least=2)
def _des_decrypt(password: Value, text: Value, rows: int) -> Value:
    def decrypt(key: str, value: str) -> str:
        return _decrypt(_des(key), base64.b64decode(value, validate=True), 8)

    return by_row(decrypt, [to_text(password), to_text(text)], TEXT)


@lru_cache(64)
def _aes_key(key: str) -> bytes:
    """The bytes behind `base64:`, or the first half of a passphrase's SHA-256."""
    if not key.strip():
        raise ValueError("the key of AES_ENCRYPT and AES_DECRYPT is blank")
    if not key.startswith("base64:"):
        return hashlib.sha256(key.encode()).digest()[:16]
    raw = base64.b64decode(key.removeprefix("base64:").strip(), validate=True)
    if len(raw) not in (16, 24, 32):
        raise ValueError(f"an AES key has 16, 24 or 32 bytes, not {len(raw)}")
    return raw


def _aes(key: str | None, vector: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if key is None:
        raise ValueError("the key of AES_ENCRYPT and AES_DECRYPT is null")
    if len(vector) != 16:
        raise ValueError(f"the initial vector of AES has 16 bytes, not {len(vector)}")
    return Cipher(algorithms.AES(_aes_key(key)), modes.CBC(vector))


@function("AES_ENCRYPT", result=TEXT, least=2, most=3, takes=(None, TEXTS, TEXTS), volatile=True)
def _aes_encrypt(text: Value, key: Value, vector: Value = None, *, rows: int) -> Value:
    """Base64 of the encrypted text; without an initial vector a random one is put before it."""

    def encrypt(value: str | None, secret: str | None, iv: str | None = "") -> str | None:
        if value is None:
            return None
        start = os.urandom(16) if vector is None else (iv or "").encode()
        data = _encrypt(_aes(secret, start), value.encode(), 16)
        return base64.b64encode(start + data if vector is None else data).decode()

    columns = [to_text(text), key, *([] if vector is None else [vector])]
    if vector is not None:
        return by_row(encrypt, columns, TEXT, nulls=True)
    texts, secrets = ([v.as_py()] * rows if isinstance(v, pa.Scalar) else v.to_pylist() for v in columns)
    return pa.array(map(encrypt, texts, secrets), TEXT)


@function("AES_DECRYPT", result=TEXT, least=2, most=3, takes=(None, TEXTS, TEXTS))
def _aes_decrypt(text: Value, key: Value, vector: Value = None, *, rows: int) -> Value:
    def decrypt(value: str | None, secret: str | None, iv: str | None = "") -> str | None:
        if value is None:
            return None
        data = base64.b64decode(value, validate=True)
        start = data[:16] if vector is None else (iv or "").encode()
        return _decrypt(_aes(secret, start), data[16:] if vector is None else data, 16)

    return by_row(decrypt, [to_text(text), key, *([] if vector is None else [vector])], TEXT, nulls=True)
