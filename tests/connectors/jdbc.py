"""What the tests of the Jdbc source and sink share."""

import sqlite3
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
