"""Search and want in a real browser: by keyboard, on a telephone, in the dark."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Page, expect

from tasks.sandbox import SandboxServer
from tests.workers.cli.conftest import sandbox
from tests.workers.cli.running import Cli, purchases
from tests.workers.pages.browsing import PHONE, PICTURES, browser, serious_findings, tab
from workers.views.desk import Desk

__all__ = ["browser", "sandbox", "tab"]

FOUND = "/dialstock/search?provider=telnyx&country=US&prefix=415&limit=5"


def test_numbers_are_searched_picked_and_ordered_by_keyboard(
    cli: Cli, desk: Desk, sandbox: SandboxServer, tab: Page
) -> None:
    tab.goto("/dialstock/")
    tab.get_by_role("link", name="Search").click()
    tab.get_by_label("Provider").select_option("telnyx")
    tab.get_by_label("Begins with").fill("415")
    tab.get_by_label("How many are shown").fill("5")
    tab.keyboard.press("Enter")
    rows = tab.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(6)
    expect(rows.nth(1)).to_contain_text("1.00 USD")
    number = rows.nth(2).get_by_role("rowheader").inner_text()
    tab.get_by_label(number).focus()
    tab.keyboard.press("Space")
    tab.get_by_role("button", name="Check what is ticked").press("Enter")
    expect(tab.get_by_text("1 good rows, 0 bad ones. Nothing is bought yet.")).to_be_visible()
    expect(tab.get_by_text("1.00 USD a month, 1.00 USD setup")).to_be_visible()
    assert serious_findings(tab) == []
    assert purchases(desk) == {}
    tab.get_by_role("button", name="Buy").press("Enter")
    expect(tab.get_by_role("status").first).to_contain_text("picked at telnyx is in: 1 line.")
    assert set(purchases(desk)) == {number}


def test_one_tick_picks_all(cli: Cli, desk: Desk, sandbox: SandboxServer, tab: Page) -> None:
    tab.goto(FOUND)
    tab.get_by_label("all of them").check()
    tab.get_by_role("button", name="Check what is ticked").click()
    expect(tab.get_by_text("5 good rows")).to_be_visible()


def test_what_was_found_reads_well_on_a_telephone_and_in_the_dark(cli: Cli, sandbox: SandboxServer, tab: Page) -> None:
    tab.goto(FOUND)
    assert serious_findings(tab) == []
    tab.set_viewport_size(PHONE)  # type: ignore[arg-type]
    tab.emulate_media(color_scheme="dark")
    tab.goto(FOUND)
    expect(tab.get_by_role("rowheader").first).to_be_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert tab.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    assert serious_findings(tab) == []


@pytest.mark.skipif("PICTURES" not in os.environ, reason="PICTURES=FOLDER takes those of the README anew")
def test_pictures_of_a_search(cli: Cli, sandbox: SandboxServer, tab: Page) -> None:
    tab.set_viewport_size({"width": 1200, "height": 720})
    tab.goto(FOUND)
    tab.screenshot(path=PICTURES / "search.png")
