"""Jdbc: tables of databases as source and sink, by the URLs of SeaTunnel's job files."""

from headrace.connector import sink, source
from headrace.connectors._jdbc.sink import JdbcSink
from headrace.connectors._jdbc.source import JdbcSource

source("Jdbc")(JdbcSource)
sink("Jdbc")(JdbcSink)
