"""What is not JSON in a JSON job file, said with its line and the cure."""

from json import JSONDecodeError, loads

from headrace.errors import ConfigError, Problem

_SLIPS = {
    "Expecting value": ("a value is missing", "remove the comma before it, or put texts into double quotes"),
    "Expecting property name enclosed in double quotes": (
        "a key in double quotes is missing",
        "remove the comma before it, or put the key into double quotes",
    ),
    "Illegal trailing comma before end of object": ("a comma before the end of a block", "remove the comma"),
    "Illegal trailing comma before end of array": ("a comma before the end of a list", "remove the comma"),
    "Expecting ',' delimiter": ("a comma is missing", "put a comma between the values"),
    "Expecting ':' delimiter": ("a colon is missing", "put a colon between key and value"),
    "Extra data": ("the job ends before this", "remove what follows, or the brace that ends the job too early"),
    "Invalid \\escape": ("this is not an escape", "write the backslash twice"),
    "Unterminated string starting at": ("the text in quotes is not closed", 'add the missing `"`'),
}
"""What Python's parser says → how we say it, and the cure."""


def check_json(text: str, file: str) -> None:
    """Raises ConfigError with line and column of the first thing that is not JSON.

    HOCON forgives what JSON does not: a comma too many would be read as something else, without a word.
    """
    bare = text.lstrip("\ufeff")
    try:
        loads(bare, strict=False, parse_int=str)
    except JSONDecodeError as error:
        message, cure = _SLIPS.get(error.msg.partition(" (")[0], (error.msg.lower(), ""))
        if error.msg == "Expecting value" and bare[error.pos : error.pos + 1] in ("#", "/"):
            message, cure = "JSON has no comments", "remove it, or save the file as .conf"
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError([Problem("", f"not JSON: {place}: {message}", cure, file, error.lineno)]) from None
    except RecursionError:
        pass  # the parser above has its own limit
