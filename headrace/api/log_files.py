"""Log files as SeaTunnel shows them. A name is looked up in the list of files, never joined into a path."""

import html
import os
from pathlib import Path


class LogFiles:
    """The regular files of one directory whose names are those of logs; links and anything else are not seen.

    limit: bytes of a file's end that are given, at most.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit

    def names(self, part: str = "") -> list[str]:
        """Names of the files, the newest first; only those that contain `part`."""
        try:
            with os.scandir(self._folder) as entries:
                found = [
                    (entry.stat(follow_symlinks=False).st_mtime, entry.name)
                    for entry in entries
                    if entry.is_file(follow_symlinks=False) and ".log" in entry.name and part in entry.name
                ]
        except FileNotFoundError:
            return []
        return [name for _, name in sorted(found, reverse=True)]

    def read(self, name: str) -> bytes | None:
        """The end of a file; None when it is not in the list."""
        if name not in self.names():
            return None
        try:
            handle = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None
        with os.fdopen(handle, "rb") as file:
            file.seek(max(0, os.fstat(handle).st_size - self._limit))
            return file.read()


def page(links: list[tuple[str, str]]) -> str:
    """SeaTunnel's page of log files. links: (address, name)."""
    items = "".join(f'<li><a href="{html.escape(link)}">{html.escape(name)}</a></li>\n' for link, name in links)
    return (
        "<html><head><title>Seatunnel log</title></head>\n<body>\n <h2>Seatunnel log</h2>\n <ul>\n"
        f"{items} </ul>\n</body></html>"
    )
