"""OpenSSH's server on a free port of this machine, with a user and a password of its own.

Nobody of this machine's users can log in, and it needs no rights: libpam-wrapper and libnss-wrapper say who there is.
"""

import contextlib
import os
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from headrace.storage.sftp import SftpPlace

SSHD = Path("/usr/sbin/sshd")
WRAPPERS = Path("/usr/lib/x86_64-linux-gnu")
MATRIX = WRAPPERS / "pam_wrapper" / "pam_matrix.so"

USER, PASSWORD, PHRASE = "tester", "s3cret-of-the-tests", "phrase-of-the-tests"


def why_not() -> str:
    """Why it cannot be started; empty when it can."""
    missing = [str(path) for path in (SSHD, MATRIX) if not path.exists()]
    return f"{' and '.join(missing)} not installed: scripts/test does it" if missing else ""


def account() -> pwd.struct_passwd:
    """Who runs servers: this user, or nobody where it is root, who may do everything."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())


def as_account() -> None:
    """Called in a server's process before it starts."""
    if os.getuid() == 0:
        runner = account()
        os.setgroups([])
        os.setgid(runner.pw_gid)
        os.setuid(runner.pw_uid)


FULL_BYTES = 4 << 20


def as_account_with_a_full_disk() -> None:
    """Likewise; the server's files have room for FULL_BYTES each."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, FULL_BYTES))
    as_account()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)


def new_folder(prefix: str) -> Path:
    """A folder of the account, with a home in it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    (folder / "home").mkdir()
    for one in (folder, folder / "home"):
        os.chown(one, account().pw_uid, account().pw_gid)
    return folder


@dataclass
class FileServerProcess:
    """A server of files. Can be killed and started again on the same port and files."""

    folder: Path
    port: int = 0
    process: subprocess.Popen | None = field(default=None, repr=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def break_lines(self) -> None:
        """End the processes that serve its connections."""
        assert self.process is not None
        for child in _children(self.process.pid):
            _kill_with_children(child)

    def stop(self) -> None:
        """With all its connections, as a power cut does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)
            self.break_lines()
            self.process.kill()
            self.process.wait()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Sshd(FileServerProcess):
    """OpenSSH's."""

    folder: Path = field(default_factory=lambda: new_folder("headrace-sshd-"))

    def make(self) -> "Sshd":
        folder, runner = self.folder, account()
        for name, phrase in (("host", ""), ("other", ""), ("user", ""), ("locked", PHRASE)):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", folder / name]
            subprocess.run(command, check=True)
        keys = "".join((folder / f"{name}.pub").read_text() for name in ("user", "locked"))
        (folder / "authorized").write_text(keys)
        (folder / "passwd").write_text(
            "".join(f"{name}:x:{runner.pw_uid}:{runner.pw_gid}::{self.home}:/bin/sh\n" for name in (USER, "ann"))
            + "sshd:x:100:65534::/run/sshd:/bin/false\n"
        )
        (folder / "group").write_text(f"{USER}:x:{runner.pw_gid}:\n")
        (folder / "passwords").write_text(f"{USER}:{PASSWORD}:sshd\nann:secret:sshd\n")
        (folder / "pam").mkdir()
        for name in ("sshd", "other"):
            rest = "".join(f"{kind} required pam_permit.so\n" for kind in ("account", "password", "session"))
            (folder / "pam" / name).write_text(f"auth required {MATRIX} passdb={folder}/passwords\n{rest}")
        self.port = free_port()
        (folder / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {folder}/host\nPidFile {folder}/pid\nUsePAM yes\n"
            f"StrictModes no\nAuthorizedKeysFile {folder}/authorized\nSubsystem sftp internal-sftp\n"
            "MaxStartups 100\nPerSourceMaxStartups none\n"
        )
        for one in folder.rglob("*"):
            os.chown(one, runner.pw_uid, runner.pw_gid)
        return self

    def start(self, before=as_account) -> "Sshd":
        wrapped = {
            "LD_PRELOAD": f"{WRAPPERS}/libpam_wrapper.so {WRAPPERS}/libnss_wrapper.so",
            "PAM_WRAPPER": "1",
            "PAM_WRAPPER_SERVICE_DIR": str(self.folder / "pam"),
            "NSS_WRAPPER_PASSWD": str(self.folder / "passwd"),
            "NSS_WRAPPER_GROUP": str(self.folder / "group"),
        }
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", self.folder / "config"],
                env={**os.environ, **wrapped},
                stderr=log,
                cwd="/",
                preexec_fn=before,
                restore_signals=False,
                start_new_session=True,
            )
        wait_for(self.port, self.process)
        return self

    def place(self, port: int = 0, **changes) -> SftpPlace:
        told = (self.folder / "host.pub").read_text()
        given = {"user": USER, "password": PASSWORD, "host_key": told, **changes}
        return SftpPlace("127.0.0.1", port or self.port, **given)


def _children(process: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _kill_with_children(process: int) -> None:
    children = _children(process)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    for child in children:
        _kill_with_children(child)
