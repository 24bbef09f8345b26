"""vsftpd on a free port of this machine; and pyftpdlib, which has the listings for machines that vsftpd has not.

Without rights vsftpd takes anonymous users alone; who they are is told by the list of passwords that it takes.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from headrace.storage.ftp import FtpPlace
from tests.storage.sshd import FileServerProcess, account, as_account, free_port, new_folder, wait_for

VSFTPD = Path("/usr/sbin/vsftpd")

USER, PASSWORD = "anonymous", "s3cret-of-the-tests"


def why_not() -> str:
    """Why it cannot be started; empty when it can."""
    return "" if VSFTPD.exists() else "vsftpd is not installed: scripts/test does it"


@dataclass
class Vsftpd(FileServerProcess):
    """vsftpd."""

    folder: Path = field(default_factory=lambda: new_folder("headrace-ftp-"))
    options: str = ""
    password: str = PASSWORD

    def make(self) -> "Vsftpd":
        folder = self.folder
        (folder / "passwords").write_text(f"{PASSWORD}\nsecret\n")
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", *names, *files]
        subprocess.run(command, check=True, capture_output=True)
        self.port = free_port()
        (folder / "config").write_text(
            f"listen=YES\nlisten_address=127.0.0.1\nlisten_port={self.port}\nrun_as_launching_user=YES\nbackground=NO\n"
            f"anonymous_enable=YES\nftp_username={account().pw_name}\nanon_root={self.home}\nlocal_enable=NO\n"
            f"secure_email_list_enable=YES\nemail_password_file={folder}/passwords\nwrite_enable=YES\n"
            "anon_upload_enable=YES\nanon_mkdir_write_enable=YES\nanon_other_write_enable=YES\nanon_umask=022\n"
            "anon_world_readable_only=NO\nxferlog_enable=NO\nseccomp_sandbox=NO\n"
            f"ssl_enable=YES\nallow_anon_ssl=YES\nrequire_ssl_reuse=YES\nrsa_cert_file={folder}/cert.pem\n"
            f"rsa_private_key_file={folder}/key.pem\n{self.options}"
        )
        for one in folder.rglob("*"):
            os.chown(one, account().pw_uid, account().pw_gid)
        return self

    def start(self, before=as_account) -> "Vsftpd":
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [VSFTPD, self.folder / "config"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=before,
                restore_signals=False,
                start_new_session=True,
            )
        wait_for(self.port, self.process)
        return self

    def place(self, **changes) -> FtpPlace:
        return FtpPlace("127.0.0.1", self.port, **{"user": USER, "password": PASSWORD, **changes})


class Pyftpdlib(Vsftpd):
    """The same by another server."""

    def make(self) -> "Pyftpdlib":
        self.port = free_port()
        return self

    def start(self, before=as_account) -> "Pyftpdlib":
        command = [sys.executable, "-W", "ignore", "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", str(self.port), "-w"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*command, "-d", self.home, "-u", "ann", "-P", self.password], stdout=log, stderr=log
            )
        wait_for(self.port, self.process)
        return self

    def place(self, **changes) -> FtpPlace:
        return super().place(user="ann", **changes)
