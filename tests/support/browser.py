"""The machine's own Chromium, headless, on a web server's pages, which are read as text and as pixels."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

from atlas_resources.files.project import PROJECT_ROOT

SCREENSHOTS = PROJECT_ROOT / "build" / "screenshots"
SHOW_MS = 120_000  # a time limit, not a measure of speed
expect.set_options(timeout=SHOW_MS)  # 5 s by default, also where the page has another time limit


def find_chromium() -> str | None:
    """The path of an installed browser, or None. No browser is downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def open_page(executable: str) -> Iterator[Page]:
    """A page of 1280 by 800 pixels."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(SHOW_MS)
            yield page
        finally:
            browser.close()


def keep_screenshot(page: Page, name: str) -> None:
    """Saves a screenshot of the page as `build/screenshots/<name>.png`."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def pixels_of(element: Locator) -> np.ndarray:
    """An element's pixels on the page: uint8 sRGB [h, w, 3]."""
    return np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("RGB"))


def count_red(pixels: np.ndarray) -> int:
    """The number of strongly red pixels."""
    red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
    return int(np.count_nonzero((red > 150) & (green < 80) & (blue < 80)))


def count_green(pixels: np.ndarray) -> int:
    """The number of strongly green pixels."""
    red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
    return int(np.count_nonzero((green > 150) & (red < 100) & (blue < 170)))
