"""Functions of text."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.javaregex import replacement_template
from headrace.sql.casts import to_text
from headrace.sql.functions import (
    COUNTS,
    MOST_CHARACTERS,
    TEXTS,
    UNKNOWN,
    Value,
    array_of,
    by_row,
    check_bytes,
    check_length,
    constant,
    function,
)
from headrace.sql.regexes import compiled, for_arrow

TEXT, INT, LONG = pa.string(), pa.int32(), pa.int64()


def _texts(columns: Sequence[Value]) -> list[Value]:
    return [to_text(column) for column in columns]


@function("ASCII", result=INT)
def _ascii(text: Value, rows: int) -> Value:
    return by_row(lambda t: ord(t[0]) if t else None, [to_text(text)], INT)


@function("CHAR_LENGTH", "LENGTH", result=LONG, fails=False)
def _length(text: Value, rows: int) -> Value:
    return pc.utf8_length(to_text(text)).cast(LONG)


@function("OCTET_LENGTH", result=LONG, fails=False)
def _octet_length(text: Value, rows: int) -> Value:
    return pc.binary_length(text if pa.types.is_binary(text.type) else to_text(text)).cast(LONG)


@function("BIT_LENGTH", result=LONG, fails=False)
def _bit_length(text: Value, rows: int) -> Value:
    return pc.multiply(_octet_length(text, rows), pa.scalar(8, LONG))


@function("CHAR", "CHR", result=TEXT, takes=COUNTS)
def _char(number: Value, rows: int) -> Value:
    return by_row(lambda n: chr(n & 0xFFFF), [number], TEXT)


def _joined(texts: Sequence[Value], separator: Value, rows: int) -> Value:
    """The texts of each row that are not null, with the separator between them."""
    known = [text for text in texts if isinstance(text, pa.Array) or text.is_valid]
    if all(isinstance(text, pa.Array) and text.null_count for text in known):
        # Arrow leaves out the rows in which all texts are null.
        some = pa.nulls(rows, pa.bool_()).fill_null(False)
        for text in known:
            some = pc.or_(some, text.is_valid())
        known[:1] = [pc.if_else(some, known[0], "")] if known else [array_of(pa.scalar(""), rows)]
    return pc.binary_join_element_wise(*known, separator, null_handling="skip")


@function("CONCAT", result=TEXT, most=None, fails=False)
def concat(*columns: Value, rows: int) -> Value:
    """The texts one after the other; nulls are nothing."""
    return _joined(_texts(columns), pa.scalar(""), rows)


@function("CONCAT_WS", result=TEXT, least=2, most=None, fails=False)
def _concat_ws(separator: Value, *columns: Value, rows: int) -> Value:
    def join(between: Any, *values: Any) -> str:
        return (between or "").join(v for v in values if v is not None)

    between = to_text(separator)
    if any(pa.types.is_list(column.type) for column in columns):
        texts = [
            by_row(lambda s, c: (s or "").join(map(str, c)), [between, c], TEXT)
            if pa.types.is_list(c.type)
            else to_text(c)
            for c in columns
        ]
        return by_row(join, [between, *texts], TEXT, nulls=True)
    return _joined(_texts(columns), pc.fill_null(between, ""), rows)


@function("HEXTORAW", result=TEXT)
def _hex_to_raw(text: Value, rows: int) -> Value:
    def convert(digits: str) -> str:
        if len(digits) % 4:
            raise ValueError(f"{digits!r} is not made of four digits for each character")
        return bytes.fromhex(digits).decode("utf-16-be", "surrogatepass")

    return by_row(convert, [to_text(text)], TEXT)


@function("RAWTOHEX", result=TEXT)
def _raw_to_hex(text: Value, rows: int) -> Value:
    if pa.types.is_binary(text.type):
        return by_row(lambda b: b.hex(), [text], TEXT)
    return by_row(lambda t: t.encode("utf-16-be").hex(), [to_text(text)], TEXT)


@function("INSERT", result=TEXT, least=4, takes=(None, COUNTS, COUNTS))
def _insert(text: Value, start: Value, length: Value, new: Value, rows: int) -> Value:
    def insert(t: str | None, s: int | None, n: int | None, r: str | None) -> str | None:
        if t is None or r is None:
            return r if t is None else t
        if s is None or n is None:
            raise ValueError("INSERT needs a start and a length")
        if s < 1 or s > len(t) + 1 or n <= 0 or not r:
            return t
        return t[: s - 1] + r + t[s - 1 + n :]

    return by_row(insert, [to_text(text), start, length, to_text(new)], TEXT, nulls=True)


def _cased(ascii_kernel: Any, method: Callable[[str], str]) -> Callable[..., Value]:
    """Arrow's own kernel does not know that one letter may become two; it is used where all letters are ASCII."""

    def apply(text: Value, rows: int) -> Value:
        column = to_text(text)
        if isinstance(column, pa.Array) and pc.all(pc.string_is_ascii(column), min_count=0).as_py():
            return ascii_kernel(column)
        return by_row(method, [column], TEXT)

    return apply


function("LOWER", "LCASE", result=TEXT, fails=False)(_cased(pc.ascii_lower, str.lower))
function("UPPER", "UCASE", result=TEXT, fails=False)(_cased(pc.ascii_upper, str.upper))


@function("LEFT", result=TEXT, least=2, takes=(None, COUNTS))
def _left(text: Value, count: Value, rows: int) -> Value:
    if (n := constant(count)) is not UNKNOWN and n is not None:
        return pc.utf8_slice_codeunits(to_text(text), 0, max(n, 0))
    return by_row(lambda t, n: t[: max(n, 0)], [to_text(text), count], TEXT)


@function("RIGHT", result=TEXT, least=2, takes=(None, COUNTS))
def _right(text: Value, count: Value, rows: int) -> Value:
    n = constant(count)
    if n is not UNKNOWN and n is not None and n > 0:
        return pc.utf8_slice_codeunits(to_text(text), -n)
    return by_row(lambda t, n: t[max(len(t) - max(n, 0), 0) :], [to_text(text), count], TEXT)


def _find(text: str | None, search: str | None, at: int = 1) -> int | None:
    """Where `search` begins, counted from 1; from the end on when `at` is below zero; 0 when nowhere."""
    if text is None:
        return 0
    if search is None or at is None:
        return None
    if at < 0:
        last = len(text) + at
        return text.rfind(search, 0, last + len(search)) + 1 if last >= 0 else 0
    return text.find(search, max(at - 1, 0)) + 1


@function("LOCATE", "POSITION", result=INT, least=2, most=3, takes=(None, None, COUNTS))
def _locate(search: Value, text: Value, start: Value = None, *, rows: int) -> Value:
    return _instr(text, search, start, rows=rows)


@function("INSTR", result=INT, least=2, most=3, takes=(None, None, COUNTS))
def _instr(text: Value, search: Value, start: Value = None, *, rows: int) -> Value:
    text, search = to_text(text), to_text(search)
    needle = constant(search)
    if start is None and needle not in (UNKNOWN, None, "") and pc.all(pc.string_is_ascii(text), min_count=0).as_py():
        return pc.fill_null(pc.add(pc.find_substring(text, needle), pa.scalar(1, INT)), 0)
    return by_row(_find, [text, search, *([] if start is None else [start])], INT, nulls=True)


def _pad(text: str | None, length: int | None, pad: str | None, left: bool) -> str | None:
    if text is None or length is None:
        return None
    check_length(length)
    fill = (pad or " ")[0] * (length - len(text))
    return (fill + text if left else text + fill)[: max(length, 0)]


def _padding(name: str, kernel: Any, left: bool) -> None:
    @function(name, result=TEXT, least=2, most=3, takes=(None, COUNTS))
    def apply(text: Value, length: Value, pad: Value = None, *, rows: int) -> Value:
        text, pad = to_text(text), pa.scalar(" ") if pad is None else to_text(pad)
        wanted, char = constant(length), constant(pad)
        check_bytes(name, _total(length, rows))
        if wanted not in (UNKNOWN, None) and 0 < wanted <= MOST_CHARACTERS and char is not UNKNOWN:
            return pc.utf8_slice_codeunits(kernel(text, wanted, (char or " ")[0]), 0, wanted)
        return by_row(lambda t, n, p: _pad(t, n, p, left), [text, length, pad], TEXT, nulls=True)


_padding("LPAD", pc.utf8_lpad, left=True)
_padding("RPAD", pc.utf8_rpad, left=False)


def _trimming(name: str, kernel: Any, method: Callable[[str, str], str]) -> None:
    @function(name, result=TEXT, most=2)
    def trim(text: Value, chars: Value = None, *, rows: int) -> Value:
        char = " " if chars is None else constant(to_text(chars))
        if char is not UNKNOWN:
            return kernel(to_text(text), (char or " ")[0])
        return by_row(
            lambda t, c: None if t is None else method(t, (c or " ")[0]), _texts([text, chars]), TEXT, nulls=True
        )


_trimming("LTRIM", pc.utf8_ltrim, str.lstrip)
_trimming("RTRIM", pc.utf8_rtrim, str.rstrip)
_trimming("TRIM", pc.utf8_trim, str.strip)


@function("REGEXP_REPLACE", result=TEXT, least=3, most=4, takes=(None, None, None, TEXTS))
def _regexp_replace(text: Value, pattern: Value, new: Value, flags: Value = None, *, rows: int) -> Value:
    flags = pa.scalar(None, TEXT) if flags is None else to_text(flags)
    text, pattern, new = _texts([text, pattern, new])
    p, r, f = constant(pattern), constant(new), constant(flags)
    if isinstance(p, str) and isinstance(r, str) and f is not UNKNOWN and not set(r) & set("$\\"):
        fast = for_arrow(p, f)
        if fast is not None:
            return pc.replace_substring_regex(text, fast, r)

    def replace(t: Any, p: Any, r: Any, f: Any) -> str | None:
        if None in (t, p, r):
            return None
        regex = compiled(p, f)
        return regex.sub(replacement_template(r, regex), t)

    return by_row(replace, [text, pattern, new, flags], TEXT, nulls=True)


@function("REGEXP_LIKE", result=pa.bool_(), least=2, most=3, takes=(None, None, TEXTS))
def _regexp_like(text: Value, pattern: Value, flags: Value = None, *, rows: int) -> Value:
    flags = pa.scalar(None, TEXT) if flags is None else to_text(flags)
    text, pattern = _texts([text, pattern])
    p, f = constant(pattern), constant(flags)
    if isinstance(p, str) and f is not UNKNOWN and (fast := for_arrow(p, f)) is not None:
        return pc.match_substring_regex(text, fast)

    def like(t: Any, p: Any, f: Any) -> bool | None:
        return None if None in (t, p) else compiled(p, f).search(t) is not None

    return by_row(like, [text, pattern, flags], pa.bool_(), nulls=True)


@function("REGEXP_SUBSTR", result=TEXT, least=2, most=6, takes=(None, None, COUNTS, COUNTS, TEXTS, COUNTS))
def _regexp_substr(text: Value, pattern: Value, *more: Value, rows: int) -> Value:
    def substr(t: Any, p: Any, at: Any = 1, nth: Any = 1, flags: Any = None, group: Any = 0) -> str | None:
        if t is None or p is None:
            return None
        matches = compiled(p, flags).finditer(t, max((at or 1) - 1, 0))
        found = next(islice(matches, max((nth or 1) - 1, 0), None), None)
        return None if found is None else found[group or 0]

    return by_row(substr, [*_texts([text, pattern]), *more], TEXT, nulls=True)


def _repeated(text: str, count: int) -> str:
    check_length(len(text) * count)
    return text * max(count, 0)


@function("REPEAT", result=TEXT, least=2, takes=(None, COUNTS))
def _repeat(text: Value, count: Value, rows: int) -> Value:
    text = to_text(text)
    check_bytes("REPEAT", _total(pc.multiply(pc.utf8_length(text).cast(LONG), _at_most(count)), rows))
    return by_row(_repeated, [text, count], TEXT)


def _at_most(count: Value) -> Value:
    """Counts without those of texts that are too long anyhow, and are refused row by row."""
    return pc.if_else(pc.and_(pc.greater(count, 0), pc.less_equal(count, MOST_CHARACTERS)), count, 0)


def _total(lengths: Value, rows: int) -> int:
    """The characters of all rows together; a length beyond the most is refused row by row."""
    fitting = pc.if_else(pc.less_equal(lengths, MOST_CHARACTERS), lengths, 0)
    if isinstance(fitting, pa.Scalar):
        return max(fitting.as_py() or 0, 0) * rows
    return pc.sum(pc.max_element_wise(fitting, 0)).as_py() or 0


@function("REPLACE", result=TEXT, least=2, most=3)
def _replace(text: Value, search: Value, new: Value = None, *, rows: int) -> Value:
    text, search, new = _texts([text, search, pa.scalar("") if new is None else new])
    old, fresh = constant(search), constant(new)
    if isinstance(old, str) and old and fresh is not UNKNOWN:
        longer = max(len(fresh or "") - len(old), 0)
        if longer:
            check_bytes("REPLACE", longer * (pc.sum(pc.count_substring(array_of(text, rows), old)).as_py() or 0))
        return pc.replace_substring(text, old, fresh or "")

    def replace(t: Any, s: Any, r: Any) -> str | None:
        return t if not t or not s else t.replace(s, r or "")

    return by_row(replace, [text, search, new], TEXT, nulls=True)


_SOUNDS = {c: d for d, letters in enumerate(("BFPV", "CGJKQSXZ", "DT", "L", "MN", "R"), 1) for c in letters}


@function("SOUNDEX", result=TEXT)
def _soundex(text: Value, rows: int) -> Value:
    def soundex(t: str) -> str:
        letters = [c for c in t.upper() if "A" <= c <= "Z"]
        if not letters:
            return "0000"
        code, last = letters[0], _SOUNDS.get(letters[0])
        for char in letters[1:]:
            digit = _SOUNDS.get(char)
            if digit is not None and digit != last:
                code += str(digit)
            if char not in "HW":
                last = digit
        return code[:4].ljust(4, "0")

    return by_row(soundex, [to_text(text)], TEXT)


@function("SPACE", result=TEXT, takes=COUNTS)
def _space(count: Value, rows: int) -> Value:
    return by_row(lambda n: _repeated(" ", n), [count], TEXT)


def _substr(text: str, start: int, length: int | None = None) -> str | None:
    begin = len(text) + start + 1 if start < 0 else start or 1
    end = len(text) + 1 if length is None else begin + length
    return text[max(begin, 1) - 1 : max(end - 1, 0)] or None


@function("SUBSTRING", "SUBSTR", result=TEXT, least=2, most=3, takes=(None, COUNTS, COUNTS))
def _substring(text: Value, start: Value, length: Value = None, *, rows: int) -> Value:
    """Nothing left is null, as in SeaTunnel; times are taken as `yyyy-MM-dd HH:mm:ss`."""
    if pa.types.is_timestamp(text.type):
        text = text.cast(pa.timestamp("s"), safe=False)
        text = text.cast(TEXT) if isinstance(text, pa.Array) else pa.scalar(str(text.as_py()))
    text = to_text(text)
    begin, count = constant(start), None if length is None else constant(length)
    if isinstance(begin, int) and begin >= 0 and (length is None or (isinstance(count, int) and count > 0)):
        at = max(begin - 1, 0)
        part = pc.utf8_slice_codeunits(text, at, None if count is None else at + count)
        return pc.if_else(pc.equal(part, ""), pa.scalar(None, TEXT), part)
    return by_row(_substr, [text, start, *([] if length is None else [length])], TEXT)


@function("TRANSLATE", result=TEXT, least=3)
def _translate(text: Value, old: Value, new: Value, rows: int) -> Value:
    """Characters of `old` without a partner in `new` stay, as in SeaTunnel (Oracle removes them)."""

    def translate(t: str, o: str, n: str) -> str:
        return t.translate({ord(c): r for c, r in reversed(list(zip(o, n, strict=False)))})

    return by_row(translate, _texts([text, old, new]), TEXT)


def _java_split(text: str, delimiter: str) -> list[str] | None:
    """`String.split`: the delimiter is a regular expression, and empty texts at the end are dropped."""
    if not text:
        return None
    parts, at = [], 0
    for match in compiled(delimiter).finditer(text):
        if match.end() == 0 or match.start() == match.end() == len(text):
            continue
        parts.append(text[at : match.start()])
        at = match.end()
    parts.append(text[at:])
    if at == 0:
        return parts
    while parts and not parts[-1]:
        parts.pop()
    return parts


@function("SPLIT", result=pa.list_(pa.string()), most=2)
def _split(text: Value, delimiter: Value = None, *, rows: int) -> Value:
    columns = _texts([text, pa.scalar("") if delimiter is None else delimiter])
    return by_row(_java_split, columns, pa.list_(pa.string()))
