"""FtpFile: files of a server that speaks FTP, plain or over TLS."""

from pydantic import Field

from headrace.connector import Choice, sink, source
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
from headrace.storage.ftp import FtpPlace, FtpStorage


class ConnectionMode(Choice):
    """Who opens the ports of transfers: this machine, or the server."""

    ACTIVE_LOCAL = "active_local"
    PASSIVE_LOCAL = "passive_local"


class Tls(Choice):
    """Whether connections and transfers are encrypted; explicit begins plain, implicit is so from the first byte."""

    NONE = "none"
    EXPLICIT = "explicit"
    IMPLICIT = "implicit"


class FtpOptions(ServerOptions):
    """Which server, who logs in there, and how files travel."""

    port: int = Field(default=21, gt=0, lt=65536, description="The port it listens on.")
    connection_mode: ConnectionMode = Field(
        default=ConnectionMode.ACTIVE_LOCAL,
        description="Who opens the ports of transfers: this machine (active_local), or the server (passive_local), as "
        "firewalls before this machine need it.",
    )
    verified: bool = Field(
        default=True,
        validation_alias="remote_verification_enabled",
        description="Transfers are with the host of the connection alone; false also takes the address that the server "
        "names.",
    )
    tls: Tls = Field(
        default=Tls.NONE,
        description="Encryption of connections and transfers: explicit begins on a plain connection, implicit has a "
        "port of its own, mostly 990.",
    )
    tls_trusted: LocalPath = Field(
        default="",
        json_schema_extra=PATH,
        description="A file of certificates that may sign the server's; those of the system by default.",
    )

    def place(self) -> FtpPlace:
        """The server, and who logs in there. Raises ValueError."""
        if self.tls_trusted and self.tls is Tls.NONE:
            raise ValueError("tls_trusted needs tls = explicit or implicit")
        passive = self.connection_mode is ConnectionMode.PASSIVE_LOCAL
        return FtpPlace(
            self.host, self.port, self.user, self.secret, passive, self.verified, self.tls.value, self.tls_trusted
        )


class FtpTableOptions(FtpOptions, ServerTableOptions):
    """Options of one table."""


class FtpFileSourceOptions(FtpTableOptions, FileSourceOptions):
    """Options of the FtpFile source."""

    tables_configs: list[FtpTableOptions] | None = Field(  # type: ignore[assignment]  # each names its server
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
  FtpFile {
    host = "ftp.example.com"
    port = 21
    user = "ann"
    password = ${FTP_PASSWORD}
    connection_mode = "passive_local"
    path = "/upload/people"
    file_format_type = "parquet"
  }
}
"""
"""Of the source and the sink, which reach a server in the same way."""


@source("FtpFile")
class FtpFileSource(ServerSource):
    """Reads files of a server that speaks FTP, plain or over TLS.

    A big file is read in parts side by side, and a restart goes on in the middle of a file: exactly once. A file that
    has changed since the job began is refused; one of the same size is known by its time, which most servers give in
    whole seconds.
    """

    Options = FtpFileSourceOptions
    example = EXAMPLE % "source"
    storage_at = FtpStorage


class FtpFileSinkOptions(FtpOptions, ServerSinkOptions):
    """Options of the FtpFile sink."""


@sink("FtpFile")
class FtpFileSink(ServerSink):
    """Writes files onto a server that speaks FTP, plain or over TLS.

    Staged: exactly once, as far as the server keeps what it has taken. A file is staged in a hidden folder of the
    server, and renamed when a checkpoint or the job is complete: it appears whole.
    """

    Options = FtpFileSinkOptions
    example = EXAMPLE % "sink"
    storage_at = FtpStorage
