"""The pages in a real browser: with a keyboard, on a telephone, in the dark, and while things happen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from schemas.status import Status
from tasks.orders import complete_finished
from tests.workers.cli.running import NUMBERS, Cli, csv_file, purchases, settle, simple_file
from tests.workers.pages.browsing import PATIENCE, PHONE, PICTURES, browser, serious_findings, tab
from tests.workers.pages.serving import PASSWORDS, Visitor
from workers.views.desk import Desk

__all__ = ["browser", "tab"]

PAGES = (
    "orders",
    "new",
    "search",
    "orders/last",
    "held",
    "purchases",
    "purchases/last",
    "pools",
    "providers",
    "asyncapi",
)


@pytest.fixture
def order(cli: Cli, desk: Desk, home: Path) -> str:
    """Four numbers: bought, held, failed and waiting."""
    made = cli.submit(simple_file(home, 4))
    settle(desk, NUMBERS[0], Status.PURCHASED, success=True)
    settle(desk, NUMBERS[1], Status.HELD, doubt=True, error="HTTP 500", error_code="http_500")
    settle(desk, NUMBERS[2], Status.FAILED, success=False, error="the number is taken", error_code="taken")
    return made


@pytest.mark.skipif("PICTURES" not in os.environ, reason="PICTURES=FOLDER takes those of the README anew")
def test_pictures(tab: Page, cli: Cli, desk: Desk, home: Path) -> None:
    sellers = ("telnyx", "plivo", "vonage", "signalwire")
    order = cli.submit(csv_file(home, [f"{one},{sellers[n % 4]}" for n, one in enumerate(NUMBERS)], name="spring.csv"))
    for number in NUMBERS[:70]:
        settle(desk, number, Status.PURCHASED, success=True)
    settle(desk, NUMBERS[70], Status.FAILED, success=False, error="the number is taken", error_code="not_available")
    for number in NUMBERS[71:74]:
        words = "no answer within 30 s, and the provider cannot be asked: was it bought?"
        settle(desk, number, Status.HELD, doubt=True, error=words, error_code="unknown_outcome")
    tab.set_viewport_size({"width": 1200, "height": 720})
    for name, path in (("order", f"orders/{order}"), ("held", "held")):
        tab.goto(f"/dialstock/{path}")
        tab.screenshot(path=PICTURES / f"{name}.png")


def test_each_page_reads_well_for_everybody(tab: Page, order: str) -> None:
    for path in PAGES:
        tab.goto(f"/dialstock/{path}")
        assert serious_findings(tab) == [], path


def test_each_page_fits_a_telephone_and_the_dark(tab: Page, order: str) -> None:
    tab.set_viewport_size(PHONE)  # type: ignore[arg-type]
    tab.emulate_media(color_scheme="dark")
    for path in PAGES:
        tab.goto(f"/dialstock/{path}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        assert tab.evaluate("document.documentElement.dataset.bsTheme") == "dark", path
        assert serious_findings(tab) == [], path


def test_an_order_is_followed_while_somebody_looks(tab: Page, desk: Desk, order: str) -> None:
    tab.goto("/dialstock/")
    tab.get_by_role("link", name=order[-8:]).click()
    bought = tab.locator("[data-count=bought]")
    expect(bought).to_have_text("1")
    tab.evaluate("window.stays = true")
    settle(desk, NUMBERS[3], Status.PURCHASED, success=True)
    expect(bought).to_have_text("2", timeout=PATIENCE)
    assert tab.evaluate("window.stays") is True, "the page was not loaded again"


def test_what_is_held_is_settled_by_keyboard(tab: Page, desk: Desk, order: str) -> None:
    tab.goto("/dialstock/held")
    tab.get_by_label(f"{NUMBERS[1]} at timepay").focus()
    tab.keyboard.press("Space")
    tab.get_by_label("It is not ours, and not wanted any more").focus()
    tab.keyboard.press("Space")
    tab.get_by_label("Note").fill("not in the portal")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("status")).to_contain_text("1 purchase settled by ann.")
    expect(tab.get_by_text("Nothing waits for a person.")).to_be_visible()
    assert purchases(desk)[NUMBERS[1]]["status"] == "failed"
    tab.goto(f"/dialstock/purchases/{purchases(desk)[NUMBERS[1]]['id']}")
    expect(tab.get_by_text("fail by ann: not in the portal")).to_be_visible()


def test_a_provider_is_paused_and_an_order_cancelled(tab: Page, desk: Desk, order: str) -> None:
    tab.goto("/dialstock/providers")
    tab.locator("#reason-bird").fill("an outage")
    tab.get_by_role("button", name="Pause bird").click()
    expect(tab.get_by_role("status")).to_contain_text("bird is paused.")
    tab.get_by_role("button", name="Resume bird").click()
    expect(tab.get_by_role("status")).to_contain_text("bird goes on.")
    tab.goto(f"/dialstock/orders/{order}")
    tab.locator("#sure-cancel").check()
    tab.get_by_role("button", name="Cancel this order").click()
    expect(tab.get_by_role("status").first).to_contain_text("1 line was asked to stop")
    assert purchases(desk)[NUMBERS[3]]["status"] == "cancelled"
    expect(tab.get_by_role("button", name="Cancel this order")).to_have_count(0)
    expect(tab.get_by_role("button", name="Retry this order")).to_be_visible()


def test_an_order_that_is_over_offers_nothing_to_who_watches(tab: Page, cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 1))
    tab.goto(f"/dialstock/orders/{order}")
    cancel = tab.get_by_role("button", name="Cancel this order")
    expect(cancel).to_be_visible()
    expect(tab.get_by_role("button", name="Retry this order")).to_have_count(0)
    settle(desk, NUMBERS[0], Status.PURCHASED, success=True)
    complete_finished(desk.runtime)
    expect(cancel).to_have_count(0, timeout=PATIENCE)
    expect(tab.get_by_role("region", name="Change the order")).to_have_count(0)


def test_a_file_is_checked_before_it_is_bought(tab: Page, desk: Desk, home: Path) -> None:
    file = csv_file(home, [f"{NUMBERS[0]},timepay", f"{NUMBERS[1]},bird", "12,bird"])
    tab.goto("/dialstock/orders")
    tab.get_by_role("link", name="New order").click()
    tab.get_by_label("File").set_input_files(file)
    tab.get_by_role("button", name="Check").click()
    expect(tab.get_by_text("2 good rows, 1 bad ones. Nothing is bought yet.")).to_be_visible()
    assert serious_findings(tab) == []
    assert purchases(desk) == {}
    tab.get_by_label("Leave the bad rows out").check()
    tab.get_by_role("button", name="Buy").click()
    expect(tab.get_by_role("status").first).to_contain_text("numbers.csv is in: 2 lines.")
    assert set(purchases(desk)) == set(NUMBERS[:2])


def test_a_sample_of_a_message_is_opened_by_keyboard(tab: Page, desk: Desk) -> None:
    # A browser without a screen may never end a smooth scroll.
    tab.emulate_media(reduced_motion="reduce")
    tab.goto("/dialstock/providers")
    tab.get_by_role("link", name="Messages and events").click()
    sample = tab.get_by_role("region", name="Sample of buy_number")
    expect(sample).to_be_hidden()
    tab.get_by_text("A sample of buy_number").focus()
    tab.keyboard.press("Enter")
    expect(sample).to_contain_text('"idempotency_key": "crm-4711"')
    tab.get_by_role("link", name="order.updated").first.click()
    expect(tab.get_by_role("heading", name="dialstock.order.updated")).to_be_in_viewport()


def test_times_are_the_viewer_s_with_utc_beside(tab: Page, desk: Desk, order: str) -> None:
    tab.goto("/dialstock/orders")
    shown = tab.locator("time").first
    exact = shown.get_attribute("datetime")
    assert exact is not None
    local = tab.evaluate(
        """at => new Date(at).toLocaleString(
            "en-US", {dateStyle: "short", timeStyle: "medium", timeZone: "America/New_York"})""",
        exact,
    )
    assert shown.inner_text().startswith(local)
    assert exact[11:19] in shown.inner_text()


def test_it_reads_without_scripts(browser: Browser, light: Visitor, desk: Desk, order: str) -> None:
    context = browser.new_context(
        base_url=str(light.base_url),
        http_credentials={"username": "ann", "password": PASSWORDS["ann"]},
        java_script_enabled=False,
    )
    tab = context.new_page()
    tab.goto(f"/dialstock/orders/{order}?status=failed")
    expect(tab.get_by_text("the number is taken")).to_be_visible()
    tab.goto("/dialstock/held")
    tab.get_by_label(f"{NUMBERS[1]} at timepay").check()
    tab.locator("#decision-bought").check()
    tab.get_by_role("button", name="Settle").click()
    expect(tab.get_by_text("1 purchase settled by ann.")).to_be_visible()
    context.close()


def test_flower_s_own_pages_api_and_metrics_go_on(tab: Page) -> None:
    for path in ("/workers", "/tasks"):
        answer = tab.goto(path)
        assert answer is not None
        assert answer.status == 200
        expect(tab.get_by_role("link", name="Orders")).to_be_visible()
    for path, words in (("/api/workers", "{}"), ("/api/tasks", "{}"), ("/healthcheck", "OK"), ("/metrics", "flower_")):
        found = tab.evaluate("path => fetch(path).then(async one => [one.status, await one.text()])", path)
        assert (found[0], words in found[1]) == (200, True), path
