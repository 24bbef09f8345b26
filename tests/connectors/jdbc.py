"""What the tests of the Jdbc source and sink share."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

from headrace.connector import sinks, sources
from headrace.testing import make


def query(path, sql, rows=None):
    """Run one statement, or one for each row; gives back what it finds."""
    with closing(sqlite3.connect(path)) as connection, connection:
        if rows is not None:
            return connection.executemany(sql, rows).fetchall()
        return connection.execute(sql).fetchall()


def jdbc_source(path, **options):
    """A source of the file."""
    return make(sources.find("Jdbc"), url=f"jdbc:sqlite:{path}", **options)


def jdbc_sink(path, **options):
    """A sink into the file that writes its own statements, unless it is given a query."""
    if "query" not in options:
        options.setdefault("generate_sink_sql", True)
    return make(sinks.find("Jdbc"), url=f"jdbc:sqlite:{path}", **options)


_DIES = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE unfinished (text TEXT)")
connection.executemany("INSERT INTO unfinished VALUES (?)", [["x" * 1000]] * 100)
os.kill(os.getpid(), signal.SIGKILL)
"""


def die_while_writing(path):
    """Leave the file as a program does that is killed in a transaction, part of which is in the file already."""
    done = subprocess.run([sys.executable, "-c", _DIES, str(path)])
    assert done.returncode == -signal.SIGKILL
    assert path.with_name(f"{path.name}-journal").stat().st_size
