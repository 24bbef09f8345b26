"""Writes docs/transforms/*.md from the declarations of all transforms and of SQL's functions; `--check` compares.

The examples of the functions are rows of their tests.
"""

import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from connector_pages import table_of_options, write_pages

from headrace.connector import transforms
from headrace.sql.functions import FUNCTIONS, MODULES, Function, load_built_in

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.sql.test_functions import ROWS

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "transforms"
EXAMPLES = ROOT / "examples" / "transforms"

NOT_RUN = {
    "Embedding": "It asks a service.",
    "LLM": "It asks a service.",
    "DynamicCompile": "Its code is Java or Groovy.",
}
"""Transforms whose page has no job that the tests run, and why."""

SPEED = """
## Speed

Million rows per CPU-second on batches of 65,536 rows, by `python -m benchmarks.transforms` and `benchmarks.sql`:

| transform | million rows |
|---|---|
| those that only choose, rename or drop columns, tables or kinds | over 1,000 |
| RowKindExtractor, Metadata | 113 to 123 |
| Replace of text; of a regular expression on 50 different values, on values that all differ | 24; 51, 0.5 |
| Split on 50 different values, on values that all differ | 42, 0.8 |
| RegexExtract on values that all differ | 1.4 |
| DataValidator, 4 rules | 26 |
| JsonPath, 2 paths | 0.11 |
| FieldEncrypt, AES_CBC and AES_GCM | 0.17, 0.6 |
| TextChunk of 200 characters | 0.09 |
| Sql with 5 expressions and a WHERE: numbers, texts, regular expressions | 29, 7.6, 4.3 |
| Python: `process` by row, `process_batch` on Arrow | 0.2, over 1,000 |
| Copy → Replace → FieldMapper → Filter → Metadata | 18, which is 0.78 of the slowest of them |
"""

QUERIES_NOTE = """The query is one `SELECT … FROM … [WHERE …]`, without JOIN, GROUP BY, ORDER BY, DISTINCT, LIMIT
and queries within it: rows pass one by one. The name after FROM is free. Names that are words of SQL, begin with a
digit or hold spaces stand in backquotes or double quotes: `` `order` ``; fields of rows and maps behind a dot:
`address.city`.

`LATERAL VIEW EXPLODE(array) AS part` makes a row of each element, `LATERAL VIEW OUTER EXPLODE` keeps rows without one.
The new column takes the place of the one with its name, or of `part` in the select list, or else the last one:

```sql
SELECT id, part FROM dual LATERAL VIEW EXPLODE(SPLIT(name, ' ')) AS part
```

What it makes cannot be computed with in the same query; use it in a Sql transform after this one.
"""

NUMBERS_NOTE = """A number with a point is a DOUBLE, as in SeaTunnel; one with more digits than a double has room for
is a DECIMAL, and so is a whole number outside BIGINT. Numbers of different types are compared digit by digit:
`amount > 123456789012345678.98` is exact.

What is computed of decimals has the precision and the scale of the larger operand, as in SeaTunnel. Quotients are
rounded **away from zero**: `10.00 / 3` is 3.34, `1.00 / 1000` is 0.01. All others are rounded to the nearest. For more
digits, cast first: `CAST(amount AS DECIMAL(20, 6)) / 3`. `FLOOR` and `CEIL` of a DOUBLE or FLOAT are INT; whole numbers
keep their type, and so do decimals, without their scale.

## Where SeaTunnel's page and its engine differ

The engine is followed:

| | the page | SeaTunnel's engine, and here |
|---|---|---|
| `a \|\| b`, `CONCAT` with a null | null | a null counts as an empty text |
| `s <> 'x'` for a null | no row | keeps the row; `s NOT LIKE 'x'` does not |
| `WEEK` | ISO weeks, 1 to 53 | 1 to 54: days before the first week are in week 1, so 2024-01-01 is in week 2 |

Texts that a function makes of one batch may take 256 MiB at most (16 times the bytes of a full batch); a job that needs
more is refused with the function's name. `TRIM(BOTH 'x' FROM s)` is written `TRIM(s, 'x')`.
"""

FUNCTIONS_NOTE = """Names are matched without regard to case; a null among the arguments gives null
unless the example says otherwise. In the examples `s` is 'Hello World', `d` is -120.72, `n` null,
`t` is 2021-04-08 13:34:45.123456 and `y` its date.
[Functions of your own](../python.md#sql-functions-of-your-own) are added from Python.
"""

FAMILIES = {
    "strings": "Texts",
    "numbers": "Numbers",
    "times": "Dates and times",
    "system": "Choices and casts",
    "collections": "Arrays, maps, JSON",
    "crypto": "Hashes and encryption",
    "vectors": "Vectors",
}


def page(name: str) -> str:
    """One transform's page: what it does, its options, a job."""
    cls = transforms.find(name)
    assert cls is not None
    text = "\n".join(line.strip() for line in (cls.__doc__ or "").strip().splitlines())
    parts = [f"# {name}\n\n{text}\n", *table_of_options(cls.Options), ""]
    example = EXAMPLES / f"{name.lower()}.conf"
    if example.exists():
        fence = "conf" if name in NOT_RUN else "hocon"
        parts.append(f"## Example\n\n```{fence}\n{example.read_text()}```\n")
    if name == "Sql":
        parts += [
            "## Queries\n",
            QUERIES_NOTE,
            "## Decimals\n",
            NUMBERS_NOTE,
            "## Functions\n",
            FUNCTIONS_NOTE,
            *functions(),
        ]
    return "\n".join(parts)


def index() -> str:
    """The list of all transforms."""
    parts = ["# Transforms\n", "| transform | what it does |\n|---|---|"]
    for name in transforms.names():
        cls = transforms.find(name)
        assert cls is not None
        parts.append(f"| [{name}]({name.lower()}.md) | {(cls.__doc__ or '').partition(chr(10))[0]} |")
    return "\n".join([*parts, SPEED])


def functions() -> Iterator[str]:
    """The functions by family: names that are one function in one line."""
    load_built_in()
    for module in MODULES:
        mine = [f for f in FUNCTIONS.values() if f.kernel.__module__ == f"headrace.sql.{module}"]
        yield f"### {FAMILIES[module]}\n"
        yield "| function | arguments | example |\n|---|---|---|"
        for _, same in groupby(mine, key=lambda function: id(function.kernel)):
            group = list(same)
            names = ", ".join(f"`{function.name}`" for function in group)
            yield f"| {names} | {arguments(group[0])} | {example([function.name for function in group])} |"
        yield ""


def example(names: list[str]) -> str:
    """A tested call and its value; one without columns if there is one."""
    called = re.compile(rf"({'|'.join(names)})\b", re.IGNORECASE)
    rows = [row for row in ROWS if called.match(row[0])]
    rows.sort(key=lambda row: bool(re.search(r"(?<![\w'])[a-z]{1,2}(?![\w'(])", re.sub(r"'[^']*'", "", row[0]))))
    if not rows:
        return ""
    expression, _, result, *_ = rows[0]
    return f"`{expression}` → `{shown(result)}`".replace("|", "\\|")


def shown(result: object) -> str:
    """A value as SQL's readers know it."""
    if result is None or isinstance(result, bool):
        return {None: "null", True: "true", False: "false"}[result]
    return str(result)


def arguments(function: Function) -> str:
    """How many arguments it takes."""
    if function.most is None:
        return f"{function.least} or more"
    return str(function.least) if function.least == function.most else f"{function.least} to {function.most}"


if __name__ == "__main__":
    pages = {FOLDER / f"{name.lower()}.md": page(name) for name in transforms.names()}
    sys.exit(write_pages({**pages, FOLDER / "index.md": index()}))
