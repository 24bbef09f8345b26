"""What connectors of files on other hosts have in common, for the tests of each: they say how to reach the place."""

import io
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from headrace.connector import JobContext
from headrace.connectors.local_file import LocalFileSource
from headrace.errors import Rejected
from headrace.testing import TABLE, SinkContract, SourceContract, batch, make, task
from tests.connectors.test_local_file import PEOPLE, read_all

FORMATS = [
    *("csv", "text", "json", "parquet", "orc", "avro", "excel", "xml"),
    *("canal_json", "debezium_json", "maxwell_json"),
]


class StoreSinkContract(SinkContract):
    """Give a fixture `store` (a Store), and `options`."""

    options: dict

    @pytest.fixture
    def sink(self, store, tmp_path):
        self.copy = tmp_path / "copy"
        return store.sink(**self.options)

    def visible(self, sink):
        """By a reader of local files."""
        storage = sink.storage()
        found = [one.path for one in shown(storage, sink.options.path)]
        for path in found:
            (self.copy / Path(path).name).parent.mkdir(exist_ok=True)
            (self.copy / Path(path).name).write_bytes(storage.open(path).content())
        return read_all(make(LocalFileSource, path=str(self.copy), **self.reading())) if found else []

    def reading(self):
        return {**self.options, "schema": PEOPLE} if self.options["file_format_type"] == "csv" else self.options

    def test_nothing_of_it_stays_after_the_end(self, sink, job):
        sink.commit(self.prepare(sink, job, batch((1, "a"))), job)
        self.prepare(sink, job, batch((2, "b")), checkpoint=2)
        assert {left.claim for left in sink.left()} == {job.claim}
        sink.end(job)
        assert list(sink.left()) == []
        assert self.visible(sink) == [(1, "a")]


class StoreSourceContract(SourceContract):
    """Give a fixture `store`, `files` and `options`."""

    @pytest.fixture
    def source(self, store):
        folder = store.folder()
        for name, content in self.files.items():
            store.storage().write(f"{folder}/{name}", content)
        return store.source(path=folder, **self.options)


class CsvSource(StoreSourceContract):
    lines = [f"{i},name {i}" for i in range(50)]
    files = {
        "a": "\n".join(lines).encode(),
        "dt=1/b": "\n".join(lines[:3]).encode(),
        ".hidden/c": b"x",
        "_SUCCESS": b"x",
    }
    options = {"file_format_type": "csv", "schema": PEOPLE, "file_split_size": 100}


class ParquetSource(StoreSourceContract):
    options = {"file_format_type": "parquet", "file_split_size": 1000}

    @property
    def files(self):
        table = pa.table({"id": range(100), "name": [None if i % 7 == 0 else f"n{i}" for i in range(100)]})
        out = io.BytesIO()
        pq.write_table(table, out, row_group_size=10)
        return {"a.parquet": out.getvalue()}


class Store:
    """A place of files. kind: the plugin's name. given: the options that reach it. base: a folder of it."""

    def __init__(self, kind, source, sink, given, base):
        self.kind, self._source, self._sink, self.given, self.base = kind, source, sink, given, base

    def folder(self):
        """A new name."""
        return f"{self.base}/{uuid.uuid4().hex}"

    def source(self, **options):
        return make(self._source, **{**self.given, **options})

    def sink(self, **options):
        folder = self.folder()
        return make(self._sink, **{**self.given, "path": f"{folder}/out", "tmp_path": f"{folder}/tmp", **options})

    def storage(self):
        return self.sink().storage()

    def fragment(self, **options):
        """As it stands in a job file."""
        given = "\n".join(f'"{key}" = "{value}"' for key, value in {**self.given, **options}.items())
        return f"{self.kind} {{ {given}"


def shown(storage, folder):
    found = storage.files(folder, lambda name: not name.startswith(".")) if storage.stat(folder) else ()
    return sorted(found)


class StoreJobs:
    """Whole jobs and options. Give a fixture `store`, and `secret`, which nobody may be told."""

    secret: str

    def test_what_is_read_is_what_lies_in_the_folder(self, store):
        storage, folder = store.storage(), store.folder()
        for name in ("in/a.csv", "in/x/b.csv", "in/.h/c.csv", "in/d.txt", "in2/e.csv"):
            storage.write(f"{folder}/{name}", b"1,n\n")
        reading = {"file_format_type": "csv", "schema": PEOPLE, "filename_extension": "csv"}
        source = store.source(**reading, path=f"{folder}/in/")
        assert [split.data["path"] for split in source.splits(1)] == [f"{folder}/in/a.csv", f"{folder}/in/x/b.csv"]
        assert read_all(store.source(**reading, path=f"{folder}/in", recursive_file_scan=False)) == [(1, "n")]
        with pytest.raises(Rejected, match=f"there is no file or directory '{folder}/no'; {folder} holds in, in2"):
            store.source(**reading, path=f"{folder}/no").tables()

    def test_a_file_that_has_changed_since_the_job_began_is_refused(self, store):
        storage, folder = store.storage(), store.folder()
        storage.write(f"{folder}/a.csv", b"1,n\n")
        source = store.source(file_format_type="csv", schema=PEOPLE, path=folder)
        [split] = source.splits(1)
        storage.write(f"{folder}/a.csv", b"2,m\n")
        with pytest.raises(Rejected, match="has changed since the job began"):
            list(source.read(split, None, task()))

    def test_a_whole_job_reads_the_store_and_writes_it(self, store, tmp_path):
        storage, folder = store.storage(), store.folder()
        storage.write(f"{folder}/in/a.csv", "".join(f"{i},n{i}\n" for i in range(10_000)).encode())
        (tmp_path / "job.conf").write_text(
            f"source {{ {store.fragment(path=f'{folder}/in', file_format_type='csv')}\n"
            "schema { fields { id = bigint, name = string } } } }\n"
            f"sink {{ {store.fragment(path=f'{folder}/out', tmp_path=f'{folder}/tmp', file_format_type='orc')} }} }}"
        )
        command = [sys.executable, "-m", "headrace", "run", str(tmp_path / "job.conf")]
        environment = {**os.environ, "HEADRACE_HOME": str(tmp_path / "home")}
        ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert self.secret not in ended.stdout + ended.stderr
        files = [pa.BufferReader(storage.open(one.path).content()) for one in shown(storage, f"{folder}/out")]
        tables = [orc.read_table(file) for file in files]
        assert sorted(pa.concat_tables(tables)["id"].to_pylist()) == list(range(10_000))
        assert list(storage.left(storage.areas(f"{folder}/out", f"{folder}/tmp"))) == []

    @pytest.mark.parametrize("form", FORMATS)
    def test_every_format_comes_back(self, store, form):
        sink, job = store.sink(file_format_type=form), JobContext(1, store="a1")
        sink.commit(SinkContract().prepare(sink, job, batch((1, "ä"), (2, "b c"))), job)
        more = {} if form in ("parquet", "orc", "avro") else {"schema": PEOPLE}
        more |= {"skip_header_row_number": 1} if form == "excel" else {}
        more |= {"xml_row_tag": "RECORD", "xml_use_attr_format": False} if form == "xml" else {}
        assert read_all(store.source(path=sink.options.path, file_format_type=form, **more)) == [(1, "ä"), (2, "b c")]

    def test_save_modes_act_on_the_folder(self, store):
        refusing = store.sink(data_save_mode="ERROR_WHEN_DATA_EXISTS")
        refusing.storage().write(f"{refusing.options.path}/f", b"1")
        assert [problem.place for problem in refusing.check_save_modes([TABLE])] == ["data_save_mode"]
        with pytest.raises(Rejected, match="holds files"):
            refusing.save_mode(TABLE)
        dropping = store.sink(data_save_mode="DROP_DATA")
        storage, path = dropping.storage(), dropping.options.path
        storage.write(f"{path}/old/f", b"1")
        storage.write(f"{path}2/f", b"1")
        dropping.save_mode(TABLE)
        assert ([one.path for one in shown(storage, path)], storage.stat(f"{path}2/f") is not None) == ([], True)

    def test_a_sink_that_would_empty_its_source_is_known(self, store):
        sink = store.sink(data_save_mode="DROP_DATA")
        source = store.source(path=sink.options.path, file_format_type="parquet")
        assert list(sink.emptied([TABLE])) == source.places()
