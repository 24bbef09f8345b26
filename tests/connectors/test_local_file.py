import os
import tempfile
import zipfile
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from headrace.connectors.local_file import LocalFileSink, LocalFileSource
from headrace.errors import BadRow, Rejected, Unavailable
from headrace.program import run
from headrace.rows import TableSchema
from headrace.testing import TABLE, ListRejects, SinkContract, SourceContract, batch, make, task, through_json
from tests.config.test_job import as_nobody

PEOPLE = {"fields": {"id": "bigint", "name": "string"}}


def read_all(source, **context):
    """All rows, in the order of the splits."""
    reads = [source.read(split, None, task(**context)) for split in source.splits(2)]
    return [tuple(row.values()) for reading in reads for read in reading for row in read.batch.rows.to_pylist()]


class _FileSourceContract(SourceContract):
    options: dict
    lines = [f"{i},name {i}" for i in range(50)]
    bad = "x,bad"
    end = "\n"

    @pytest.fixture
    def source(self, tmp_path):
        (tmp_path / "a").write_text(self.end.join(self.lines) + self.end)
        (tmp_path / "b").write_text(self.end.join(self.lines[:3]) + self.end)
        return make(LocalFileSource, path=str(tmp_path), schema=PEOPLE, file_split_size=100, **self.options)

    @pytest.fixture
    def bad_source(self, tmp_path):
        lines = [self.lines[i % 50] for i in range(65_536)]
        lines[40_000] = self.bad
        (tmp_path / "bad").write_text(self.end.join(lines) + self.end)
        return make(LocalFileSource, path=str(tmp_path / "bad"), schema=PEOPLE, **self.options)


class TestCsvSource(_FileSourceContract):
    options = {"file_format_type": "csv"}


class TestTextSource(_FileSourceContract):
    options = {"file_format_type": "text", "field_delimiter": ","}


class TestJsonSource(_FileSourceContract):
    options = {"file_format_type": "json"}
    lines = [f'{{"id": {i}, "name": "name {i}", "more": 1}}' for i in range(50)]
    bad = '{"id": "x", "name": "bad"}'


class TestParquetSource(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        table = pa.table({"id": range(100), "name": [None if i % 7 == 0 else f"n{i}" for i in range(100)]})
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=10)
        return make(LocalFileSource, path=str(tmp_path), file_format_type="parquet", file_split_size=1000)


class _FileSinkContract(SinkContract):
    options: dict

    @pytest.fixture
    def sink(self, tmp_path):
        self.target = tmp_path / "out"
        return make(LocalFileSink, path=str(self.target), tmp_path=str(tmp_path / "tmp"), **self.options)

    def visible(self, sink):
        if not self.target.exists() or not any(self.target.rglob("*")):
            return []
        return read_all(make(LocalFileSource, path=str(self.target), **self.reading()))

    def reading(self):
        return {**self.options, "schema": PEOPLE}

    def test_staging_is_empty_after_the_end(self, sink, job, tmp_path):
        sink.start(job)
        sink.commit(self.prepare(sink, job, batch((1, "a"))), job)
        sink.end(job)
        assert not list((tmp_path / "tmp").rglob("*.*"))

    def test_what_killed_starts_have_staged_goes_with_the_next_start_of_their_pipeline(self, sink, job, tmp_path):
        killed = [replace(job, epoch=7, pipeline=pipeline) for pipeline in (1, 2)]
        [[left], [other]] = [self.prepare(sink, context, batch((1, "a"))) for context in killed]
        [mine] = self.prepare(sink, replace(job, epoch=8), batch((2, "b")))
        sink.open(task(replace(job, epoch=8), index=0)).close()
        assert not Path(left["files"][0]["staged"]).exists()
        assert Path(other["files"][0]["staged"]).exists()
        assert Path(mine["files"][0]["staged"]).exists()


class TestCsvSink(_FileSinkContract):
    options = {"file_format_type": "csv"}


class TestTextSink(_FileSinkContract):
    options = {"file_format_type": "text"}

    def expected(self, rows):
        return [(i, name or None) for i, name in rows]  # text files cannot tell an empty text from null


class TestJsonSink(_FileSinkContract):
    options = {"file_format_type": "json"}


@pytest.mark.parametrize("form", ["csv", "text", "json"])
class TestSinkWithALatinEncoding(_FileSinkContract):
    @pytest.fixture
    def sink(self, tmp_path, form):
        self.options = {"file_format_type": form, "encoding": "ISO-8859-1"}
        self.target = tmp_path / "out"
        return make(LocalFileSink, path=str(self.target), tmp_path=str(tmp_path / "tmp"), **self.options)

    @pytest.fixture
    def bad_rows(self):
        return batch(*((i, "東京" if i == 40_000 else "Zoë") for i in range(65_536)))

    test_shows_every_row_once = test_commit_twice_is_commit_once = None  # their rows hold what the encoding lacks
    test_what_was_not_prepared_is_dropped = test_what_is_read_back_is_what_was_written = None


class TestParquetSink(_FileSinkContract):
    options = {"file_format_type": "parquet"}

    def reading(self):
        return self.options


# --------------------------------------------------------------------------------------------------------- reading


def csv(tmp_path, text, schema=PEOPLE, **options):
    (tmp_path / "in.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return make(LocalFileSource, path=str(tmp_path / "in.csv"), file_format_type="csv", schema=schema, **options)


def test_keeps_line_breaks_and_delimiters_within_quotes(tmp_path):
    source = csv(tmp_path, '1,"a\nb, ""c"""\n2,d\n', file_split_size=5)
    assert read_all(source) == [(1, 'a\nb, "c"'), (2, "d")]


def test_cuts_a_file_with_quoted_line_breaks_only_between_rows(tmp_path):
    rows = [(i, "x\n" * (i % 5) + f"y{i}") for i in range(500)]
    text = "".join(f'{i},"{name}"\n' for i, name in rows)
    source = csv(tmp_path, text, file_split_size=300)
    assert len(list(source.splits(2))) > 10
    assert sorted(read_all(source)) == rows


def test_tells_an_empty_text_from_null_in_csv(tmp_path):
    assert read_all(csv(tmp_path, '1,""\n2,\n')) == [(1, ""), (2, None)]


def test_reads_missing_fields_as_null_and_drops_fields_too_many(tmp_path):
    assert read_all(csv(tmp_path, "1\n2,b,c\n3,d\n")) == [(1, None), (2, "b"), (3, "d")]


def test_finds_columns_by_the_header(tmp_path):
    assert read_all(csv(tmp_path, "name,other,id\nann,x,1\n", csv_use_header_line=True)) == [(1, "ann")]


def test_skips_header_lines_of_every_file_but_of_no_later_split(tmp_path):
    lines = "".join(f"{i},n\n" for i in range(100))
    assert len(read_all(csv(tmp_path, "h\nh\n" + lines, skip_header_row_number=2, file_split_size=50))) == 100


def test_reads_every_type(tmp_path):
    schema = {
        "fields": {
            "a": "tinyint", "b": "decimal(10, 2)", "c": "boolean", "d": "date", "e": "timestamp", "f": "time",
            "g": "array<int>", "h": "map<string, int>", "i": {"x": "int", "y": "string"}, "j": "double", "k": "bytes",
        }
    }  # fmt: skip
    line = "1;2.50;true;2024-01-31;2024-01-31 10:11:12.123456;10:11:12;1\x022;k\x031;5\x02z;1.5E3;ab"
    [row] = read_all(csv(tmp_path, line + "\n", schema, field_delimiter=";"))
    assert row[1] == Decimal("2.50")
    assert str(row[4]) == "2024-01-31 10:11:12.123456"
    assert row[6:] == ([1, 2], [("k", 1)], {"x": 5, "y": "z"}, 1500.0, b"ab")


@pytest.mark.parametrize("text", ["2024/01/31 10:00:00", "20240131100000", "2024年01月31日 10:00:00"])
def test_recognises_timestamps_by_their_shape(tmp_path, text):
    [(found,)] = read_all(csv(tmp_path, text + "\n", {"fields": {"t": "timestamp"}}))
    assert str(found) == "2024-01-31 10:00:00"


def test_reads_timestamps_by_a_pattern(tmp_path):
    source = csv(tmp_path, "31.01.2024 10\n", {"fields": {"t": "timestamp"}}, datetime_format="dd.MM.yyyy HH")
    assert str(read_all(source)[0][0]) == "2024-01-31 10:00:00"


@pytest.mark.parametrize("encoding", ["GBK", "UTF-16", "latin-1"])
def test_reads_other_encodings(tmp_path, encoding):
    name = "é" if encoding == "latin-1" else "东京"
    text = "".join(f"{i},{name}\n" for i in range(30)).encode(encoding)
    assert read_all(csv(tmp_path, text, encoding=encoding, file_split_size=40)) == [(i, name) for i in range(30)]


def test_a_wrong_encoding_names_the_row_and_the_cure(tmp_path):
    with pytest.raises(
        BadRow, match=r"in\.csv row 2, column name: it is not UTF-8: b'\\xff\\xfe'; set the option encoding"
    ):
        read_all(csv(tmp_path, b"1,a\n2,\xff\xfe\n"))


def test_lines_that_are_no_text_are_set_aside_as_bytes(tmp_path):
    rejects = ListRejects()
    assert read_all(csv(tmp_path, b"1,a\n2,\xff\xfe\n3,c\n"), rejects=rejects) == [(1, "a"), (3, "c")]
    assert rejects.found[0][1] == b"2,\xff\xfe"


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_a_bad_line_belongs_to_one_position(tmp_path, batch_rows):
    source = csv(tmp_path, "x,0\n1,a\nx,1\n2,b\nx,2\nx,3\n3,c\n4,d\nx,4\n")
    (split,) = source.splits(1)
    whole = ListRejects()
    for read in source.read(split, None, task(batch_rows=batch_rows, rejects=whole)):
        before, after = len(whole.found), ListRejects()
        list(source.read(split, through_json(read.position), task(batch_rows=batch_rows, rejects=after)))
        assert before + len(after.found) == 5
    assert [raw for _, raw, _ in whole.found] == ["x,0", "x,1", "x,2", "x,3", "x,4"]


def test_a_value_that_does_not_fit_names_file_row_column_and_value(tmp_path):
    with pytest.raises(BadRow, match=r"in\.csv row 3, column id: cannot read 'x' as BIGINT"):
        read_all(csv(tmp_path, "1,a\n2,b\nx,c\n"))


def test_rejected_lines_are_kept_as_they_were(tmp_path):
    rejects = ListRejects()
    assert read_all(csv(tmp_path, "1,a\nx,b\n"), rejects=rejects) == [(1, "a")]
    assert rejects.found[0][:2] == ("default", "x,b")


def test_reads_without_a_schema_as_one_column(tmp_path):
    (tmp_path / "in.txt").write_text("a,b\nc\n")
    source = make(LocalFileSource, path=str(tmp_path / "in.txt"), file_format_type="text")
    assert read_all(source) == [("a,b",), ("c",)]
    assert source.tables()[0].names == ["content"]


@pytest.mark.parametrize(
    "more",
    [
        {"file_format_type": "csv"},
        {"file_format_type": "csv", "escape_char": "\\"},
        {"file_format_type": "text", "field_delimiter": ","},
        {"file_format_type": "csv", "csv_use_header_line": True, "skip_header_row_number": 0},
    ],
)
def test_a_line_is_whole_where_nothing_tells_the_columns(tmp_path, more):
    lines = ["a,b", '"c",d "e', "f\x01g\th\\i", "j\0k"]
    for some in (lines, lines[:3]):  # the last is read more slowly
        (tmp_path / "in.txt").write_text("\n".join(some) + "\n")
        source = make(LocalFileSource, path=str(tmp_path / "in.txt"), **more)
        assert read_all(source) == [(line,) for line in some["csv_use_header_line" in more :]]


def test_partitions_of_the_path_become_columns(tmp_path):
    (tmp_path / "dt=2024-01-01" / "city=Łódź").mkdir(parents=True)
    (tmp_path / "dt=2024-01-01" / "city=Łódź" / "a.csv").write_text("1,a\n")
    source = make(LocalFileSource, path=str(tmp_path), file_format_type="csv", schema=PEOPLE)
    assert read_all(source) == [(1, "a", "2024-01-01", "Łódź")]
    assert source.tables()[0].names == ["id", "name", "dt", "city"]


def test_reads_only_the_files_the_filters_let_through(tmp_path):
    for name in ("a.csv", "b.txt", "_SUCCESS", ".hidden", "empty.csv"):
        (tmp_path / name).write_text("" if name == "empty.csv" else f"1,{name}\n")
    source = make(
        LocalFileSource, path=str(tmp_path), file_format_type="csv", schema=PEOPLE, file_filter_pattern=r".*\.csv"
    )
    assert read_all(source) == [(1, "a.csv")]


def test_reads_several_tables(tmp_path):
    tables = []
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"1,{name}\n")
        schema = {**PEOPLE, "table": f"db.{name}"}
        tables.append({"path": str(tmp_path / name), "file_format_type": "csv", "schema": schema})
    source = make(LocalFileSource, tables_configs=tables)
    assert [table.path for table in source.tables()] == ["db.a", "db.b"]
    assert read_all(source) == [(1, "a"), (1, "b")]


def test_saved_splits_find_their_table_whatever_its_place_is_now(tmp_path):
    tables = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "in.csv").write_text(f"1,{name}\n")
        schema = {**PEOPLE, "table": name}
        tables.append({"path": str(tmp_path / name), "file_format_type": "csv", "schema": schema})
    saved = list(make(LocalFileSource, tables_configs=tables).splits(1))
    source = make(LocalFileSource, tables_configs=tables[::-1])
    found = [read.batch for split in saved for read in source.read(split, None, task())]
    assert [(batch.table, batch.rows["name"].to_pylist()) for batch in found] == [("a", ["a"]), ("b", ["b"])]
    moved = make(LocalFileSource, tables_configs=[{**tables[0], "path": str(tmp_path / "b")}])
    with pytest.raises(Rejected, match="goes on in .*/a/in.csv, and table a is read from .*/b now; put the path back"):
        list(moved.read(saved[0], None, task()))
    with pytest.raises(Rejected, match="table b is read from nowhere now"):
        list(moved.read(saved[1], None, task()))


def test_projects_columns(tmp_path):
    source = csv(tmp_path, "1,a\n", read_columns=["name"])
    assert read_all(source) == [("a",)]


def test_missing_files_are_named_with_what_is_there(tmp_path):
    (tmp_path / "people.csv").touch()
    source = make(LocalFileSource, path=str(tmp_path / "peple.csv"), file_format_type="csv", schema=PEOPLE)
    with pytest.raises(Rejected, match=r"there is no file or directory '.*peple.csv'.*holds people.csv"):
        source.tables()


@pytest.mark.parametrize("path", ["shut/a.csv", "shut", "a.csv"])
def test_what_may_not_be_read_is_named(path):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "shut").mkdir()
        for name, mode in (("shut/a.csv", 0o644), ("shut", 0), ("a.csv", 0), (".", 0o755)):
            (root / name).touch()
            (root / name).chmod(mode)
        source = make(LocalFileSource, path=str(root / path), file_format_type="csv", schema=PEOPLE)
        with (
            as_nobody(),
            pytest.raises(Rejected, match=f"cannot (read|list) .*{path}: Permission denied; check its per"),
        ):
            source.tables()


@pytest.mark.parametrize(
    "options",
    [{"file_format_type": "csv", "schema": PEOPLE}, {"file_format_type": "text"}, {"file_format_type": "binary"}],
    ids=lambda options: options["file_format_type"],
)
def test_an_empty_directory_has_no_rows_and_says_so(tmp_path, caplog, options):
    source = make(LocalFileSource, path=str(tmp_path), **options)
    assert len(source.tables()) == 1
    assert list(source.splits(2)) == []
    assert f"there is nothing to read: '{tmp_path}' is empty: 0 rows of table default" in caplog.text


def test_files_that_no_filter_lets_through_are_no_rows(tmp_path, caplog):
    (tmp_path / "a.csv").write_text("1,a\n")
    options = {"path": str(tmp_path), "file_format_type": "csv", "schema": PEOPLE}
    source = make(LocalFileSource, filename_extension="txt", **options)
    assert list(source.splits(2)) == []
    assert "holds 1 files, but none that the filters let through" in caplog.text


@pytest.mark.parametrize("form", ["parquet", "orc"])
def test_an_empty_directory_is_no_rows_also_where_the_columns_must_come_from_a_file(tmp_path, form):
    source = make(LocalFileSource, path=str(tmp_path), file_format_type=form)
    assert (source.tables()[0].names, list(source.splits(1))) == (["content"], [])
    wanted = make(LocalFileSource, path=str(tmp_path), file_format_type=form, read_columns=["a", "b"])
    assert wanted.tables()[0].names == ["a", "b"]
    source = make(LocalFileSource, path=str(tmp_path), file_format_type=form, schema=PEOPLE)
    assert source.tables()[0].names == ["id", "name"]


def test_directories_below_can_be_left_out(tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("a.csv", "below/b.csv"):
        (tmp_path / name).write_text(f"1,{name}\n")
    options = {"path": str(tmp_path), "file_format_type": "csv", "schema": PEOPLE}
    assert read_all(make(LocalFileSource, **options)) == [(1, "a.csv"), (1, "below/b.csv")]
    assert read_all(make(LocalFileSource, recursive_file_scan=False, **options)) == [(1, "a.csv")]


def test_the_columns_can_be_those_of_the_newest_file(tmp_path):
    pq.write_table(pa.table({"id": [1], "name": ["a"]}), tmp_path / "z.parquet")
    os.utime(tmp_path / "z.parquet", (1, 1))
    pq.write_table(pa.table({"id": [2]}), tmp_path / "a.parquet")
    os.utime(tmp_path / "a.parquet", (2, 2))
    pq.write_table(pa.table({"name": ["c"], "id": [3]}), tmp_path / "b.parquet")
    options = {"path": str(tmp_path), "file_format_type": "parquet"}
    assert make(LocalFileSource, **options).tables()[0].names == ["id", "name"]
    newest = make(LocalFileSource, sort_files_by_modification_time=True, **options)
    assert newest.tables()[0].names == ["name", "id"]


def test_a_file_that_changed_since_the_splits_were_made_is_refused(tmp_path):
    source = csv(tmp_path, "1,a\n")
    [split] = source.splits(1)
    (tmp_path / "in.csv").write_text("1,a\n2,b\n")
    with pytest.raises(Rejected, match="has changed since the job began"):
        list(source.read(split, None, task()))


def test_json_keeps_nested_values_and_takes_numbers_as_text(tmp_path):
    (tmp_path / "a.json").write_text('{"a": {"b": [1]}, "c": 5, "d": "aGk=", "e": {"k": 1}}\n')
    fields = {"a": "string", "c": "string", "d": "bytes", "e": "map<string, int>", "f": "int"}
    source = make(LocalFileSource, path=str(tmp_path), file_format_type="json", schema={"fields": fields})
    assert read_all(source) == [('{"b":[1]}', "5", b"hi", [("k", 1)], None)]


def test_a_parquet_file_that_is_none_is_named(tmp_path):
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(Rejected, match=r"a\.parquet is not a parquet file"):
        make(LocalFileSource, path=str(tmp_path), file_format_type="parquet").tables()


# --------------------------------------------------------------------------------------------------------- writing


def write(sink, rows, table=TABLE, job=None):
    """One task writes the rows, everything is committed; the files' texts by name."""
    context = task(job)
    sink.save_mode(table)
    writer = sink.open(context).writer(table)
    writer.write(rows)
    sink.commit([c for c in [writer.prepare_commit(1)] if c], context.job)
    writer.close()
    sink.end(context.job)
    root = Path(sink.options_for(table).path)
    return {str(f.relative_to(root)): f.read_bytes() for f in sorted(root.rglob("*")) if f.is_file()}


def sink_to(tmp_path, **options):
    return make(LocalFileSink, path=str(tmp_path / "out"), tmp_path=str(tmp_path / "tmp"), **options)


def test_csv_quotes_only_what_needs_it(tmp_path):
    [text] = write(sink_to(tmp_path), batch((1, 'a "b", c'), (2, "d"), (3, None), (4, ""))).values()
    assert text.decode() == '1,"a ""b"", c"\n2,d\n3,\n4,""\n'


def test_writes_a_header_delimiters_and_an_encoding(tmp_path):
    sink = sink_to(tmp_path, file_format_type="text", enable_header_write=True, field_delimiter="\\t", encoding="GBK")
    [text] = write(sink, batch((1, "东京"))).values()
    assert text.decode("GBK") == "id\tname\n1\t东京\n"


def test_json_holds_every_field_and_iso_times(tmp_path):
    table = TableSchema.from_arrow(
        pa.schema({"t": pa.timestamp("us"), "d": pa.decimal128(9, 2), "b": pa.binary(), "n": pa.string()})
    )
    rows = pa.RecordBatch.from_pylist(
        [{"t": 1_500_000, "d": Decimal("1.50"), "b": b"hi", "n": None}], schema=table.arrow
    )
    from headrace.rows import Batch

    [text] = write(sink_to(tmp_path, file_format_type="json"), Batch(rows, table.path), table).values()
    assert text.decode() == '{"t":"1970-01-01T00:00:01.500","d":1.50,"b":"aGk=","n":null}\n'


def test_fractions_of_seconds_are_not_lost_unless_a_pattern_says_so(tmp_path):
    from headrace.rows import Batch

    table = TableSchema.from_arrow(pa.schema({"t": pa.timestamp("us")}))
    rows = Batch(pa.RecordBatch.from_pylist([{"t": 1_500_000}], schema=table.arrow), table.path)
    [text] = write(sink_to(tmp_path), rows, table).values()
    assert text == b"1970-01-01 00:00:01.500\n"
    [text] = write(sink_to(tmp_path, datetime_format="yyyy/MM/dd", data_save_mode="DROP_DATA"), rows, table).values()
    assert text == b"1970/01/01\n"


def test_writes_a_directory_for_each_partition(tmp_path):
    sink = sink_to(tmp_path, partition_by=["name"], file_format_type="text")
    found = write(sink, batch((1, "a/b"), (2, "c"), (3, "a/b"), (4, None)))
    assert {name.split("/")[0]: text for name, text in found.items()} == {
        "name=a%2Fb": b"1\n3\n",
        "name=c": b"2\n",
        "name=__HIVE_DEFAULT_PARTITION__": b"4\n",
    }


def test_begins_a_new_file_after_batch_size_rows(tmp_path):
    found = write(sink_to(tmp_path, batch_size=2), batch((1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")))
    assert sorted(text.count(b"\n") for text in found.values()) == [1, 2, 2]


def test_names_files_by_the_expression(tmp_path):
    expression = "${transactionId}_${now}"
    sink = sink_to(
        tmp_path,
        custom_filename=True,
        file_name_expression=expression,
        filename_time_format="yyyy",
        filename_extension="dat",
    )
    [name] = write(sink, batch((1, "a")))
    assert name.startswith("T_")
    assert name.endswith("_0.dat")


def test_fills_the_tables_name_into_the_path(tmp_path):
    sink = make(
        LocalFileSink, path=str(tmp_path / "${database_name}" / "${table_name}"), tmp_path=str(tmp_path / "tmp")
    )
    write(sink, batch((1, "a")))
    assert list((tmp_path / "db" / "people").glob("*.csv"))


def test_chooses_and_orders_columns(tmp_path):
    [text] = write(sink_to(tmp_path, sink_columns=["name", "id"]), batch((1, "a"))).values()
    assert text == b"a,1\n"


def test_writes_an_empty_file_when_asked_to(tmp_path):
    sink = sink_to(tmp_path, create_empty_file_when_no_data=True, file_format_type="parquet")
    [name] = write(sink, batch())
    assert pq.read_table(tmp_path / "out" / name).schema.names == ["id", "name"]


def test_save_modes(tmp_path):
    write(sink_to(tmp_path), batch((1, "a")))
    with pytest.raises(Rejected, match="ERROR_WHEN_DATA_EXISTS"):
        sink_to(tmp_path, data_save_mode="ERROR_WHEN_DATA_EXISTS").save_mode(TABLE)
    assert len(write(sink_to(tmp_path), batch((2, "b")))) == 2
    assert len(write(sink_to(tmp_path, data_save_mode="DROP_DATA"), batch((2, "b")))) == 1
    with pytest.raises(Rejected, match="ERROR_WHEN_SCHEMA_NOT_EXIST"):
        make(LocalFileSink, path=str(tmp_path / "no"), schema_save_mode="ERROR_WHEN_SCHEMA_NOT_EXIST").save_mode(TABLE)


def test_unknown_columns_are_named_before_anything_is_written(tmp_path):
    sink = sink_to(tmp_path, partition_by=["nme"], sink_columns=["id"])
    [problem] = sink.check([TABLE])
    assert str(problem) == "partition_by: table db.people has no column 'nme'; its columns are id, name"


def test_numbers_and_times_are_written_as_java_does(tmp_path):
    types = {"d": "double", "f": "float", "t": "time", "s": "timestamp"}
    rows = [[2.25e10, 1.0, "01:02:03", "2024-01-02 03:04:05"], [1e-5, 0.1, "01:02:03.456", None]]
    job = {
        "source": [
            {"plugin_name": "FakeSource", "schema": {"fields": types}, "rows": [{"fields": row} for row in rows]}
        ],
        "sink": [{"plugin_name": "LocalFile", "path": str(tmp_path / "out"), "tmp_path": str(tmp_path / "tmp")}],
    }
    assert run(job).status == "FINISHED"
    (file,) = (tmp_path / "out").iterdir()
    lines = ["2.25E10,1.0,01:02:03,2024-01-02 03:04:05", "1.0E-5,0.1,01:02:03.456,"]
    assert file.read_text().splitlines() == lines


def test_a_codec_stands_in_the_files_name(tmp_path):
    names = [
        next(iter(write(sink_to(tmp_path / codec, compress_codec=codec), batch((1, "a"))))) for codec in ("none", "lzo")
    ]
    assert [name.partition(".")[2] for name in names] == ["csv", "lzo.csv"]


def test_parquet_files_of_seatunnel_have_zoneless_timestamps(tmp_path):
    when = pa.array([1_500], pa.timestamp("ms", "UTC"))
    seatunnels = pa.table({"t": when}).replace_schema_metadata({"parquet.avro.schema": '{"name":"SeaTunnelRecord"}'})
    for name, table in (("theirs", seatunnels), ("other", pa.table({"t": when}))):
        (tmp_path / name).mkdir()
        pq.write_table(table, tmp_path / name / "a.parquet")
    source = make(LocalFileSource, path=str(tmp_path / "theirs"), file_format_type="parquet")
    assert read_all(source) == [(datetime(1970, 1, 1, 0, 0, 1, 500_000),)]
    other = make(LocalFileSource, path=str(tmp_path / "other"), file_format_type="parquet")
    assert other.tables()[0].columns[0].type == pa.timestamp("ms", "UTC")


def test_compresses_parquet(tmp_path):
    sink = sink_to(tmp_path, file_format_type="parquet", compress_codec="zstd")
    [name] = write(sink, batch(*[(i, "x") for i in range(1000)]))
    assert pq.read_metadata(tmp_path / "out" / name).row_group(0).column(0).compression == "ZSTD"


def test_stages_beside_the_target_where_tmp_path_is_another_file_system(tmp_path):
    sink = make(LocalFileSink, path=str(tmp_path / "out"), tmp_path="/proc/nowhere")
    sink.save_mode(TABLE)
    writer = sink.open(task()).writer(TABLE)
    writer.write(batch((1, "a")))
    committable = writer.prepare_commit(1)
    assert ".headrace-staging" in committable["files"][0]["staged"]
    sink.commit([committable], task().job)
    sink.end(task().job)
    assert [f.suffix for f in (tmp_path / "out").iterdir()] == [".csv"]


def test_a_target_that_is_a_file_is_a_problem(tmp_path):
    (tmp_path / "out").touch()
    [problem] = sink_to(tmp_path).check([TABLE])
    assert "is a file" in problem.message


def test_what_cannot_be_written_is_an_error_that_names_the_place(tmp_path):
    (tmp_path / "file").touch()
    sink = make(LocalFileSink, path=str(tmp_path / "file" / "below"))
    with pytest.raises(Unavailable, match="cannot write .*Not a directory"):
        sink.save_mode(TABLE)


def test_reads_back_what_arrow_wrote(tmp_path):
    table = pa.table({"id": [1, 2], "name": ["a", None]})
    pacsv.write_csv(table, tmp_path / "in.csv")
    source = make(
        LocalFileSource, path=str(tmp_path / "in.csv"), file_format_type="csv", schema=PEOPLE, csv_use_header_line=True
    )
    assert read_all(source) == [(1, "a"), (2, None)]


def test_a_tables_name_does_not_lead_out_of_the_directory(tmp_path):
    sink = make(LocalFileSink, path=f"{tmp_path}/allowed/${{table_name}}")
    for name in ("a/../../escaped", "../../x"):
        with pytest.raises(Rejected, match="outside"):
            sink.options_for(TableSchema(name, TABLE.columns))
    assert sink.options_for(TableSchema("fine", TABLE.columns)).path == f"{tmp_path}/allowed/fine"


def test_the_format_may_be_given_by_its_old_name(tmp_path):
    (tmp_path / "a").write_text("1,ann\n")
    source = make(LocalFileSource, path=str(tmp_path), file_format="csv", schema=PEOPLE)
    assert read_all(source) == [(1, "ann")]
    assert make(LocalFileSink, path=str(tmp_path), file_format="orc").options.file_format_type == "orc"


def test_what_a_nested_json_row_holds_beside_its_fields_is_ignored(tmp_path):
    (tmp_path / "a").write_text('{"r": {"a": "5", "more": 1}, "n": 1}\n')
    schema = {"fields": {"r": {"a": "int"}, "n": "int"}}
    assert read_all(make(LocalFileSource, path=str(tmp_path), file_format_type="json", schema=schema)) == [
        ({"a": 5}, 1)
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_a_metadata_transform_gets_what_is_known_of_the_file(tmp_path, packed):
    file = tmp_path / ("a.zip" if packed else "a.csv")
    if packed:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("in/b.txt", "1,ann\n2,bob\n")
    else:
        file.write_text("1,ann\n2,bob\n")
    options = {"archive_compress_codec": "zip"} if packed else {}
    keys = {"FilePath": "path", "FileSize": "size", "FileType": "type", "FileUpdateTime": "updated"}
    source = {"plugin_name": "LocalFile", "path": str(tmp_path), "file_format_type": "csv", "schema": PEOPLE, **options}
    sql = {"plugin_name": "Sql", "query": "select * from t where id = 2"}
    names = [{"plugin_input": "a", "plugin_output": "b"}, {"plugin_input": "b", "plugin_output": "c"}]
    job = {
        "source": [{**source, "plugin_output": "a"}],
        "transform": [{**sql, **names[0]}, {"plugin_name": "Metadata", "metadata_fields": keys, **names[1]}],
        "sink": [{"plugin_name": "Arrow", "plugin_input": "c"}],
    }
    [table] = run(job).tables.values()
    told = {"path": "in/b.txt" if packed else str(file), "type": "txt" if packed else "csv"}
    stat = file.stat()
    times = {"size": stat.st_size, "updated": int(stat.st_mtime * 1000)}
    assert table.to_pylist() == [{"id": 2, "name": "bob", **told, **times}]


@pytest.mark.parametrize("mode", [{"data_save_mode": "DROP_DATA"}, {"schema_save_mode": "RECREATE_SCHEMA"}])
@pytest.mark.parametrize("target", ["year/2024", "year", "year/2024/01", "link"])
def test_a_sink_that_would_delete_what_the_job_reads_is_refused_before_anything_is_deleted(tmp_path, mode, target):
    (tmp_path / "year" / "2024" / "01").mkdir(parents=True)
    (tmp_path / "year" / "2024" / "01" / "a.csv").write_text("1,x\n")
    (tmp_path / "link").symlink_to(tmp_path / "year")
    source = {"plugin_name": "LocalFile", "path": str(tmp_path / "year" / "2024"), "file_format_type": "csv"}
    sink = {"plugin_name": "LocalFile", "path": str(tmp_path / target), "file_format_type": "csv", **mode}
    error = run({"source": [{**source, "schema": PEOPLE}], "sink": [sink]}).error
    assert "would delete what source[0].LocalFile reads" in str(error)
    assert "write to another place" in str(error)
    assert (tmp_path / "year" / "2024" / "01" / "a.csv").read_text() == "1,x\n"


def test_tables_of_other_columns_in_one_directory_are_told(tmp_path, caplog):
    tables = [TableSchema.from_arrow(pa.schema([("id", pa.int64())]), "a"), TABLE]
    with caplog.at_level("WARNING"):
        assert not list(make(LocalFileSink, path=str(tmp_path / "one")).check(tables))
        assert not list(make(LocalFileSink, path=str(tmp_path / "${table_name}")).check(tables))
    [record] = caplog.records
    assert "tables a and db.people, whose columns differ, go into one directory" in record.getMessage()


def test_a_file_whose_name_is_not_utf_8_is_refused_by_name_unless_it_is_left_out(tmp_path):
    (tmp_path / "good.csv").write_text("1,ann\n")
    with open(os.fsencode(tmp_path) + b"/b\xff.csv", "w") as file:
        file.write("2,bob\n")
    options = {"path": str(tmp_path), "file_format_type": "csv", "schema": PEOPLE}
    with pytest.raises(Rejected, match=r"/b\\xff\.csv is not UTF-8; rename it, or leave it out"):
        list(make(LocalFileSource, **options).splits(1))
    assert read_all(make(LocalFileSource, **options, file_filter_pattern=r"good.*")) == [(1, "ann")]
