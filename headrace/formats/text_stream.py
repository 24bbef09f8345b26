"""The stream of a text file: UTF-8 goes in, the encoding of the file comes out."""

import codecs
from typing import BinaryIO


class TextStream:
    """Encodes as it writes; an encoding with a mark, such as UTF-16, has it once, at the beginning of the file.

    Raises LookupError for an encoding that is not known; `write` raises UnicodeEncodeError for what it lacks.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream, known = stream, codecs.lookup(encoding)
        self._encoder = None if known.name == "utf-8" else codecs.getincrementalencoder(known.name)()

    def write(self, data: bytes | memoryview) -> None:
        """Write whole characters, given in UTF-8."""
        self._stream.write(data if self._encoder is None else self._encoder.encode(str(data, "utf-8")))
