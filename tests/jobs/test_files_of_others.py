"""Whole jobs over values and files that break fields, names and memory: what is written is read back, or refused."""

import gzip
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace


def job(source, sink, **env):
    return {"env": {"job.mode": "BATCH", "job.retry.times": 0, **env}, "source": [source], "sink": [sink]}


def rows_of(result):
    assert result.status == "FINISHED", result.error
    return [row for table in result.tables.values() for row in table.to_pylist()]


TEXTS = [
    "a||b",
    "a;b",
    '"',
    '""',
    "a\r\nb",
    " x ",
    "NULL",
    "||",
    "a/b",
    "a%2Fb",
    "",
    None,
    "__HIVE_DEFAULT_PARTITION__",
]


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("csv", {"field_delimiter": "||"}),
        ("csv", {"row_delimiter": ";"}),
        ("csv", {"partition_by": ["text"]}),
        ("json", {}),
        ("parquet", {"partition_by": ["text"]}),
    ],
    ids=["fields of two characters", "rows of one", "partitions of csv", "json", "partitions of parquet"],
)
def test_texts_come_back_as_they_were(tmp_path, form, written):
    given = pa.table({"id": pa.array(range(len(TEXTS)), pa.int64()), "text": pa.array(TEXTS, pa.string())})
    out = {"path": str(tmp_path / "out"), "tmp_path": str(tmp_path / "tmp"), "file_format_type": form}
    sink = {"plugin_name": "LocalFile", **out, **written}
    result = headrace.run(job({"plugin_name": "Arrow", "name": "given"}, sink), tables={"given": given})
    assert result.status == "FINISHED", result.error
    names = ["id"] if "partition_by" in written else ["id", "text"]
    reading = {key: value for key, value in written.items() if key != "partition_by"}
    if form != "parquet":
        reading["schema"] = {"fields": {name: "bigint" if name == "id" else "string" for name in names}}
    source = {"plugin_name": "LocalFile", **{k: v for k, v in out.items() if k != "tmp_path"}, **reading}
    found = rows_of(headrace.run(job(source, {"plugin_name": "Arrow"})))
    assert {row["id"]: row["text"] for row in found} == dict(enumerate(TEXTS))


@pytest.mark.parametrize("form", ["json", "csv"])
def test_moments_keep_their_nanoseconds_and_their_instant(tmp_path, form):
    instant = datetime(2024, 7, 1, 10, tzinfo=UTC)
    stamps = {
        "fine": pa.array([1_719_828_000_123_456_789], pa.timestamp("ns")),
        "utc": pa.array([instant], pa.timestamp("us", "UTC")),
        "warsaw": pa.array([instant], pa.timestamp("us", "Europe/Warsaw")),
    }
    pq.write_table(pa.table(stamps), tmp_path / "in.parquet")
    out = {"path": str(tmp_path / "out"), "file_format_type": form}
    sink = {"plugin_name": "LocalFile", **out, "tmp_path": str(tmp_path / "tmp")}
    source = {"plugin_name": "LocalFile", "path": str(tmp_path / "in.parquet"), "file_format_type": "parquet"}
    assert headrace.run(job(source, sink)).status == "FINISHED"
    [file] = (tmp_path / "out").iterdir()
    assert "10:00:00.123456789" in file.read_text()
    fields = {"fine": "string", "utc": "timestamp_tz", "warsaw": "timestamp_tz"}
    source = {"plugin_name": "LocalFile", **out, "schema": {"fields": fields}}
    [row] = rows_of(headrace.run(job(source, {"plugin_name": "Arrow"})))
    assert row["utc"] == row["warsaw"] == instant
    assert row["utc"].utcoffset() == timedelta(0)


def long_line(folder):
    (folder / "in.csv").write_bytes(b"1,ann\n2," + b"x" * 100_000_000 + b"\n3,cid\n")
    return 'in.csv"'


def packed_zeros(folder):
    with gzip.open(folder / "in.csv.gz", "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write(bytes(1_000_000))
    return 'in.csv.gz", compress_codec = gzip'


def archived_zeros(folder):
    archive = zipfile.ZipFile(folder / "in.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("a.csv", "w") as file:
        for _ in range(200):
            file.write(bytes(1_000_000))
    return 'in.zip", archive_compress_codec = ZIP'


@pytest.mark.parametrize("made", [long_line, packed_zeros, archived_zeros], ids=lambda made: made.__name__)
def test_a_line_that_has_no_room_is_refused_by_its_place_before_the_memory_is_gone(tmp_path, made):
    (tmp_path / "job.conf").write_text(
        f"""env {{ job.mode = BATCH, job.retry.times = 0 }}
        source {{ LocalFile {{ path = "{tmp_path}/{made(tmp_path)}, file_format_type = csv
          schema {{ fields {{ id = bigint, name = string }} }} }} }}
        sink {{ LocalFile {{ path = "{tmp_path}/out", tmp_path = "{tmp_path}/tmp", file_format_type = csv }} }}"""
    )
    command = [sys.executable, "-c", _MEASURED, "run", "--memory", "350M", str(tmp_path / "job.conf")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert "the line at byte" in told
    assert "raise --memory" in told
    assert int(told.rpartition("PEAK ")[2]) < 350 * 1024
    assert not any((tmp_path / "out").glob("*"))


_MEASURED = """
import sys
from headrace.cli import main
try:
    main()
finally:
    [peak] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
    print("PEAK", peak, file=sys.stderr)
"""
"""What getrusage tells would be that of the program that started it, where that was bigger."""
