"""LocalFile: files of this machine as source and sink."""

from headrace.connector import sink, source
from headrace.connectors._file_sink import FileSink, FileSinkOptions
from headrace.connectors._file_source import FileSource, FileSourceOptions


class LocalFileSourceOptions(FileSourceOptions):
    """Options of the LocalFile source."""


@source("LocalFile")
class LocalFileSource(FileSource):
    """Reads files of this machine; see FileSource."""

    Options = LocalFileSourceOptions


class LocalFileSinkOptions(FileSinkOptions):
    """Options of the LocalFile sink."""


@sink("LocalFile")
class LocalFileSink(FileSink):
    """Writes files of this machine; see FileSink."""

    Options = LocalFileSinkOptions
