"""Files of a server that speaks SFTP (version 3, as OpenSSH does). They are staged beside their target and renamed."""

import base64
import binascii
import hashlib
import os
import posixpath
import socket
import stat as modes
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, TypeVar

from headrace.errors import MissingExtra, Rejected, Unavailable
from headrace.storage.contract import Stat
from headrace.storage.opened import Opened
from headrace.storage.ranged import RangedFile
from headrace.storage.server import FileServer, Lines, ServerStorage, shown

T = TypeVar("T")

_BLOCK = 32 << 10
"""Bytes of one read; servers need not give more."""

_LINES = 8
"""Connections to one server that are used at a time."""

_CONNECT_SECONDS, _ANSWER_SECONDS = 20, 60

_EXTENDED = 200
"""SSH_FXP_EXTENDED, see draft-ietf-secsh-filexfer-02."""


@dataclass(frozen=True)
class SftpPlace:
    """A server, and who logs in there.

    key: the path of a private key. host_key: the server's, as `ssh-ed25519 AAAA…` or `SHA256:…`; empty for those that
    `known_hosts` tells, or the files of this user and machine where that is empty, too. checked: whether it is.
    """

    host: str
    port: int
    user: str
    password: str = field(default="", repr=False)
    key: str = ""
    passphrase: str = field(default="", repr=False)
    host_key: str = ""
    known_hosts: str = ""
    checked: bool = True

    @property
    def url(self) -> str:
        """What messages call the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"sftp://{host}" + ("" if self.port == 22 else f":{self.port}")


class SftpStorage(ServerStorage):
    """See ServerStorage. Versions of files are their times in whole seconds: the protocol has no others."""

    def __init__(self, place: SftpPlace) -> None:
        super().__init__(_server(place))


class _Line(NamedTuple):
    """A connection that has logged in."""

    ssh: Any
    sftp: Any

    def close(self) -> None:
        self.ssh.close()


@cache
def _server(place: SftpPlace) -> "SftpServer":
    return SftpServer(place)


class SftpServer(FileServer):
    """The requests of one server, on connections that each hold one session."""

    def __init__(self, place: SftpPlace) -> None:
        self.place = place
        self._flushes = True
        broken = (EOFError, ConnectionError, TimeoutError, _Broken)
        self._lines = Lines(lambda: _connect(place), _Line.close, broken, _LINES)

    def url(self, path: str) -> str:  # noqa: D102
        return f"{self.place.url}/{path.removeprefix('/')}"

    def _ask(self, verb: str, path: str, ask: Callable[[Any], T]) -> T:
        """What `ask` gives of a session. Raises FileNotFoundError where the server says that."""

        def translated(line: _Line) -> T:
            try:
                return ask(line.sftp)
            except FileNotFoundError:
                raise
            except PermissionError:
                why, cure = "Permission denied", f"let {self.place.user!r} do that, or correct user"
            except UnicodeError:
                why, cure = "it holds a name that is not UTF-8", "rename that"
            except (EOFError, ConnectionError, TimeoutError):
                raise
            except OSError as error:  # of the server, which tells no more than a text; or of the library
                if not line.ssh.get_transport() or not line.ssh.get_transport().is_active():
                    raise _Broken(shown(error)) from error
                why, cure = f"the server says {shown(error)!r}", ""
                if verb == "write":
                    full = f"{told}: {why}; see whether its disk is full, or the quota of {self.place.user!r} used up"
                    raise Unavailable(full) from error
            except _library().SSHException as error:
                raise _Broken(shown(error)) from error
            raise Rejected(f"{told}: {why}" + (f"; {cure}" if cure else ""))

        told = f"cannot {verb} {self.url(path)}"
        return self._lines.ask(told.removeprefix("cannot "), translated)

    def stat(self, path: str) -> Stat | None:  # noqa: D102
        try:
            return _stat(path, self._ask("read", path, lambda sftp: sftp.stat(path)))
        except FileNotFoundError:
            return None

    def entries(self, folder: str, wants: Callable[[str], bool] = lambda path: True) -> list[Stat]:  # noqa: D102
        def ask(sftp: Any) -> list[Stat]:
            found = []
            for one in sftp.listdir_attr(folder):
                path = posixpath.join(folder, one.filename)
                if modes.S_ISLNK(one.st_mode or 0):
                    try:
                        one = sftp.stat(path)
                    except FileNotFoundError:
                        continue  # it leads nowhere
                told = _stat(path, one)
                if told.is_folder or wants(path):
                    found.append(told)
            return found

        try:
            return self._ask("list", folder, ask)
        except FileNotFoundError:
            return []

    def open(self, path: str, size: int | None) -> Opened:  # noqa: D102
        return _SftpFile(self, path, self._there(path).size if size is None else size)

    def _there(self, path: str) -> Stat:
        found = self.stat(path)
        if found is None:
            raise Rejected(f"cannot read {self.url(path)}: there is no such file; correct `path`")
        return found

    def fetch(self, path: str, start: int, end: int, version: str) -> tuple[bytes, str]:
        """A range of a file, and its version. Raises Rejected where the file is gone or has another version."""

        def ask(sftp: Any) -> tuple[bytes, str]:
            with sftp.open(path, "rb") as file:
                found = file.stat()
                now = f"{found.st_size} {found.st_mtime}"
                if version not in ("", now):
                    raise Rejected(f"cannot read {self.url(path)}: it was changed meanwhile; start the job anew")
                blocks = [(place, min(_BLOCK, end - place)) for place in range(start, end, _BLOCK)]
                content = b"".join(file.readv(blocks))
            if len(content) != end - start:
                raise Rejected(f"cannot read {self.url(path)}: it has no bytes {start} to {end}; start the job anew")
            return content, now

        try:
            return self._ask("read", path, ask)
        except FileNotFoundError:
            raise Rejected(f"cannot read {self.url(path)}: it is gone; start the job anew") from None

    def put(self, path: str, start: int, content: bytes) -> bool:  # noqa: D102
        def ask(sftp: Any) -> None:
            with sftp.open(path, "r+b" if start else "wb") as file:
                file.set_pipelined(True)
                file.seek(start)
                file.write(content)
                file.set_pipelined(False)  # the answers are waited for; what they refuse is missing in the size
                size = file.stat().st_size
            if size < start + len(content):
                raise OSError(f"{size} of {start + len(content)} bytes were kept")

        try:
            self._ask("write", path, ask)
        except FileNotFoundError:
            return False
        return True

    def flush(self, path: str) -> None:
        """By OpenSSH's own request, where the server knows it."""

        def ask(sftp: Any) -> None:
            with sftp.open(path, "r+b") as file:
                try:
                    sftp._request(_EXTENDED, "fsync@openssh.com", file.handle)
                except (PermissionError, FileNotFoundError):
                    raise
                except OSError as error:
                    if "unsupported" not in str(error).lower():
                        raise
                    self._flushes = False

        if self._flushes:
            self._ask("write", path, ask)

    def rename(self, path: str, new: str) -> bool:  # noqa: D102
        try:
            self._ask("rename", path, lambda sftp: sftp.posix_rename(path, new))
        except FileNotFoundError:
            return False
        return True

    def unlink(self, path: str) -> bool:  # noqa: D102
        try:
            self._ask("remove", path, lambda sftp: sftp.remove(path))
        except FileNotFoundError:
            return True
        except Rejected:
            found = self.stat(path)
            if found is None or not found.is_folder:
                raise
            return False
        return True

    def make_folder(self, path: str) -> None:  # noqa: D102
        def ask(sftp: Any) -> None:
            missing: list[str] = []
            while (one := _nth_above(path, len(missing))) not in ("", "/") and not _is_there(sftp, one):
                missing.append(one)
            for one in reversed(missing):
                try:
                    sftp.mkdir(one)
                except PermissionError:
                    raise
                except OSError as error:
                    if _is_there(sftp, one):
                        continue  # somebody was faster
                    if isinstance(error, FileNotFoundError) and not _is_there(sftp, posixpath.dirname(one) or "."):
                        ask(sftp)  # somebody has removed the folder above, which was empty
                        return
                    raise Rejected(f"cannot write {self.url(path)}: {self.url(one)} cannot be made a folder") from error

        self._ask("write", path, ask)

    def remove_folder(self, path: str) -> None:  # noqa: D102
        def ask(sftp: Any) -> None:
            try:
                sftp.rmdir(path)
            except PermissionError:
                raise
            except OSError as error:
                if isinstance(error, ConnectionError | TimeoutError) or not sftp.listdir(path):
                    raise

        try:
            self._ask("remove", path, ask)
        except FileNotFoundError:
            return

    def set_modified(self, path: str, seconds: int) -> None:  # noqa: D102
        self._ask("write", path, lambda sftp: sftp.utime(path, (seconds, seconds)))


class _SftpFile(RangedFile):
    """A file, of which all ranges are of one version."""

    def __init__(self, server: SftpServer, path: str, size: int) -> None:
        super().__init__(server.url(path), size, self._range)
        self._server, self._path, self._version = server, path, ""

    def _range(self, start: int, end: int) -> bytes:
        content, self._version = self._server.fetch(self._path, start, end, self._version)
        return content


class _Broken(Exception):
    """The connection has."""


def _is_there(sftp: Any, folder: str) -> bool:
    try:
        return modes.S_ISDIR(sftp.stat(folder).st_mode or 0)
    except FileNotFoundError:
        return False


def _nth_above(path: str, number: int) -> str:
    for _ in range(number):
        path = posixpath.dirname(path)
    return path


def _stat(path: str, found: Any) -> Stat:
    modified = (found.st_mtime or 0) * 1_000_000_000
    folder = modes.S_ISDIR(found.st_mode or 0)
    return Stat(path, found.st_size or 0, modified, str(found.st_mtime), folder, created=modified)


# ---------------------------------------------------------------------------------------------------------- logging in


def _connect(place: SftpPlace) -> _Line:
    library, told = _library(), f"cannot log in to {place.url}"
    client = library.SSHClient()
    client.set_missing_host_key_policy(_Policy(place))
    _load_known(client, place)
    try:
        client.connect(
            place.host,
            place.port,
            place.user,
            place.password or None,
            key_filename=place.key or None,
            passphrase=place.passphrase or None,
            allow_agent=False,
            look_for_keys=False,
            timeout=_CONNECT_SECONDS,
            banner_timeout=_CONNECT_SECONDS,
            auth_timeout=_CONNECT_SECONDS,
        )
        sftp = client.open_sftp()
        sftp.get_channel().settimeout(_ANSWER_SECONDS)
    except BaseException as error:
        client.close()
        if not isinstance(error, Exception):
            raise
        raise _refused(place, told, error) from error
    return _Line(client, sftp)


def _refused(place: SftpPlace, told: str, error: Exception) -> Exception:
    """What it means that nobody can log in."""
    library = _library()
    if isinstance(error, Rejected):
        return error
    if isinstance(error, library.PasswordRequiredException):
        return Rejected(f"{told}: the key {place.key} is locked; set private_key_passphrase")
    if isinstance(error, library.BadHostKeyException):
        return Rejected(
            f"{told}: its key is {_told(error.key)}, and known_hosts has {_told(error.expected_key)} for it. Somebody "
            "may have taken its place: ask who runs it; where the new key is right, put it into known_hosts"
        )
    is_cut = any(word in str(error) for word in ("saw EOF", "timeout"))  # paramiko says that of no answer, too
    if isinstance(error, library.AuthenticationException) and not is_cut:
        given = " and ".join(
            name for name, value in (("password", place.password), ("private_key_path", place.key)) if value
        )
        return Rejected(f"{told}: it does not let {place.user!r} in; correct user or {given or 'give a password'}")
    if isinstance(error, socket.gaierror):
        return Rejected(f"{told}: there is no such host; correct host")
    if isinstance(error, PermissionError):
        return Rejected(f"{told}: {error}")
    if isinstance(error, FileNotFoundError):
        return Rejected(f"{told}: there is no key {place.key}; correct private_key_path")
    if isinstance(error, ValueError) or (isinstance(error, library.SSHException) and "key" in str(error).lower()):
        return Rejected(f"{told}: {shown(error)}; see private_key_path and private_key_passphrase")
    return Unavailable(f"{told}: {shown(error)}; see whether host and port are right")


def _load_known(client: Any, place: SftpPlace) -> None:
    """The keys of servers that are trusted."""
    if not place.checked or place.host_key:
        return
    own = os.path.expanduser("~/.ssh/known_hosts")
    for file in [place.known_hosts] if place.known_hosts else [own, "/etc/ssh/ssh_known_hosts"]:
        try:
            client.load_system_host_keys(file)
        except FileNotFoundError:
            if place.known_hosts:
                raise Rejected(f"there is no file {file}; correct known_hosts") from None
        except OSError as error:
            raise Rejected(f"cannot read {file}: {error.strerror}; correct known_hosts") from error


class _Policy:
    """Called by paramiko with a key that the files do not have."""

    def __init__(self, place: SftpPlace) -> None:
        self._place = place

    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
        place, line = self._place, f"{key.get_name()} {key.get_base64()}"
        if not place.checked or (place.host_key and is_key(place.host_key, line)):
            return
        known = "is not the one of host_key" if place.host_key else f"is in no file of known hosts ({hostname})"
        raise Rejected(
            f"cannot log in to {place.url}: its key {known}: {_told(key)}. Compare that with what who runs it "
            f"tells you; where it is right, set host_key = {fingerprint(line)!r}"
        )


def is_key(given: str, line: str) -> bool:
    """Whether a key, as `ssh-ed25519 AAAA… comment` or `SHA256:…`, is the one of the line."""
    parts = given.split()
    return fingerprint(line) == given.strip().rstrip("=") if len(parts) == 1 else parts[:2] == line.split()


def check_host_key(given: str) -> None:
    """Raises ValueError for what is no host key."""
    try:
        right = bool(fingerprint(given)) if len(given.split()) > 1 else given.strip().startswith("SHA256:")
    except binascii.Error:
        right = False
    if not right:
        raise ValueError(f"host_key {given!r} is not a key, such as 'ssh-ed25519 AAAA…' or 'SHA256:…'")


def fingerprint(line: str) -> str:
    """What people compare of a key. Raises binascii.Error for what is none."""
    digest = hashlib.sha256(base64.b64decode(line.split()[1], validate=True)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _told(key: Any) -> str:
    return f"{key.get_name()} {fingerprint(f'{key.get_name()} {key.get_base64()}')}"


def _library() -> Any:
    try:
        import paramiko
    except ImportError as error:
        msg = "needs the Python package 'paramiko': pip install 'headrace[sftp]'"
        raise MissingExtra(msg) from error
    return paramiko
