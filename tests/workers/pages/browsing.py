"""A real browser, and a tab of Ann's in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.servers import interfaces, unavailable
from tests.workers.pages.serving import PASSWORDS, Visitor

PHONE = {"width": 390, "height": 844}
PICTURES = Path(os.environ.get("PICTURES", "")).absolute()
"""Where those of the README go: tests work in folders of their own, and the name is from where they were started."""

PATIENCE = 60_000.0
"""Milliseconds that a page may take for what it does in a moment on a quiet machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a screen. As root, as in a container, it needs its own sandbox off."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        unavailable("a browser", "apt-get install chromium")
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    with interfaces.stand_still(), sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=arguments + quiet)
        yield found
        found.close()


@pytest.fixture
def tab(browser: Browser, light: Visitor) -> Iterator[Page]:
    """A tab of Ann's, in which nothing may go wrong unseen.

    On SQLite alone: all that pages ask of PostgreSQL, tests without a browser have them ask.
    """
    context = browser.new_context(
        base_url=str(light.base_url),
        http_credentials={"username": "ann", "password": PASSWORDS["ann"]},
        timezone_id="America/New_York",
        locale="en-US",
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert wrong == [], wrong


def serious_findings(tab: Page) -> list[tuple[str, list[str]]]:
    """What keeps somebody from a page of ours; the bar is Flower's."""
    found = Axe().run(tab, context={"exclude": [[".app-navbar"]]}).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious]
