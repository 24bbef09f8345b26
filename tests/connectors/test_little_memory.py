"""With a small share of the memory batches are small, and what cannot be split is refused by name."""

import io
import sqlite3
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from headrace.connector import JobContext, sources
from headrace.connectors.arrow import ArrowSource
from headrace.connectors.local_file import LocalFileSink, LocalFileSource
from headrace.errors import Rejected
from headrace.memory import MIB
from headrace.rows import Batch, TableSchema
from headrace.testing import make, task
from tests.connectors.jdbc import jdbc_source

SMALL = {"batch_bytes": 64 * 1024, "memory_bytes": MIB, "held_bytes": 256 * 1024}
FIELDS = {"fields": {"id": "bigint", "text": "string"}}
ROWS = 10_000
TABLE = pa.table({"id": range(ROWS), "text": [f"{i:0100d}" for i in range(ROWS)]})


def batches(source, position=None, **context):
    (split,) = source.splits(1)
    return list(source.read(split, position, task(**{**SMALL, **context})))


def files(path, form, **options):
    return make(LocalFileSource, path=str(path), file_format_type=form, **options)


def csv(folder):
    (folder / "a.csv").write_text("".join(f"{i},{i:0100d}\n" for i in range(ROWS)))
    return files(folder / "a.csv", "csv", schema=FIELDS)


def json(folder):
    (folder / "a.json").write_text("".join(f'{{"id": {i}, "text": "{i:0100d}"}}\n' for i in range(ROWS)))
    return files(folder / "a.json", "json", schema=FIELDS)


def utf16(folder):
    (folder / "a.csv").write_text("".join(f"{i},{i:0100d}\n" for i in range(ROWS)), "utf-16-le")
    return files(folder / "a.csv", "csv", schema=FIELDS, encoding="UTF-16LE")


def parquet(folder):
    pq.write_table(TABLE, folder / "a.parquet", row_group_size=ROWS)
    return files(folder / "a.parquet", "parquet")


def parquet_with_few_texts(folder):
    """Kept as a dictionary: the file does not tell how much its rows take."""
    texts = pa.array([f"{i % 3:0100d}" for i in range(ROWS)])
    pq.write_table(pa.table({"id": range(ROWS), "text": texts}), folder / "a.parquet", row_group_size=ROWS)
    return files(folder / "a.parquet", "parquet")


def orc_file(folder):
    orc.write_table(TABLE.slice(0, 500), folder / "a.orc")
    return files(folder / "a.orc", "orc")


def xml(folder):
    (folder / "a.xml").write_text(
        f"<a>{''.join(f'<p><id>{i}</id><text>{i:0100d}</text></p>' for i in range(ROWS))}</a>"
    )
    return files(folder / "a.xml", "xml", schema=FIELDS, xml_row_tag="p")


def binary(folder):
    (folder / "a.bin").write_bytes(bytes(MIB))
    return files(folder / "a.bin", "binary", binary_chunk_size=1000)


def jdbc(folder):
    with sqlite3.connect(folder / "a.db") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(i, f"{i:0100d}") for i in range(ROWS)])
    connection.close()
    return jdbc_source(folder / "a.db", table_path="t")


def arrow(folder):
    return make(ArrowSource, data=TABLE, name="t")


def fake(folder):
    return make(sources.find("FakeSource"), row__num=ROWS, string__length=100, schema=FIELDS)


ALL = [csv, json, utf16, parquet, parquet_with_few_texts, orc_file, xml, binary, jdbc, arrow, fake]


@pytest.mark.parametrize("made", ALL)
def test_batches_are_no_bigger_than_told(tmp_path, made):
    source = made(tmp_path)
    found = [read.batch.rows for read in batches(source)]
    assert max(rows.nbytes for rows in found) <= 2 * SMALL["batch_bytes"]
    usual = batches(source, batch_bytes=16 * MIB, memory_bytes=256 * MIB)
    assert sum(rows.num_rows for rows in found) == sum(read.batch.num_rows for read in usual)


@pytest.mark.parametrize("made", [csv, json, utf16, parquet, xml, jdbc, arrow, fake])
@pytest.mark.parametrize(("before", "after"), [(MIB, 64 * 1024), (64 * 1024, MIB)])
def test_a_job_goes_on_with_another_budget_where_it_stopped(tmp_path, made, before, after):
    source = made(tmp_path)
    sized = {"memory_bytes": 16 * MIB, "batch_rows": 500}
    first = batches(source, batch_bytes=before, **sized)
    position = first[len(first) // 2].position
    rest = batches(source, position, batch_bytes=after, **sized)
    column = 0 if made is not fake else 1
    values = [value for read in (*first[: len(first) // 2 + 1], *rest) for value in read.batch.rows.column(column)]
    assert values == [value for read in batches(source, **sized) for value in read.batch.rows.column(column)]


def huge_line(folder):
    (folder / "a.csv").write_text("1,a\n2," + "x" * MIB + "\n3,c\n")
    return files(folder / "a.csv", "csv", schema=FIELDS), "the line at byte 4 of .*a.csv"


def quote_that_is_not_closed(folder):
    (folder / "a.csv").write_text('1,a\n2,"b\n' + "3,c\n" * MIB)
    return files(folder / "a.csv", "csv", schema=FIELDS), 'a.csv .* look for a " that is not closed'


def huge_object(folder):
    (folder / "a.json").write_text('{"id": 1, "text": "' + "x" * MIB + '"}\n{"id": 2}\n')
    return files(folder / "a.json", "json", schema=FIELDS), "the line at byte 0 of .*a.json"


def huge_decoded_line(folder):
    (folder / "a.csv").write_text("1,a\n2," + "x" * MIB + "\n3,c\n", "utf-16-le")
    return files(folder / "a.csv", "csv", schema=FIELDS, encoding="UTF-16LE"), "the line at byte .* of .*a.csv"


def huge_row(folder):
    pq.write_table(pa.table({"text": ["x" * MIB]}), folder / "a.parquet", use_dictionary=False)
    return files(folder / "a.parquet", "parquet"), "a row of row group 0 of .*a.parquet"


def huge_stripe(folder):
    noise = np.random.default_rng(1).bytes(MIB)
    orc.write_table(pa.table({"data": [noise]}), folder / "a.orc")
    return files(folder / "a.orc", "orc"), "a stripe of .*a.orc"


def huge_element(folder):
    (folder / "a.xml").write_text("<a><p><text>" + "x" * MIB + "</text></p></a>")
    return files(folder / "a.xml", "xml", schema=FIELDS, xml_row_tag="p"), "a row of .*a.xml.*xml_row_tag = p"


def huge_file(folder):
    (folder / "a.bin").write_bytes(bytes(MIB))
    source = files(folder / "a.bin", "binary", binary_complete_file_mode=True)
    return source, "all of .*a.bin.*binary_complete_file_mode = false"


def huge_sheet(folder):
    with zipfile.ZipFile(folder / "a.xlsx", "w") as book:
        book.writestr("xl/worksheets/sheet1.xml", "x" * MIB)
    return files(folder / "a.xlsx", "excel", schema=FIELDS), "a.xlsx, an Excel file,.*save it as csv"


def huge_value(folder):
    with sqlite3.connect(folder / "a.db") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        connection.execute("INSERT INTO t VALUES (1, ?)", ("x" * MIB,))
    connection.close()
    return jdbc_source(folder / "a.db", table_path="t"), "a.db: a value takes more than"


def huge_made_up_row(folder):
    return make(sources.find("FakeSource"), string__length=MIB, schema=FIELDS), "a row of .*FakeSource"


@pytest.mark.parametrize(
    "made",
    [
        huge_line, quote_that_is_not_closed, huge_object, huge_decoded_line, huge_row, huge_stripe, huge_element,
        huge_file, huge_sheet, huge_value, huge_made_up_row,
    ],
)  # fmt: skip
def test_what_cannot_be_split_is_refused_with_place_size_and_cure(tmp_path, made):
    source, text = made(tmp_path)
    with pytest.raises(Rejected, match=f"(?s){text}") as error:
        batches(source)
    assert "MiB" in str(error.value)
    assert "raise --memory" in str(error.value)
    assert "lower env.parallelism" in str(error.value)


@pytest.mark.parametrize("form", ["parquet", "orc", "excel"])
def test_writers_of_many_partitions_hold_no_more_than_told(tmp_path, form):
    """Formats that gather rows: what is open is written out, or the file is finished."""
    sink = make(LocalFileSink, path=str(tmp_path / "out"), tmp_path=str(tmp_path / "tmp"), file_format_type=form,
                partition_by=["part"])  # fmt: skip
    table = TableSchema.from_arrow(pa.schema([("part", pa.int64()), ("text", pa.string())]), "t")
    job = JobContext(1)
    writer = sink.writer(table, task(job, **SMALL), None)
    for number in range(40):
        rows = pa.table({"part": [number % 10] * 500, "text": [f"{i:0100d}" for i in range(500)]})
        writer.write(Batch(pa.RecordBatch.from_arrays([c.combine_chunks() for c in rows.columns], rows.schema.names)))
        assert sum(file.held for file in writer._open.values()) <= SMALL["held_bytes"]
    sink.commit([writer.prepare_commit(1)], job)
    writer.close()
    assert writer.written().rows == 20_000
    assert len(list((tmp_path / "out").rglob("part=*"))) == 10


def test_a_big_row_group_is_read_in_parts(tmp_path):
    """Of 100 MB in one row group, no more than a few pages of each column are in memory at a time."""
    noise = pa.array(np.random.default_rng(1).integers(0, 1 << 60, 6_000_000))
    pq.write_table(pa.table({"a": noise, "b": noise}), tmp_path / "a.parquet", row_group_size=10_000_000)
    source = files(tmp_path / "a.parquet", "parquet")
    del noise
    before = pa.total_allocated_bytes()
    reading = source.read(next(iter(source.splits(1))), None, task(batch_bytes=MIB, memory_bytes=16 * MIB))
    assert max(pa.total_allocated_bytes() - before for _ in reading) < 16 * MIB


def test_an_excel_file_that_fits_is_read(tmp_path):
    from rustpy_xlsxwriter import write_worksheets

    stream = io.BytesIO()
    write_worksheets([("Sheet1", iter([{"id": 1, "text": "a"}]))], stream)
    (tmp_path / "a.xlsx").write_bytes(stream.getvalue())
    source = files(tmp_path / "a.xlsx", "excel", schema=FIELDS, skip_header_row_number=1)
    assert [read.batch.rows.to_pylist() for read in batches(source)] == [[{"id": 1, "text": "a"}]]
