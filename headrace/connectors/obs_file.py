"""ObsFile: files in a bucket of Huawei Cloud's OBS."""

from pydantic import Field

from headrace.connector import sink, source
from headrace.connectors._files.buckets import BucketSink, BucketSinkOptions, BucketSource, BucketTableOptions, place_of
from headrace.connectors._files.clouds import EndpointOptions
from headrace.connectors._files.options import FileSourceOptions


class ObsOptions(EndpointOptions):
    """Which bucket, and how to reach it."""

    schemes = ("obs",)
    region_of = r"obs\.([a-z0-9-]+)\.myhuaweicloud\."


class ObsTableOptions(ObsOptions, BucketTableOptions):
    """Options of one table."""


class ObsFileSourceOptions(ObsTableOptions, FileSourceOptions):
    """Options of the ObsFile source."""

    tables_configs: list[ObsTableOptions] | None = Field(  # type: ignore[assignment]  # each has its bucket
        default=None,
        description="Several tables, each with all the options of one; the bucket and the keys are the same.",
    )

    def check_place(self) -> None:
        """All tables lie in one bucket."""
        place_of(self.tables())


EXAMPLE = """
%s {
  ObsFile {
    bucket = "obs://bucket"
    endpoint = "obs.cn-north-4.myhuaweicloud.com"
    access_key = ${S3_KEY}
    access_secret = ${S3_SECRET}
    path = "/people"
    file_format_type = "parquet"
  }
}
"""
"""Of the source and the sink, which reach a bucket in the same way."""


@source("ObsFile")
class ObsFileSource(BucketSource):
    """Reads files of a bucket of Huawei Cloud's OBS, through its S3 interface.

    A big file is read in parts side by side, by ranges that are asked for ahead, and a restart goes on in the middle of
    a file: exactly once. A file that has changed since the job began is refused. Needs the extra `s3`.
    """

    Options = ObsFileSourceOptions
    example = EXAMPLE % "source"


class ObsFileSinkOptions(ObsOptions, BucketSinkOptions):
    """Options of the ObsFile sink."""


@sink("ObsFile")
class ObsFileSink(BucketSink):
    """Writes files into a bucket of Huawei Cloud's OBS, through its S3 interface.

    Staged: exactly once. A file is a multipart upload, which nobody sees before a checkpoint or the job is complete,
    and then at once and whole. Needs the extra `s3`.
    """

    Options = ObsFileSinkOptions
    example = EXAMPLE % "sink"
