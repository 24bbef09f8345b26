"""Bytes in files that hold texts only: as the text that they are in UTF-8, which is how they are read."""

import pyarrow as pa

from headrace.errors import BadRow


def decoded(name: str, column: pa.Array) -> list[str | None]:
    """The texts of a column of bytes. Raises BadRow naming the column and the first bytes that are not text."""
    found: list[str | None] = []
    for row, value in enumerate(column.to_pylist(), 1):
        try:
            found.append(None if value is None else value.decode())
        except UnicodeDecodeError as error:
            text = f"column {name}: the bytes {value[:20].hex()} are not a text in UTF-8"
            raise BadRow(f"{text}, and such files hold texts only; write another format", row=row) from error
    return found
