"""LOAD DATA LOCAL INFILE from memory: rows as the lines that the server reads, where it surely reads them as they are.

With LOCAL the server turns errors into warnings and writes another value, or leaves the row out. So a load counts only
when there was no warning and as many rows came in as were sent. Else it is undone: INSERT writes the rows then, and
finds those that are refused. (dev.mysql.com/doc/refman/8.4/en/load-data.html, mariadb.com/kb/en/load-data-infile/)
"""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.connectors._jdbc.dialects.mysql.failures import code_of, is_of_row
from headrace.connectors._jdbc.dialects.mysql.lines import Lines, joined, listed
from headrace.connectors._jdbc.dialects.mysql.types import BYTES, TEXTS, declared
from headrace.connectors._jdbc.dialects.mysql.values import Form, as_plain
from headrace.connectors._jdbc.encoding import hexadecimal
from headrace.connectors._jdbc.statements import Statements
from headrace.errors import Rejected

if TYPE_CHECKING:
    from headrace.connectors._jdbc.dialects.mysql.database import Mysql
    from headrace.connectors._jdbc.dialects.mysql.writing import Table

CHUNK_BYTES = 256 * 1024
"""Of the rows that are sent at once."""

_NAME = b"headrace-rows"
"""What the statement calls its file. The server asks for it by this name, and gets the rows; there is no file."""

_QUERY, _WANTS_FILE = 0x03, 0xFB

_FORBIDDEN = {1064, 1105, 1148, 1235, 1295, 3948, 3950, 4166}
"""The server, or a proxy before it, knows no LOAD DATA LOCAL or does not allow it."""

_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "decimal", "numeric", "float", "double",
            "real")  # fmt: skip
_TIMES = ("date", "datetime", "timestamp", "time")
_CHOICES = ("enum", "set")


class Loading:
    """What one connection loads."""

    def __init__(self, database: "Mysql") -> None:
        self._database = database
        self._may: bool | None = None

    def load(self, of: Statements, table: "Table", rows: pa.RecordBatch, most: int) -> bool:
        """Whether all rows are in; else nothing of them is, and they are to be inserted. most: bytes of a packet."""
        if not table.loads or not self._is_allowed():
            return False
        columns = self._database.dialect.columns(of)
        declarations = {name: table.declared.get(of.columns[name].lower(), "") for name in columns}
        for name in columns:
            column = rows.column(name)
            if not _is_safe(column.type, declarations[name]):
                table.loads = False
                return False
            if column.null_count and of.columns[name].lower() in table.never_null:
                return False
        lines, statement = self._lines(of, rows, columns, declarations)
        if lines.longest >= most:  # no statement takes such a row, nor would one give it back
            return False
        return self._loaded(statement, lines, rows.num_rows, min(CHUNK_BYTES, most - 1))

    def forbidden(self) -> tuple[str, str] | None:
        """Why the server takes no loads, and the cure; Galera may cut one into several transactions."""
        names = ("local_infile", "wsrep_on", "wsrep_load_data_splitting")
        found = dict(self._database.execute("SHOW VARIABLES WHERE variable_name IN (?, ?, ?)", names))
        if found.get("local_infile") != "ON":
            return "local_infile is off", "SET GLOBAL local_infile = ON, and in the server's configuration"
        if found.get("wsrep_on") == found.get("wsrep_load_data_splitting") == "ON":
            return "wsrep_load_data_splitting is on", "SET GLOBAL wsrep_load_data_splitting = OFF"
        return None

    def _is_allowed(self) -> bool:
        if self._may is None:
            self._may = self.forbidden() is None
        return self._may

    def _lines(
        self, of: Statements, rows: pa.RecordBatch, columns: dict[str, str], declarations: dict[str, str]
    ) -> tuple[Lines, bytes]:
        """The rows, and the statement that reads them: bytes travel as hexadecimal digits."""
        fields, names, changes = [], [], []
        for number, (name, quoted) in enumerate(columns.items()):
            plain, form = as_plain(rows.column(name), declarations[name], self._database.settings.zone)
            if form is Form.BYTES:
                plain = hexadecimal(plain)
                names.append(f"@headrace_{number}")
                changes.append(f"{quoted} = UNHEX(@headrace_{number})")
            else:
                names.append(quoted)
            fields.append(_escaped(plain) if form is Form.TEXT else plain)
        lines = joined([listed(fields, b"\t", r"\N"), b"\n"], rows.num_rows)
        setting = f" SET {', '.join(changes)}" if changes else ""
        statement = (
            f"LOAD DATA LOCAL INFILE '{_NAME.decode()}' INTO TABLE {self._database.dialect.quoted(of.table)} "
            r"CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' "
            f"({', '.join(names)}){setting}"
        )
        return Lines(lines), statement.encode()

    def _loaded(self, statement: bytes, lines: Lines, count: int, size: int) -> bool:
        """Load within a savepoint; False after which nothing of it is left."""
        database = self._database
        with database.translated():
            database.connection.query("SAVEPOINT headrace")
            try:
                answer = self._send(statement, lines, size)
                if answer.affected_rows == count and not answer.warning_count:
                    return True
            except database.driver.Error as error:
                if code_of(error) in _FORBIDDEN:
                    self._may = False
                elif not is_of_row(error):
                    raise
            database.connection.query("ROLLBACK TO SAVEPOINT headrace")
        return False

    def _send(self, statement: bytes, lines: Lines, size: int) -> Any:
        """Run the statement and give the server its rows, and nothing else, whatever it asks for."""
        from pymysql.protocol import OKPacketWrapper

        connection = self._database.connection
        connection._execute_command(_QUERY, statement)
        wish = bytes(connection._read_packet().get_all_data())
        if wish != bytes([_WANTS_FILE]) + _NAME:
            connection._force_close()
            raise Rejected(f"{self._database.shown} asked for a file of this machine, which is refused")
        for chunk in lines.chunks(size):
            connection.write_packet(chunk)
        connection.write_packet(b"")
        return OKPacketWrapper(connection._read_packet())


def _is_safe(dtype: pa.DataType, source_type: str) -> bool:
    """Whether a column declared so makes the same of the value's text as of the value.

    It does not where a number means something else than its text: in a bit, a year, an enum.
    """
    base = declared(source_type).base
    if pa.types.is_dictionary(dtype):
        return _is_safe(dtype.value_type, source_type)
    if pa.types.is_boolean(dtype) or pa.types.is_integer(dtype) or pa.types.is_decimal(dtype):
        return base in _NUMBERS
    if pa.types.is_floating(dtype):
        return base in ("float", "double", "real")
    if pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype) or pa.types.is_fixed_size_binary(dtype):
        return base in BYTES
    if pa.types.is_temporal(dtype):
        return base in (*_TIMES, *TEXTS)
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        return base in (*TEXTS, *BYTES, *_NUMBERS, *_TIMES, *_CHOICES)
    return base in TEXTS


def _escaped(plain: pa.Array) -> pa.Array:
    """Texts with what ends a field or a line, and the sign of escapes itself, escaped."""
    for sign, written in ((b"\\", rb"\\"), (b"\t", rb"\t"), (b"\n", rb"\n"), (b"\0", rb"\0")):
        if pc.any(pc.match_substring(plain, sign)).as_py():
            plain = pc.replace_substring(plain, sign, written)
    return plain
