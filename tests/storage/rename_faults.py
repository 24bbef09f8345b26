"""What must hold of every server whose files are published by renaming: broken lines, kills, full disks, lost files.

A test class inherits it and gives `server` (with `home`, `break_lines`, `stop`, `start`), `storage` and `root`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.errors import Rejected, Unavailable, Undelivered
from headrace.storage.claims import Claim

CLAIM = Claim("a1", 7, 1, 3, 1)

WRITER = """
import json, os, signal, sys
from {module} import storage_at
from tests.storage.rename_faults import CLAIM

arguments, root, at = json.loads(sys.argv[1]), *sys.argv[2:]
storage = storage_at(**arguments)
file = storage.stage(f"{{root}}/f", root, f"{{root}}-tmp", CLAIM)
file.stream.write(b"x" * (9 << 20))
if at == "upload":
    file._sending.result()
    os.kill(os.getpid(), signal.SIGKILL)
item = json.loads(json.dumps(file.finish()))
print(json.dumps(item), flush=True)
if at == "mark":
    storage._make = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
if at != "publish":
    storage.publish(root, CLAIM, "batch", 1, [item])
os.kill(os.getpid(), signal.SIGKILL)
"""


def staged(storage, root, content, name="f", after=0):
    file = storage.stage(f"{root}/{name}", root, f"{root}-tmp", CLAIM, after)
    file.stream.write(content)
    return json.loads(json.dumps(file.finish()))


def visible(storage, root):
    found = storage.files(root, lambda name: not name.startswith(".")) if storage.stat(root) else ()
    return {one.path.removeprefix(f"{root}/") for one in found}


class RenameFaults:
    module: str
    """Where `storage_at(**arguments)` makes the storage in another process."""
    seen_bytes = 8 << 20
    """What the server tells of a file of 9 MiB whose writer was killed, at least."""

    @pytest.fixture
    def arguments(self):
        """What it needs, as JSON has it."""
        raise NotImplementedError

    def killed(self, arguments, root, at):
        command = [sys.executable, "-c", WRITER.format(module=self.module), json.dumps(arguments), root, at]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        return json.loads(ended.stdout) if ended.stdout else None

    def test_what_breaks_while_a_file_is_written_is_tried_again(self, server, storage, root, caplog):
        content = os.urandom(20 << 20)
        file = storage.stage(f"{root}/f", root, f"{root}-tmp", CLAIM)
        place = self.on_disk(server, file._staged)
        file.stream.write(content[: 9 << 20])
        deadline = time.monotonic() + 60
        while not place.stat().st_size:
            assert time.monotonic() < deadline
        server.break_lines()
        file.stream.write(content[9 << 20 :])
        server.break_lines()
        item = file.finish()
        assert visible(storage, root) == set()
        server.break_lines()
        storage.publish(root, CLAIM, "batch", 1, [item])
        assert self.on_disk(server, f"{root}/f").read_bytes() == content
        assert visible(storage, root) == {"f"}

    def test_what_breaks_while_a_file_is_read_is_tried_again(self, server, storage, root):
        content = os.urandom(12 << 20)
        storage.write(f"{root}/f", content)
        with storage.open(f"{root}/f").stream() as stream:
            found = stream.read(100)
            server.break_lines()
            found += stream.read(5 << 20)
            server.break_lines()
            assert found + stream.read() == content

    def test_a_server_that_is_started_again_is_used_again(self, server, storage, root):
        item = staged(storage, root, b"rows")
        server.stop()
        try:
            with pytest.raises(Unavailable, match=r"^cannot .*127\.0\.0\.1"):
                storage.publish(root, CLAIM, "batch", 1, [item])
        finally:
            server.start()
        storage.publish(root, CLAIM, "batch", 1, [item])
        assert visible(storage, root) == {"f"}

    def test_a_file_that_changes_while_it_is_read_is_refused(self, storage, root):
        storage.write(f"{root}/f", b"a" * (6 << 20))
        with storage.open(f"{root}/f").stream() as stream:
            assert stream.read(10) == b"a" * 10
            storage.write(f"{root}/f", b"b" * (6 << 20))
            stream.seek(5 << 20)
            with pytest.raises(Rejected, match="cannot read .*/f: it was changed meanwhile; start the job anew"):
                stream.read()

    def test_what_may_not_be_read_or_written_is_told_with_its_place(self, server, storage, root):
        storage.write(f"{root}/d/f", b"rows")
        storage.write(f"{root}/e/f", b"rows")
        for folder, mode in (("d", 0), ("e", 0o555)):
            self.on_disk(server, f"{root}/{folder}").chmod(mode)
        try:
            for use in (lambda: list(storage.files(root)), lambda: storage.open(f"{root}/d/f", 4).content()):
                with pytest.raises(Rejected, match=rf"cannot (list|read) .*{root}/d"):
                    use()
            for use in (
                lambda: storage.write(f"{root}/e/g", b""),
                lambda: staged(storage, f"{root}/e/new", b""),
                lambda: storage.delete(f"{root}/e/f"),
            ):
                with pytest.raises(Rejected, match=rf"cannot (write|remove) .*{root}/e"):
                    use()
        finally:
            for folder in ("d", "e"):
                self.on_disk(server, f"{root}/{folder}").chmod(0o755)

    def test_a_full_disk_is_told_and_leaves_nothing(self, full, root):
        """full: a storage whose files have room for 4 MiB each."""
        file = full.stage(f"{root}/f", root, f"{root}-tmp", CLAIM)
        file.stream.write(b"x" * (5 << 20))
        with pytest.raises(Unavailable, match=r"cannot write .*see whether its disk is full"):
            file.finish()
        file.drop()
        assert visible(full, root) == set()
        assert list(full.left(full.areas(root, f"{root}-tmp"))) == []

    def test_a_writer_that_is_killed_leaves_nothing_visible_and_its_owner_removes_it(self, storage, root, arguments):
        assert self.killed(arguments, root, "upload") is None
        assert visible(storage, root) == set()
        (left,) = storage.left(storage.areas(root, f"{root}-tmp"))
        assert (left.claim, left.size >= self.seen_bytes) == (CLAIM, True)
        storage.remove(storage.areas(root, f"{root}-tmp"), lambda claim: claim == CLAIM)
        assert list(storage.left(storage.areas(root, f"{root}-tmp"))) == []

    @pytest.mark.parametrize("at", ["publish", "mark", "end"])
    def test_a_publication_is_repeated_wherever_it_was_killed(self, storage, root, arguments, at):
        item = self.killed(arguments, root, at)
        for _ in range(2):
            storage.publish(root, CLAIM, "batch", 1, [item])
            assert storage.open(f"{root}/f").content() == b"x" * (9 << 20)
        assert visible(storage, root) == {"f"}

    def test_another_file_of_the_name_does_not_stand_for_the_one_that_is_lost(self, storage, root):
        item = staged(storage, root, b"rows")
        storage.drop([item])
        storage.write(f"{root}/f", b"else")
        with pytest.raises(Undelivered, match=f"staged for .*{root}/f are lost"):
            storage.publish(root, CLAIM, "batch", 1, [item])

    def test_a_file_whose_beginning_is_gone_is_not_gone_on_with(self, storage, root):
        item = staged(storage, root, b" second", after=5)
        with pytest.raises(Undelivered, match="must hold 5 bytes"):
            storage.publish(root, CLAIM, "batch", 1, [item])
        assert visible(storage, root) == set()

    def test_files_are_staged_in_tmp_path_where_they_can_be_renamed_from_there(self, storage, root):
        assert staged(storage, root, b"rows")["staged"].startswith(f"{root}-tmp/.headrace-staging/")
        other = storage.stage(f"{root}/g", root, "/proc/none", CLAIM)
        assert other._staged.startswith(f"{root}/.headrace-staging/")
        other.drop()

    def test_areas_are_found_below_the_fixed_part_of_a_path_with_placeholders(self, storage, root):
        storage.publish(f"{root}/t1", CLAIM, "batch", 1, [staged(storage, f"{root}/t1", b"rows")])
        found = storage.areas(f"{root}/${{table_name}}", f"{root}/none")
        assert found == [f"{root}/t1-tmp/.headrace-staging", f"{root}/t1/.headrace-staging"] or found == [
            f"{root}/t1/.headrace-staging"
        ]

    def on_disk(self, server, path):
        """Where a file of the server lies on this machine."""
        return Path(path)
