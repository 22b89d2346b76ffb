"""Takes the documentation's pictures of the console, in Debian's Chromium.

    python tools/console_pictures.py [FOLDER]

A service and a console run as in the tests, with the portraits of `tests/data/photos`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import Page, expect, sync_playwright

from tests.web.house import PASSWORD
from tests.web.real import Porch, a_porch

DESK, TELEPHONE = (1280, 800), (390, 844)


def door(page: Page, porch: Porch) -> None:
    porch.show("stranger")
    expect(page.locator("#strangers li").first).to_be_visible()
    porch.show("nobody")
    expect(page.locator("#faces li")).to_have_count(0)
    porch.show("known")
    expect(page.locator("#news li.new[data-type=access_granted]")).to_be_visible()
    expect(page.locator("#boxes .box.known")).to_be_visible()


def person(page: Page, porch: Porch) -> None:
    page.goto("/people")
    page.locator("#people li").filter(has_text="Joe Biden").get_by_role("link").click()
    page.get_by_label("Until, day").fill("2027-01-04")
    page.get_by_label("Until, time").fill("17:00")


def set_up(page: Page, porch: Porch) -> None:
    page.goto("/health")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#thresholds-said")).to_contain_text("Templates")
    page.evaluate("scrollTo(0, $('#set-up').offsetTop - 110)")


PICTURES: dict[str, tuple[Callable[[Page, Porch], None], tuple[int, int]]] = {
    "console-door": (door, DESK),
    "console-set-up": (set_up, DESK),
    "console-person": (person, TELEPHONE),
}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    expect.set_options(timeout=120_000)
    options: dict[str, Any] = {"executable_path": "/usr/bin/chromium", "args": ["--no-sandbox"]}
    with (
        tempfile.TemporaryDirectory() as temporary,
        a_porch(Path(temporary)) as porch,
        sync_playwright() as started,
    ):
        browser = started.chromium.launch(**options)
        for name, (work, (width, height)) in PICTURES.items():
            page = browser.new_page(
                base_url=porch.base, viewport={"width": width, "height": height}, locale="en-GB"
            )
            page.goto("/login")
            page.get_by_label("Name").fill("ada")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url("**/")
            work(page, porch)
            page.screenshot(path=folder / f"{name}.jpg", type="jpeg", quality=85)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
