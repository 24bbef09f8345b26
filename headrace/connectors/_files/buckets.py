"""Files in buckets of S3 and of stores that speak its interface: what their options have in common."""

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from headrace.connectors._files.options import FileTableOptions, refuse_local_options
from headrace.connectors._files.sink import FileSink, FileSinkOptions
from headrace.connectors._files.source import FileSource
from headrace.options import STORE_PATH
from headrace.storage.contract import Storage
from headrace.storage.s3 import S3Storage
from headrace.storage.s3_client import S3Place

PART_BYTES = 8 << 20
"""Bytes of a part of an upload, unless the job says."""


def bucket_path(text: str) -> str:
    """A path within the bucket, from its top; the bucket may stand before it."""
    found = re.fullmatch(r"[a-z][a-z0-9]*://[^/]+(.*)", text)
    parts = [part for part in (found[1] if found else text).split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"{text!r} leads out of the bucket")
    return "/" + "/".join(parts)


BucketPath = Annotated[str, AfterValidator(bucket_path)]
"""An option that names a folder or object of a bucket."""


def bucket_name(text: str, schemes: Sequence[str]) -> tuple[str, str]:
    """The name, and the scheme before it. Raises ValueError where it is none."""
    scheme, found, name = text.rpartition("://")
    if found and scheme not in schemes:
        raise ValueError(f"bucket {text!r}: begin it with {' or '.join(f'{one}://' for one in schemes)}")
    name = name.rstrip("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]", name):
        raise ValueError(f"bucket {text!r} is not a name of a bucket, such as {schemes[0]}://name")
    return name, scheme or schemes[0]


def endpoint_url(text: str, *, secure: bool = True) -> str:
    """The URL of an endpoint that may be a host alone. Raises ValueError."""
    url = text if "://" in text else f"{'https' if secure else 'http'}://{text}"
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        named = False
    if not named or parts.query or parts.path.strip("/"):
        raise ValueError(
            f"the endpoint {text!r} is not an address of a store, such as https://s3.eu-west-1.amazonaws.com"
        )
    return url.rstrip("/")


def is_address(endpoint: str) -> bool:
    """Whether the endpoint is a number or this machine, before which no bucket's name can stand."""
    host = urlsplit(endpoint).hostname or ""
    return host == "localhost" or ":" in host or bool(re.fullmatch(r"[\d.]+", host))


def size_bytes(text: str) -> int:
    """Hadoop's sizes: bytes, or with K, M, G. Raises ValueError."""
    found = re.fullmatch(r"(\d+)([KMG]?)B?", text.strip().upper())
    if found is None:
        raise ValueError(f"{text!r} is not a size, such as 64M")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


class BucketTableOptions(FileTableOptions):
    """Which files of a bucket make a table, and how they are read."""

    path: BucketPath = Field(
        default="",
        json_schema_extra=STORE_PATH,
        description="Required: an object of the bucket, or a folder that is read with all below it.",
    )

    @abstractmethod
    def place(self) -> S3Place:
        """The bucket, and how to reach it. Raises ValueError."""

    def check_table(self) -> None:
        """Also what is for files of this machine alone."""
        refuse_local_options(self, "a bucket is read once, as it is")
        super().check_table()


class BucketSource(FileSource):
    """Reads files of a bucket."""

    def storage(self) -> Storage:
        """The bucket's objects."""
        return S3Storage(place_of(self.options.tables()))

    def rooted(self, path: str) -> str:
        """With the bucket before it, and the store before that."""
        return _url(place_of(self.options.tables()), path)


def place_of(tables: Sequence[FileTableOptions]) -> S3Place:
    """The bucket of all tables. Raises ValueError where they are in several."""
    places = {options.place() for options in tables if isinstance(options, BucketTableOptions)}
    if len(places) != 1:
        names = " and ".join(sorted(f"{place.endpoint}/{place.bucket}" for place in places))
        raise ValueError(f"the tables of one source lie in one bucket, with the same keys, not in {names}")
    return places.pop()


def _url(place: S3Place, path: str) -> str:
    """A path with the bucket before it, and the store before that."""
    return f"{place.endpoint}/{place.bucket}{path}"


class BucketSinkOptions(FileSinkOptions):
    """Options of a sink into a bucket."""

    path: BucketPath = Field(
        min_length=1,
        json_schema_extra=STORE_PATH,
        description="The target folder in the bucket; ${table_name} and its like are filled.",
    )
    tmp_path: BucketPath = Field(
        default="/tmp/seatunnel",
        json_schema_extra=STORE_PATH,
        description="A folder of the bucket for notes about what is staged; two sinks may share it.",
    )

    @abstractmethod
    def place(self) -> S3Place:
        """The bucket, and how to reach it. Raises ValueError."""


class BucketSink(FileSink):
    """Writes files into a bucket."""

    options: BucketSinkOptions

    def storage(self) -> Storage:
        """The bucket's objects."""
        return S3Storage(self.options.place())

    def rooted(self, path: str) -> str:
        """With the bucket before it, and the store before that."""
        return _url(self.options.place(), path)


def told_idle(properties: Mapping[str, str], known: Sequence[str]) -> Iterator[str]:
    """The properties of Hadoop's client that do nothing here."""
    return (key for key in properties if key not in known)
