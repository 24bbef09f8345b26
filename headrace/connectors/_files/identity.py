"""What a file of a followed directory is known by, whatever it is called."""

import os
from hashlib import blake2b

from headrace.storage.contract import Stat
from headrace.storage.local import lasting_name


def key_of(file: Stat, root: str, *, lasting: bool) -> int:
    """64 bits of what the file is known by for as long as it exists; or of the path below `root`."""
    name = lasting_name(file) if lasting else os.path.relpath(file.path, root)
    return int.from_bytes(blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest(), "little")
