"""What HTTPS needs, out of PEM files or of a key store as Java keeps it: PKCS12, the default since Java 9."""

import os
import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12KeyAndCertificates, load_pkcs12
from pydantic import SecretStr

from headrace.errors import ConfigError, Problem
from headrace.server_settings import ServerSettings

_JKS = bytes.fromhex("feedfeed")


def own_context(settings: ServerSettings) -> ssl.SSLContext | None:
    """The context of a port that speaks HTTPS by `tls_certificate`; None without one. Raises ConfigError."""
    if settings.tls_certificate is None:
        return None
    context = _context()
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        problem = Problem("tls_certificate", f"cannot use {str(settings.tls_certificate)!r}: {error}", "")
        raise ConfigError([problem]) from error
    return context


def store_context(settings: ServerSettings) -> ssl.SSLContext:
    """The context of v2's port for HTTPS: key store and trust store, or `tls_certificate`. Raises ConfigError."""
    if settings.key_store is None:
        context = own_context(settings)
        if context is None:
            cure = "set key_store (http.key-store-path), or tls_certificate and tls_key"
            raise ConfigError([Problem("https_enabled", "HTTPS needs a key and its certificate", cure)])
    else:
        context = _context()
        _load_keys(context, settings)
    if settings.trust_store is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=_trusted(settings.trust_store, settings.trust_store_password))
    return context


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def _load_keys(context: ssl.SSLContext, settings: ServerSettings) -> None:
    assert settings.key_store is not None
    password = settings.key_manager_password or settings.key_store_password
    content = _content("key_store", settings.key_store)
    if content.lstrip().startswith(b"-----BEGIN"):
        try:
            context.load_cert_chain(settings.key_store, password=_text(password))
        except (OSError, ssl.SSLError) as error:
            raise ConfigError([Problem("key_store", f"cannot use {str(settings.key_store)!r}: {error}")]) from error
        return
    store = _pkcs12("key_store", settings.key_store, content, settings.key_store_password)
    if store.key is None or store.cert is None:
        raise ConfigError([Problem("key_store", f"{str(settings.key_store)!r} holds no key with a certificate", "")])
    secret = os.urandom(24).hex().encode()
    key = store.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(secret))
    chain = [store.cert, *store.additional_certs]
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # ssl loads keys from files only; this one is encrypted
        file.write(key + b"".join(one.certificate.public_bytes(Encoding.PEM) for one in chain))
        file.flush()
        context.load_cert_chain(file.name, password=secret)


def _trusted(place: Path, password: SecretStr | None) -> str:
    content = _content("trust_store", place)
    if content.lstrip().startswith(b"-----BEGIN"):
        return content.decode("ascii", "replace")
    store = _pkcs12("trust_store", place, content, password)
    found = [*([store.cert] if store.cert is not None else []), *store.additional_certs]
    if not found:
        raise ConfigError([Problem("trust_store", f"{str(place)!r} holds no certificate", "")])
    return "".join(_pem(one.certificate.public_bytes(Encoding.PEM) for one in found))


def _pem(parts: Iterable[bytes]) -> Iterable[str]:
    return (part.decode("ascii") for part in parts)


def _content(setting: str, place: Path) -> bytes:
    try:
        content = place.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(setting, f"cannot read {str(place)!r}: {error.strerror}", "")]) from error
    if content.startswith(_JKS):
        cure = f"convert it: keytool -importkeystore -srckeystore {place} -destkeystore NEW.p12 -deststoretype PKCS12"
        raise ConfigError([Problem(setting, f"{str(place)!r} is a JKS store, which only Java reads", cure)])
    return content


def _pkcs12(setting: str, place: Path, content: bytes, password: SecretStr | None) -> PKCS12KeyAndCertificates:
    try:
        return load_pkcs12(content, None if password is None else password.get_secret_value().encode())
    except ValueError as error:
        text = f"{str(place)!r} is neither PEM nor PKCS12, or its password is another"
        raise ConfigError([Problem(setting, text, f"check {setting}_password")]) from error


def _text(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
