"""Columns of floating numbers as Java prints them, `1.0` and `2.25E10`; Arrow prints `1` and `22500000000`.

Both print the fewest digits that tell a number from its neighbours, so only the point and the exponent are moved.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FEW = 64
"""Where fewer than one in so many texts are replaced, the ones between are copied as they lie."""


def java_numbers(column: pa.Array) -> pa.Array:
    """The texts of a column of 32 or 64 bits, null where it is null."""
    texts = column.cast(pa.string())
    values = pc.fill_null(column, 0.5).to_numpy(zero_copy_only=False)
    size = np.abs(values)
    plain = ((size >= 1e-3) & (size < 1e7)) | (size == 0)  # elsewhere Java writes exponents, or it is not a number
    with np.errstate(invalid="ignore"):  # of a NaN that signals
        whole = plain & (values == np.floor(values))
    if whole.any():
        texts = pc.if_else(pa.array(whole), pc.binary_join_element_wise(texts, ".0", ""), texts)
    if plain.all():
        return texts
    return _replaced(texts, ~plain, _with_exponents(texts.filter(pa.array(~plain)), size[~plain]))


def _with_exponents(texts: pa.Array, size: Any) -> pa.Array:
    """Arrow's texts of numbers whose exponents Java writes, and of those that are none. size: their absolute values."""
    has_exponent = pc.match_substring(texts, "e").to_numpy(zero_copy_only=False)
    is_number = np.isfinite(size)
    for rows, change in (
        (has_exponent, _renamed),
        (is_number & ~has_exponent & (size >= 1), _large),
        (is_number & ~has_exponent & (size < 1), _small),
        (~is_number, _no_number),
    ):
        if rows.any():
            texts = _replaced(texts, rows, change(texts.filter(pa.array(rows))))
    return texts


def _renamed(texts: pa.Array) -> pa.Array:
    """`1.5e+20` → `1.5E20`, `1e-10` → `1.0E-10`."""
    return pc.replace_substring_regex(pc.replace_substring_regex(texts, r"^(-?\d)e", r"\1.0e"), r"e\+?", "E")


def _large(texts: pa.Array) -> pa.Array:
    """`12345678.5` → `1.23456785E7`."""
    whole = pc.replace_substring_regex(texts, r"\..*|-", "")
    exponents = pc.subtract(pc.binary_length(whole), 1)
    figures = pc.replace_substring_regex(texts, r"^(-?\d)(\d+)(?:\.(\d+))?$", r"\1.\2\3")
    return _joined(pc.replace_substring_regex(figures, "0+$", ""), exponents)


def _small(texts: pa.Array) -> pa.Array:
    """`0.00012` → `1.2E-4`."""
    figures = pc.replace_substring_regex(texts, r"^(-?)0\.0*", r"\1")
    zeros = pc.subtract(pc.binary_length(texts), pc.binary_length(figures))  # with the point
    return _joined(pc.replace_substring_regex(figures, r"^(-?\d)", r"\1."), pc.subtract(1, zeros))


def _joined(figures: pa.Array, exponents: pa.Array) -> pa.Array:
    figures = pc.replace_substring_regex(figures, r"\.$", ".0")
    return pc.binary_join_element_wise(figures, exponents.cast(pa.string()), "E")


def _no_number(texts: pa.Array) -> pa.Array:
    return pc.replace_substring(pc.replace_substring(texts, "inf", "Infinity"), "nan", "NaN")


def _replaced(texts: pa.Array, rows: Any, found: pa.Array) -> pa.Array:
    """The texts with those of `rows`, which a mask names, as they were found."""
    if rows.all():
        return found
    at = np.flatnonzero(rows).tolist()
    if len(at) * _FEW > len(texts):
        return pc.replace_with_mask(texts, pa.array(rows), found)
    pieces, start = [], 0
    for number, row in enumerate(at):
        pieces += [texts.slice(start, row - start), found.slice(number, 1)]
        start = row + 1
    return pa.concat_arrays([*pieces, texts.slice(start)])
