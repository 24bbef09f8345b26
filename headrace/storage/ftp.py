"""Files of a server that speaks FTP (RFC 959, 3659), plain or over TLS (RFC 4217), staged and renamed there."""

import calendar
import contextlib
import ftplib
import io
import logging
import posixpath
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, BinaryIO, ClassVar, Literal, TypeVar, cast

from headrace.errors import Rejected, Unavailable
from headrace.storage.contract import Stat
from headrace.storage.opened import Opened
from headrace.storage.server import ATTEMPTS, FileServer, Lines, ServerStorage, shown

LOG = logging.getLogger("headrace.plugin")

T = TypeVar("T")

_LINES = 8
"""Connections to one server that are used at a time, beside those of files that are being read."""

_SECONDS, _ABORT_SECONDS = 60, 10

_SKIPPED = 1 << 20
"""Bytes that are read and dropped rather than asking for a place anew."""

_UNIX = re.compile(r"([-dlbcps])[-rwxsStTlL]{9}[.+@]?\s+\d+\s+.*?(\d+)\s+\w{3}\s+\d{1,2}\s+(?:\d{4}|\d{1,2}:\d\d) (.*)")
"""A line of `ls -l`: kind, size, name."""

_DOS = re.compile(r"\d\d-\d\d-(?:\d\d){1,2}\s+\d\d:\d\d(?:[AP]M)?\s+(<DIR>|\d+)\s(?:\s*)(.*)")


@dataclass(frozen=True)
class FtpPlace:
    """A server, and who logs in there.

    passive: whether the server opens the ports of transfers, and not this machine. verified: whether transfers are with
    the host of the connection alone. tls: `explicit` begins it on a plain connection, `implicit` has it from the first
    byte. trusted: the path of certificates that are trusted; empty for those of the system.
    """

    host: str
    port: int
    user: str
    password: str = field(default="", repr=False)
    passive: bool = True
    verified: bool = True
    tls: Literal["none", "explicit", "implicit"] = "none"
    trusted: str = ""

    @property
    def url(self) -> str:
        """What messages call the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ftp{'' if self.tls == 'none' else 's'}://{host}" + ("" if self.port == 21 else f":{self.port}")


class FtpStorage(ServerStorage):
    """See ServerStorage. Versions of files are their times in whole seconds, as most servers tell them."""

    lacks: ClassVar = (
        "an FTP server need not keep what it has taken over a power cut of its own, and one that does not rename a "
        "file over another is told to remove that first",
    )

    def __init__(self, place: FtpPlace) -> None:
        super().__init__(_server(place))


@cache
def _server(place: FtpPlace) -> "FtpServer":
    return FtpServer(place)


class _Broken(Exception):
    """The connection has, or the server does not want it any more."""


_BROKEN = (EOFError, ConnectionError, TimeoutError, _Broken)


class FtpServer(FileServer):
    """The requests of one server."""

    def __init__(self, place: FtpPlace) -> None:
        self.place = place
        self.lines = Lines(lambda: _connect(place), _Line.close, _BROKEN, _LINES)

    def url(self, path: str) -> str:  # noqa: D102
        return f"{self.place.url}/{path.removeprefix('/')}"

    def _ask(self, verb: str, path: str, ask: "Callable[[_Line], T]") -> T:
        """What `ask` gives on a connection. Raises FileNotFoundError where that does."""
        told = f"{verb} {self.url(path)}"
        return self.lines.ask(told, lambda line: self.telling(told, lambda: ask(line)))

    def telling(self, told: str, ask: Callable[[], T]) -> T:
        """What `ask` gives; what it raises of the protocol as an error of the contract, or as one of _BROKEN."""
        try:
            return ask()
        except FileNotFoundError:
            raise
        except ftplib.error_temp as error:
            if str(error)[:3] in ("421", "425", "426"):
                raise _Broken(str(error)) from error
            raise Unavailable(f"cannot {told}: the server says {str(error)!r}") from error
        except ftplib.error_perm as error:
            cure = f"let {self.place.user!r} do that, or correct user"
            raise Rejected(f"cannot {told}: the server says {str(error)!r}; {cure}") from error
        except UnicodeError as error:
            raise Rejected(f"cannot {told}: it holds a name that is not UTF-8; rename that") from error
        except ValueError as error:
            raise Rejected(f"cannot {told}: its name has a line end; rename it") from error
        except (OSError, ftplib.Error, EOFError) as error:
            raise _Broken(shown(error)) from error

    def stat(self, path: str) -> Stat | None:  # noqa: D102
        return self._ask("read", path, lambda line: line.stat(path))

    def entries(self, folder: str, wants: Callable[[str], bool] = lambda path: True) -> list[Stat]:  # noqa: D102
        return self._ask("list", folder, lambda line: line.entries(folder, wants))

    def open(self, path: str, size: int | None) -> Opened:  # noqa: D102
        if size is None:
            found = self.stat(path)
            if found is None or found.is_folder:
                raise Rejected(f"cannot read {self.url(path)}: there is no such file; correct `path`")
            size = found.size
        return _FtpFile(self, path, size)

    def put(self, path: str, start: int, content: bytes) -> bool:  # noqa: D102
        def ask(line: "_Line") -> None:
            there = line.size(path) if start else 0
            if there is None or there < start:
                raise FileNotFoundError
            try:
                line.store(path, start, content)
            except ftplib.error_temp as error:
                if str(error).startswith("421"):
                    raise
                raise full(str(error)) from error
            except ftplib.error_perm as error:
                if str(error).startswith("552"):  # storage allocation exceeded
                    raise full(str(error)) from error
                if line.is_folder(posixpath.dirname(path)):
                    raise
                raise FileNotFoundError from error
            size = line.size(path) or 0
            if size < start + len(content):
                raise full(f"{size} of {start + len(content)} bytes were kept")

        def full(why: str) -> Unavailable:
            text = (
                f"cannot write {self.url(path)}: the server says {why!r}; see whether its disk is full, or the quota of"
            )
            return Unavailable(f"{text} {self.place.user!r} used up")

        try:
            self._ask("write", path, ask)
        except FileNotFoundError:
            return False
        return True

    def rename(self, path: str, new: str) -> bool:  # noqa: D102
        def ask(line: "_Line") -> bool:
            try:
                line.rename(path, new)
            except ftplib.error_perm:
                if line.size(path) is None:
                    return False
                if line.size(new) is None:
                    raise
                line.delete(new)  # it does not rename over a file
                line.rename(path, new)
            return True

        return self._ask("rename", path, ask)

    def unlink(self, path: str) -> bool:  # noqa: D102
        def ask(line: "_Line") -> bool:
            try:
                line.delete(path)
            except ftplib.error_perm:
                if line.is_folder(path):
                    return False
                if line.size(path) is not None:
                    raise
            return True

        return self._ask("remove", path, ask)

    def make_folder(self, path: str) -> None:  # noqa: D102
        def ask(line: "_Line") -> None:
            missing, one = list[str](), path
            while one not in ("", "/") and not line.is_folder(one):
                missing.append(one)
                one = posixpath.dirname(one)
            for one in reversed(missing):
                try:
                    line.mkd(line.absolute(one))
                except ftplib.error_perm:
                    if line.is_folder(one):
                        continue  # somebody was faster
                    if not line.is_folder(posixpath.dirname(one)):
                        ask(line)  # somebody has removed the folder above, which was empty
                        return
                    raise

        self._ask("write", path, ask)

    def remove_folder(self, path: str) -> None:  # noqa: D102
        def ask(line: "_Line") -> None:
            try:
                line.rmd(line.absolute(path))
            except ftplib.error_perm:
                if line.is_folder(path) and not line.entries(path, lambda path: True):
                    raise

        self._ask("remove", path, ask)

    def set_modified(self, path: str, seconds: int) -> None:  # noqa: D102
        moment = time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds))

        def ask(line: "_Line") -> None:
            with contextlib.suppress(ftplib.error_perm):
                line.sendcmd(f"{'MFMT' if 'MFMT' in line.features else 'MDTM'} {moment} {line.absolute(path)}")

        self._ask("write", path, ask)


# ---------------------------------------------------------------------------------------------------------- connections


class _Line(ftplib.FTP_TLS):
    """A connection that has logged in. Methods raise what ftplib does."""

    def __init__(self, place: FtpPlace) -> None:
        context = ssl.create_default_context(cafile=place.trusted or None) if place.tls != "none" else None
        super().__init__(timeout=_SECONDS, context=context, encoding="utf-8")
        self._place, self.features, self._home = place, set[str](), "/"
        self.trust_server_pasv_ipv4_address = not place.verified

    def begin(self) -> "_Line":
        """Connect and log in."""
        place = self._place
        self.connect(place.host, place.port, _SECONDS)
        if place.tls == "none":
            ftplib.FTP.login(self, place.user, place.password)
        else:
            self.login(place.user, place.password, secure=place.tls == "explicit")
            self.prot_p()
        self.set_pasv(place.passive)
        self.voidcmd("TYPE I")
        with contextlib.suppress(ftplib.error_perm):
            self.features = {
                line.split()[0].upper() for line in self.sendcmd("FEAT").splitlines()[1:-1] if line.strip()
            }
        self._home = self.pwd()
        return self

    def connect(self, *arguments: Any, **named: Any) -> str:
        """With TLS from the first byte, where it is implicit."""
        if self._place.tls != "implicit":
            return super().connect(*arguments, **named)
        self.host, self.port = self._place.host, self._place.port
        plain = socket.create_connection((self.host, self.port), _SECONDS)
        self.af = plain.family
        self.sock = self.context.wrap_socket(plain, server_hostname=self.host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def makeport(self) -> socket.socket:
        """A socket for the server to connect to; ftplib leaves it open where the server does not take it."""
        listening = socket.create_server(("", 0), family=self.af, backlog=1)
        try:
            assert self.sock is not None, "it is connected"
            host, port = self.sock.getsockname()[0], listening.getsockname()[1]
            self.sendport(host, port) if self.af == socket.AF_INET else self.sendeprt(host, port)
            listening.settimeout(_SECONDS)
        except BaseException:
            listening.close()
            raise
        return listening

    def ntransfercmd(self, cmd: str, rest: Any = None) -> tuple[socket.socket, int | None]:
        """With the host of the connection, in its TLS session, as servers ask for against theft of transfers."""
        found, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        try:
            assert self.sock is not None, "it is connected"
            if self._place.verified and found.getpeername()[0] != self.sock.getpeername()[0]:
                raise ConnectionError(f"a transfer came from {found.getpeername()[0]}; see remote_verification_enabled")
            if isinstance(self.sock, ssl.SSLSocket):
                found = self.context.wrap_socket(found, server_hostname=self.host, session=self.sock.session)
        except BaseException:
            found.close()
            raise
        return found, size

    def absolute(self, path: str) -> str:
        """A path that begins at the top."""
        return posixpath.join(self._home, path)

    def size(self, path: str) -> int | None:
        """Bytes of a file; None where there is none."""
        try:
            return super().size(self.absolute(path))
        except ftplib.error_perm:
            return None

    def is_folder(self, path: str) -> bool:
        """Whether there is one that may be entered."""
        try:
            self.cwd(self.absolute(path))
        except ftplib.error_perm:
            return False
        return True

    def rename(self, fromname: str, toname: str) -> str:
        """See ftplib."""
        return super().rename(self.absolute(fromname), self.absolute(toname))

    def delete(self, filename: str) -> str:
        """See ftplib."""
        return super().delete(self.absolute(filename))

    def modified(self, path: str) -> int:
        """When a file was changed, in seconds since 1970; 0 where the server does not tell."""
        try:
            return _seconds(self.sendcmd(f"MDTM {self.absolute(path)}")[4:])
        except ftplib.error_perm:
            return 0

    def stat(self, path: str) -> Stat | None:
        size = self.size(path)
        if size is None:
            return Stat(path, 0, 0, "", is_folder=True) if self.is_folder(path) else None
        return _stat(path, size, self.modified(path))

    def version(self, path: str) -> tuple[int | None, int]:
        """What changes with a file."""
        return self.size(path), self.modified(path)

    def entries(self, folder: str, wants: Callable[[str], bool]) -> list[Stat]:
        """What lies in a folder, by the listing that is made for machines where the server has it."""
        if not self.is_folder(folder):
            self._check_gone(folder)
            return []
        if "MLST" in self.features:
            return [one for one in self._told(folder) if one.is_folder or wants(one.path)]
        lines = self._listing("LIST -a")
        if not lines:  # a server that takes -a for the name of a file
            lines = self._listing("LIST")
        found = [one for line in lines if (one := self._read(folder, line)) is not None]
        return [
            one if one.is_folder else _stat(one.path, one.size, self.modified(one.path))
            for one in found
            if one.is_folder or wants(one.path)
        ]

    def _check_gone(self, folder: str) -> None:
        """Raises error_perm where a folder is there and may not be entered: servers say the same of both."""
        path = posixpath.normpath(self.absolute(folder))
        above = posixpath.dirname(path)
        if above != path and self.is_folder(above) and not self.size(path):
            listed = self._listing("LIST -a") or self._listing("LIST")
            if any(
                name == posixpath.basename(path) for kind, _, name in filter(None, map(_fields, listed)) if kind == "d"
            ):
                raise ftplib.error_perm("550 it may not be entered")

    def _told(self, folder: str) -> list[Stat]:
        """What MLSD says, see RFC 3659."""
        found = []
        for name, facts in self.mlsd(self.absolute(folder)):
            path, kind = posixpath.join(folder, name), facts.get("type", "").lower()
            if kind == "dir":
                found.append(Stat(path, 0, 0, "", is_folder=True))
            elif kind == "file":
                found.append(_stat(path, int(facts.get("size", 0)), self.modified(path)))
            elif kind.startswith("os.unix=s") and (one := self.stat(path)) is not None:  # a link
                found.append(one)
        return found

    def retrlines(self, cmd: str, callback: Callable[[str], object] | None = None) -> str:
        """As text; all that follows is bytes again, which the protocol forgets otherwise."""
        answer = super().retrlines(cmd, callback)
        self.voidcmd("TYPE I")
        return answer

    def _listing(self, command: str) -> list[str]:
        found = list[str]()
        answer = self.retrlines(command, found.append)
        if "failed to open directory" in answer:  # vsftpd, which calls that a success
            raise ftplib.error_perm(answer)
        return found

    def _read(self, folder: str, line: str) -> Stat | None:
        """What a line of a listing says; None where that is of no file."""
        fields = _fields(line)
        if fields is None:
            return None
        kind, size, name = fields
        path = posixpath.join(folder, name)
        if kind == "l":
            return self.stat(path) or self.stat(path.partition(" -> ")[0])
        return Stat(path, size, 0, "", is_folder=kind == "d")

    def store(self, path: str, start: int, content: bytes) -> None:
        """Write bytes behind the first `start` ones."""
        with self.transfercmd(f"STOR {self.absolute(path)}", start or None) as transfer:
            try:
                transfer.sendall(content)
                if isinstance(transfer, ssl.SSLSocket):
                    transfer.unwrap()
            except OSError:
                transfer.close()
                self.voidresp()  # tells why
                raise
        self.voidresp()


def _fields(line: str) -> tuple[str, int, str] | None:
    """Kind (`d`, `l`, `-`), size and name; None for what is no file. Raises error_perm for what cannot be read."""
    if not line.strip() or line.startswith("total "):
        return None
    if (unix := _UNIX.fullmatch(line)) is not None:
        return None if unix[3] in (".", "..") or unix[1] in "bcps" else (unix[1], int(unix[2]), unix[3])
    if (dos := _DOS.fullmatch(line)) is not None:
        return ("d", 0, dos[2]) if dos[1] == "<DIR>" else ("-", int(dos[1]), dos[2])
    raise ftplib.error_perm(f"{line!r}, which is not a line of a listing that is known")


def _seconds(text: str) -> int:
    return calendar.timegm(time.strptime(text.strip()[:14], "%Y%m%d%H%M%S"))


def _stat(path: str, size: int, seconds: int) -> Stat:
    return Stat(path, size, seconds * 1_000_000_000, str(seconds), created=seconds * 1_000_000_000)


def _connect(place: FtpPlace) -> _Line:
    told = f"cannot log in to {place.url}"
    try:
        line = _Line(place)
    except FileNotFoundError as error:
        raise Rejected(f"{told}: there is no file {place.trusted}; correct tls_trusted") from error
    except ssl.SSLError as error:
        raise Rejected(f"{told}: {place.trusted} holds no certificates; correct tls_trusted") from error
    try:
        return line.begin()
    except ftplib.error_perm as error:
        code = str(error)[:3]
        cure = (
            "correct user or password" if code == "530" else "see tls" if code in ("421", "500", "502", "534") else ""
        )
        _end(line)
        raise Rejected(f"{told}: the server says {str(error)!r}" + (f"; {cure}" if cure else "")) from error
    except ssl.SSLCertVerificationError as error:
        _end(line)
        why = f"its certificate is not trusted ({error.verify_message})"
        raise Rejected(f"{told}: {why}; name the certificate that signed it by tls_trusted") from error
    except socket.gaierror as error:
        raise Rejected(f"{told}: there is no such host; correct host") from error
    except PermissionError as error:
        raise Rejected(f"{told}: {error}") from error
    except (OSError, EOFError, ftplib.Error) as error:
        _end(line)
        raise Unavailable(f"{told}: {shown(error)}; see whether host, port and tls are right") from error


def _end(line: _Line) -> None:
    with contextlib.suppress(Exception):
        line.close()


# ----------------------------------------------------------------------------------------------------------- reading


class _FtpFile(Opened):
    """A file, of which all that is read is of one version."""

    def __init__(self, server: FtpServer, path: str, size: int) -> None:
        self.name, self.size = server.url(path), size
        self._server, self._path = server, path
        self._version: tuple[int | None, int] | None = None

    def stream(self) -> BinaryIO:
        return cast(BinaryIO, _FtpStream(self, self._server))

    def begin(self, line: _Line, start: int) -> socket.socket:
        """A transfer of the file from there on."""
        now = line.version(self._path)
        if now[0] is None:
            raise Rejected(f"cannot read {self.name}: it is gone; start the job anew")
        if (self._version or now) != now or now[0] < self.size:
            raise Rejected(f"cannot read {self.name}: it was changed meanwhile; start the job anew")
        self._version = now
        return line.transfercmd(f"RETR {line.absolute(self._path)}", start or None)


class _FtpStream(io.RawIOBase):
    """Reads that follow each other are of one transfer; a jump begins another one."""

    def __init__(self, file: _FtpFile, server: FtpServer) -> None:
        self._file, self._server = file, server
        self._place, self._at = 0, 0
        self._line: _Line | None = None
        self._transfer: socket.socket | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._file.size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def readall(self) -> bytes:
        return self.read()

    def read(self, size: int | None = -1) -> bytes:
        end = self._file.size if size is None or size < 0 else min(self._place + size, self._file.size)
        found = bytearray()
        failed, tries = "", 0
        while self._place < end:
            try:
                part = self._server.telling(f"read {self._file.name}", lambda: self._some(end))
            except _BROKEN as error:
                self._give_up()
                failed, tries = shown(error), tries + 1
                if tries == ATTEMPTS:
                    raise Unavailable(f"cannot read {self._file.name}: {failed}") from error
                LOG.warning("cannot read %s: %s; it is tried again", self._file.name, failed)
                time.sleep(0.1 * 2**tries)
            else:
                found += part
                self._place += len(part)
        return bytes(found)

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._abort()
        super().close()

    def _some(self, end: int) -> bytes:
        """Some bytes from the place on, where it is before `end`."""
        if self._transfer is None or not self._at <= self._place <= self._at + _SKIPPED:
            self._abort()
            self._line = self._server.lines.hold()
            self._transfer, self._at = self._file.begin(self._line, self._place), self._place
        while self._at < self._place:
            self._at += len(self._received(self._place - self._at))
        part = self._received(min(end - self._place, 1 << 20))
        self._at += len(part)
        if self._at == self._file.size:
            self._finish()
        return part

    def _received(self, size: int) -> bytes:
        assert self._transfer is not None, "it has begun"
        part = self._transfer.recv(size)
        if not part:
            raise EOFError(f"the transfer ended at byte {self._at} of {self._file.size}")
        return part

    def _finish(self) -> None:
        """The transfer has come to its end."""
        line, transfer, self._line, self._transfer = self._line, self._transfer, None, None
        assert line is not None, "it has begun"
        assert transfer is not None, "it has begun"
        transfer.close()
        self._ended(line)

    def _abort(self) -> None:
        """Nobody wants the rest of the transfer; servers say in various words that they have understood."""
        line, transfer, self._line, self._transfer = self._line, self._transfer, None, None
        if transfer is not None:
            transfer.close()
        if line is not None:
            self._ended(line)

    def _ended(self, line: _Line) -> None:
        """The connection may serve others, once the server has said that it is done with the transfer."""
        try:
            if line.sock is not None:
                line.sock.settimeout(_ABORT_SECONDS)
            with contextlib.suppress(ftplib.error_temp, ftplib.error_perm):
                line.voidresp()
            if line.sock is not None:
                line.sock.settimeout(_SECONDS)
        except (OSError, EOFError, ftplib.Error):
            _end(line)
        else:
            self._server.lines.release(line)

    def _give_up(self) -> None:
        """The connection has broken."""
        line, transfer, self._line, self._transfer = self._line, self._transfer, None, None
        if transfer is not None:
            transfer.close()
        if line is not None:
            _end(line)
