"""Packed files and archives as plain files: what is read goes through a temporary file, so that every format can."""

import contextlib
import gzip
import io
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any, BinaryIO

import pyarrow as pa

from headrace.connector import Choice
from headrace.errors import Rejected, Unavailable
from headrace.formats import lzop
from headrace.storage.local import LocalFile
from headrace.storage.opened import Opened


class ArchiveCodec(Choice):
    """What holds the files that are read."""

    NONE = "NONE"
    ZIP = "ZIP"
    TAR = "TAR"
    TAR_GZ = "TAR_GZ"
    GZ = "GZ"


class Codec(Choice):
    """How the bytes of text, csv, json and xml files are packed."""

    NONE = "none"
    LZO = "lzo"
    GZIP = "gzip"
    ZSTD = "zstd"
    LZ4 = "lz4"
    BROTLI = "brotli"
    BZ2 = "bz2"


LEFT_FREE = 20
"""This part of a disk stays free where files are unpacked."""

LOOKED_BYTES = 64 * 1024 * 1024
"""How often that is looked at."""

_TAR_MODES: dict[ArchiveCodec, Any] = {ArchiveCodec.TAR: "r:", ArchiveCodec.TAR_GZ: "r:gz"}


def members(file: Opened, archive: ArchiveCodec, suffixes: Sequence[str]) -> list[str]:
    """The files in an archive: those with one of the suffixes, or all if none has. Raises Rejected."""
    with _translated(file.name), file.stream() as stream:
        if archive is ArchiveCodec.ZIP:
            with zipfile.ZipFile(stream) as opened:
                names = [info.filename for info in opened.infolist() if info.file_size]
            if "" in names:
                raise zipfile.BadZipFile("a file in it has no name")
            names = [name for name in names if not name.endswith("/")]
        else:
            with tarfile.open(None, _TAR_MODES[archive], stream) as tar:
                names = [info.name for info in tar if info.isfile() and info.size]
    shown = [name for name in names if not name.startswith("__MACOSX/") and not name.rpartition("/")[2].startswith(".")]
    fitting = [name for name in shown if name.lower().endswith(tuple(f".{suffix}" for suffix in suffixes))]
    return fitting or shown


@contextlib.contextmanager
def plain_file(file: Opened, archive: ArchiveCodec, codec: Codec, member: str) -> Iterator[Opened]:
    """The plain bytes of a file, or of a member of an archive, while the block runs."""
    if archive is ArchiveCodec.NONE and codec is Codec.NONE:
        yield file
        return
    with tempfile.TemporaryFile(prefix="headrace-") as target:
        with _translated(file.name), contextlib.ExitStack() as stack:
            name = f"{file.name}:{member}" if member else file.name
            _copy(_unpacked(_member(file, archive, member, stack), codec, stack), target, name)
        yield LocalFile.of_descriptor(target.fileno(), file.name)


def _member(file: Opened, archive: ArchiveCodec, member: str, stack: contextlib.ExitStack) -> IO[bytes]:
    stream = stack.enter_context(file.stream())
    if archive is ArchiveCodec.ZIP:
        return stack.enter_context(stack.enter_context(zipfile.ZipFile(stream)).open(member))
    if archive in _TAR_MODES:
        found = stack.enter_context(tarfile.open(None, _TAR_MODES[archive], stream)).extractfile(member)
        assert found is not None, "members() lists files only"
        return found
    if archive is ArchiveCodec.GZ:
        return stack.enter_context(gzip.open(stream))  # type: ignore[arg-type]  # it reads as IO[bytes] does
    return stack.enter_context(io.BufferedReader(stream, 1 << 20))  # type: ignore[type-var]  # streams are raw


def _unpacked(stream: IO[bytes], codec: Codec, stack: contextlib.ExitStack) -> Iterator[bytes]:
    if codec is Codec.LZO:
        return lzop.unpack(stream)  # type: ignore[arg-type]  # IO[bytes] reads as BinaryIO does
    if codec is not Codec.NONE:
        stream = stack.enter_context(pa.CompressedInputStream(pa.PythonFile(stream, "r"), str(codec.value)))
    return iter(lambda: stream.read(1 << 20), b"")


def _copy(blocks: Iterator[bytes], target: IO[bytes], name: str) -> None:
    """Raises Rejected before a file that unpacks without end has filled the disk for everybody."""
    done = 0
    for block in blocks:
        if done % LOOKED_BYTES < len(block):
            _check_room(done, name)
        done += len(block)
        try:
            target.write(block)
        except OSError as error:
            text = f"cannot unpack into {tempfile.gettempdir()}: {error.strerror or error}"
            raise Unavailable(f"{text}; make room there, or set TMPDIR") from error
    target.flush()


def _check_room(done: int, name: str) -> None:
    folder = tempfile.gettempdir()
    disk = shutil.disk_usage(folder)
    if done and disk.free < disk.total // LEFT_FREE:
        text = f"cannot unpack {name}: it has more than {done >> 20} MiB, and {folder} only {disk.free >> 20} MiB more"
        raise Rejected(f"{text}; set TMPDIR to a bigger disk, or leave the file out if it should be small")


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    """What is wrong with a packed file as an error that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError, zlib.error, OSError, KeyError) as error:
        raise Rejected(f"cannot unpack {path}: {error}; check archive_compress_codec and compress_codec") from error
    except RuntimeError as error:  # encrypted, or packed in a way that Python does not know
        cure = "unpack it by the program that made it, or pack it anew, without a password"
        raise Rejected(f"cannot unpack {path}: {error}; {cure}") from error


class PackedStream:
    """A file that packs what is written to it; the file behind it stays open."""

    def __init__(self, stream: BinaryIO, codec: Codec) -> None:
        self._packer: Any
        if codec is Codec.LZO:
            self._packer = lzop.LzopStream(stream)
        else:
            self._packer = pa.CompressedOutputStream(pa.PythonFile(_KeptOpen(stream), "w"), str(codec.value))

    def write(self, data: bytes | memoryview) -> int:
        """Add bytes."""
        self._packer.write(data)
        return len(data)

    def close(self) -> None:
        """Write what is held back."""
        self._packer.close()


class _KeptOpen:
    """A stream whose closing is left to its owner; Arrow closes what it writes to."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self.write, self.flush = stream.write, stream.flush

    def close(self) -> None:
        """Left to the owner."""
