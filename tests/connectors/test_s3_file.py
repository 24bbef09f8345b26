"""S3File on a real S3 server."""

import io
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.connectors.local_file import LocalFileSource
from headrace.connectors.s3_file import S3FileSink, S3FileSinkOptions, S3FileSource, S3FileSourceOptions
from headrace.errors import Rejected
from headrace.options import read_options
from headrace.testing import TABLE, SinkContract, SourceContract, batch, make, task
from tests.checkpoint.s3 import KEY, SECRET, Gateway
from tests.connectors.test_local_file import PEOPLE, read_all

GIVEN = {"bucket": "s3a://bucket", "fs.s3a.endpoint": "s3.eu-west-1.amazonaws.com", "path": "/out"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    running = Gateway(tmp_path_factory.mktemp("s3")).start()
    yield running
    running.stop()


def keys_of(gateway):
    keys = {"bucket": "s3a://bucket", "fs.s3a.endpoint": gateway.endpoint, "access_key": KEY, "secret_key": SECRET}
    provider = {"fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"}
    return keys | provider


def to_bucket(gateway, **options):
    """A sink into a new folder of the bucket."""
    folder = uuid.uuid4().hex
    return make(S3FileSink, **keys_of(gateway), path=f"/{folder}/out", tmp_path=f"/{folder}/tmp", **options)


class _S3FileSinkContract(SinkContract):
    options: dict

    @pytest.fixture
    def sink(self, gateway, tmp_path):
        self.copy = tmp_path / "copy"
        return to_bucket(gateway, **self.options)

    def visible(self, sink):
        """By a reader of local files."""
        storage = sink.storage()
        found = [one.path for one in storage.files(sink.options.path)]
        for path in found:
            (self.copy / Path(path).name).parent.mkdir(exist_ok=True)
            (self.copy / Path(path).name).write_bytes(storage.open(path).content())
        return read_all(make(LocalFileSource, path=str(self.copy), **self.reading())) if found else []

    def reading(self):
        return {**self.options, "schema": PEOPLE}

    def test_nothing_of_it_stays_in_the_bucket_after_the_end(self, sink, job):
        sink.commit(self.prepare(sink, job, batch((1, "a"))), job)
        self.prepare(sink, job, batch((2, "b")), checkpoint=2)
        assert [left.claim for left in sink.left()] == [job.claim]
        sink.end(job)
        assert list(sink.left()) == []
        assert self.visible(sink) == [(1, "a")]


class _S3FileSourceContract(SourceContract):
    @pytest.fixture
    def source(self, gateway):
        folder = f"/{uuid.uuid4().hex}"
        storage = to_bucket(gateway).storage()
        for name, content in self.files.items():
            storage.write(f"{folder}/{name}", content)
        return make(S3FileSource, **keys_of(gateway), path=folder, **self.options)


@pytest.mark.service
class TestCsvSource(_S3FileSourceContract):
    lines = [f"{i},name {i}" for i in range(50)]
    files = {
        "a": "\n".join(lines).encode(),
        "dt=1/b": "\n".join(lines[:3]).encode(),
        ".hidden/c": b"x",
        "_SUCCESS": b"x",
    }
    options = {"file_format_type": "csv", "schema": PEOPLE, "file_split_size": 100}


@pytest.mark.service
class TestParquetSource(_S3FileSourceContract):
    options = {"file_format_type": "parquet", "file_split_size": 1000}

    @property
    def files(self):
        table = pa.table({"id": range(100), "name": [None if i % 7 == 0 else f"n{i}" for i in range(100)]})
        out = io.BytesIO()
        pq.write_table(table, out, row_group_size=10)
        return {"a.parquet": out.getvalue()}


@pytest.mark.service
def test_what_is_read_is_what_lies_in_the_folder_of_the_bucket(gateway):
    storage, folder = to_bucket(gateway).storage(), f"/{uuid.uuid4().hex}"
    for name in ("in/a.csv", "in/x/b.csv", "in/.h/c.csv", "in/d.txt", "in2/e.csv"):
        storage.write(f"{folder}/{name}", b"1,n\n")
    reading = {**keys_of(gateway), "file_format_type": "csv", "schema": PEOPLE, "filename_extension": "csv"}
    source = make(S3FileSource, **reading, path=f"s3a://bucket{folder}/in/")
    assert [split.data["path"] for split in source.splits(1)] == [f"{folder}/in/a.csv", f"{folder}/in/x/b.csv"]
    assert source.places() == [f"{gateway.endpoint}/bucket{folder}/in"]
    flat = make(S3FileSource, **reading, path=f"{folder}/in", recursive_file_scan=False)
    assert read_all(flat) == [(1, "n")]
    with pytest.raises(Rejected, match=f"there is no file or directory '{folder}/no'; {folder} holds in, in2"):
        make(S3FileSource, **reading, path=f"{folder}/no").tables()


@pytest.mark.service
def test_a_file_that_has_changed_since_the_job_began_is_refused(gateway):
    storage, folder = to_bucket(gateway).storage(), f"/{uuid.uuid4().hex}"
    storage.write(f"{folder}/a.csv", b"1,n\n")
    source = make(S3FileSource, **keys_of(gateway), file_format_type="csv", schema=PEOPLE, path=folder)
    [split] = source.splits(1)
    storage.write(f"{folder}/a.csv", b"2,m\n")
    with pytest.raises(Rejected, match="has changed since the job began"):
        list(source.read(split, None, task()))


@pytest.mark.service
def test_a_whole_job_reads_a_bucket_and_writes_one(gateway, tmp_path):
    storage, folder = to_bucket(gateway).storage(), f"/{uuid.uuid4().hex}"
    storage.write(f"{folder}/in/a.csv", "".join(f"{i},n{i}\n" for i in range(10_000)).encode())
    keys = f"""bucket = "s3n://bucket", fs.s3a.endpoint = "{gateway.endpoint}", access_key = {KEY}
      secret_key = "{SECRET}" """
    (tmp_path / "job.conf").write_text(f"""
    source {{ S3File {{ {keys}, path = "{folder}/in", file_format_type = csv
      schema {{ fields {{ id = bigint, name = string }} }} }} }}
    sink {{ S3File {{ {keys}, path = "{folder}/out", tmp_path = "{folder}/tmp", file_format_type = parquet }} }}""")
    command = [sys.executable, "-m", "headrace", "run", str(tmp_path / "job.conf")]
    environment = {**os.environ, "HEADRACE_HOME": str(tmp_path / "home")}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert SECRET not in ended.stdout + ended.stderr
    tables = [
        pq.read_table(pa.BufferReader(storage.open(one.path).content())) for one in storage.files(f"{folder}/out")
    ]
    assert sorted(pa.concat_tables(tables)["id"].to_pylist()) == list(range(10_000))
    assert list(storage.files(f"{folder}/tmp")) == []


@pytest.mark.service
class TestCsvSink(_S3FileSinkContract):
    options = {"file_format_type": "csv"}


@pytest.mark.service
class TestParquetSink(_S3FileSinkContract):
    options = {"file_format_type": "parquet"}

    def reading(self):
        return self.options


@pytest.mark.service
def test_save_modes_act_on_the_folder_of_the_bucket(gateway):
    refusing = to_bucket(gateway, data_save_mode="ERROR_WHEN_DATA_EXISTS")
    refusing.storage().write(f"{refusing.options.path}/f", b"1")
    assert [problem.place for problem in refusing.check_save_modes([TABLE])] == ["data_save_mode"]
    with pytest.raises(Rejected, match="holds files"):
        refusing.save_mode(TABLE)
    dropping = to_bucket(gateway, data_save_mode="DROP_DATA")
    storage, path = dropping.storage(), dropping.options.path
    storage.write(f"{path}/old/f", b"1")
    storage.write(f"{path}2/f", b"1")
    dropping.save_mode(TABLE)
    assert (storage.stat(path), storage.stat(f"{path}2/f") is not None) == (None, True)


def place_of(**options):
    found = read_options(S3FileSinkOptions, GIVEN | options)
    assert found.options is not None, found.problems
    return found.options.place()


def test_keys_and_region_are_seatunnels():
    assert place_of(access_key="a", access_secret="b").keys == ("a", "b", "")
    assert place_of().keys is None
    anonymous = {"fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider"}
    assert place_of(**anonymous).keys == ()
    assert (place_of().region, place_of().endpoint) == ("eu-west-1", "https://s3.eu-west-1.amazonaws.com")
    properties = {"fs.s3a.path.style.access": "true", "fs.s3a.endpoint.region": "x", "fs.s3a.multipart.size": "64M"}
    place = place_of(hadoop_s3_properties=properties)
    assert (place.path_style, place.region, place.part) == (True, "x", 64 << 20)
    assert place_of(**{"fs.s3a.endpoint": "http://10.0.0.1:9000"}).path_style


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bucket": "hdfs://bucket"}, "begin it with s3a:// or s3n://"),
        ({"bucket": "s3a://a/b"}, "not a name of a bucket"),
        ({"access_key": "a"}, "secret_key is missing"),
        ({"fs.s3a.aws.credentials.provider": "x.SimpleAWSCredentialsProvider"}, "needs access_key and secret_key"),
        ({"fs.s3a.aws.credentials.provider": "x.Other"}, "'x.Other' is not known; possible: Simple"),
        ({"fs.s3a.endpoint": "ftp://x"}, "not an address of a store"),
        ({"path": "/a/../../b"}, "leads out of the bucket"),
        ({"hadoop_s3_properties": {"fs.s3a.multipart.size": "1M"}}, "must be from 5M to 1G"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(options, text):
    found = read_options(S3FileSinkOptions, GIVEN | options)
    assert found.options is None
    assert text in "\n".join(map(str, found.problems))


def test_tables_of_one_source_lie_in_one_bucket():
    tables = [GIVEN | {"file_format_type": "parquet", "path": path} for path in ("/a", "/b")]
    assert [table.path for table in make(S3FileSource, tables_configs=tables).options.tables()] == ["/a", "/b"]
    tables[1]["bucket"] = "s3a://other"
    found = read_options(S3FileSourceOptions, {"tables_configs": tables})
    assert "the tables of one source lie in one bucket" in "\n".join(map(str, found.problems))


@pytest.mark.parametrize("options", [{"discovery_mode": "continuous"}, {"sync_mode": "update", "target_path": "/x"}])
def test_what_only_local_files_can_is_refused(options):
    found = read_options(S3FileSourceOptions, GIVEN | {"file_format_type": "binary"} | options)
    assert f"{next(iter(options))} = {next(iter(options.values()))} is for LocalFile" in "\n".join(
        map(str, found.problems)
    )


def test_secrets_are_not_shown():
    options = read_options(S3FileSinkOptions, GIVEN | {"access_key": "a", "secret_key": "s3cret"}).options
    assert "s3cret" not in f"{options!r} {options.place()!r}"
