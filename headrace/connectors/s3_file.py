"""S3File: files in a bucket of Amazon S3, or of a store that speaks its interface."""

import logging
import re
from collections.abc import Iterator, Sequence
from typing import Self

from pydantic import AliasChoices, Field, SecretStr, model_validator

from headrace.connector import Options, Problem, TableSchema, sink, source
from headrace.connectors._files.buckets import (
    PART_BYTES,
    BucketSink,
    BucketSinkOptions,
    BucketSource,
    BucketTableOptions,
    bucket_name,
    endpoint_url,
    is_address,
    place_of,
    size_bytes,
    told_idle,
)
from headrace.connectors._files.options import FileSourceOptions
from headrace.options import HOST
from headrace.reach import may_use_own_keys
from headrace.storage.s3_client import S3Place

LOG = logging.getLogger("headrace.plugin")

_ANONYMOUS = "AnonymousAWSCredentialsProvider"

_KEYS = ("SimpleAWSCredentialsProvider", "TemporaryAWSCredentialsProvider")
"""Providers that take the keys of the job file."""

_MACHINE = (
    "InstanceProfileCredentialsProvider",
    "IAMInstanceCredentialsProvider",
    "EnvironmentVariableCredentialsProvider",
    "DefaultAWSCredentialsProviderChain",
    "ContainerCredentialsProvider",
    "WebIdentityTokenCredentialsProvider",
    "ProfileCredentialsProvider",
)
"""Providers of the environment, the files and the role of the machine, which are all asked in turn."""

_REGION, _PATH_STYLE, _SECURE = "endpoint.region", "path.style.access", "connection.ssl.enabled"
_TOKEN, _PART = "session.token", "multipart.size"
_PROPERTIES = [f"fs.s3a.{name}" for name in (_REGION, _PATH_STYLE, _SECURE, _TOKEN, _PART)]


class S3Options(Options):
    """Which bucket, and how to reach it."""

    bucket: str = Field(default="", description="Required: the bucket, such as s3a://name or s3n://name.")
    endpoint: str = Field(
        default="",
        validation_alias="fs.s3a.endpoint",
        json_schema_extra=HOST,
        description="Required: the store's host or URL, such as s3.eu-west-1.amazonaws.com or http://127.0.0.1:9000.",
    )
    provider: str = Field(
        default="com.amazonaws.auth.InstanceProfileCredentialsProvider",
        validation_alias="fs.s3a.aws.credentials.provider",
        description="Where the keys come from: SimpleAWSCredentialsProvider, access_key and secret_key; "
        "TemporaryAWSCredentialsProvider, also a session token; AnonymousAWSCredentialsProvider, none; others, the "
        "environment, the files or the role of this machine. Keys that are given are used in any case.",
    )
    access_key: str | None = Field(default=None, description="The access key.")
    secret_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("secret_key", "access_secret"), description="Its secret."
    )
    properties: dict[str, str] = Field(
        default={},
        validation_alias="hadoop_s3_properties",
        description="Of Hadoop's client: fs.s3a.path.style.access (the bucket stands in the path), "
        "fs.s3a.endpoint.region, fs.s3a.connection.ssl.enabled, fs.s3a.session.token and fs.s3a.multipart.size; "
        "others do nothing.",
    )

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        self.place()
        return self

    def place(self) -> S3Place:
        """The bucket, and how to reach it. Raises ValueError."""
        given = {"bucket": self.bucket, "fs.s3a.endpoint": self.endpoint}
        if missing := [name for name, value in given.items() if not value]:
            raise ValueError("; ".join(f"{name}: required option is missing" for name in missing))
        name, scheme = bucket_name(self.bucket, ("s3a", "s3n", "s3"))
        endpoint = endpoint_url(self.endpoint, secure=self._property(_SECURE, "true").lower() != "false")
        in_path = self._property(_PATH_STYLE, "false").lower() == "true" or is_address(endpoint)
        part = size_bytes(self._property(_PART, str(PART_BYTES)))
        if not 5 << 20 <= part <= 1 << 30:
            raise ValueError("fs.s3a.multipart.size must be from 5M to 1G")
        return S3Place(name, endpoint, self._region(endpoint), self._keys(), in_path, scheme, part)

    def _property(self, name: str, default: str) -> str:
        return self.properties.get(f"fs.s3a.{name}", default)

    def _region(self, endpoint: str) -> str:
        told = re.search(r"//(?:s3[.-])?(?:dualstack\.)?([a-z0-9-]+)\.amazonaws\.com", endpoint)
        return self._property(_REGION, told[1] if told and told[1] != "s3" else "us-east-1")

    def _keys(self) -> tuple[str, ...] | None:
        name, given = self.provider.rpartition(".")[2], (self.access_key, self.secret_key)
        if self.access_key and self.secret_key:
            return self.access_key, self.secret_key.get_secret_value(), self._property(_TOKEN, "")
        if any(given):
            missing = "access_key" if self.secret_key else "secret_key"
            raise ValueError(f"{missing} is missing, and the other of the two is there")
        if name in _KEYS:
            raise ValueError(f"{name} needs access_key and secret_key")
        if name == _ANONYMOUS:
            return ()
        if name not in _MACHINE:
            known = ", ".join((*_KEYS, _ANONYMOUS, *_MACHINE))
            raise ValueError(f"fs.s3a.aws.credentials.provider {self.provider!r} is not known; possible: {known}")
        if not may_use_own_keys():
            raise ValueError(
                "access_key and secret_key are missing, and jobs of this server may not use the keys of its machine "
                "(setting jobs_use_own_keys)"
            )
        return None

    def tell_idle(self) -> None:
        """Warns of properties that do nothing."""
        for key in told_idle(self.properties, _PROPERTIES):
            LOG.warning("hadoop_s3_properties: %s does nothing here: it tunes Hadoop's client", key)


class S3TableOptions(S3Options, BucketTableOptions):
    """Options of one table."""


class S3FileSourceOptions(S3TableOptions, FileSourceOptions):
    """Options of the S3File source."""

    tables_configs: list[S3TableOptions] | None = Field(  # type: ignore[assignment]  # each has its bucket
        default=None,
        description="Several tables, each with all the options of one; the bucket and the keys are the same.",
    )

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        place_of(self.tables())
        return self


EXAMPLE = """
%s {
  S3File {
    bucket = "s3a://bucket"
    fs.s3a.endpoint = "http://minio.example.com:9000"
    fs.s3a.aws.credentials.provider = "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"
    access_key = ${S3_KEY}
    secret_key = ${S3_SECRET}
    path = "/people"
    file_format_type = "parquet"
  }
}
"""
"""Of the source and the sink, which reach a bucket in the same way."""


@source("S3File")
class S3FileSource(BucketSource):
    """Reads files of a bucket of Amazon S3, or of a store that speaks its interface.

    A big file is read in parts side by side, by ranges that are asked for ahead, and a restart goes on in the middle of
    a file: exactly once. A file that has changed since the job began is refused. Needs the extra `s3`.
    """

    Options = S3FileSourceOptions
    options: S3FileSourceOptions
    example = EXAMPLE % "source"

    def tables(self) -> list[TableSchema]:
        """See Source.tables."""
        for options in (self.options, *(self.options.tables_configs or ())):
            options.tell_idle()
        return super().tables()


class S3FileSinkOptions(S3Options, BucketSinkOptions):
    """Options of the S3File sink."""


@sink("S3File")
class S3FileSink(BucketSink):
    """Writes files into a bucket of Amazon S3, or of a store that speaks its interface.

    Staged: exactly once. A file is a multipart upload, which nobody sees before a checkpoint or the job is complete,
    and then at once and whole. Needs the extra `s3`.
    """

    Options = S3FileSinkOptions
    options: S3FileSinkOptions
    example = EXAMPLE % "sink"

    def check(self, tables: Sequence[TableSchema]) -> Iterator[Problem]:
        """See Sink.check."""
        self.options.tell_idle()
        yield from super().check(tables)
