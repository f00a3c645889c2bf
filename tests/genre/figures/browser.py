"""A Chromium without a window, for tests of pages; the one that is installed on this machine."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts Chromium; skips the test where none is installed."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"needs a Chromium to show pages, and none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


def wait_until(page: Page, expression: str, seconds: float = 10.0) -> None:
    """Waits until a JavaScript expression holds; `Page.wait_for_function` needs `eval`, which pages here forbid."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"waited {seconds:g} s for {expression}"
        page.wait_for_timeout(20)


@contextmanager
def opened(
    browser: Browser, path: Path, *, width: int = 1280, scheme: str = "light", expected: str = ""
) -> Iterator[Page]:
    """Opens a page from disk; at the end there must have been no message, error, or request but for local files.

    A message that holds the text `expected` is none.
    """
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, faults = context.new_page(), []
    page.set_default_timeout(10_000)
    page.on("console", lambda message: (expected and expected in message.text) or faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or faults.append(request.url))
    page.goto(path.as_uri())
    yield page
    context.close()
    assert not faults, faults
