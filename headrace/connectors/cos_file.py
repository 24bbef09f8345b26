"""CosFile: files in a bucket of Tencent Cloud's COS."""

from collections.abc import Iterable

from pydantic import Field, SecretStr

from headrace.connector import sink, source
from headrace.connectors._files.buckets import BucketSink, BucketSinkOptions, BucketSource, BucketTableOptions, place_of
from headrace.connectors._files.clouds import CloudOptions
from headrace.connectors._files.options import FileSourceOptions
from headrace.options import HOST


class CosOptions(CloudOptions):
    """Which bucket, and how to reach it."""

    schemes = ("cosn",)
    region_option = "region"

    secret_id: str = Field(default="", description="Required: the id of the key.")
    secret_key: SecretStr = Field(default=SecretStr(""), description="Required: the key.")
    region: str = Field(
        default="",
        pattern=r"^[a-z0-9-]*$",
        description="Required: the bucket's region, such as ap-chengdu.",
    )
    endpoint: str = Field(
        default="",
        json_schema_extra=HOST,
        description="The store's host or URL; that of the region by default.",
    )

    def keys(self) -> dict[str, str]:
        """See CloudOptions.keys."""
        return {"secret_id": self.secret_id, "secret_key": self.secret_key.get_secret_value()}

    def address(self) -> tuple[str, str, str]:
        """See CloudOptions.address."""
        if self.endpoint:
            return self.endpoint, "endpoint", self.region or "us-east-1"
        return f"cos.{self.region}.myqcloud.com" if self.region else "", "region", self.region

    def touches(self) -> Iterable[tuple[str, str, str]]:
        """The host of the region."""
        if not self.endpoint:
            yield "region", HOST["format"], self.address()[0]


class CosTableOptions(CosOptions, BucketTableOptions):
    """Options of one table."""


class CosFileSourceOptions(CosTableOptions, FileSourceOptions):
    """Options of the CosFile source."""

    tables_configs: list[CosTableOptions] | None = Field(  # type: ignore[assignment]  # each has its bucket
        default=None,
        description="Several tables, each with all the options of one; the bucket and the keys are the same.",
    )

    def check_place(self) -> None:
        """All tables lie in one bucket."""
        place_of(self.tables())


EXAMPLE = """
%s {
  CosFile {
    bucket = "cosn://bucket"
    secret_id = ${S3_KEY}
    secret_key = ${S3_SECRET}
    region = "ap-chengdu"
    path = "/people"
    file_format_type = "parquet"
  }
}
"""
"""Of the source and the sink, which reach a bucket in the same way."""


@source("CosFile")
class CosFileSource(BucketSource):
    """Reads files of a bucket of Tencent Cloud's COS, through its S3 interface.

    A big file is read in parts side by side, by ranges that are asked for ahead, and a restart goes on in the middle of
    a file: exactly once. A file that has changed since the job began is refused. Needs the extra `s3`.
    """

    Options = CosFileSourceOptions
    example = EXAMPLE % "source"


class CosFileSinkOptions(CosOptions, BucketSinkOptions):
    """Options of the CosFile sink."""


@sink("CosFile")
class CosFileSink(BucketSink):
    """Writes files into a bucket of Tencent Cloud's COS, through its S3 interface.

    Staged: exactly once. A file is a multipart upload, which nobody sees before a checkpoint or the job is complete,
    and then at once and whole. Needs the extra `s3`.
    """

    Options = CosFileSinkOptions
    example = EXAMPLE % "sink"
