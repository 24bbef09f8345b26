"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import os
import shutil
from pathlib import Path

import pytest

from tests.api.servers import Server

CHROMIUM = shutil.which("chromium")
ROOT = Path(__file__).resolve().parents[2]
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
