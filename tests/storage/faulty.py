"""A proxy before an HTTP server that breaks the requests that a test names."""

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Fault:
    """wanted: a pattern of `METHOD /path?query`. times: how many of them are broken."""

    wanted: str
    kind: Callable[["_Handler"], bool]
    times: int = 1


def answer(status: int, code: str) -> Callable[["_Handler"], bool]:
    """The store says no, and does nothing."""

    def act(handler: "_Handler") -> bool:
        text = f"<Error><Code>{code}</Code><Message>{code} of the test.</Message></Error>".encode()
        handler.reply(status, {"Content-Type": "application/xml"}, text)
        return True

    return act


def reset(handler: "_Handler") -> bool:
    """The line breaks before the store has heard of it."""
    handler.hang_up()
    return True


def answer_lost(handler: "_Handler") -> bool:
    """The store has done it, and the line breaks before it can say so."""
    handler.forward()
    handler.hang_up()
    return True


def short(handler: "_Handler") -> bool:
    """Half of the answer comes."""
    status, headers, content = handler.forward()
    handler.reply(status, headers, content, content[: len(content) // 2])
    handler.hang_up()
    return True


def slow(handler: "_Handler") -> bool:
    """The answer takes a second more."""
    time.sleep(1)
    return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Proxy"

    def handle_one(self) -> None:
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        self.content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault_of(f"{self.command} {self.path}")
        if fault is None or not fault(self):
            self.reply(*self.forward())

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one

    def forward(self) -> tuple[int, dict[str, str], bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        try:
            line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    line.putheader(name, value)
            line.endheaders(self.content)
            found = line.getresponse()
            return found.status, dict(found.getheaders()), found.read()
        finally:
            line.close()

    def reply(self, status: int, headers: dict[str, str], content: bytes, sent: bytes | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if sent is None else sent)

    def hang_up(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def finish(self) -> None:
        if not self.connection._closed:  # type: ignore[attr-defined]
            super().finish()

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.faults, self._lock = behind, list[Fault](), threading.Lock()
        self.seen: list[str] = []

    def start(self) -> "Proxy":
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is meant."""

    def fault_of(self, request: str) -> Callable[[_Handler], bool] | None:
        with self._lock:
            self.seen.append(request)
            for fault in self.faults:
                if fault.times and re.search(fault.wanted, request):
                    fault.times -= 1
                    return fault.kind
            return None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"
