"""Damaged files: rows, or an error that names the file; never a crash, a hang or the name of an exception."""

import builtins
import gzip
import io
import re
import tarfile
import zipfile
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import BadRow, Rejected
from headrace.formats.packing import ArchiveCodec, Codec, PackedStream, members, plain_file
from headrace.formats.registry import FORMATS, file_format
from headrace.storage.opened import InMemory
from tests.formats.reading import read, schema_of, written

ROWS = pa.record_batch(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "name": pa.array(["ann", None, 'b "ö" b']),
        "price": pa.array([Decimal("1.50"), Decimal("-2.00"), None], pa.decimal128(10, 2)),
        "at": pa.array([0, 1_700_000_000_000_001, None], pa.timestamp("us")),
        "score": pa.array([0.5, None, 1e300]),
    }
)
SCHEMA = schema_of(id="bigint", name="string", price="decimal(10, 2)", at="timestamp", score="double")
WHOLE = sorted(name for name in FORMATS if not (form := file_format(name)).gives_changes and form.fixed_schema is None)
FILES = {form: written(form, ROWS) for form in WHOLE}
NAMES = {name for name in vars(builtins) if name.endswith(("Error", "Exception"))}


@st.composite
def damaged(draw, data: bytes) -> bytes:
    """The bytes with a few of them cut off, changed, left out, doubled or put in."""
    for _ in range(draw(st.integers(1, 3))):
        at, size = draw(st.integers(0, len(data))), draw(st.integers(1, 12))
        kind = draw(st.sampled_from(["cut", "change", "omit", "double", "insert"]))
        middle = {
            "change": draw(st.binary(min_size=size, max_size=size)),
            "double": data[at : at + size] * 2,
            "insert": data[at : at + size] + draw(st.binary(min_size=size, max_size=size)),
        }.get(kind, b"")
        data = data[:at] + middle + (b"" if kind == "cut" else data[at + size :])
    return data


@pytest.mark.parametrize("form", WHOLE)
@settings(deadline=None)
@given(choice=st.data())
def test_a_damaged_file_gives_rows_or_an_error_that_names_it(form, choice):
    data = choice.draw(damaged(FILES[form]))
    try:
        rows = read(form, data, None if file_format(form).own_schema else SCHEMA, name="the-file")
    except (Rejected, BadRow) as error:
        text = str(error)
        assert "the-file" in text
        assert not NAMES & set(re.findall(r"\w+", text)), f"a library's words: {text}"
    else:
        assert isinstance(rows, list)


def packed(kind: ArchiveCodec | Codec) -> bytes:
    """A csv file, packed."""
    stream, content = io.BytesIO(), FILES["csv"] * 3
    if kind is ArchiveCodec.ZIP:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("in.csv", content)
    elif kind in (ArchiveCodec.TAR, ArchiveCodec.TAR_GZ):
        with tarfile.open(None, "w:" if kind is ArchiveCodec.TAR else "w:gz", stream) as tar:
            info = tarfile.TarInfo("in.csv")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    elif kind is ArchiveCodec.GZ:
        stream.write(gzip.compress(content))
    else:
        packer = PackedStream(stream, Codec(kind))
        packer.write(content)
        packer.close()
    return stream.getvalue()


PACKED = [
    *(archive for archive in ArchiveCodec if archive is not ArchiveCodec.NONE),
    *(c for c in Codec if c != "none"),
]


@pytest.mark.parametrize("kind", PACKED, ids=lambda kind: f"{type(kind).__name__}-{kind}")
@settings(deadline=None)
@given(choice=st.data())
def test_a_damaged_packed_file_gives_bytes_or_an_error_that_names_it(kind, choice):
    file = InMemory("the-file", choice.draw(damaged(packed(kind))))
    archive, codec = (kind, Codec.NONE) if isinstance(kind, ArchiveCodec) else (ArchiveCodec.NONE, kind)
    has_names = archive in (ArchiveCodec.ZIP, ArchiveCodec.TAR, ArchiveCodec.TAR_GZ)
    try:
        for member in members(file, archive, ("csv",)) if has_names else [""]:
            with plain_file(file, archive, codec, member) as plain:
                assert isinstance(plain.content(), bytes)
    except Rejected as error:
        text = str(error)
        assert "the-file" in text
        assert not NAMES & set(re.findall(r"\w+", text)), f"a library's words: {text}"


def test_a_file_without_a_name_in_an_archive_is_refused():
    data = packed(ArchiveCodec.ZIP)
    directory = data.index(b"PK\x01\x02")
    entry = directory + 46  # of which two bytes, from the 28th on, are the length of the name that follows it
    head = data[: directory + 28] + b"\0\0" + data[directory + 30 : entry]
    nameless = head + data[entry:].replace(b"in.csv", b"", 1)
    end = nameless.index(b"PK\x05\x06")
    nameless = nameless[: end + 12] + (end - directory).to_bytes(4, "little") + nameless[end + 16 :]
    with pytest.raises(Rejected, match="cannot unpack the-file: a file in it has no name"):
        members(InMemory("the-file", nameless), ArchiveCodec.ZIP, ("csv",))


def test_an_archive_with_a_password_is_refused_with_what_to_do():
    data = bytearray(packed(ArchiveCodec.ZIP))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1  # says that it is encrypted
    file = InMemory("in.zip", bytes(data))
    with (
        pytest.raises(Rejected, match=r"cannot unpack in\.zip: File 'in\.csv' is encrypted.*without a password"),
        plain_file(file, ArchiveCodec.ZIP, Codec.NONE, "in.csv"),
    ):
        pass
