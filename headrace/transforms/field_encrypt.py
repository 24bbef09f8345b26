"""FieldEncrypt: encrypts or decrypts text columns with AES."""

import base64
import binascii
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Self

import pyarrow as pa
from pydantic import Field, SecretStr, model_validator

from headrace.connector import Batch, Choice, Problem, TableSchema, TaskContext, transform
from headrace.errors import ConfigError
from headrace.rows import type_name
from headrace.transforms._tables import TableOptions, TableTransform, need_columns

_CBC_IV, _GCM_IV = 16, 12


class Algorithm(Choice):
    """How is encrypted; the result is base64 of the initialisation vector and what follows."""

    AES_CBC = "AES_CBC"
    AES_GCM = "AES_GCM"


class Mode(Choice):
    """Which way."""

    ENCRYPT = "ENCRYPT"
    DECRYPT = "DECRYPT"


class FieldEncryptOptions(TableOptions):
    """Options of FieldEncrypt."""

    fields: list[str] = Field(min_length=1, description="The text columns.")
    key: SecretStr = Field(description="16, 24 or 32 bytes in base64; base64: may stand before them.")
    algorithm: Algorithm = Field(default=Algorithm.AES_CBC, description="AES_CBC, or AES_GCM, which notices changes.")
    mode: Mode = Field(default=Mode.ENCRYPT, description="ENCRYPT or DECRYPT.")
    max_field_length: int | None = Field(default=None, gt=0, description="Longer texts are errors; characters.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            size = len(self.key_bytes())
        except binascii.Error:
            raise ValueError("key is not base64") from None
        if size not in (16, 24, 32):
            raise ValueError(f"key has {size} bytes; AES takes 16, 24 or 32")
        return self

    def key_bytes(self) -> bytes:
        """The key itself."""
        return base64.b64decode(self.key.get_secret_value().removeprefix("base64:").strip(), validate=True)


@transform("FieldEncrypt")
class FieldEncryptTransform(TableTransform):
    """Encrypts or decrypts texts in place, as SeaTunnel does, so that either can read the other's; blank ones stay."""

    Options = FieldEncryptOptions

    def describe(self, table: TableSchema, options: FieldEncryptOptions) -> TableSchema:  # noqa: D102
        need_columns("fields", options.fields, table)
        for name in options.fields:
            if not pa.types.is_string(dtype := table.column(name).type):
                text = f"column {name!r} is {type_name(dtype)}, only STRING can be encrypted"
                raise ConfigError([Problem("fields", text, "cast it to STRING first")])
        # what is encrypted is longer than the text, so that a limit of its length holds no more
        columns = [replace(c, length=None) if c.name in options.fields else c for c in table.columns]
        return table.with_columns(columns)

    def change(self, batch: Batch, options: FieldEncryptOptions, task: TaskContext) -> Batch:  # noqa: D102
        one = _way(options)
        rows, keep = batch.rows, [True] * batch.num_rows
        reasons = [""] * batch.num_rows
        for name in options.fields:
            texts = rows.column(name).to_pylist()
            for row, text in enumerate(texts):
                if text is None or not text.strip():
                    continue
                try:
                    if options.max_field_length is not None and len(text) > options.max_field_length:
                        raise ValueError(f"{len(text)} characters are more than {options.max_field_length}")
                    texts[row] = one(text)
                except ValueError as error:
                    keep[row], reasons[row] = False, f"column {name}: cannot {options.mode.value.lower()}: {error}"
            rows = rows.set_column(rows.schema.names.index(name), name, pa.array(texts, pa.string()))
        if all(keep):
            return batch.with_rows(rows)
        mask = pa.array(keep)
        task.rejects.add(batch, pa.array([not good for good in keep]), pa.array(reasons))
        return batch.with_rows(rows).filter(mask)


def _way(options: FieldEncryptOptions) -> Callable[[str], str]:
    """The function for one text; it raises ValueError for what cannot be decrypted."""
    if options.algorithm is Algorithm.AES_GCM:
        seal, unseal = _gcm(options.key_bytes())
    else:
        seal, unseal = _cbc(options.key_bytes())
    if options.mode is Mode.ENCRYPT:
        return lambda text: base64.b64encode(seal(text.encode())).decode()

    def decrypt(text: str) -> str:
        try:
            sealed = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise ValueError("it is not base64") from error
        return unseal(sealed).decode()

    return decrypt


Crypt = Callable[[bytes], bytes]


def _cbc(key: bytes) -> tuple[Crypt, Crypt]:
    """AES/CBC/PKCS5Padding with 16 random bytes in front."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    algorithm = AES(key)

    def seal(plain: bytes) -> bytes:
        start, padding = os.urandom(_CBC_IV), 16 - len(plain) % 16
        work = Cipher(algorithm, CBC(start)).encryptor()
        return start + work.update(plain + bytes([padding]) * padding) + work.finalize()

    def unseal(sealed: bytes) -> bytes:
        if len(sealed) < 2 * _CBC_IV or len(sealed) % 16:
            raise ValueError(f"{len(sealed)} bytes are not AES_CBC text")
        work = Cipher(algorithm, CBC(sealed[:_CBC_IV])).decryptor()
        padded = work.update(sealed[_CBC_IV:]) + work.finalize()
        padding = padded[-1]
        if not 1 <= padding <= 16 or padded[-padding:] != bytes([padding]) * padding:
            raise ValueError("the padding is wrong; is it another key?")
        return padded[:-padding]

    return seal, unseal


def _gcm(key: bytes) -> tuple[Crypt, Crypt]:
    """AES/GCM/NoPadding with 12 random bytes in front and a tag of 128 bits behind."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher = AESGCM(key)

    def seal(plain: bytes) -> bytes:
        start = os.urandom(_GCM_IV)
        return start + cipher.encrypt(start, plain, None)

    def unseal(sealed: bytes) -> bytes:
        if len(sealed) < _GCM_IV + 16:
            raise ValueError(f"{len(sealed)} bytes are not AES_GCM text")
        try:
            return cipher.decrypt(sealed[:_GCM_IV], sealed[_GCM_IV:], None)
        except InvalidTag as error:
            raise ValueError("the tag is wrong; it was changed, or it is another key") from error

    return seal, unseal
