"""Job texts hold passwords: in the store they are sealed with a key that only this home's owner can read."""

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from headrace.errors import ConfigError, HeadraceError, Problem
from headrace.storage.local import write_new

_CURE = "put the right file back; without it, jobs that have not ended cannot be read: remove it with jobs.db"


class Seal:
    """Seals texts with the key in `<home>/store.key`; it is made when it is missing, readable by its owner only."""

    def __init__(self, home: Path) -> None:
        self._file = home / "store.key"
        if not self._file.exists():
            write_new(self._file, Fernet.generate_key())
        try:
            self._fernet = Fernet(self._file.read_bytes().strip())
        except (OSError, ValueError) as error:
            problem = Problem("home", f"cannot use the key in {str(self._file)!r}: {error}", _CURE)
            raise ConfigError([problem]) from None

    def close(self, text: str) -> str:
        """The sealed text."""
        return self._fernet.encrypt(text.encode()).decode() if text else ""

    def open(self, sealed: str) -> str:
        """The text again. Raises HeadraceError when it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode() if sealed else ""
        except InvalidToken:
            raise HeadraceError(f"the job was stored with another key than the one in {self._file}") from None
