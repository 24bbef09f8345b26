"""Avro's container files: a header with the schema, then blocks of rows (specification: «Object Container Files»)."""

import bz2
import io
import json
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from headrace.errors import Rejected

MAGIC = b"Obj\x01"
SYNC_BYTES = 16
CODECS = {"none": "null", "deflate": "deflate", "snappy": "snappy", "zstd": "zstandard", "bzip2": "bzip2", "xz": "xz"}
"""`compress_codec` and what Avro calls it."""

_SEARCHED = 1 << 20
"""Bytes that are read at once when the next block is looked for."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself. end: the offset of its first block."""

    schema: Any
    codec: str
    sync: bytes
    end: int


@dataclass(frozen=True)
class Block:
    """Rows as they are encoded. start, end: offsets in the file."""

    start: int
    end: int
    rows: int
    data: bytes


def read_header(stream: BinaryIO, label: str) -> Header:
    """Read from the first byte on. Raises Rejected."""
    stream.seek(0)
    cursor = _Cursor(stream, label)
    if cursor.take(len(MAGIC)) != MAGIC:
        raise Rejected(f"{label} is not an avro file: it does not begin with Obj and 1; look at file_format_type")
    found: dict[str, bytes] = {}
    while count := cursor.number():
        if count < 0:
            cursor.number()
        for _ in range(abs(count)):
            key = cursor.take(cursor.number()).decode(errors="replace")
            found[key] = cursor.take(cursor.number())
    sync = cursor.take(SYNC_BYTES)
    try:
        schema = json.loads(found["avro.schema"])
    except (KeyError, ValueError) as error:
        raise Rejected(f"{label} is not an avro file that can be read: its schema is missing or broken") from error
    return Header(schema, found.get("avro.codec", b"null").decode(errors="replace"), sync, cursor.at)


class _Cursor:
    """Reads numbers and bytes and knows where it is. Raises Rejected where the file ends too early."""

    def __init__(self, stream: BinaryIO, label: str, at: int = 0) -> None:
        self._stream, self._label, self.at = stream, label, at

    def take(self, size: int) -> bytes:
        data = self._stream.read(size) if size > 0 else b""
        if len(data) != size:
            text = f"{self._label} is not an avro file that can be read: it ends within a block, at byte {self.at}"
            raise Rejected(f"{text}; write it again: it may have been cut off")
        self.at += size
        return data

    def number(self) -> int:
        """A zig-zag number of variable length."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
            if shift > 63:
                raise Rejected(f"{self._label} is damaged at byte {self.at}: a number does not end; write it again")


def first_block(stream: BinaryIO, header: Header, start: int) -> int | None:
    """The offset of the first block that begins at `start` or behind it; None where there is none."""
    if start <= header.end:
        return header.end
    at = max(start, header.end) - SYNC_BYTES
    stream.seek(at)
    held = b""
    while data := stream.read(_SEARCHED):
        held += data
        found = held.find(header.sync)
        if found >= 0:
            return at + found + SYNC_BYTES
        at += max(0, len(held) - SYNC_BYTES + 1)
        held = held[-SYNC_BYTES + 1 :]
    return None


def blocks(stream: BinaryIO, header: Header, start: int, end: int, size: int, label: str) -> Iterator[Block]:
    """The blocks that begin from `start` on and before `end`, unpacked. size: of the file."""
    at = first_block(stream, header, start)
    if at is None:
        return
    stream.seek(at)
    cursor = _Cursor(stream, label, at)
    while cursor.at < min(end, size):
        begin = cursor.at
        rows, length = cursor.number(), cursor.number()
        if rows < 0 or length < 0 or length > size:
            raise Rejected(f"{label} is damaged at byte {begin}: a block of {length} bytes; write it again")
        data = cursor.take(length)
        if cursor.take(SYNC_BYTES) != header.sync:
            raise Rejected(f"{label} is damaged at byte {cursor.at}: its block does not end there; write it again")
        yield Block(begin, cursor.at, rows, _unpacked(data, header.codec, label, begin))


def _unpacked(data: bytes, codec: str, label: str, at: int) -> bytes:
    try:
        if codec == "null":
            return data
        if codec == "deflate":
            return zlib.decompress(data, -15)
        if codec == "bzip2":
            return bz2.decompress(data)
        if codec == "xz":
            return lzma.decompress(data)
        if codec == "snappy":
            return _from_snappy(data)
        if codec == "zstandard":
            return bytes(pa.CompressedInputStream(pa.BufferReader(data), "zstd").read())
    except (ValueError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise Rejected(f"{label} is damaged at byte {at}: cannot unpack its block: {error}; write it again") from error
    raise Rejected(f"{label} is packed by {codec!r}, which is not known; known: {', '.join(CODECS.values())}")


def _from_snappy(data: bytes) -> bytes:
    """Snappy tells the size first; Avro adds a CRC-32 of the unpacked bytes."""
    size = shift = place = 0
    while True:
        byte = data[place]
        size |= (byte & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if byte < 0x80:
            break
    unpacked = bytes(pa.Codec("snappy").decompress(data[:-4], decompressed_size=size))
    if zlib.crc32(unpacked) != int.from_bytes(data[-4:], "big"):
        raise ValueError("its checksum is another one")
    return unpacked


def header_of(schema: Any, codec: str, sync: bytes) -> bytes:
    """The bytes before the first block. codec: Avro's name."""
    found = {"avro.schema": json.dumps(schema).encode(), "avro.codec": codec.encode()}
    out = io.BytesIO()
    out.write(MAGIC + number(len(found)))
    for key, value in found.items():
        out.write(number(len(key)) + key.encode() + number(len(value)) + value)
    out.write(number(0) + sync)
    return out.getvalue()


def block_of(rows: int, data: bytes, codec: str, sync: bytes) -> bytes:
    """One block as it stands in a file. codec: Avro's name."""
    packed = _packed(data, codec)
    return number(rows) + number(len(packed)) + packed + sync


def _packed(data: bytes, codec: str) -> bytes:
    if codec == "deflate":
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        return packer.compress(data) + packer.flush()
    if codec == "bzip2":
        return bz2.compress(data)
    if codec == "xz":
        return lzma.compress(data)
    if codec == "snappy":
        return bytes(pa.Codec("snappy").compress(data, asbytes=True)) + zlib.crc32(data).to_bytes(4, "big")
    if codec == "zstandard":
        return bytes(pa.Codec("zstd").compress(data, asbytes=True))
    return data


def number(value: int) -> bytes:
    """A whole number as Avro writes it: zig-zag, seven bits a byte."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
