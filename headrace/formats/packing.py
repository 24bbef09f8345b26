"""Packed files and archives as plain files: what is read goes through a temporary file, so that every format can."""

import contextlib
import gzip
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


_TAR_MODES: dict[ArchiveCodec, Any] = {ArchiveCodec.TAR: "r:", ArchiveCodec.TAR_GZ: "r:gz"}


def members(path: str, archive: ArchiveCodec, suffixes: Sequence[str]) -> list[str]:
    """The files in an archive: those with one of the suffixes, or all if none has. Raises Rejected."""
    with _translated(path):
        if archive is ArchiveCodec.ZIP:
            with zipfile.ZipFile(path) as opened:
                names = [info.filename for info in opened.infolist() if not info.is_dir() and info.file_size]
        else:
            with tarfile.open(path, _TAR_MODES[archive]) as tar:
                names = [info.name for info in tar if info.isfile() and info.size]
    shown = [name for name in names if not name.startswith("__MACOSX/") and not name.rpartition("/")[2].startswith(".")]
    fitting = [name for name in shown if name.lower().endswith(tuple(f".{suffix}" for suffix in suffixes))]
    return fitting or shown


@contextlib.contextmanager
def plain_file(path: str, archive: ArchiveCodec, codec: Codec, member: str) -> Iterator[str]:
    """The path of the plain bytes of a file, or of a member of an archive, while the block runs."""
    if archive is ArchiveCodec.NONE and codec is Codec.NONE:
        yield path
        return
    with tempfile.TemporaryFile(prefix="headrace-") as target:
        with _translated(path), contextlib.ExitStack() as stack:
            _copy(_unpacked(_member(path, archive, member, stack), codec, stack), target)
        yield f"/proc/self/fd/{target.fileno()}"


def _member(path: str, archive: ArchiveCodec, member: str, stack: contextlib.ExitStack) -> IO[bytes]:
    if archive is ArchiveCodec.ZIP:
        return stack.enter_context(stack.enter_context(zipfile.ZipFile(path)).open(member))
    if archive in _TAR_MODES:
        found = stack.enter_context(tarfile.open(path, _TAR_MODES[archive])).extractfile(member)
        assert found is not None, "members() lists files only"
        return found
    if archive is ArchiveCodec.GZ:
        return stack.enter_context(gzip.open(path))  # type: ignore[arg-type]  # it reads as IO[bytes] does
    return stack.enter_context(open(path, "rb"))


def _unpacked(stream: IO[bytes], codec: Codec, stack: contextlib.ExitStack) -> Iterator[bytes]:
    if codec is Codec.LZO:
        return lzop.unpack(stream)  # type: ignore[arg-type]  # IO[bytes] reads as BinaryIO does
    if codec is not Codec.NONE:
        stream = stack.enter_context(pa.CompressedInputStream(pa.PythonFile(stream, "r"), str(codec.value)))
    return iter(lambda: stream.read(1 << 20), b"")


def _copy(blocks: Iterator[bytes], target: IO[bytes]) -> None:
    for block in blocks:
        try:
            target.write(block)
        except OSError as error:
            text = f"cannot unpack into {tempfile.gettempdir()}: {error.strerror or error}"
            raise Unavailable(f"{text}; make room there, or set TMPDIR") from error
    target.flush()


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    """What is wrong with a packed file as an error that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError, zlib.error, OSError, KeyError) as error:
        raise Rejected(f"cannot unpack {path}: {error}; check archive_compress_codec and compress_codec") from error


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
