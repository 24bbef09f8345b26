"""Hosts with their ports."""


def joined(host: str, port: int) -> str:
    """host:port, an IPv6 address in brackets (RFC 3986)."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
