"""LocalFile with `discovery_mode = continuous`."""

import gzip
import json
import os
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from headrace.connectors.local_file import LocalFileSource
from headrace.errors import Rejected, Unavailable
from headrace.execution.pace import PacedContext, Paces
from headrace.options import read_options
from headrace.testing import UnboundedSourceContract, make, task, through_json

PEOPLE = {"fields": {"id": "bigint", "name": "string"}}


def followed(folder, **options):
    fixed = {"discovery_mode": "continuous", "scan_interval": "1MS", "file_format_type": "csv", "schema": PEOPLE}
    return make(LocalFileSource, path=str(folder), **{**fixed, **options})


class Job:
    """A job that follows a directory: its splits and positions, through any number of starts."""

    def __init__(self, folder, **options):
        self.folder, self.options = folder, options
        self.source = followed(folder, **options)
        self.splits, self.positions = list(self.source.splits(1)), {}
        self.scans = 5

    def restart(self):
        self.source = followed(self.folder, **self.options)
        self.positions = through_json(self.positions)
        return self

    def rows(self, commit=True, **context):
        """What there is to read now, in the order of the names."""
        found, positions = [], dict(self.positions)
        for split in self.splits:
            reading, nothing = self.source.read(split, positions.get(split.id), task(**context)), 0
            while nothing < self.scans:
                read = next(reading)
                nothing = nothing + 1 if read is None else 0
                if read is not None:
                    found += [tuple(row.values()) for row in read.batch.rows.to_pylist()]
                    positions[split.id] = read.position
            reading.close()
        if commit:
            self.positions = positions
        return sorted(found)


def old(path, seconds=60):
    """A file that has not changed for a while."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


# ------------------------------------------------------------------------------------------------------- contract


class _FollowedContract(UnboundedSourceContract):
    options: dict
    marks_ends = True

    @pytest.fixture
    def source(self, tmp_path):
        self.folder = tmp_path / "in"
        self.folder.mkdir()
        for number in range(6):
            self.write(f"first-{number}", [(100 * number + i, "ä") for i in range(7)])
        return followed(self.folder, **self.options)

    def more(self, number):
        self.write(f"more-{number}", [(number, "new")])

    def write(self, name, rows):
        """A file that appears whole."""
        hidden = self.folder / f".{name}"
        self.write_rows(hidden, rows)
        old(hidden).rename(self.folder / name)


class TestFollowedCsv(_FollowedContract):
    options = {}

    def write_rows(self, path, rows):
        path.write_text("".join(f"{i},{name}\n" for i, name in rows))

    @pytest.fixture
    def bad_source(self, source):
        for file in self.folder.iterdir():
            file.unlink()
        self.write("bad", [("x" if i == 40_000 else i, "n") for i in range(65_536)])
        return source


class TestFollowedParquet(_FollowedContract):
    options = {"file_format_type": "parquet", "schema": None}

    def write_rows(self, path, rows):
        ids, names = zip(*rows, strict=True)
        pq.write_table(pa.table({"id": pa.array(ids, pa.int64()), "name": names}), path, row_group_size=3)


# ------------------------------------------------------------------------------------------------------ what is read


def write_many(path, kind):
    """300 rows, or pieces of a binary file, in one block."""
    table = pa.table({"id": pa.array(range(300), pa.int64()), "name": ["a"] * 300})
    rows = table.to_pylist()
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "orc":
        orc.write_table(table, path)
    elif kind == "json":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "xml":
        path.write_text(f"<all>{''.join('<row><id>1</id><name>a</name></row>' for _ in rows)}</all>")
    elif kind == "binary":
        path.write_bytes(b"ab" * 300)
    else:
        path.write_text("".join(f"{row['id']},a\n" for row in rows))
    old(path)


@pytest.mark.parametrize("kind", ["csv", "json", "parquet", "orc", "xml", "binary"])
def test_only_the_first_batch_is_one_row_when_rows_cost_nothing(tmp_path, kind):
    write_many(tmp_path / "a", kind)
    own = {
        "binary": {"schema": None, "binary_chunk_size": 2},
        "xml": {"xml_row_tag": "row", "xml_use_attr_format": False},
    }
    schema = {"schema": None} if kind in ("parquet", "orc") else {}
    source, sizes = followed(tmp_path, file_format_type=kind, **schema | own.get(kind, {})), []
    paces = Paces()
    for split in source.splits(1):
        pace, nothing = paces.of(split.table), 0
        reading = source.read(split, None, PacedContext.of(task(), paces, split.table))
        while nothing < 5:
            read = next(reading)
            nothing = nothing + 1 if read is None else 0
            if read is not None and read.batch.num_rows:
                sizes.append(read.batch.num_rows)
                pace.rows = 1000
        reading.close()
    assert sizes == [1, 299]


@pytest.mark.parametrize("options", [{"file_format_type": "json"}, {"compress_codec": "gzip"}, {"encoding": "UTF-16"}])
def test_files_of_every_kind_are_read_once_and_again_when_they_changed(tmp_path, options):
    job = Job(tmp_path, **options)

    def write(name, number):
        text = f'{{"id": {number}, "name": "a"}}\n' if "file_format_type" in options else f"{number},a\n"
        data = text.encode(options.get("encoding", "UTF-8"))
        (tmp_path / name).write_bytes(gzip.compress(data) if "compress_codec" in options else data)
        old(tmp_path / name)

    write("a", 1)
    assert job.rows() == [(1, "a")]
    write("b", 2)
    assert job.restart().rows() == [(2, "a")]
    write("b", 3)
    assert job.restart().rows() == [(3, "a")]


def test_a_new_file_is_read_once_over_restarts(tmp_path):
    job = Job(tmp_path)
    assert job.rows() == []
    (tmp_path / "a").write_text("1,a\n")
    assert job.rows() == [(1, "a")]
    assert job.restart().rows() == []
    (tmp_path / "b").write_text("2,b\n")
    assert job.restart().rows(commit=False) == [(2, "b")]
    assert job.restart().rows() == [(2, "b")], "what no checkpoint holds is read again"
    assert job.rows() == []


def test_lines_are_read_as_they_are_written_and_never_by_halves(tmp_path):
    job = Job(tmp_path, scan_interval="1M")
    job.scans = 1
    log = tmp_path / "log"
    log.write_text("1,a\n2,")
    assert job.rows() == [(1, "a")]
    with open(log, "a") as file:
        file.write('"b\nb"\n3,"c\n')
    assert job.restart().rows() == [(2, "b\nb")]
    with open(log, "a") as file:
        file.write('c"\n')
    assert job.restart().rows() == [(3, "c\nc")]


def test_what_is_known_and_not_read_is_told_in_bytes(tmp_path):
    lines = "".join(f"{n},{'x' * 1000}\n" for n in range(20_000))
    (tmp_path / "a.csv").write_text(lines)
    told = []
    job = Job(tmp_path)
    job.rows(unread=told.append)
    begun = told[told.index(len(lines)) :]
    assert begun == sorted(begun, reverse=True)
    assert len({size for size in begun if 0 < size < len(lines)}) > 3  # it counts down by the blocks that are read
    assert told[-1] == 0
    with open(tmp_path / "a.csv", "a") as file:
        file.write("20000,y\n")
    (tmp_path / "b.csv").write_text("20001,z\n")
    told.clear()
    assert len(job.restart().rows(unread=told.append)) == 2
    # of one share or of two, as the numbers of the files fall; what was read of a.csv before is not counted again
    assert max(told) in (len("20000,y\n"), len("20000,y\n20001,z\n"))
    assert told[-1] == 0


def test_a_file_that_is_read_as_a_whole_counts_until_its_end(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("1,a\n")
    size = old(tmp_path / "a.csv.gz").stat().st_size
    told = []
    assert Job(tmp_path, compress_codec="gzip").rows(unread=told.append) == [(1, "a")]
    assert (max(told), told[-1]) == (size, 0)


def test_a_last_line_without_an_end_is_read_when_the_file_has_rested(tmp_path):
    job = Job(tmp_path)
    (tmp_path / "a").write_text("1,a\n2,b")
    old(tmp_path / "a")
    assert job.rows() == [(1, "a"), (2, "b")]
    with open(tmp_path / "a", "a") as file:
        file.write("\n3,c\n")
    assert job.rows() == [(3, "c")]


def test_header_lines_are_skipped_once_in_a_file_that_grows(tmp_path):
    job = Job(tmp_path, csv_use_header_line=True)
    (tmp_path / "a").write_text("name,id\n")
    assert job.rows() == []
    with open(tmp_path / "a", "a") as file:
        file.write("a,1\n")
    assert job.restart().rows() == [(1, "a")]
    with open(tmp_path / "a", "a") as file:
        file.write("b,2\n")
    assert job.restart().rows() == [(2, "b")]


def test_a_file_that_is_renamed_is_not_read_again(tmp_path):
    job = Job(tmp_path)
    log = tmp_path / "app.log"
    log.write_text("1,a\n")
    assert job.rows() == [(1, "a")]
    with open(log, "a") as file:
        file.write("2,b\n")
    log.rename(tmp_path / "app.log.1")
    log.write_text("3,c\n")
    assert job.restart().rows() == [(2, "b"), (3, "c")]


def test_a_file_that_is_truncated_and_written_anew_is_read_from_its_start(tmp_path, caplog):
    job = Job(tmp_path)
    (tmp_path / "a").write_text("1,a\n2,b\n")
    assert len(job.rows()) == 2
    (tmp_path / "a").write_text("3,c\n")
    assert job.rows() == [(3, "c")]
    (tmp_path / "a").write_text("4,d\n5,e\n6,f\n")
    assert job.rows() == [(4, "d"), (5, "e"), (6, "f")]
    assert "was written anew" in caplog.text


def test_a_file_that_takes_the_name_of_another_is_read(tmp_path):
    job = Job(tmp_path)
    (tmp_path / "a").write_text("1,a\n")
    job.rows()
    (tmp_path / ".b").write_text("1,a\n")
    (tmp_path / ".b").rename(tmp_path / "a")
    assert job.rows() == [(1, "a")]


def test_files_that_go_are_forgotten(tmp_path):
    job = Job(tmp_path)
    for number in range(800):
        (tmp_path / str(number)).write_text(f"{number},n\n")
    assert len(job.rows()) == 800
    full = len(json.dumps(job.positions))
    assert full < 800 * 60
    for file in tmp_path.iterdir():
        file.unlink()
    (tmp_path / "last").write_text("1,last\n")
    assert job.restart().rows() == [(1, "last")]
    assert len(json.dumps(job.positions)) < full / 20


def test_a_directory_that_is_gone_is_waited_for(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    job = Job(folder)
    folder.rmdir()
    with pytest.raises(Unavailable, match="is not there any more"):
        job.rows()


def test_the_directory_below_an_unmounted_file_system_makes_nothing_forgotten(tmp_path):
    mounted, below = tmp_path / "in", tmp_path / "below"
    mounted.mkdir()
    (mounted / "a").write_text("1,a\n")
    job = Job(mounted)
    assert job.rows() == [(1, "a")]
    mounted.rename(tmp_path / "away")
    below.mkdir()
    below.rename(mounted)
    assert job.restart().rows() == []
    mounted.rmdir()
    (tmp_path / "away").rename(mounted)
    assert job.restart().rows() == []


def test_hidden_and_staging_files_are_never_read(tmp_path):
    job = Job(tmp_path)
    (tmp_path / ".headrace-staging" / "1").mkdir(parents=True)
    (tmp_path / "_temporary").mkdir()
    for name in (".a", "_SUCCESS", ".headrace-staging/1/0.csv", "_temporary/0.csv"):
        (tmp_path / name).write_text("1,a\n")
    assert job.rows() == []


def test_a_followed_file_can_be_rotated(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("1,a\n")
    job = Job(log)
    assert job.rows() == [(1, "a")]
    log.rename(tmp_path / "app.log.1")
    assert job.rows() == []
    log.write_text("2,b\n")
    assert job.restart().rows() == [(2, "b")]


def test_latest_leaves_out_what_was_there_when_the_job_first_started(tmp_path):
    (tmp_path / "a").write_text("1,a\n2,")
    job = Job(tmp_path, start_mode="latest", scan_interval="1M")
    job.scans = 1
    assert job.rows() == []
    (tmp_path / "b").write_text("3,c\n")
    with open(tmp_path / "a", "a") as file:
        file.write("b\n")
    assert job.restart().rows() == [(2, "b"), (3, "c")]


def test_latest_takes_a_file_that_was_written_before_and_comes_later(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "a").write_text("1,a\n")
    old(tmp_path / "a")
    job = Job(tmp_path / "in", start_mode="latest")
    (tmp_path / "a").rename(tmp_path / "in" / "a")
    assert job.rows() == [(1, "a")]


def test_the_oldest_file_of_a_share_is_read_first(tmp_path):
    for number in range(20):
        (tmp_path / str(20 - number)).write_text(f"{number},n\n")
        old(tmp_path / str(20 - number), 100 - number)
    job = Job(tmp_path)
    for split in job.splits:
        reading = job.source.read(split, None, task())
        ids = [read.batch.rows["id"][0].as_py() for read in iter(lambda r=reading: next(r), None)]
        reading.close()
        assert ids == sorted(ids)


def test_tables_are_followed_side_by_side(tmp_path):
    tables = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        schema = {**PEOPLE, "table": f"db.{name}"}
        options = {"discovery_mode": "continuous", "scan_interval": "1MS", "file_format_type": "csv"}
        tables.append({"path": str(tmp_path / name), "schema": schema, **options})
    source = make(LocalFileSource, tables_configs=tables)
    splits = list(source.splits(1))
    assert {split.table for split in splits} == {"db.a", "db.b"}
    assert len({split.id for split in splits}) == len(splits)
    (tmp_path / "b" / "x").write_text("1,b\n")
    found = []
    for split in splits:
        reading = source.read(split, None, task())
        found += [(read.batch.table, read.batch.num_rows) for read in (next(reading) for _ in range(5)) if read]
        reading.close()
    assert found == [("db.b", 1)]


def test_partitions_that_the_table_does_not_have_are_told(tmp_path):
    job = Job(tmp_path)
    (tmp_path / "dt=2024").mkdir()
    (tmp_path / "dt=2024" / "a").write_text("1,a\n")
    with pytest.raises(Rejected, match="below a directory dt=….*parse_partition_from_path = false"):
        job.rows()
    assert Job(tmp_path).rows() == [(1, "a", "2024")]
    assert Job(tmp_path, parse_partition_from_path=False).rows() == [(1, "a")]


def test_where_inodes_change_a_file_is_known_by_its_path(tmp_path):
    job = Job(tmp_path)
    for split in job.splits:
        split.data["by_inode"] = False
    (tmp_path / "a").write_text("1,a\n")
    assert job.rows() == [(1, "a")]
    (tmp_path / ".copy").write_text("1,a\n")
    (tmp_path / ".copy").rename(tmp_path / "a")
    assert job.restart().rows() == []
    with open(tmp_path / "a", "a") as file:
        file.write("2,b\n")
    assert job.restart().rows() == [(2, "b")]


# ---------------------------------------------------------------------------------- files that are read as a whole


def parquet(path, *ids):
    hidden = path.with_name("." + path.name)
    pq.write_table(pa.table({"id": pa.array(ids, pa.int64()), "name": ["n"] * len(ids)}), hidden, row_group_size=2)
    old(hidden).rename(path)


def test_a_file_that_is_still_written_is_read_when_it_rests(tmp_path):
    job = Job(tmp_path, file_format_type="parquet", scan_interval="1M")
    job.scans = 1
    pq.write_table(pa.table({"id": pa.array([1], pa.int64()), "name": ["n"]}), tmp_path / ".a")
    whole = (tmp_path / ".a").read_bytes()
    (tmp_path / "a").write_bytes(whole[:50])
    assert job.rows() == []
    (tmp_path / "a").write_bytes(whole)
    old(tmp_path / "a")
    assert job.restart().rows() == [(1, "n")]


def test_a_file_from_the_future_rests_when_it_is_seen_unchanged(tmp_path):
    job = Job(tmp_path, file_format_type="parquet")
    parquet(tmp_path / "a", 1)
    old(tmp_path / "a", -3600)
    assert job.rows() == [(1, "n")]


def test_a_file_that_is_like_one_that_went_is_read(tmp_path):
    """Its inode may be that of the other."""
    job = Job(tmp_path)
    for name in ("a", "b", "a"):
        (tmp_path / name).write_text("1,a\n")
        assert job.rows() == [(1, "a")]
        (tmp_path / name).unlink()


def test_a_file_that_is_none_of_its_format_is_named(tmp_path):
    job = Job(tmp_path, file_format_type="parquet")
    (tmp_path / "a").write_text("no parquet")
    old(tmp_path / "a")
    with pytest.raises(Rejected, match=f"{tmp_path}/a is not a parquet file.*; repair it, or move it away"):
        job.rows()


def test_a_changed_file_is_read_again_as_a_whole(tmp_path):
    job = Job(tmp_path, file_format_type="parquet")
    parquet(tmp_path / "a", 1, 2)
    assert job.rows() == [(1, "n"), (2, "n")]
    (tmp_path / "a").rename(tmp_path / "b")
    assert job.restart().rows() == []
    parquet(tmp_path / "b", 1, 2, 3)
    assert job.restart().rows() == [(1, "n"), (2, "n"), (3, "n")]


def test_a_file_that_goes_before_its_end_is_told_and_not_waited_for(tmp_path, caplog):
    job = Job(tmp_path, file_format_type="parquet")
    parquet(tmp_path / "a", 1, 2, 3, 4)
    for split in job.splits:
        reading = job.source.read(split, None, task(batch_rows=2))
        if read := next(reading):
            job.positions[split.id] = read.position
        reading.close()
    (tmp_path / "a").unlink()
    parquet(tmp_path / "b", 5)
    assert job.restart().rows() == [(5, "n")]
    assert "was removed before it was read to its end" in caplog.text


# -------------------------------------------------------------------------------------------------- after the sync


def test_files_are_deleted_once_their_rows_are_safe(tmp_path):
    job = Job(tmp_path, post_sync_action="delete")
    old_file = tmp_path / "a"
    old_file.write_text("1,a\n")
    old(old_file)
    assert job.rows() == [(1, "a")]
    assert old_file.exists()
    job.restart().source.checkpointed(job.positions)
    assert list(tmp_path.iterdir()) == []
    job.source.checkpointed(job.positions)
    (tmp_path / "b").write_text("2,b\n")
    old(tmp_path / "b")
    assert job.rows() == [(2, "b")]
    assert str(tmp_path / "a") not in json.dumps(job.positions)


def test_a_file_that_changed_after_it_was_read_is_not_deleted(tmp_path):
    job = Job(tmp_path, post_sync_action="delete")
    (tmp_path / "a").write_text("1,a\n")
    old(tmp_path / "a")
    job.rows()
    (tmp_path / "a").write_text("2,b\n")
    job.source.checkpointed(job.positions)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    old(tmp_path / "a", 30)
    assert job.rows() == [(2, "b")]


def test_files_move_to_a_backup_that_is_cleaned_by_age(tmp_path):
    folder, backup = tmp_path / "in", tmp_path / "backup"
    (folder / "below").mkdir(parents=True)
    job = Job(folder, post_sync_action="backup", backup_path=str(backup), retention_max_age="1D")
    (folder / "below" / "a").write_text("1,a\n")
    old(folder / "below" / "a")
    job.rows()
    stale, other = backup / "b.v4_1700000000000_1700000000000", backup / "mine"
    stale.write_text("")
    other.write_text("")
    job.source.checkpointed(job.positions)
    (kept,) = (backup / "below").iterdir()
    assert kept.read_text() == "1,a\n"
    assert kept.name.startswith("a.v4_")
    assert not stale.exists()
    assert other.exists()
    assert list((folder / "below").iterdir()) == []


def test_files_of_tables_in_another_order_go_where_their_table_says(tmp_path):
    """A restored job deletes nothing that belongs into a backup."""
    tables = []
    for name, action in (("gone", {"post_sync_action": "delete"}), ("kept", {"post_sync_action": "backup"})):
        (tmp_path / name).mkdir()
        old_file = tmp_path / name / "a"
        old_file.write_text("1,a\n")
        old(old_file)
        backup = {"backup_path": str(tmp_path / "backup")} if name == "kept" else {}
        schema = {"table": name, "fields": {"id": "bigint", "name": "string"}}
        common = {"path": str(tmp_path / name), "file_format_type": "csv", "discovery_mode": "continuous"}
        common["scan_interval"] = "1MS"
        tables.append(common | action | backup | {"schema": schema})
    source, positions = make(LocalFileSource, tables_configs=tables), {}
    for split in source.splits(1):
        reading = source.read(split, None, task())
        found = [read.position for read in (next(reading) for _ in range(5)) if read is not None]
        positions |= {split.id: position for position in found[-1:]}  # noqa: B035  one or none
        reading.close()
    make(LocalFileSource, tables_configs=tables[::-1]).checkpointed(through_json(positions))
    assert [path.name[:3] for path in (tmp_path / "backup").iterdir()] == ["a.v"]
    assert [list((tmp_path / name).iterdir()) for name in ("gone", "kept")] == [[], []]


def test_what_cannot_be_deleted_is_told_once_and_tried_again(tmp_path, caplog, monkeypatch):
    job = Job(tmp_path, post_sync_action="delete")
    (tmp_path / "a").write_text("1,a\n")
    old(tmp_path / "a")
    job.rows()
    monkeypatch.setattr(os, "rename", lambda *_: os.stat("/proc/self/nothing"))
    job.source.checkpointed(job.positions)
    job.source.checkpointed(job.positions)
    assert caplog.text.count("cannot move or delete") == 1
    monkeypatch.undo()
    job.source.checkpointed(job.positions)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------- sync_mode


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ({}, ["longer", "new", "older"]),
        ({"update_strategy": "strict"}, ["longer", "new", "newer", "older", "other"]),
        ({"update_strategy": "strict", "compare_mode": "checksum"}, ["longer", "new", "other"]),
    ],
    ids=["distcp", "strict", "checksum"],
)
@pytest.mark.parametrize("mode", ["once", "continuous"])
def test_only_what_the_target_lacks_or_has_otherwise_is_read(tmp_path, options, read, mode):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    target.mkdir()
    texts = {"same": "x", "longer": "x", "older": "x", "newer": "x", "other": "y"}
    for name in [*texts, "new"]:
        (source / name).write_text("x" if name != "longer" else "xx")
        old(source / name, 60)
    for name, text in texts.items():
        (target / name).write_text(text)
        os.utime(
            target / name, ns=(1, (source / name).stat().st_mtime_ns + {"older": -(10**9), "newer": 10**9}.get(name, 0))
        )
    os.utime(target / "other", ns=(1, (source / "other").stat().st_mtime_ns + 10**9))
    binary = {"file_format_type": "binary", "schema": None, "sync_mode": "update", "target_path": str(target)}
    job = Job(source, discovery_mode=mode, **binary, **options)
    if mode == "continuous":
        assert [path for _, path, _ in sorted(job.rows(), key=lambda row: row[1])] == read
    else:
        assert sorted(os.path.basename(split.data["path"]) for split in job.splits) == read


# --------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"scan_interval": "0S"}, "scan_interval must be longer than nothing"),
        ({"scan_interval": "P1M"}, "scan_interval: cannot read 'P1M' as a duration"),
        ({"discovery_mode": "always"}, "'always' is not one of 'once' or 'continuous'"),
        ({"sync_mode": "update"}, "sync_mode = update is for file_format_type = binary"),
        ({"sync_mode": "update"}, "sync_mode = update needs target_path"),
        ({"compare_mode": "checksum"}, "compare_mode = checksum needs update_strategy = strict"),
        ({"update_compare_parallelism": 65}, "less than or equal to 64, not 65"),
        ({"target_hadoop_conf": {"fs.defaultFS": "hdfs://x"}}, "not of 'hdfs://x'"),
        ({"discovery_mode": "once", "post_sync_action": "delete"}, "needs discovery_mode = continuous"),
        ({"post_sync_action": "backup"}, "post_sync_action = backup needs backup_path"),
        ({"backup_path": "/b"}, "backup_path needs post_sync_action = backup"),
        ({"retention_max_age": "1D"}, "retention_max_age needs post_sync_action = backup"),
        ({"post_sync_action": "backup", "backup_path": "/in/b"}, "must not lie in one another"),
        ({"tables_configs": [{}]}, "discovery_mode stands in each of tables_configs"),
    ],
)
def test_wrong_options_are_told_with_the_cure(options, text):
    fixed = {"path": "/in", "file_format_type": "csv", "discovery_mode": "continuous"}
    if "tables_configs" in options:
        options = {"tables_configs": [{"path": "/in", "file_format_type": "csv"}]}
    read = read_options(LocalFileSource.Options, {**fixed, **options})
    assert text in "\n".join(map(str, read.problems))


def test_a_backup_on_another_file_system_is_refused_at_once(tmp_path):
    if os.stat(tmp_path).st_dev == os.stat("/dev/shm").st_dev:
        pytest.skip("there is one file system only")
    backup = f"/dev/shm/{tmp_path.name}-{os.getpid()}"
    try:
        with pytest.raises(Rejected, match="they are on two file systems"):
            list(followed(tmp_path, post_sync_action="backup", backup_path=backup).splits(1))
    finally:
        os.rmdir(backup)
