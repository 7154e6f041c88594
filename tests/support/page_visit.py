"""A visit to a page folder from disk: no network, and everything that a browser complains of is recorded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

SHOW_MS = 20_000
NOTES = "document.addEventListener('securitypolicyviolation', e => (window.refused ??= []).push(e.violatedDirective))"
# Chromium's own note about the speed of drawing without a graphics card.
OF_THE_DRIVER = "GL Driver Message"


@dataclass
class Visit:
    """An open page.

    Attributes:
        page: the browser's page.
        requests: addresses outside the disk that were asked for.
        complaints: errors and warnings of the console, and uncaught errors.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def require_clean(self) -> None:
        """Nothing was asked from outside, refused by the policy, or complained of; no hostile text ran."""
        refused, hacked = self.page.evaluate("[window.refused ?? [], window.hacked ?? null]")
        assert (self.requests, self.complaints, refused, hacked) == ([], [], [], None)

    def wait_for_pictures(self) -> None:
        """Until all thumbnails of the map are loaded."""
        self.page.wait_for_selector('#map[data-pictures="loaded"]')

    def wait_for_hash(self, is_wanted: Callable[[str], bool]) -> None:
        """Until the part of the address behind # is as wanted. The page's policy forbids waiting inside of it."""
        for _ in range(100):
            if is_wanted(self.hash()):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"the address is still {self.hash()}")

    def hash(self) -> str:
        return self.page.evaluate("location.hash")


@contextmanager
def visit(
    browser: Browser, folder: Path, hash_: str = "", *, width: int = 1280, height: int = 800, scheme: str = "light"
) -> Iterator[Visit]:
    """Opens `index.html` of a folder as a file, offline, and requires at the end that nothing went wrong."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # pyright: ignore[reportArgumentType]
        accept_downloads=True,
        offline=True,
    )
    try:
        page = context.new_page()
        page.set_default_timeout(SHOW_MS)
        seen = Visit(page)

        def note_request(request: Request) -> None:
            if not request.url.startswith((folder.as_uri(), "data:", "blob:")):
                seen.requests.append(request.url)

        def note_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and OF_THE_DRIVER not in message.text:
                seen.complaints.append(message.text)

        page.on("request", note_request)
        page.on("console", note_console)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.add_init_script(NOTES)
        page.goto((folder / "index.html").as_uri() + hash_)
        page.wait_for_selector("header.page-head")
        yield seen
        seen.require_clean()
    finally:
        context.close()
