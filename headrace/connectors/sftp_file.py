"""SftpFile: files of a server that speaks SFTP."""

from pydantic import Field, SecretStr

from headrace.connector import sink, source
from headrace.connectors._files.options import FileSourceOptions
from headrace.connectors._files.servers import (
    ServerOptions,
    ServerSink,
    ServerSinkOptions,
    ServerSource,
    ServerTableOptions,
    one_place,
)
from headrace.options import PATH, LocalPath
from headrace.storage.sftp import SftpPlace, SftpStorage, check_host_key


class SftpOptions(ServerOptions):
    """Which server, who logs in there, and how the server is known."""

    port: int = Field(default=22, gt=0, lt=65536, description="The port it listens on.")
    private_key_path: LocalPath = Field(
        default="",
        json_schema_extra=PATH,
        description="A private key of the user, in place of the password or beside it.",
    )
    private_key_passphrase: SecretStr = Field(default=SecretStr(""), description="What unlocks the private key.")
    host_key: str = Field(
        default="",
        description="The server's key, such as SHA256:… or ssh-ed25519 AAAA…; else a file of known hosts has it.",
    )
    known_hosts: LocalPath = Field(
        default="",
        json_schema_extra=PATH,
        description="A file of known hosts; ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts by default.",
    )
    strict_host_key_checking: bool = Field(
        default=True, description="false takes any server for the right one, which is safe in a closed network only."
    )

    def place(self) -> SftpPlace:
        """The server, and who logs in there. Raises ValueError."""
        if not self.secret and not self.private_key_path:
            raise ValueError("password or private_key_path is needed")
        if self.host_key:
            check_host_key(self.host_key)
        passphrase = self.private_key_passphrase.get_secret_value()
        return SftpPlace(
            self.host,
            self.port,
            self.user,
            self.secret,
            self.private_key_path,
            passphrase,
            self.host_key,
            self.known_hosts,
            self.strict_host_key_checking,
        )


class SftpTableOptions(SftpOptions, ServerTableOptions):
    """Options of one table."""


class SftpFileSourceOptions(SftpTableOptions, FileSourceOptions):
    """Options of the SftpFile source."""

    tables_configs: list[SftpTableOptions] | None = Field(  # type: ignore[assignment]  # each names its server
        default=None,
        description="Several tables, each with all the options of one; the server and the user are the same.",
    )

    def check_place(self) -> None:
        """All tables lie on one server."""
        if self.tables_configs is None:
            super().check_place()
        one_place(self.tables())


EXAMPLE = """
%s {
  SftpFile {
    host = "sftp.example.com"
    port = 22
    user = "ann"
    password = ${SFTP_PASSWORD}
    host_key = "SHA256:m2kTZbyW8bKYfVbqxNXfmJ2XU4SU7BKpMDBgIkhnUyM"
    path = "upload/people"
    file_format_type = "parquet"
  }
}
"""
"""Of the source and the sink, which reach a server in the same way."""


@source("SftpFile")
class SftpFileSource(ServerSource):
    """Reads files of a server that speaks SFTP, such as OpenSSH's.

    A big file is read in parts side by side, by ranges that are asked for ahead, and a restart goes on in the middle of
    a file: exactly once. A file that has changed since the job began is refused; one of the same size is known by its
    time, which the protocol gives in whole seconds. Needs the extra `sftp`.
    """

    Options = SftpFileSourceOptions
    example = EXAMPLE % "source"
    storage_at = SftpStorage


class SftpFileSinkOptions(SftpOptions, ServerSinkOptions):
    """Options of the SftpFile sink."""


@sink("SftpFile")
class SftpFileSink(ServerSink):
    """Writes files onto a server that speaks SFTP, such as OpenSSH's.

    Staged: exactly once. A file is staged in a hidden folder of the server, and renamed when a checkpoint or the job is
    complete: it appears whole. Needs the extra `sftp`, and OpenSSH's requests to rename over a file.
    """

    Options = SftpFileSinkOptions
    example = EXAMPLE % "sink"
    storage_at = SftpStorage
