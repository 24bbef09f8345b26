"""What the page of Jdbc says of each database, from the declarations of the dialects."""

from collections.abc import Iterator

from headrace.connectors._jdbc.dialect import Dialect
from headrace.connectors._jdbc.dialects import dialects
from headrace.connectors._jdbc.options import JdbcSinkOptions, JdbcSourceOptions
from headrace.connectors._jdbc.positions import EPOCHS, POSITIONS, PositionsTables
from headrace.options import option_name


def notes() -> str:
    """A section for each database."""
    return "\n".join(["## Exactly once\n", _ONCE, *(line for d in dialects() for line in _section(d))]) + "\n"


_ONCE = f"""The rows of a checkpoint and the positions they reach are committed in one transaction of the target: after
a crash each split goes on from the position that the target itself tells, so nothing is lost or doubled, whatever was
killed and however the job was started again. Two small tables there keep the positions, `{POSITIONS}`, and the number
of the start that may write, `{EPOCHS}`: a task that was replaced but still lives commits nothing. The options
`positions_table`, `epochs_table` and `positions_schema` name them otherwise; the login needs the right to create them,
or they are made beforehand with the statements below.
"""


def _section(dialect: Dialect) -> Iterator[str]:
    text = "\n".join(line.strip() for line in (type(dialect).__doc__ or "").strip().splitlines())
    yield f"\n## {dialect.title}\n\n`{dialect.url_form}`\n\n{text}\n"
    tables = PositionsTables((POSITIONS,), (EPOCHS,))
    yield "```sql\n" + "\n".join(f"{statement};" for statement in tables.create(dialect)) + "\n```\n"
    if dialect.idle:
        fields = {**JdbcSourceOptions.model_fields, **JdbcSinkOptions.model_fields}
        idle = (f"`{option_name(name, fields[name])}` ({reason})" for name, reason in dialect.idle.items())
        yield f"These options do nothing here: {', '.join(idle)}.\n"
    if dialect.types:
        yield "| type of the column | is read as |\n|---|---|"
        yield from (f"| {name} | {read} |" for name, read in dialect.types.items())
