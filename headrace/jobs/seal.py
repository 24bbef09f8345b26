"""Job texts hold passwords: in the store they are sealed with a key that only this home's owner can read."""

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from headrace.errors import ConfigError, HeadraceError, Problem
from headrace.storage.local import write_new

_CURE = "put the right file back; without it, jobs that have not ended cannot be read: remove it with jobs.db"


class Seal:
    """Seals texts with a key of Fernet's. place: what the key comes from, for messages."""

    def __init__(self, key: bytes, place: str) -> None:
        self._fernet, self._place = Fernet(key), place

    @classmethod
    def of_home(cls, home: Path) -> "Seal":
        """With the key in `<home>/store.key`; it is made when it is missing, readable by its owner only."""
        file = home / "store.key"
        if not file.exists():
            write_new(file, Fernet.generate_key())
        try:
            return cls(file.read_bytes().strip(), f"the one in {file}")
        except (OSError, ValueError) as error:
            raise ConfigError([Problem("home", f"cannot use the key in {str(file)!r}: {error}", _CURE)]) from None

    def close(self, text: str) -> str:
        """The sealed text."""
        return self._fernet.encrypt(text.encode()).decode() if text else ""

    def open(self, sealed: str) -> str:
        """The text again. Raises HeadraceError when it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode() if sealed else ""
        except InvalidToken:
            raise HeadraceError(f"the job was stored with another key than {self._place}") from None
