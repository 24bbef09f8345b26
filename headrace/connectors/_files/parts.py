"""What is read at once: a range of a file, or a file of an archive."""

import os
import sys

from headrace.connectors._files.listing import relative_path
from headrace.connectors._files.options import FileTableOptions
from headrace.errors import Rejected
from headrace.formats.file_format import FileFormat, FilePart
from headrace.formats.packing import ArchiveCodec, members


def cut(form: FileFormat, path: str, size: int, split_size: int, options: FileTableOptions) -> list[tuple[int, int]]:
    """See FileFormat.cut."""
    try:
        return form.cut(path, size, split_size, options)
    except OSError as error:
        raise Rejected(f"cannot read {path}: {error.strerror}; check its permissions") from error


def whole(form: FileFormat, path: str, options: FileTableOptions) -> tuple[int, int]:
    """All of a file as one range."""
    return cut(form, path, os.path.getsize(path), sys.maxsize, options)[0]


def members_of(path: str, form: FileFormat, options: FileTableOptions) -> list[str]:
    """The files of an archive; of one that packs a single file, that file without a name."""
    if options.archive_codec in (ArchiveCodec.NONE, ArchiveCodec.GZ):
        return [""]
    return members(path, options.archive_codec, (form.suffix, *form.suffixes))


def part_of(path: str, plain: str, span: tuple[int, int], options: FileTableOptions, member: str = "") -> FilePart:
    """A part of a file. plain: where its bytes are read, when it is packed or open already."""
    relative = relative_path(path, options)
    if member:
        return FilePart(plain, *span, f"{path}:{member}", os.path.join(relative, member))
    return FilePart(plain, *span, path, relative)
