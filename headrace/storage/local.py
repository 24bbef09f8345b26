"""Files of this machine, and of file systems that it mounts. The only place that knows inodes, locks and flushing."""

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import stat as modes
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from headrace.errors import Rejected, Unavailable, Undelivered
from headrace.storage.claims import Claim
from headrace.storage.contract import Left, Staged, StagedFile, Stat, Storage
from headrace.storage.opened import Opened

STAGING = ".headrace-staging"
"""The directory of staged files and marks, within a target and within tmp_path."""

_MARK = ".published"

_CHANGING_INODES = ("fuse", "cifs", "smb", "9p", "vboxsf", "vmhgfs")
"""File systems that may number the same files anew."""

_BORN = 0x800
"""STATX_BTIME, see statx(2)."""


class LocalFile(Opened):
    """A file of this machine, read by the system's own calls; Arrow reads it without Python in between."""

    def __init__(self, path: str, name: str = "", size: int | None = None) -> None:
        """name: where it is not the path. size: where it is known; what lies behind it is still read."""
        self.path, self.name = path, name or path
        self.size = os.stat(path).st_size if size is None else size

    @classmethod
    def of_descriptor(cls, descriptor: int, name: str, size: int | None = None) -> "LocalFile":
        """A file that is open, whatever became of its name."""
        return cls(f"/proc/self/fd/{descriptor}", name, size)

    def stream(self) -> BinaryIO:  # noqa: D102
        return open(self.path, "rb", buffering=0)

    def arrow(self, *, mapped: bool = False) -> pa.NativeFile:  # noqa: D102
        return pa.memory_map(self.path) if mapped else pa.OSFile(self.path)


# ---------------------------------------------------------------------------------------------------- whole, or locked


def write_whole(path: str | Path, content: bytes, mode: int | None = None, *, durable: bool = True) -> None:
    """Write a file whole or not at all, over one that is there. Raises OSError.

    mode: its permissions; else those of the file that is there, or what the process gives to new files.
    durable: it is there after a power cut once this has returned; else the file before it may be.
    """
    folder = os.path.dirname(path) or "."
    make_durable_folder(folder)
    temporary = os.path.join(folder, f".headrace-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o666 if mode is None else mode), "wb") as out:
            out.write(content)
            out.flush()
            if mode is None:
                with contextlib.suppress(FileNotFoundError):
                    os.fchmod(out.fileno(), modes.S_IMODE(os.stat(path).st_mode))
            if durable:
                os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        sync_folder(folder)


def write_new(path: str | Path, content: bytes, mode: int = 0o600) -> bool:
    """Write a file whole and durably unless there is one: of several processes that do so at once, one wins."""
    temporary = f"{path}.{os.getpid()}-{secrets.token_hex(4)}"
    write_whole(temporary, content, mode)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    sync_folder(os.path.dirname(os.path.abspath(path)))
    return True


def make_durable_folder(folder: str) -> None:
    """Make a directory and those above it, so that they are still there after a power cut. Raises OSError."""
    while not os.path.isdir(folder):
        missing = [folder]
        while not os.path.isdir(above := os.path.dirname(missing[-1]) or "."):
            missing.append(above)
        with contextlib.suppress(FileNotFoundError):  # who removes empty directories was there meanwhile
            for one in reversed(missing):
                try:
                    os.mkdir(one)
                except FileExistsError:
                    if not os.path.isdir(one):
                        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), one) from None
                sync_folder(os.path.dirname(one) or ".")


def sync_folder(folder: str) -> None:
    """Make the names in a directory durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FileLock:
    """Held by one process of this machine at a time, from its making to `close` or to the end of the process.

    Raises BlockingIOError when another one holds it and `wait` is false, OSError when the file cannot be made.
    """

    def __init__(self, path: str | Path, *, wait: bool = False) -> None:
        self._path = str(path)
        os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
        self._handle = self._acquire(wait)
        while not self._is_current():  # its former holder removed the file between our opening and our locking it
            os.close(self._handle)
            self._handle = self._acquire(wait)

    def _acquire(self, wait: bool) -> int:
        handle = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise
        return handle

    def _is_current(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.stat(self._path).st_ino == os.fstat(self._handle).st_ino
        return False

    def close(self, *, remove: bool = False) -> None:
        """Give it back. remove: the file goes, too."""
        if remove:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
        os.close(self._handle)

    @staticmethod
    def is_held(path: str | Path) -> bool:
        """Whether a living process of this machine holds it, or that cannot be found out."""
        try:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False


# ------------------------------------------------------------------------------------------------------- identities


def keeps_inodes(path: str) -> bool:
    """Whether the file system numbers its files for good, as far as its kind tells."""
    real, best, kind = os.path.realpath(path), "", ""
    with contextlib.suppress(OSError), open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            fields, _, after = line.partition(" - ")
            place = fields.split()[4].replace("\\040", " ")
            if len(place) >= len(best) and os.path.commonpath([place, real]) == place:
                best, kind = place, after.split()[0]
    return not kind.startswith(_CHANGING_INODES)


def birth(path: str) -> int:
    """When the file was made, in nanoseconds; 0 where the file system does not know."""
    call, buffer = _statx(), ctypes.create_string_buffer(256)
    if call is None or call(-100, os.fsencode(path), 0, _BORN, buffer) != 0:
        return 0
    (mask,) = struct.unpack_from("<I", buffer, 0)
    seconds, nanoseconds = struct.unpack_from("<qI", buffer, 80)
    return int(seconds * 1_000_000_000 + nanoseconds) if mask & _BORN else 0


@cache
def _statx() -> Callable[..., int] | None:
    """The C library's function; Python has none that tells when a file was made."""
    return getattr(ctypes.CDLL(None), "statx", None)


# --------------------------------------------------------------------------------------------------------- staging


class _LocalStagedFile(StagedFile):
    def __init__(self, path: str, final: str, after: int) -> None:
        self._path, self._final, self._after = path, final, after
        self.stream: BinaryIO = open(path, "xb")

    def finish(self) -> Staged:
        with _translated(self._path, "write"):
            try:
                self.stream.flush()
                os.fsync(self.stream.fileno())
                found = os.fstat(self.stream.fileno())
            finally:
                self.stream.close()
            sync_folder(os.path.dirname(self._path))
        places = {"staged": self._path, "final": self._final}
        return {**places, "size": found.st_size, "modified": found.st_mtime_ns, "after": self._after}

    def opened(self) -> Opened:
        return LocalFile(self._path)

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.close()
        with contextlib.suppress(OSError):
            _unlink(self._path)
            _remove_empty(os.path.dirname(self._path))


class LocalStorage(Storage):
    """Files are staged beside each other in a hidden directory of the target, or of tmp_path where that is on the same
    file system, and published by renaming; marks lie in the target's, so that they last as long as it does."""

    is_of_one_machine = True

    def stat(self, path: str) -> Stat | None:  # noqa: D102
        with _translated(path, "read"):
            return _stat(path)

    def files(  # noqa: D102
        self,
        folder: str,
        enters: Callable[[str], bool] = lambda name: True,
        wants: Callable[[str], bool] = lambda path: True,
    ) -> Iterator[Stat]:
        def refuse(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise Rejected(f"cannot list {error.filename}: {error.strerror}; check its permissions") from error

        for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
            folders[:] = [name for name in folders if enters(name)]
            for name in names:
                path = os.path.join(place, name)
                if wants(path) and (found := _stat(path)) is not None:
                    yield found

    def check_readable(self, path: str) -> None:  # noqa: D102
        may_read = os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)
        if not may_read and os.path.exists(path):
            raise Rejected(f"cannot read {path}: Permission denied; check its permissions")

    def entries(self, folder: str) -> Iterator[Stat]:  # noqa: D102
        with _translated(folder, "list"):
            found = [_stat(os.path.join(folder, name)) for name in _names(folder)]
        yield from (one for one in found if one is not None)

    def open(self, path: str, size: int | None = None) -> Opened:  # noqa: D102
        with _translated(path, "read"):
            return LocalFile(path, size=size)

    def telling(self, path: str) -> AbstractContextManager[None]:  # noqa: D102
        return _translated(path, "write")

    def write(self, path: str, content: bytes) -> None:  # noqa: D102
        with _translated(path, "write"):
            write_whole(path, content)

    def delete(self, path: str) -> None:  # noqa: D102
        with _translated(path, "remove"), contextlib.suppress(FileNotFoundError):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def make_folder(self, path: str) -> None:  # noqa: D102
        with _translated(path, "write"):
            make_durable_folder(path)

    def areas(self, targets: str, temporary: str) -> Sequence[str]:
        """With placeholders in `targets`, all below the part before the first one."""
        begin, filled, _ = targets.partition("${")
        found = {os.path.join(temporary, STAGING)}
        if not filled:
            found.add(os.path.join(targets, STAGING))
        else:
            base = Path(begin if begin.endswith("/") else os.path.dirname(begin) or ".")
            if str(base) != "/" and base.is_dir():
                found |= {str(area) for area in base.glob(f"**/{STAGING}")}
        return sorted(area for area in found if os.path.isdir(area))

    def stage(self, final: str, target: str, temporary: str, claim: Claim, after: int = 0) -> StagedFile:  # noqa: D102
        with _translated(target, "write"):
            make_durable_folder(target)
            if not os.access(target, os.W_OK | os.X_OK, effective_ids=True):  # before rows are written to be moved here
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
            folder = os.path.join(_area(target, temporary), claim.name)
            while True:
                make_durable_folder(folder)
                with contextlib.suppress(FileNotFoundError):  # another task has removed the empty directory meanwhile
                    return _LocalStagedFile(os.path.join(folder, secrets.token_hex(10)), final, after)

    def publish(  # noqa: D102
        self, target: str, claim: Claim, batch: str, checkpoint: int, staged: Sequence[Staged]
    ) -> None:
        mark = os.path.join(target, STAGING, claim.name, f"{checkpoint}-{batch}{_MARK}")
        with _translated(target, "write"):
            if not os.path.exists(mark):
                for item in staged:
                    self._show(item)
                for folder in {os.path.dirname(item["final"]) for item in staged}:
                    sync_folder(folder)
                self._mark(mark)
        for item in staged:
            _unlink(item["staged"])

    def _show(self, item: Mapping[str, Any]) -> None:
        """Make one file visible, unless it is."""
        staged, final, after = item["staged"], item["final"], item["after"]
        if not os.path.exists(staged):
            found = _stat(final)
            if found is None or not _is_shown(item, found):
                raise Undelivered(
                    f"the rows that a checkpoint holds as staged for {final} are lost: {staged} is gone, and was not "
                    "published. Who removed it must put it back; else start the job anew under a new job id"
                )
            return
        make_durable_folder(os.path.dirname(final) or ".")
        if after:
            _splice(staged, final, after)
        else:
            os.replace(staged, final)

    def _mark(self, mark: str) -> None:
        os.makedirs(os.path.dirname(mark), exist_ok=True)
        with open(mark, "wb"):
            pass
        sync_folder(os.path.dirname(mark))

    def drop(self, staged: Sequence[Staged]) -> None:  # noqa: D102
        for item in staged:
            with contextlib.suppress(OSError):
                _unlink(item["staged"])
                _remove_empty(os.path.dirname(item["staged"]))

    def forget(self, areas: Iterable[str], claim: Claim, before: tuple[int, int]) -> None:  # noqa: D102
        for folder, owner in _claimed(areas):
            if owner.is_of_job(claim) and owner.pipeline == claim.pipeline and owner.epoch <= before[0]:
                old = [name for name in _names(folder) if name.endswith(_MARK) and _mark_of(owner, name) < before]
                for name in old:
                    _unlink(os.path.join(folder, name))
                if owner.epoch < claim.epoch:
                    _remove_empty(folder)

    def remove(  # noqa: D102
        self, areas: Iterable[str], gone: Callable[[Claim], bool], *, marks: bool = True
    ) -> None:
        for folder, owner in _claimed(areas):
            if gone(owner):
                for name in _names(folder):
                    if marks or not name.endswith(_MARK):
                        _unlink(os.path.join(folder, name))
                _remove_empty(folder)

    def left(self, areas: Iterable[str]) -> Iterator[Left]:  # noqa: D102
        for folder, owner in _claimed(areas):
            found = [s for name in _names(folder) if (s := _stat(os.path.join(folder, name))) is not None]
            with contextlib.suppress(FileNotFoundError):
                newest = max([os.stat(folder).st_mtime_ns, *(one.modified for one in found)])
                yield Left(owner, folder, newest / 1e9, sum(one.size for one in found), len(found))


class _Place(NamedTuple):
    folder: str
    owner: Claim


def _claimed(areas: Iterable[str]) -> Iterator[_Place]:
    """The directories of claims in these areas."""
    for area in areas:
        for name in _names(area):
            if (claim := Claim.read(name)) is not None:
                yield _Place(os.path.join(area, name), claim)


def _mark_of(owner: Claim, name: str) -> tuple[int, int]:
    return owner.epoch, int(name.partition("-")[0])


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _remove_empty(folder: str) -> None:
    """Remove a claim's directory and the area around it, as far as they are empty."""
    with contextlib.suppress(OSError):
        os.rmdir(folder)
        os.rmdir(os.path.dirname(folder))


def _stat(path: str) -> Stat | None:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat_of(path, found)


def stat_of(path: str, found: os.stat_result) -> Stat:
    """What the system tells of a file, as every storage tells it."""
    created = int(getattr(found, "st_birthtime", found.st_mtime) * 1_000_000_000)
    kept = f"{found.st_dev} {found.st_ino}"
    folder = modes.S_ISDIR(found.st_mode)
    version = str(found.st_mtime_ns)
    return Stat(path, found.st_size, found.st_mtime_ns, version, folder, kept, created, found.st_ctime_ns)


def open_stat(path: str, descriptor: int) -> Stat:
    """The same of a file that is open, whatever became of its name."""
    return stat_of(path, os.fstat(descriptor))


def device_of(stat: Stat) -> str:
    """Which file system a file is on."""
    return stat.kept.partition(" ")[0]


def inode_of(stat: Stat) -> int:
    """Its number there, which another file may have once this one is gone."""
    return int(stat.kept.partition(" ")[2])


def lasting_name(stat: Stat) -> str:
    """The inode and the time it was made, for inodes are used again."""
    return f"{inode_of(stat)} {birth(stat.path)}"


def _is_shown(item: Mapping[str, Any], found: Stat) -> bool:
    """Whether a file is the one that was staged, renamed, or goes on with it to its end."""
    if item["after"]:
        return found.size == item["after"] + item["size"]
    return "modified" not in item or (found.size, found.modified) == (item["size"], item["modified"])


def _splice(staged: str, final: str, after: int) -> None:
    """Put staged bytes behind the first ones of the target, whatever stood there; repeating it changes nothing."""
    if not os.path.exists(final) or os.path.getsize(final) < after:
        raise Undelivered(
            f"{final} must hold {after} bytes of the checkpoints before, and does not; put it back, or start the job "
            "anew under a new job id"
        )
    with open(staged, "rb") as source, open(final, "r+b") as target:
        target.truncate(after)
        target.seek(after)
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())


def _area(target: str, temporary: str) -> str:
    """Where files for a target are staged: on its file system, so that a rename publishes them at once."""
    try:
        os.makedirs(temporary, exist_ok=True)
        same = os.stat(temporary).st_dev == os.stat(target).st_dev
    except OSError:
        same = False
    return os.path.join(temporary if same else target, STAGING)


@contextlib.contextmanager
def _translated(path: str, verb: str) -> Iterator[None]:
    """Errors of the file system as errors that say what to do."""
    try:
        yield
    except PermissionError as error:
        cure = "check its owner and mode" if verb == "write" else "check its permissions"
        where = error.filename2 or error.filename or path  # of a renaming, the new name
        raise Rejected(f"cannot {verb} {where}: Permission denied; {cure}") from error
    except OSError as error:
        free = ""
        if verb == "write":
            with contextlib.suppress(OSError):
                near = path if os.path.exists(path) else os.path.dirname(path)
                free = f"; {shutil.disk_usage(near).free >> 20} MiB are free there"
        raise Unavailable(f"cannot {verb} {error.filename or path}: {error.strerror or error}{free}") from error
