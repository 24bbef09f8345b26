import os
import subprocess
import sys

import pytest

from headrace.errors import Rejected, Undelivered
from headrace.storage.claims import Claim
from headrace.storage.local import STAGING, FileLock, LocalStorage, write_whole
from headrace.testing import StorageContract

CLAIM = Claim("a1", 7, 1, 3, 1)


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self):
        return LocalStorage()

    @pytest.fixture
    def root(self, tmp_path):
        return str(tmp_path / "target")


def staged(storage, root, temporary, content=b"rows", after=0):
    file = storage.stage(f"{root}/f", root, temporary, CLAIM, after)
    file.stream.write(content)
    return file.finish()


def test_a_file_that_was_shown_before_its_mark_was_made_is_not_lost(tmp_path):
    storage, root = LocalStorage(), str(tmp_path / "target")
    item = staged(storage, root, str(tmp_path / "temporary"))
    os.replace(item["staged"], f"{root}/f")
    storage.publish(root, CLAIM, "batch", 1, [item])
    assert (tmp_path / "target" / "f").read_bytes() == b"rows"


def test_another_file_of_the_name_does_not_stand_for_the_one_that_is_lost(tmp_path):
    storage, root = LocalStorage(), str(tmp_path / "target")
    item = staged(storage, root, str(tmp_path / "temporary"))
    os.unlink(item["staged"])
    (tmp_path / "target" / "f").write_bytes(b"else")
    with pytest.raises(Undelivered, match="is gone, and was not published"):
        storage.publish(root, CLAIM, "batch", 1, [item])


def test_a_file_whose_beginning_is_gone_is_not_gone_on_with(tmp_path):
    storage, root = LocalStorage(), str(tmp_path / "target")
    item = staged(storage, root, str(tmp_path / "temporary"), b" second", after=5)
    with pytest.raises(Undelivered, match="must hold 5 bytes"):
        storage.publish(root, CLAIM, "batch", 1, [item])
    assert not (tmp_path / "target" / "f").exists()


def test_staging_is_on_the_file_system_of_the_target(tmp_path):
    storage, root = LocalStorage(), str(tmp_path / "target")
    assert staged(storage, root, str(tmp_path / "tmp"))["staged"].startswith(str(tmp_path / "tmp" / STAGING))
    other = next((place for place in ("/dev/shm", "/tmp") if on_another_device(place, tmp_path)), None)
    if other is None:
        pytest.skip("there is one file system only")
    assert staged(storage, root, other)["staged"].startswith(os.path.join(root, STAGING))


def on_another_device(place, folder):
    return os.access(place, os.W_OK) and os.stat(place).st_dev != os.stat(folder).st_dev


def test_a_target_may_be_named_by_way_of_a_directory_that_is_not_there_yet(tmp_path):
    storage, root = LocalStorage(), str(tmp_path / "gone" / ".." / "target")
    item = staged(storage, root, str(tmp_path / "tmp"))
    storage.publish(root, CLAIM, "batch", 1, [item])
    assert (tmp_path / "target" / "f").exists()


def test_areas_are_found_below_the_fixed_part_of_a_path_with_placeholders(tmp_path):
    storage, root = LocalStorage(), str(tmp_path / "out" / "t1")
    storage.publish(root, CLAIM, "batch", 1, [staged(storage, root, str(tmp_path / "tmp"))])
    assert storage.areas(f"{tmp_path}/out/${{table_name}}", str(tmp_path / "none")) == [f"{root}/{STAGING}"]


def test_a_file_that_cannot_be_read_is_refused_with_its_cure(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "d").mkdir(mode=0)
    with pytest.raises(Rejected, match="check its permissions"):
        LocalStorage().stat(str(tmp_path / "d" / "f"))


# ------------------------------------------------------------------------------------------- whole files, and locks


def test_a_whole_file_keeps_its_mode_or_has_the_one_given(tmp_path):
    file = tmp_path / "new" / "f"
    write_whole(file, b"1")
    file.chmod(0o640)
    write_whole(file, b"2")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"2", 0o640)
    write_whole(file, b"3", 0o600)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_whole_is_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "f"
    write_whole(file, b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headrace.storage.local.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


def test_a_lock_is_held_by_one_process_until_it_ends(tmp_path):
    code = (
        "import sys; from headrace.storage.local import FileLock; lock = FileLock(sys.argv[1]);"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert FileLock.is_held(tmp_path / "lock")
        with pytest.raises(BlockingIOError):
            FileLock(tmp_path / "lock")
        holder.kill()
        holder.wait()
    assert not FileLock.is_held(tmp_path / "lock")
    lock = FileLock(tmp_path / "lock")
    lock.close(remove=True)
    assert not (tmp_path / "lock").exists()
