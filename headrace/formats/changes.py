"""Messages of Debezium, Canal and Maxwell → rows with their kinds (SeaTunnel: its formats of the same names)."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from headrace.rows import RowKind

Change = tuple[RowKind, Mapping[str, Any]]
"""A kind, and the fields of a row by name."""

_DEBEZIUM = "io.debezium.time."
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  the column's type says whether it has a zone
_MICROS = {"Timestamp": 1000, "MicroTimestamp": 1, "Time": 1000, "MicroTime": 1}


def debezium(message: Any) -> list[Change]:
    """The rows of one message, in a wrapper with its schema or without. Raises ValueError for what is none."""
    if message is None:  # a tombstone
        return []
    meanings: dict[str, Any] = {}
    if isinstance(message, dict) and "payload" in message and "op" not in message:
        meanings = _meanings(message.get("schema"))
        message = message["payload"]
        if message is None:
            return []
    kind = _field(message, "op", "debezium_json")
    before, after = (_meant(message.get(name), meanings) for name in ("before", "after"))
    if kind in ("c", "r"):
        return [(RowKind.INSERT, _row(after, "after"))]
    if kind == "u":
        if before is None:
            raise ValueError('"before" is null in an update; set REPLICA IDENTITY FULL for the table at the source')
        return [(RowKind.UPDATE_BEFORE, _row(before, "before")), (RowKind.UPDATE_AFTER, _row(after, "after"))]
    if kind == "d":
        if before is None:
            raise ValueError('"before" is null in a deletion; set REPLICA IDENTITY FULL for the table at the source')
        return [(RowKind.DELETE, _row(before, "before"))]
    if kind in ("t", "m"):  # a truncation, a message of the program's own
        return []
    raise ValueError(f'"op" is {kind!r}, and c, r, u and d are known')


def canal(message: Any) -> list[Change]:
    """The rows of one message; what changes no rows gives none. Raises ValueError for what is none."""
    kind = str(_field(message, "type", "canal_json")).upper()
    rows = message.get("data")
    if rows is None or kind not in ("INSERT", "UPDATE", "DELETE"):
        return []
    if not isinstance(rows, list):
        raise ValueError('"data" is not a list of rows')
    old = message.get("old") or [{}] * len(rows)
    if len(old) != len(rows):
        raise ValueError(f'"old" has {len(old)} rows, and "data" {len(rows)}')
    return [change for row, before in zip(rows, old, strict=True) for change in _changes(kind, row, before)]


def maxwell(message: Any) -> list[Change]:
    """The rows of one message; what changes no rows gives none. Raises ValueError for what is none."""
    kind = str(_field(message, "type", "maxwell_json")).upper()
    kind = "INSERT" if kind == "BOOTSTRAP-INSERT" else kind
    if kind not in ("INSERT", "UPDATE", "DELETE"):
        return []
    return _changes(kind, message.get("data"), message.get("old"))


def _changes(kind: str, row: Any, old: Any) -> list[Change]:
    row = _row(row, "data")
    if kind == "INSERT":
        return [(RowKind.INSERT, row)]
    if kind == "DELETE":
        return [(RowKind.DELETE, row)]
    before = {**row, **(_row(old, "old") if old is not None else {})}  # `old` has the fields that changed alone
    return [(RowKind.UPDATE_BEFORE, before), (RowKind.UPDATE_AFTER, row)]


def _field(message: Any, name: str, form: str) -> Any:
    if not isinstance(message, dict):
        raise ValueError("the line is not a JSON object")
    if name not in message:
        raise ValueError(f"the message has no {name!r}, which every one of {form} has; look at file_format_type")
    return message[name]


def _row(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f'"{name}" is not a row')
    return value


# ----------------------------------------------------------------------------------------- what Debezium's numbers mean


def _meanings(schema: Any) -> dict[str, Any]:
    """What the schema of a message says of the fields of its rows: name → how a value is to be read."""
    parts = schema.get("fields", ()) if isinstance(schema, dict) else ()
    row: Mapping[str, Any] = next((part for part in parts if part.get("field") in ("after", "before")), {})
    made = {field.get("field"): _meaning(field) for field in row.get("fields", ())}
    return {name: read for name, read in made.items() if read is not None}


def _meaning(field: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    name = str(field.get("name") or "")
    if name == f"{_DEBEZIUM}Date" or name == "org.apache.kafka.connect.data.Date":
        return lambda days: (_EPOCH + timedelta(days=int(days))).date()
    short = name.removeprefix(_DEBEZIUM).removeprefix("org.apache.kafka.connect.data.")
    if short in ("Timestamp", "MicroTimestamp"):
        return lambda number: _EPOCH + timedelta(microseconds=int(number) * _MICROS[short])
    if short in ("Time", "MicroTime"):
        return lambda number: (_EPOCH + timedelta(microseconds=int(number) * _MICROS[short])).time()
    if short == "NanoTimestamp":
        return lambda number: _EPOCH + timedelta(microseconds=_whole_micros(int(number)))
    if short == "Decimal":
        scale = int((field.get("parameters") or {}).get("scale", 0))
        return lambda text: _decimal(text, scale)
    return None


def _whole_micros(nanos: int) -> int:
    if nanos % 1000:
        raise ValueError(f"{nanos} has nanoseconds, and TIMESTAMP holds microseconds")
    return nanos // 1000


def _decimal(text: Any, scale: int) -> Decimal:
    """Kafka Connect writes a decimal as the base64 of its whole number."""
    import base64

    if not isinstance(text, str):
        return Decimal(str(text))
    number = int.from_bytes(base64.b64decode(text, validate=True), "big", signed=True)
    digits = tuple(map(int, str(abs(number))))
    return Decimal((int(number < 0), digits, -scale))


def _meant(row: Any, meanings: Mapping[str, Callable[[Any], Any]]) -> Any:
    if not meanings or not isinstance(row, dict):
        return row
    return {
        name: meanings[name](value) if name in meanings and value is not None else value for name, value in row.items()
    }


def as_text(value: Any) -> Any:
    """A date, time or timestamp as the text that is parsed for a column of any type."""
    return value.isoformat() if isinstance(value, date | datetime | time) else value
