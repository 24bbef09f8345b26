"""What lies between a job and its database: a line that a test cuts, and certificates of an authority of its own."""

import contextlib
import datetime
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Line:
    """Passes bytes between whoever connects to `port` and a server of this machine, until it is cut.

    change: what becomes of bytes that come from the server.
    """

    def __init__(self, server_port: int, change: Callable[[bytes], bytes] = bytes) -> None:
        self._server_port, self._change = server_port, change
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Nothing gets through any more, and who connects is turned away; gives back how many lines were cut."""
        with self._lock:
            self.is_cut, ends, self._ends = True, self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        return len(ends) // 2

    def mend(self) -> None:
        """New connections get through."""
        self.is_cut = False

    def close(self) -> None:
        """For good."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.is_cut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._ends += [near, far]
            for a, b, change in ((near, far, bytes), (far, near, self._change)):
                threading.Thread(target=self._pass, args=(a, b, change), daemon=True).start()

    @staticmethod
    def _pass(a: socket.socket, b: socket.socket, change: Callable[[bytes], bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := a.recv(65_536):
                b.sendall(change(data))
        with contextlib.suppress(OSError):
            b.shutdown(socket.SHUT_RDWR)


class Authority:
    """Signs certificates; its own lies in `folder`, as NAME.pem."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} of the tests")])
        found = self._certificate(self._name, self._key.public_key())
        found = found.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(found.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def sign(self, host: str) -> tuple[bytes, bytes]:
        """A certificate for a server of this name, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        alternative = x509.SubjectAlternativeName([x509.DNSName(host)])
        found = self._certificate(name, key.public_key()).add_extension(alternative, critical=False)
        text = serialization.PrivateFormat.TraditionalOpenSSL
        return (
            found.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, text, serialization.NoEncryption()),
        )

    def _certificate(self, name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        found = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key)
        found = found.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        return found.not_valid_after(now + datetime.timedelta(days=1))
