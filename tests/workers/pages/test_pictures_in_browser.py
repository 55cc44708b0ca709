"""Pictures in a real browser: for who does not see them, on a telephone, in the dark."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert

from schemas.tables.pools import POOL_REQUEST
from tests.workers.cli.running import Cli
from tests.workers.pages.browsing import PHONE, PICTURES, browser, serious_findings, tab
from tests.workers.pages.serving import Visitor
from tests.workers.pages.test_pictures import stocked
from workers.views.desk import Desk

__all__ = ["browser", "tab"]


def test_pictures_are_told_to_who_does_not_see_them(
    tab: Page, cli: Cli, desk: Desk, light: Visitor, home: Path
) -> None:
    stocked(desk, light, home)
    for dark in (False, True):
        if dark:
            tab.set_viewport_size(PHONE)  # type: ignore[arg-type]
            tab.emulate_media(color_scheme="dark")
        for path, words in (
            ("pools/new-york", "Available in the last 7 days: 3 to 5"),
            ("providers", "telnyx: 0 calls"),
        ):
            tab.goto(f"/dialstock/{path}")
            expect(tab.get_by_role("img", name=words)).to_be_visible()
            assert serious_findings(tab) == [], path
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.skipif("PICTURES" not in os.environ, reason="PICTURES=FOLDER takes those of the README anew")
def test_pictures_of_a_pool(tab: Page, cli: Cli, desk: Desk, light: Visitor, home: Path) -> None:
    stocked(desk, light, home)
    now, made = desk.runtime.now(), {"fingerprint": "", "pool": "new-york", "taker": "crm"}
    moves = [("take", n) for n in range(8, 170, 7)] + [("return", n) for n in range(20, 170, 9)]
    asked = [
        {**made, "request_id": f"{task} {n}", "task": task, "numbers": [{}], "created_at": now - timedelta(hours=n)}
        for task, n in moves
    ]
    desk.runtime.database.run(lambda conn: conn.execute(insert(POOL_REQUEST), asked))
    tab.set_viewport_size({"width": 1200, "height": 560})
    tab.goto("/dialstock/pools/new-york")
    tab.screenshot(path=PICTURES / "pool.png")
