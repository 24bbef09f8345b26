"""Small contents in an object store: S3 and what speaks its API, Google Cloud Storage, Azure.

Not by way of the storages of files: those stage and publish whole files, and promise no content that is stored only if
another one is still there, which is what tells two starts apart (guarantee 9).
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from headrace.checkpoint.blobs import Blobs, Tag
from headrace.connector import needs
from headrace.errors import ConfigError, Problem, StoreUnavailable

REQUEST_SECONDS = 10
"""A request that takes longer has failed; the coordinator tries again, so that the client need not."""


class ObjectBlobs(Blobs):
    """Objects below `prefix` of a bucket or container.

    url: `s3://bucket/prefix`, `gs://…` or `az://…`. options: keys of obstore, such as `endpoint` or `access_key_id`;
    what is not given comes from the environment (AWS_…, GOOGLE_…, AZURE_…) or the machine's role.
    Raises ConfigError when they are wrong, MissingExtra without the package obstore.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self._obstore = needs("obstore", "s3", "the checkpoint store")
        self._errors = needs("obstore.exceptions", "s3", "the checkpoint store")
        self.place = url
        self._secrets = [value for key, value in options.items() if "key" in key or "token" in key]
        insecure = options.get("endpoint", "").startswith("http://")
        try:
            self._store = needs("obstore.store", "s3", "the checkpoint store").from_url(
                url.rstrip("/"),
                config=dict(options),
                client_options={
                    "timeout": timedelta(seconds=REQUEST_SECONDS),
                    "connect_timeout": timedelta(seconds=REQUEST_SECONDS / 2),
                    "allow_http": insecure,
                },
                retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=REQUEST_SECONDS)},
            )
        except Exception as error:  # the package has no common base for what it finds wrong here
            text = self._masked(str(error))
            raise ConfigError([Problem("checkpoint_store", f"cannot use {url!r}: {text}")]) from None

    def get(self, name: str) -> tuple[bytes, Tag] | None:  # noqa: D102
        with self._translated():
            try:
                found = self._obstore.get(self._store, name)
            except (self._errors.NotFoundError, FileNotFoundError):
                return None
            versions = {key: found.meta[key] for key in ("e_tag", "version")}
            return bytes(found.bytes()), {key: value for key, value in versions.items() if value is not None}

    def put(self, name: str, content: bytes) -> None:  # noqa: D102
        with self._translated():
            self._obstore.put(self._store, name, content, use_multipart=False)

    def swap(self, name: str, content: bytes, tag: Tag | None) -> bool:  # noqa: D102
        with self._translated():
            try:
                self._obstore.put(self._store, name, content, mode="create" if tag is None else tag)
            except (self._errors.AlreadyExistsError, self._errors.PreconditionError):
                return False
            return True

    def names(self, folder: str) -> list[str]:  # noqa: D102
        with self._translated():
            return [entry["path"] for part in self._obstore.list(self._store, f"{folder}/") for entry in part]

    def delete(self, names: Iterable[str]) -> None:  # noqa: D102
        wanted = list(names)
        if wanted:
            with self._translated(), contextlib.suppress(self._errors.NotFoundError, FileNotFoundError):
                self._obstore.delete(self._store, wanted)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (self._errors.BaseError, OSError, ValueError) as error:
            text = self._masked(_short(error))
            raise StoreUnavailable(f"cannot use the checkpoint store {self.place}: {text}") from None

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "******")
        return text


def _short(error: Exception) -> str:
    """Its sentence, without the dump of the error's fields that the package adds."""
    text: Any = str(error).partition("\n\nDebug source")[0]
    return re.sub(r"\s+", " ", text).strip()
