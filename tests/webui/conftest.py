"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import http.client
import os
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.api.servers import Server

CHROMIUM = shutil.which("chromium")
ROOT = Path(__file__).resolve().parents[2]
STYLES = ROOT / "webui" / "node_modules" / "@mantine" / "core" / "styles.css"
AXE = ROOT / "webui" / "node_modules" / "axe-core" / "axe.min.js"
BUILT = ROOT / "headrace" / "api" / "page_files" / "index.html"
IMAGES = ROOT / "docs" / "images"
PATIENCE_MS = 90_000
"""How long anything may take to be seen."""


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: scripts/test does it")
    if not BUILT.is_file():
        pytest.skip("the page is not built: scripts/install says why")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("page") / "home").start()
    yield running
    running.stop()


class Visit:
    """One visit of the page, which notes what must not happen: errors in the console, requests to other hosts."""

    def __init__(self, browser, url, **how):
        self.url = url
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **how})
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.wrong = []
        self.page.on(
            "console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request):
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.wrong.append(f"asked {request.url}")

    def open(self, view="/"):
        self.page.goto(f"{self.url}#{view}")
        return self.page

    def shot(self, name):
        """A picture for the docs, when they are asked for (HEADRACE_DOC_IMAGES=1)."""
        if os.environ.get("HEADRACE_DOC_IMAGES"):
            IMAGES.mkdir(exist_ok=True)
            self.page.screenshot(path=IMAGES / f"page-{name}.png")

    def unstyled(self):
        """Classes of the component library in what is shown whose rules the page did not bring."""
        known = set(re.findall(r"\.(m_[0-9a-f]+)", STYLES.read_text())) if STYLES.exists() else set()
        shown, ruled = self.page.evaluate(
            """() => [
                [...new Set([...document.querySelectorAll('[class*=m_]')].flatMap(node => [...node.classList]))],
                [...document.styleSheets].map(sheet => [...sheet.cssRules].map(rule => rule.cssText).join()).join()
            ]"""
        )
        return sorted(known & set(shown) - set(re.findall(r"\.(m_[0-9a-f]+)", ruled)))

    def faults(self):
        """Serious findings of axe about what is shown."""
        if not AXE.exists():
            pytest.skip("axe-core is not there: scripts/install fetches it when it builds the page")
        self.page.evaluate(AXE.read_text())  # as the driver, which the page's policy does not bind
        found = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {[node['html'][:150] for node in one['nodes'][:3]]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@pytest.fixture
def visit(browser):
    """Begin a visit; at its end nothing may have gone wrong in it, but for the texts in `expected`."""
    visits = []

    def begin(url, **how):
        visits.append(Visit(browser, url, **how))
        return visits[-1]

    yield begin
    for one in visits:
        one.context.close()
    for one in visits:
        assert one.wrong == []


BELOW = "/tools/rows"


class _Proxy(BaseHTTPRequestHandler):
    """What `location /tools/rows/ { proxy_pass http://…/; }` does: the path without its beginning, the Host kept."""

    protocol_version = "HTTP/1.1"

    def _pass_on(self):
        if not self.path.startswith(f"{BELOW}/"):
            self.send_error(404)
            return
        size = int(self.headers.get("Content-Length", 0))
        asked = http.client.HTTPConnection("127.0.0.1", self.server.behind.port, timeout=60)
        path = self.server.behind.base + self.path.removeprefix(BELOW)
        asked.request(self.command, path, self.rfile.read(size), dict(self.headers))
        answer = asked.getresponse()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while part := answer.read1(65536):
                self.wfile.write(part)
        except OSError:  # the browser has left
            pass
        self.close_connection = True
        asked.close()

    do_GET = do_POST = _pass_on

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy():
    """Begin a proxy before a server; its address, below a path that the server does not know of."""
    running = []

    def begin(server):
        found = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
        found.daemon_threads, found.behind = True, server
        running.append(found)
        threading.Thread(target=found.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{found.server_port}{BELOW}/"

    yield begin
    for one in running:
        one.shutdown()
        one.server_close()
