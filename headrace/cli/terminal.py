"""What a person sees while a command works: colours, one progress line that fits, other lines that do not tear it."""

import os
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from headrace.texts import readable

COLOURS = {"red": 31, "green": 32, "yellow": 33}

_CLEAR = "\r\x1b[K"


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads it, on a terminal that can go back to the start of a line."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO) -> str:
    """The text in a colour where the stream shows colours, and NO_COLOR is not set (no-color.org)."""
    if not is_terminal(stream) or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def width_of(stream: TextIO) -> int:
    """Columns of the terminal; 80 where it does not tell."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or 80
    return 80


def fit(parts: Sequence[str], columns: int, *, unicode: bool = True) -> str:
    """The parts in one line of so many columns: the last ones are left out where there is no room, the first is cut."""
    line = readable(parts[0]) if parts else ""
    for part in map(readable, parts[1:]):
        if _columns(line) + 2 + _columns(part) <= columns:
            line += f"  {part}"
    if _columns(line) <= columns:
        return line
    mark = "…" if unicode else "..."
    while line and _columns(line) + len(mark) > columns:
        line = line[:-1]
    return (line + mark)[: max(columns, 0)]


def _columns(text: str) -> int:
    """How wide a terminal shows a text: East Asian characters take two columns, combining ones none."""
    if text.isascii():
        return len(text)
    wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return wide - sum(1 for c in text if unicodedata.combining(c))


class Screen:
    """Where a running job's lines go: those of its sinks to stdout, all others to stderr, whoever prints at the moment.

    on_closed: called once when nobody reads stdout any more; what is printed there from then on is dropped.
    """

    def __init__(self, on_closed: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.RLock()
        self._shown = False
        self.on_closed, self.is_closed = on_closed, False

    def print(self, text: str) -> None:
        """A line of a sink, at once."""
        with self._lock:
            self._clear()
            if self.is_closed:
                return
            try:
                # Tasks print on threads of their own, and print() writes the end of a line apart.
                sys.stdout.write(f"{text}\n")
                sys.stdout.flush()
            except BrokenPipeError:
                self.is_closed = True
                drop_output()
        if self.is_closed:
            self.on_closed()

    def tell(self, text: str) -> None:
        """A line for the person, who may have closed the terminal."""
        with self._lock, suppress(OSError):
            self._clear()
            print(text, file=sys.stderr, flush=True)

    def draw(self, line: str) -> None:
        """The progress line, over the one before."""
        with self._lock, suppress(OSError):
            sys.stderr.write(f"{_CLEAR}{line}")
            sys.stderr.flush()
            self._shown = True

    def clear(self) -> None:
        """The progress line is over."""
        with self._lock, suppress(OSError):
            self._clear()

    def _clear(self) -> None:
        if self._shown:
            self._shown = False
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()


def drop_output() -> None:
    """Nobody reads stdout any more: what is still held for it must not fail when the process ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def only_for_the_answer() -> Iterator[Callable[[str], None]]:
    """Whatever is printed goes to stderr meanwhile, also what plugins and their C code print; gives what answers."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):  # a program's own stream
        yield print
        return
    sys.stdout.flush()
    kept = os.dup(output)
    os.dup2(sys.stderr.fileno(), output)
    try:
        yield lambda text: _write_all(kept, f"{text}\n".encode(errors="backslashreplace"))
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os.dup2(kept, output)
        os.close(kept)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
