"""Runs Apache SeaTunnel's job files on Arrow, without a JVM."""
