"""Databases as source and sink: what Jdbc is made of."""
