"""Marks in a place of checkpoints, by which services prove to each other that they use the same one."""

from headrace.checkpoint.blobs import Blobs

_FOLDER = "headrace-members"


class Marks:
    """One mark a service. Its methods raise StoreUnavailable when the place cannot be used now."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs, self.place = blobs, blobs.place

    def leave(self, service: str) -> None:
        """Leave the mark of a service."""
        self._blobs.put(_name(service), b"headrace\n")

    def is_there(self, service: str) -> bool:
        """Whether a service has left its mark here."""
        return self._blobs.get(_name(service)) is not None

    def remove_others(self, services: set[str]) -> None:
        """Remove the marks of all services but these."""
        wanted = {_name(service) for service in services}
        self._blobs.delete(name for name in self._blobs.names(_FOLDER) if name not in wanted)


def _name(service: str) -> str:
    return f"{_FOLDER}/{service}"
