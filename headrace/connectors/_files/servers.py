"""Files on servers of files: what the options and connectors of SFTP, FTP and HDFS have in common."""

import posixpath
import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from headrace.connector import Options
from headrace.connectors._files.options import FileTableOptions, refuse_local_options
from headrace.connectors._files.sink import FileSink, FileSinkOptions
from headrace.connectors._files.source import FileSource
from headrace.options import HOST, STORE_PATH
from headrace.storage.contract import Storage
from headrace.storage.server import ServerStorage


def server_path(text: str) -> str:
    """A path of the server. Raises ValueError for a URL, and for one that leads upwards."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise ValueError(f"{text!r} is a URL; give the path alone, the server is named by host and port")
    if ".." in text.split("/"):
        raise ValueError(f"{text!r} leads upwards; name the folder itself")
    return posixpath.normpath(text).replace("//", "/") if text else ""


ServerPath = Annotated[str, AfterValidator(server_path)]
"""An option that names a file or folder of a server, absolute or from where the user logs in."""


class PlacedOptions(Options):
    """Which server, however it is named."""

    @abstractmethod
    def place(self) -> Any:
        """The server, and who logs in there. Raises ValueError."""

    def check_place(self) -> None:
        """Raises ValueError with what is missing or wrong."""
        self.place()

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        self.check_place()
        return self


class ServerOptions(PlacedOptions):
    """Which server, and who logs in there."""

    host: str = Field(default="", json_schema_extra=HOST, description="Required: the server's name or address.")
    port: int = Field(gt=0, lt=65536, description="The port it listens on.")
    user: str = Field(default="", description="Required: who logs in.")
    password: SecretStr = Field(default=SecretStr(""), description="The user's password.")

    @property
    def secret(self) -> str:
        """`password`."""
        return self.password.get_secret_value()

    def check_place(self) -> None:
        """Also where host or user is missing."""
        given = {"host": self.host, "user": self.user}
        if missing := [name for name, value in given.items() if not value]:
            raise ValueError("; ".join(f"{name}: required option is missing" for name in missing))
        super().check_place()


class ServerTableOptions(PlacedOptions, FileTableOptions):
    """Which files of a server make a table, and how they are read."""

    path: ServerPath = Field(
        default="",
        json_schema_extra=STORE_PATH,
        description="Required: a file of the server, or a folder that is read with all below it.",
    )

    def check_table(self) -> None:
        """Also what is for files of this machine alone."""
        refuse_local_options(self, "a server is read once, as it is")
        super().check_table()


class ServerSinkOptions(FileSinkOptions):
    """Options of a sink onto a server."""

    path: ServerPath = Field(
        min_length=1,
        json_schema_extra=STORE_PATH,
        description="The target folder on the server; ${table_name} and its like are filled.",
    )
    tmp_path: ServerPath = Field(
        default="/tmp/seatunnel",
        json_schema_extra=STORE_PATH,
        description="Staging, on the server; a hidden folder in `path` where files cannot be renamed from there.",
    )

    @abstractmethod
    def place(self) -> Any:
        """The server, and who logs in there. Raises ValueError."""


def one_place(tables: Sequence[FileTableOptions]) -> Any:
    """The server of all tables. Raises ValueError where they are on several."""
    places: set[Any] = {options.place() for options in tables if isinstance(options, ServerTableOptions)}
    if len(places) != 1:
        names = " and ".join(sorted(f"{place.url} of {place.user}" for place in places))
        raise ValueError(f"the tables of one source lie on one server, with the same user, not on {names}")
    return places.pop()


class ServerSource(FileSource):
    """Reads files of a server. storage_at: the server's files, by its place."""

    storage_at: ClassVar[type[ServerStorage]]

    def storage(self) -> Storage:
        """The server's files."""
        return self.storage_at(one_place(self.options.tables()))

    def rooted(self, path: str) -> str:
        """With the server before it."""
        return _url(one_place(self.options.tables()), path)


class ServerSink(FileSink):
    """Writes files onto a server. storage_at: the server's files, by its place."""

    options: ServerSinkOptions
    storage_at: ClassVar[type[ServerStorage]]

    def storage(self) -> Storage:
        """The server's files."""
        return self.storage_at(self.options.place())

    def rooted(self, path: str) -> str:
        """With the server before it."""
        return _url(self.options.place(), path)


def _url(place: Any, path: str) -> str:
    """A path with the server before it. One that begins where the user logs in is another one than an absolute one."""
    begin = "" if path.startswith("/") else f"/~{place.user}/"
    return f"{place.url}{begin}{path}"
