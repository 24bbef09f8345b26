"""Files of the program lzop, which Hadoop's LzopCodec reads and writes too: LZO blocks between checksums."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from headrace.connector import needs

MAGIC = b"\x89LZO\x00\r\n\x1a\n"
BLOCK_BYTES = 256 * 1024

_ADLER_PLAIN, _ADLER_PACKED, _EXTRA, _CRC_PLAIN, _CRC_PACKED, _FILTER = 0x1, 0x2, 0x40, 0x100, 0x200, 0x800


def unpack(stream: BinaryIO) -> Iterator[bytes]:
    """The plain bytes, block by block. Raises ValueError for what is not a lzop file, or a damaged one."""
    if stream.read(len(MAGIC)) != MAGIC:
        raise ValueError("it is not an LZO file (of the program lzop)")
    version, _, _ = struct.unpack(">HHH", _take(stream, 6))
    _take(stream, 2 if version >= 0x940 else 1)  # method, and level
    (flags,) = struct.unpack(">I", _take(stream, 4))
    if flags & _FILTER:
        raise ValueError("it uses an lzop filter")
    _take(stream, 12 if version >= 0x940 else 8)  # mode and times
    _take(stream, _take(stream, 1)[0] + 4)  # the file's name, the header's checksum
    if flags & _EXTRA:
        (length,) = struct.unpack(">I", _take(stream, 4))
        _take(stream, length + 4)
    while plain_size := struct.unpack(">I", _take(stream, 4))[0]:
        yield _block(stream, flags, plain_size)


def _library() -> Any:
    return needs("lzallright", "lzo", "LZO")


def _block(stream: BinaryIO, flags: int, plain_size: int) -> bytes:
    (packed_size,) = struct.unpack(">I", _take(stream, 4))
    of_plain = [struct.unpack(">I", _take(stream, 4))[0] for flag in (_ADLER_PLAIN, _CRC_PLAIN) if flags & flag]
    if packed_size < plain_size:
        _take(stream, 4 * sum(bool(flags & flag) for flag in (_ADLER_PACKED, _CRC_PACKED)))
    data = _take(stream, packed_size)
    if packed_size < plain_size:
        library = _library()
        try:
            data = bytes(library.LZOCompressor.decompress(data, plain_size))
        except library.LZOError as error:
            raise ValueError(f"it is damaged: {error}") from error
    made = [f(data) for flag, f in ((_ADLER_PLAIN, zlib.adler32), (_CRC_PLAIN, zlib.crc32)) if flags & flag]
    if made != of_plain:
        raise ValueError("it is damaged: a checksum does not fit")
    return data


def _take(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ValueError("it ends in the middle")
    return data


class LzopStream:
    """Packs what is written to it into a file of lzop. The stream behind it stays open."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._held = stream, bytearray()
        self._compressor = _library().LZOCompressor()
        # Version 1.03, library 2.08, needs 0.94; LZO1X-1, level 5; checksum of plain blocks; made on Unix; no name.
        header = struct.pack(">HHHBBIIIIB", 0x1030, 0x2080, 0x0940, 1, 5, _ADLER_PLAIN | 0x03000000, 0o100644, 0, 0, 0)
        stream.write(MAGIC + header + struct.pack(">I", zlib.adler32(header)))

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        self._held += data
        whole = len(self._held) - len(self._held) % BLOCK_BYTES
        for start in range(0, whole, BLOCK_BYTES):
            self._pack(bytes(self._held[start : start + BLOCK_BYTES]))
        del self._held[:whole]

    def _pack(self, data: bytes) -> None:
        packed = bytes(self._compressor.compress(data))
        body = packed if len(packed) < len(data) else data
        self._stream.write(struct.pack(">III", len(data), len(body), zlib.adler32(data)) + body)

    def close(self) -> None:
        """Write what is held back, and the mark of the end."""
        if self._held:
            self._pack(bytes(self._held))
        self._held.clear()
        self._stream.write(bytes(4))
