"""What the encoders of several databases share."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_DIGITS = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint16)


def hexadecimal(column: pa.Array) -> pa.Array:
    """Bytes as hexadecimal digits, in a column of bytes."""
    plain = column.cast(pa.large_binary())
    _, offsets, data = plain.buffers()
    ends = np.frombuffer(offsets, np.int64)[plain.offset : plain.offset + len(plain) + 1]
    values = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]] if data is not None else np.empty(0, np.uint8)
    valid = pc.is_valid(plain).buffers()[1] if plain.null_count else None
    parts = [valid, pa.py_buffer((ends - ends[0]) * 2), pa.py_buffer(_DIGITS[values])]
    return pa.Array.from_buffers(pa.large_binary(), len(plain), parts)
