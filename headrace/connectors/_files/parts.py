"""What is read at once: a range of a file, or a file of an archive."""

import os
import sys

from headrace.connector import Position
from headrace.connectors._files.listing import relative_path
from headrace.connectors._files.options import FileTableOptions
from headrace.errors import Rejected
from headrace.formats.file_format import FileFormat, FilePart
from headrace.formats.packing import ArchiveCodec, members
from headrace.storage.opened import Opened


def cut(form: FileFormat, file: Opened, split_size: int, options: FileTableOptions) -> list[tuple[int, int]]:
    """See FileFormat.cut."""
    try:
        return form.cut(file, split_size, options)
    except OSError as error:
        raise Rejected(f"cannot read {file.name}: {error.strerror}; check its permissions") from error


def whole(form: FileFormat, file: Opened, options: FileTableOptions) -> tuple[int, int]:
    """All of a file as one range."""
    return cut(form, file, sys.maxsize, options)[0]


def members_of(file: Opened, form: FileFormat, options: FileTableOptions) -> list[str]:
    """The files of an archive; of one that packs a single file, that file without a name."""
    if options.archive_codec in (ArchiveCodec.NONE, ArchiveCodec.GZ):
        return [""]
    return members(file, options.archive_codec, (form.suffix, *form.suffixes))


def part_of(path: str, plain: Opened, span: tuple[int, int], options: FileTableOptions, member: str = "") -> FilePart:
    """A part of a file. plain: its bytes, unpacked."""
    relative = relative_path(path, options)
    if member:
        return FilePart(plain, *span, f"{path}:{member}", os.path.join(relative, member))
    return FilePart(plain, *span, path, relative)


def share_before(position: Position, part: FilePart, rows: int | None) -> float:
    """How much of a part lies before a position: by its bytes, or by its rows where `rows` is their number."""
    if isinstance(position, int):
        return min(position / rows, 1.0) if rows else 0.0
    offset = position[0] if isinstance(position, list | tuple) and position else None
    if not isinstance(offset, int) or part.end <= part.start:
        return 0.0
    return min(max((offset - part.start) / (part.end - part.start), 0.0), 1.0)
