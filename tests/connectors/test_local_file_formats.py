"""Orc, Excel, XML and binary files, packed ones and archives, through the LocalFile source and sink."""

import gzip
import io
import shutil
import subprocess
import tarfile
import zipfile
from datetime import date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import orc

from headrace.connector import JobContext
from headrace.connectors.local_file import LocalFileSink, LocalFileSource
from headrace.errors import BadRow, Rejected
from headrace.formats import lzop
from headrace.options import read_options
from headrace.program import run
from headrace.rows import Batch, TableSchema, parse_type
from headrace.testing import (
    CHANGES,
    TABLE,
    BatchesSource,
    SinkContract,
    SourceContract,
    batch,
    make,
    run_job,
    task,
)
from tests.connectors.test_local_file import PEOPLE, read_all, write

PATHS = ["one.bin", "below/two.bin"]


@pytest.fixture
def job(tmp_path):
    return JobContext(1)


class TestOrcSource(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        orc.write_table(pa.table({"id": range(100), "name": [f"n{i}" for i in range(100)]}), tmp_path / "a.orc")
        return make(LocalFileSource, path=str(tmp_path), file_format_type="orc", file_split_size=1000)


class TestXmlSource(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        return make(LocalFileSource, path=self._file(tmp_path, {}), **self._options())

    @pytest.fixture
    def bad_source(self, tmp_path):
        return make(LocalFileSource, path=self._file(tmp_path, {40_000: "x"}, 65_536), **self._options())

    def _options(self):
        return {"file_format_type": "xml", "xml_row_tag": "p", "schema": PEOPLE}

    def _file(self, folder, instead, rows=100):
        parts = [f"<p><id>{instead.get(i, i)}</id><name>n{i}</name></p>" for i in range(rows)]
        (folder / "a.xml").write_text(f"<all>{''.join(parts)}</all>")
        return str(folder / "a.xml")


class TestBinarySource(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        for number, path in enumerate(PATHS):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_bytes(bytes([number]) * 5000)
        return make(LocalFileSource, path=str(tmp_path), file_format_type="binary", binary_chunk_size=64)


class _Sink(SinkContract):
    options: dict

    @pytest.fixture
    def sink(self, tmp_path):
        self.target = tmp_path / "out"
        return make(LocalFileSink, path=str(self.target), tmp_path=str(tmp_path / "tmp"), **self.options)

    def visible(self, sink):
        if not self.target.exists() or not any(self.target.rglob("*")):
            return []
        return read_all(make(LocalFileSource, path=str(self.target), **self.options, **self.reading()))

    def expected(self, rows):
        return [(i, name or None) for i, name in rows]  # cells and elements cannot tell an empty text from null

    def reading(self):
        return {"schema": PEOPLE}


class TestOrcSink(_Sink):
    options = {"file_format_type": "orc"}

    def expected(self, rows):
        return rows


class TestExcelSink(_Sink):
    options = {"file_format_type": "excel"}

    def reading(self):
        return {"schema": PEOPLE, "skip_header_row_number": 1}


class TestXmlSink(_Sink):
    options = {"file_format_type": "xml", "xml_row_tag": "RECORD"}

    def expected(self, rows):
        return rows


class TestAvroSink(_Sink):
    options = {"file_format_type": "avro"}

    def expected(self, rows):
        return rows


@pytest.mark.parametrize("form", ["canal_json", "debezium_json", "maxwell_json"])
class TestSinksOfChanges(_Sink):
    @pytest.fixture
    def sink(self, tmp_path, form):
        self.options = {"file_format_type": form}
        self.target = tmp_path / "out"
        return make(LocalFileSink, path=str(self.target), tmp_path=str(tmp_path / "tmp"), **self.options)

    def expected(self, rows):
        return rows

    def changed(self, sink):
        return [row for _, row in CHANGES]


class TestLzoTextSink(_Sink):
    options = {"file_format_type": "text", "compress_codec": "lzo"}


# ---------------------------------------------------------------------------------------------------- round trips

TYPES = {
    "c_map": "map<string, int>", "c_array": "array<string>", "c_string": "string", "c_boolean": "boolean",
    "c_tinyint": "tinyint", "c_smallint": "smallint", "c_int": "int", "c_bigint": "bigint", "c_float": "float",
    "c_double": "double", "c_bytes": "bytes", "c_date": "date", "c_decimal": "decimal(38, 18)",
    "c_timestamp": "timestamp", "c_time": "time", "c_null": "null", "c_row": {"a": "int", "b": "map<string, string>"},
}  # fmt: skip
VALUES = (
    [("k", 1), ("l", 2)], ["x y", "<&>"], 'a "text" with, all; sorts\tof|things', True, 12, -3000, 2147483647,
    9223372036854775807, 1.5, 2.2250738585072014e-308, b"abc", date(2024, 2, 29),
    Decimal("12345678901234567890.123456789012345678"),
    datetime(2024, 2, 29, 12, 30, 45), time(23, 59, 58), None, {"a": 7, "b": [("c", "d")]},
)  # fmt: skip


@pytest.mark.parametrize(
    ("writing", "reading"),
    [
        ({"file_format_type": "orc"}, {}),
        ({"file_format_type": "orc", "compress_codec": "zlib"}, {}),
        ({"file_format_type": "excel"}, {"skip_header_row_number": 1}),
        ({"file_format_type": "excel", "sheet_name": "rows"}, {"skip_header_row_number": 1, "sheet_name": "rows"}),
        ({"file_format_type": "xml"}, {"xml_row_tag": "RECORD"}),
        ({"file_format_type": "xml", "xml_row_tag": "R", "xml_use_attr_format": True, "xml_root_tag": "ALL"},
         {"xml_row_tag": "R", "xml_use_attr_format": True}),
        ({"file_format_type": "xml", "encoding": "UTF-16"}, {"xml_row_tag": "RECORD"}),
        *(({"file_format_type": form, "compress_codec": codec}, {"compress_codec": codec})
          for form in ("text", "csv", "json", "xml") for codec in ("lzo", "gzip", "zstd", "lz4", "brotli")),
    ],
)  # fmt: skip
def test_every_type_comes_back_as_it_was_written(writing, reading, tmp_path):
    if writing["file_format_type"] == "xml":
        reading = {"xml_row_tag": "RECORD", **reading}
    schema = make(LocalFileSource, path=".", file_format_type="json", schema={"fields": TYPES}).options.table_schema
    table = schema.table_schema("t")
    rows = pa.RecordBatch.from_arrays(
        [pa.array([value] * 3, f.type) for value, f in zip(VALUES, table.arrow, strict=True)], schema=table.arrow
    )
    write(make(LocalFileSink, path=str(tmp_path / "out"), tmp_path=str(tmp_path), **writing), Batch(rows, "t"), table)
    form = writing["file_format_type"]
    source = make(
        LocalFileSource, path=str(tmp_path / "out"), file_format_type=form, schema={"fields": TYPES}, **reading
    )
    assert read_all(source) == [VALUES] * 3


NESTED_TIMES = [
    ("array<time>", [[time(1, 2, 3)], None, [], [None]], [["01:02:03"], None, [], [None]]),
    ("map<time, time>", [[(time(1), time(2))], None, []], [[("01:00:00", "02:00:00")], None, []]),
    ({"a": "time", "b": "array<null>"}, [{"a": time(1), "b": [None]}, None], [{"a": "01:00:00", "b": [None]}, None]),
]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(("dtype", "values", "stored"), NESTED_TIMES)
def test_orc_files_hold_times_within_nested_values_as_text(tmp_path, dtype, values, stored, first):
    rows = pa.record_batch({"x": pa.array(values, parse_type(dtype))}).slice(first)
    run(
        {"source": [{"plugin_name": "Arrow", "name": "t"}], "sink": [{"plugin_name": "LocalFile", "path": str(tmp_path),
         "file_format_type": "orc"}]},
        tables={"t": pa.Table.from_batches([rows])},
    )  # fmt: skip
    [file] = tmp_path.glob("*.orc")
    assert orc.read_table(file)["x"].to_pylist() == stored[first:]


def test_a_type_that_orc_has_not_is_refused_with_the_column(tmp_path):
    fields = {"a": "int", "big": "decimal(50, 2)"}
    source = {"plugin_name": "FakeSource", "row.num": 1, "schema": {"fields": fields}}
    sink = {"plugin_name": "LocalFile", "path": str(tmp_path), "file_format_type": "orc"}
    error = run({"source": [source], "sink": [sink]}).error
    assert "orc files cannot hold column big: DECIMAL(50, 2); CAST it" in str(error)


def test_a_big_orc_file_is_read_in_ranges_of_stripes(tmp_path):
    with orc.ORCWriter(str(tmp_path / "a.orc"), stripe_size=1024) as writer:
        for start in range(0, 30_000, 10_000):
            ids = range(start, start + 10_000)
            writer.write(pa.table({"id": ids, "name": [f"n{i * 7919 % 10_007}" for i in ids]}))
    source = make(LocalFileSource, path=str(tmp_path), file_format_type="orc", file_split_size=1000)
    assert len(list(source.splits(2))) > 1
    assert [row[0] for row in read_all(source)] == list(range(30_000))


def test_orc_files_tell_their_columns_and_are_cast_to_the_schemas(tmp_path):
    orc.write_table(
        pa.table({"ID": [1, 2], "At": [datetime(2024, 1, 2), None], "more": ["7", "8"]}), tmp_path / "a.orc"
    )
    own = make(LocalFileSource, path=str(tmp_path), file_format_type="orc", schema={"table": "db.t"})
    assert (own.tables()[0].path, own.tables()[0].names) == ("db.t", ["ID", "At", "more"])
    fields = {"more": "int", "id": "string", "at": "string"}
    cast = make(LocalFileSource, path=str(tmp_path), file_format_type="orc", schema={"fields": fields})
    assert read_all(cast) == [(7, "1", "2024-01-02 00:00:00"), (8, "2", None)]


def test_a_column_that_cannot_be_cast_is_named_with_value_and_file(tmp_path):
    orc.write_table(pa.table({"id": ["1", "x"]}), tmp_path / "a.orc")
    source = make(LocalFileSource, path=str(tmp_path), file_format_type="orc", schema={"fields": {"id": "int"}})
    with pytest.raises(Rejected, match=r"column id of .*a\.orc: cannot read 'x' as INT"):
        read_all(source)


def test_an_excel_cell_that_does_not_fit_names_sheet_row_and_column(tmp_path):
    rows = pa.record_batch({"id": ["1", "two"], "name": ["a", "b"]})
    table = TableSchema.from_arrow(rows.schema)
    write(
        make(LocalFileSink, path=str(tmp_path), file_format_type="excel", tmp_path=str(tmp_path / "t")),
        Batch(rows),
        table,
    )
    options = {"file_format_type": "excel", "schema": PEOPLE, "skip_header_row_number": 1}
    with pytest.raises(BadRow, match=r"xlsx row 3, column id"):
        read_all(make(LocalFileSource, path=str(tmp_path), **options))
    with pytest.raises(Rejected, match="has no sheet 'other'; it has Sheet0"):
        read_all(make(LocalFileSource, path=str(tmp_path), sheet_name="other", **options))


def test_a_new_sheet_begins_when_one_is_full(tmp_path):
    from python_calamine import load_workbook

    rows = pa.record_batch({"id": range(25)})
    options = {"file_format_type": "excel", "sheet_max_rows": 11, "tmp_path": str(tmp_path / "tmp")}
    write(make(LocalFileSink, path=str(tmp_path / "out"), **options), Batch(rows), TableSchema.from_arrow(rows.schema))
    (file,) = (tmp_path / "out").iterdir()
    assert load_workbook(file).sheet_names == ["Sheet0", "Sheet0_1", "Sheet0_2"]


# ------------------------------------------------------------------------------------------- archives, packed files


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def tarred(path, files):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))


@pytest.mark.parametrize(
    ("codec", "name", "pack"), [("zip", "a.zip", zipped), ("tar", "a.tar", tarred), ("TAR_GZ", "a.tar.gz", tarred)]
)
def test_every_fitting_file_of_an_archive_is_read(codec, name, pack, tmp_path):
    pack(
        tmp_path / name, {"a.csv": "1,a\n", "below/b.csv": "2,b\n3,c\n", "README.md": "no rows", ".hidden.csv": "9,z\n"}
    )
    source = make(
        LocalFileSource, path=str(tmp_path), file_format_type="csv", schema=PEOPLE, archive_compress_codec=codec
    )
    assert read_all(source) == [(1, "a"), (2, "b"), (3, "c")]


def test_a_file_in_gzip_is_read_as_archive_or_as_packed_text(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("1,a\n2,b\n")
    for options in ({"archive_compress_codec": "gz"}, {"compress_codec": "gzip"}):
        source = make(LocalFileSource, path=str(tmp_path), file_format_type="csv", schema=PEOPLE, **options)
        assert read_all(source) == [(1, "a"), (2, "b")]


def test_a_bad_row_in_an_archive_is_named_with_archive_and_file(tmp_path):
    zipped(tmp_path / "a.zip", {"one.csv": "1,a\nx,b\n"})
    source = make(
        LocalFileSource, path=str(tmp_path), file_format_type="csv", schema=PEOPLE, archive_compress_codec="zip"
    )
    with pytest.raises(BadRow, match=r"a\.zip:one\.csv row 2, column id"):
        read_all(source)


@pytest.mark.parametrize(
    "options",
    [
        {"archive_compress_codec": "zip"},
        {"archive_compress_codec": "tar_gz"},
        {"compress_codec": "lzo"},
        {"compress_codec": "zstd"},
    ],
)
def test_what_cannot_be_unpacked_is_named_with_the_option(options, tmp_path):
    (tmp_path / "a.csv").write_text("1,a\n")
    with pytest.raises(Rejected, match=r"cannot unpack .*a\.csv: .*check archive_compress_codec and compress_codec"):
        read_all(make(LocalFileSource, path=str(tmp_path), file_format_type="csv", schema=PEOPLE, **options))


@pytest.mark.parametrize("options", [{"archive_compress_codec": "zip"}, {"compress_codec": "gzip"}])
def test_a_file_that_unpacks_without_end_is_refused_before_the_disk_is_full(options, tmp_path, monkeypatch):
    monkeypatch.setattr("headrace.formats.packing.LOOKED_BYTES", 1 << 20)
    full = shutil.disk_usage(tmp_path)._replace(total=1 << 40, free=1 << 30)
    monkeypatch.setattr("headrace.formats.packing.shutil.disk_usage", lambda path: full)
    if "compress_codec" in options:
        (tmp_path / "a.csv").write_bytes(gzip.compress(b"1,a\n" * 2_000_000))
    else:
        zipped(tmp_path / "a.csv", {"one.csv": "1,a\n" * 2_000_000})
    with pytest.raises(Rejected, match=r"cannot unpack .*a\.csv.*: it has more than \d MiB, and .* only 1024 MiB more"):
        read_all(make(LocalFileSource, path=str(tmp_path), file_format_type="csv", schema=PEOPLE, **options))


@pytest.mark.parametrize("option", ["date_format", "datetime_format", "time_format"])
def test_patterns_that_are_not_known_are_found_by_check(option, tmp_path):
    for cls in (LocalFileSource, LocalFileSink):
        more = {"schema": PEOPLE} if cls is LocalFileSource else {}
        options = {"path": str(tmp_path), "file_format_type": "csv", option: "QQ/yyyy", **more}
        [problem] = read_options(cls.Options, options).problems
        assert f"{option}: date pattern 'QQ/yyyy': 'QQ' is not known" in str(problem)


def test_reading_goes_on_in_the_middle_of_a_packed_file(tmp_path):
    with gzip.open(tmp_path / "a.csv", "wt") as file:
        file.writelines(f"{i},n{i}\n" for i in range(10))
    source = make(LocalFileSource, path=str(tmp_path), file_format_type="csv", schema=PEOPLE, compress_codec="gzip")
    (split,) = source.splits(1)
    first = next(iter(source.read(split, None, task(batch_rows=4))))
    rest = [row["id"] for read in source.read(split, first.position, task()) for row in read.batch.rows.to_pylist()]
    assert rest == [4, 5, 6, 7, 8, 9]


@pytest.mark.skipif(
    shutil.which("lzop") is None, reason="lzop is the other side of this format; scripts/test installs it"
)
@pytest.mark.parametrize("flags", [["-1"], ["-9"], ["-C"], ["-F"]])
def test_lzop_reads_what_is_packed_here_and_the_other_way_round(flags):
    data = bytes(range(256)) * 5000 + b"end"
    made = io.BytesIO()
    stream = lzop.LzopStream(made)
    for start in range(0, len(data), 70_000):
        stream.write(data[start : start + 70_000])
    stream.close()
    assert subprocess.run(["lzop", "-dc"], input=made.getvalue(), capture_output=True, check=True).stdout == data
    theirs = subprocess.run(["lzop", "-c", *flags], input=data, capture_output=True, check=True).stdout
    assert b"".join(lzop.unpack(io.BytesIO(theirs))) == data


@pytest.mark.parametrize("at", [0, 60, 200])
def test_a_damaged_lzo_file_is_refused(at):
    made = io.BytesIO()
    stream = lzop.LzopStream(made)
    stream.write(b"some text to pack, some text to pack, " * 100)
    stream.close()
    broken = bytearray(made.getvalue())
    broken[at % len(broken)] ^= 0xFF
    with pytest.raises(ValueError, match="it "):
        b"".join(lzop.unpack(io.BytesIO(bytes(broken))))


# ---------------------------------------------------------------------------------------------------- binary files


def test_binary_files_are_copied_under_their_names(tmp_path):
    for number, path in enumerate(PATHS):
        (tmp_path / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / path).write_bytes(bytes(range(256)) * (40 * number + 4) + b"x")
    (tmp_path / "out").mkdir()
    sink = {"path": str(tmp_path / "out"), "tmp_path": str(tmp_path / "tmp"), "file_format_type": "binary"}
    job = {"source": [{"plugin_name": "LocalFile", "path": str(tmp_path / "in"), "file_format_type": "binary"}],
           "sink": [{"plugin_name": "LocalFile", **sink}]}  # fmt: skip
    assert run(job).status == "FINISHED"
    for path in PATHS:
        assert (tmp_path / "out" / path).read_bytes() == (tmp_path / "in" / path).read_bytes()


def test_a_binary_file_goes_on_after_a_checkpoint_also_when_a_commit_is_repeated(tmp_path, job):
    sink = make(LocalFileSink, path=str(tmp_path / "out"), tmp_path=str(tmp_path / "tmp"), file_format_type="binary")
    table = TableSchema.from_arrow(
        pa.schema([("data", pa.binary()), ("relativePath", pa.string()), ("partIndex", pa.int64())])
    )

    def piece(data, number):
        return Batch(pa.record_batch([[data], ["f"], [number]], schema=table.arrow), table.path)

    first = sink.writer(table, task(job=job), None)
    first.write(piece(b"abc", 0))
    committed = first.prepare_commit(1)
    state = first.state()
    sink.commit([committed], job)
    second = sink.writer(table, task(job=job), sink.merge_states([state]))
    second.write(piece(b"de", 1))
    later = second.prepare_commit(2)
    for _ in range(2):
        sink.commit([later], job)
    assert (tmp_path / "out" / "f").read_bytes() == b"abcde"


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", ""])
def test_a_binary_file_stays_below_the_target(path, tmp_path, job):
    sink = make(LocalFileSink, path=str(tmp_path / "out"), tmp_path=str(tmp_path / "tmp"), file_format_type="binary")
    rows = pa.record_batch({"data": [b"x"], "relativePath": [path], "partIndex": [0]})
    writer = sink.writer(TableSchema.from_arrow(rows.schema), task(job=job), None)
    with pytest.raises(Rejected, match="relativePath must stay below"):
        writer.write(Batch(rows))


def test_rows_that_are_no_files_are_a_problem_before_anything_runs(tmp_path):
    sink = make(LocalFileSink, path=str(tmp_path), file_format_type="binary")
    assert "no column 'data'" in str(next(iter(sink.check([TableSchema.from_arrow(pa.schema([("id", pa.int32())]))]))))


@pytest.mark.parametrize(("form", "bad"), [("xml", "a\x01"), ("excel", "a" * 40_000)])
def test_a_row_that_the_format_cannot_hold_is_set_aside_and_the_others_are_written(tmp_path, form, bad):
    target = tmp_path / "out"
    sink = make(LocalFileSink, path=str(target), tmp_path=str(tmp_path / "tmp"), file_format_type=form)
    run = run_job(tmp_path / "job", BatchesSource(TABLE, [batch((1, "ann"), (2, bad), (3, "cid"))]), sink, mode="ROUTE")
    assert run.result.status == "FINISHED", run.result.error
    assert run.rejected == 1
    [row] = run.aside
    assert "column name: 'a" in row["error_message"]
    assert '"id":2,' in row["original_data"]
    source = make(LocalFileSource, path=str(target), file_format_type=form, xml_row_tag="RECORD",
                  skip_header_row_number=int(form == "excel"),
                  schema={"fields": {"id": "bigint", "name": "string"}})  # fmt: skip
    found = [row for split in source.splits(1) for read in source.read(split, None, task()) if read
             for row in read.batch.rows.to_pylist()]  # fmt: skip
    assert found == [{"id": 1, "name": "ann"}, {"id": 3, "name": "cid"}]
