"""OssJindoFile: what OssFile is, under the name of SeaTunnel's other client of Alibaba Cloud's OSS."""

from headrace.connector import sink, source
from headrace.connectors.oss_file import EXAMPLE, OssFileSink, OssFileSource

_EXAMPLE = EXAMPLE.replace("OssFile", "OssJindoFile")


@source("OssJindoFile")
class OssJindoFileSource(OssFileSource):
    """Reads files of a bucket of Alibaba Cloud's OSS, through its S3 interface, as OssFile does.

    A big file is read in parts side by side, and a restart goes on in the middle of a file: exactly once. Needs the
    extra `s3`.
    """

    example = _EXAMPLE % "source"


@sink("OssJindoFile")
class OssJindoFileSink(OssFileSink):
    """Writes files into a bucket of Alibaba Cloud's OSS, through its S3 interface, as OssFile does.

    Staged: exactly once. A file is a multipart upload, which nobody sees before a checkpoint or the job is complete.
    Needs the extra `s3`.
    """

    example = _EXAMPLE % "sink"
