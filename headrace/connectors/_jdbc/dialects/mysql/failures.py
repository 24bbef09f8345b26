"""What the errors of MySQL and MariaDB mean (dev.mysql.com/doc/mysql-errors, mariadb.com/kb/en/mariadb-error-codes)."""

import re
from typing import Any

from headrace.connectors._jdbc.dialects.mysql.connection import MysqlSettings
from headrace.errors import Rejected, Unavailable, told

_ROW = {
    1022, 1048, 1062, 1136, 1138, 1169, 1216, 1217, 1261, 1262, 1263, 1264, 1265, 1292, 1300, 1364, 1365, 1366, 1367,
    1369, 1406, 1411, 1416, 1425, 1441, 1451, 1452, 1525, 1526, 1557, 1586, 1591, 1644, 1690, 1761, 1762, 1906, 3140,
    3141, 3143, 3156, 3617, 3819, 3903, 3908, 4025, 4038, 4079,
}  # fmt: skip
"""A row's values are at fault: null, keys, foreign keys, checks, triggers, partitions, what does not fit a type."""

_AGAIN = {
    1021, 1040, 1041, 1042, 1053, 1077, 1078, 1079, 1080, 1152, 1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161,
    1180, 1181, 1184, 1189, 1190, 1203, 1205, 1206, 1213, 1226, 1290, 1317, 1412, 1613, 1614, 1836, 1927, 2003, 2006,
    2013, 2055, 3024, 3032, 3100, 3101, 3572, 4031,
}  # fmt: skip
"""May be over when it is tried again: away, too many connections, shut down, a deadlock, a lock, killed, read only."""

_LOG_IN = {1044, 1045, 1698, 3118, 1251, 1524, 2059, 2061, 4151}
_RIGHTS = {1142, 1143, 1227, 1370, 1419}
UNKNOWN_DATABASE = 1049


def code_of(error: Any) -> int:
    """The number of an error; 0 where there is none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def text_of(error: Any) -> str:
    """The server's words."""
    said = error.args[1] if len(error.args) > 1 else str(error)
    return " ".join(str(said).split()) or told(error)


def is_of_row(error: Any) -> bool:
    """Whether a row is refused for what it holds."""
    return code_of(error) in _ROW


def row_in(text: str) -> int | None:
    """The row of a statement that a text of the server speaks of, from 1."""
    found = re.search(r"at row (\d+)$", text)
    return int(found[1]) if found else None


def reason_in(text: str) -> str:
    """The text without the row's number, which counts within one statement."""
    return re.sub(r" at row \d+$", "", text)


def meaning(error: Any, settings: MysqlSettings, *, read_only: bool = False) -> Rejected | Unavailable:
    """The error as one of ours, with the cure."""
    code, text, where = code_of(error), text_of(error), settings.shown
    if code == 1792 or (code == 1290 and read_only):
        return Rejected(f"{where}: {text}; a source only reads")
    if "certificate verify failed" in text or "CERTIFICATE_VERIFY_FAILED" in text:
        return Rejected(f"cannot connect to {where}: {text}; check sslCa, or the host's name in its certificate")
    if "SSL connection error" in text or "doesn't support SSL" in text:
        return Rejected(f"cannot connect to {where}: {text}; use sslMode=PREFERRED, or switch on TLS at the server")
    if code in (2003, 2005):
        return Unavailable(f"cannot reach {where}: {text}")
    if code in _AGAIN or code == 0:
        return Unavailable(f"cannot use {where}: {text}")
    if code in _LOG_IN:
        return Rejected(f"cannot log in to {where}: {text}; check user, password and the login's rights")
    if code == UNKNOWN_DATABASE:
        return Rejected(f"cannot open {where}: {text}; create it, or check the url")
    if code in _RIGHTS:
        return Rejected(f"{where}: {text}; grant the login the right to it")
    return Rejected(f"{where}: {text}")
