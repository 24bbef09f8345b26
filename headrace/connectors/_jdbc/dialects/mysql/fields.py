"""The type of a query's column as the database would declare it, from what the protocol says of it."""

from typing import Any

_UNSIGNED, _ENUM, _SET = 32, 256, 2048
_BINARY = 63
"""The number of the character set of bytes."""

_NAMES = {
    0: "decimal", 1: "tinyint", 2: "smallint", 3: "int", 4: "float", 5: "double", 6: "varchar(1)", 7: "timestamp",
    8: "bigint", 9: "mediumint", 10: "date", 11: "time", 12: "datetime", 13: "year", 14: "date", 15: "varchar",
    16: "bit", 245: "json", 246: "decimal", 247: "enum", 248: "set", 249: "tinyblob", 250: "mediumblob",
    251: "longblob", 252: "blob", 253: "varchar", 254: "char", 255: "geometry",
}  # fmt: skip

_AS_TEXT = {"char": "binary", "varchar": "varbinary"}


def type_of(field: Any) -> str:
    """`decimal(10,2)`, `int unsigned`, `longtext` and the like."""
    name, unsigned = _NAMES.get(field.type_code, "varchar"), bool(field.flags & _UNSIGNED)
    if field.flags & _ENUM:
        return "enum"
    if field.flags & _SET:
        return "set"
    if name == "decimal":
        precision = field.length - (0 if unsigned else 1) - (1 if field.scale else 0)
        return f"decimal({min(max(precision, field.scale, 1), 65)},{field.scale})"
    if name == "bit":
        return f"bit({field.length})"
    if name == "tinyint" and field.length == 1 and not unsigned:
        return "tinyint(1)"
    if name in ("tinyint", "smallint", "mediumint", "int", "bigint"):
        return f"{name} unsigned" if unsigned else name
    if name in _AS_TEXT:
        return _AS_TEXT[name] if field.charsetnr == _BINARY else name
    if name.endswith("blob") and field.charsetnr != _BINARY:
        return name.replace("blob", "text")
    return name
