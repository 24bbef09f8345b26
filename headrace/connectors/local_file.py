"""LocalFile: files of this machine as source and sink."""

from headrace.connector import sink, source
from headrace.connectors._file_sink import FileSink, FileSinkOptions
from headrace.connectors._file_source import FileSource, FileSourceOptions


class LocalFileSourceOptions(FileSourceOptions):
    """Options of the LocalFile source."""


@source("LocalFile")
class LocalFileSource(FileSource):
    """Reads files of this machine.

    Bounded. A split is a part of a file and is read by one task; positions are places in it: exactly once.
    """

    Options = LocalFileSourceOptions


class LocalFileSinkOptions(FileSinkOptions):
    """Options of the LocalFile sink."""


@sink("LocalFile")
class LocalFileSink(FileSink):
    """Writes files of this machine.

    Staged: exactly once. Files appear whole, when a checkpoint or the job is complete.
    """

    Options = LocalFileSinkOptions
