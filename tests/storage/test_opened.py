import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.connector import JobContext, TaskContext
from headrace.formats.file_format import FilePart, ReadSettings, WriteSettings
from headrace.formats.packing import ArchiveCodec, Codec, PackedStream, members, plain_file
from headrace.formats.registry import FORMATS, file_format
from headrace.storage.local import LocalFile
from headrace.storage.opened import InMemory

ROWS = pa.record_batch({"id": pa.array(range(3000), pa.int64()), "name": [f"row {i}" for i in range(3000)]})
XML = {"xml_row_tag": "RECORD"}


def written(path, name):
    form = file_format(name)
    with open(path, "wb") as stream:
        writer = form.writer(stream, ROWS.schema, WriteSettings.model_validate({}))
        writer.write(ROWS)
        writer.close()
    return form


def rows_of(form, file, split_size):
    settings, task = (
        ReadSettings.model_validate(XML | {"skip_header_row_number": form.name == "excel"}),
        TaskContext(JobContext(1)),
    )
    parts = [FilePart(file, *span) for span in form.cut(file, split_size, settings)]
    return [
        row
        for part in parts
        for rows, _ in form.read(part, None, ROWS.schema, settings, task, "t")
        for row in rows.to_pylist()
    ]


ROW_FORMATS = sorted(name for name in FORMATS if name != "binary" and not file_format(name).gives_changes)


@pytest.mark.parametrize("name", ROW_FORMATS)
@pytest.mark.parametrize("split_size", [5000, 1 << 30])
def test_a_format_reads_the_same_rows_wherever_the_bytes_lie(tmp_path, name, split_size):
    form = written(tmp_path / "file", name)
    local = LocalFile(str(tmp_path / "file"))
    elsewhere = InMemory("s3://bucket/file", (tmp_path / "file").read_bytes())
    assert rows_of(form, local, split_size) == ROWS.to_pylist()
    assert rows_of(form, elsewhere, split_size) == ROWS.to_pylist()
    if form.own_schema:
        assert form.file_schema(elsewhere) == form.file_schema(local)


def test_binary_files_are_read_in_pieces_wherever_they_lie():
    data = os.urandom(5000)
    part, settings = FilePart(InMemory("x", data), 0, 5000, relative="x"), ReadSettings.model_validate({})
    form = file_format("binary")
    read = form.read(part, None, form.fixed_schema, settings, TaskContext(JobContext(1)), "t")
    assert b"".join(piece for rows, _ in read for piece in rows.column("data").to_pylist()) == data


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.NONE])
def test_packed_bytes_are_unpacked_wherever_they_lie(tmp_path, codec):
    with open(tmp_path / "packed", "wb") as stream:
        packed = PackedStream(stream, codec)
        packed.write(b"a,1\n" * 100_000)
        packed.close()
    with plain_file(InMemory("packed", (tmp_path / "packed").read_bytes()), ArchiveCodec.NONE, codec, "") as plain:
        assert (plain.name, plain.size, plain.content()) == ("packed", 400_000, b"a,1\n" * 100_000)


@pytest.mark.parametrize(
    ("archive", "kind"), [(ArchiveCodec.ZIP, "zip"), (ArchiveCodec.TAR, "tar"), (ArchiveCodec.TAR_GZ, "gztar")]
)
def test_an_archive_is_read_wherever_it_lies(tmp_path, archive, kind):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(b"1\n")
    made = InMemory("archive", Path(shutil.make_archive(str(tmp_path / "made"), kind, tmp_path / "in")).read_bytes())
    (name,) = members(made, archive, ("csv",))
    with plain_file(made, archive, Codec.NONE, name) as plain:
        assert plain.content() == b"1\n"


def test_an_open_file_is_read_though_its_name_is_gone(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    try:
        (tmp_path / "a").unlink()
        file = LocalFile.of_descriptor(descriptor, "a")
        assert (file.name, file.size, file.content()) == ("a", 7, b"content")
    finally:
        os.close(descriptor)
