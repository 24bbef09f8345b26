"""LocalFile: files of this machine as source and sink."""

from headrace.connector import sink, source
from headrace.connectors._files.options import FileSourceOptions
from headrace.connectors._files.sink import FileSink, FileSinkOptions
from headrace.connectors._files.source import FileSource
from headrace.storage.contract import Storage
from headrace.storage.local import LocalStorage


class LocalFileSourceOptions(FileSourceOptions):
    """Options of the LocalFile source."""


@source("LocalFile")
class LocalFileSource(FileSource):
    """Reads files of this machine: those that are there, or with `discovery_mode = continuous` those that come, too.

    A big file is read in parts side by side, and a restart goes on in the middle of a file: exactly once. A continuous
    source reads new files and new lines of files that grow; see [following a directory](../following-directories.md).
    """

    Options = LocalFileSourceOptions
    example = """
source {
  LocalFile {
    path = "in"
    file_filter_pattern = ".*[.]csv"
    file_format_type = "csv"
    csv_use_header_line = true
    schema {
      columns = [
        { name = id, type = bigint, nullable = false }
        { name = name, type = string }
      ]
    }
  }
}
"""

    def storage(self) -> Storage:
        """This machine's files."""
        return LocalStorage()


class LocalFileSinkOptions(FileSinkOptions):
    """Options of the LocalFile sink."""


@sink("LocalFile")
class LocalFileSink(FileSink):
    """Writes files of this machine.

    Staged: exactly once. Files appear whole, when a checkpoint or the job is complete.
    """

    Options = LocalFileSinkOptions
    example = """
sink {
  LocalFile {
    path = "out/${table_name}"
    file_format_type = "parquet"
    compress_codec = "zstd"
    data_save_mode = "DROP_DATA"
  }
}
"""

    def storage(self) -> Storage:
        """This machine's files."""
        return LocalStorage()
