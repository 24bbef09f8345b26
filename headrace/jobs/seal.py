"""Job texts hold passwords: in the store they are sealed with a key that only this home's owner can read."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from headrace.errors import ConfigError, HeadraceError, Problem

_CURE = "put the right file back; without it, jobs that have not ended cannot be read: remove it with jobs.db"


class Seal:
    """Seals texts with the key in `<home>/store.key`; it is made when it is missing, readable by its owner only."""

    def __init__(self, home: Path) -> None:
        self._file = home / "store.key"
        home.mkdir(parents=True, exist_ok=True)
        if not self._file.exists():
            self._make_key()
        try:
            self._fernet = Fernet(self._file.read_bytes().strip())
        except (OSError, ValueError) as error:
            problem = Problem("home", f"cannot use the key in {str(self._file)!r}: {error}", _CURE)
            raise ConfigError([problem]) from None

    def _make_key(self) -> None:
        """Whole or not at all, and never over the key of another service that starts at the same time."""
        handle, temporary = tempfile.mkstemp(dir=self._file.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(Fernet.generate_key())
            with suppress(FileExistsError):
                os.link(temporary, self._file)
        finally:
            os.unlink(temporary)

    def close(self, text: str) -> str:
        """The sealed text."""
        return self._fernet.encrypt(text.encode()).decode() if text else ""

    def open(self, sealed: str) -> str:
        """The text again. Raises HeadraceError when it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode() if sealed else ""
        except InvalidToken:
            raise HeadraceError(f"the job was stored with another key than the one in {self._file}") from None
