"""Our pages in another Flower: under a prefix, and where it lacks what they build on."""

from __future__ import annotations

import shutil
from pathlib import Path

import flower.urls
import pytest

from tests.workers.cli.running import NUMBERS, Cli, simple_file
from tests.workers.pages.serving import Visitor, flower_at
from workers.config_file import read_source
from workers.pages.frame import templates
from workers.pages.mount import mount
from workers.settings import load_settings


def test_a_flower_without_what_the_pages_build_on_goes_on_without_them(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "templates"
    shutil.copytree(templates.FLOWERS_TEMPLATES, other)
    bar = other / "navbar.html"
    bar.write_text(bar.read_text().replace("app-nav navbar-nav", "another-bar"))
    monkeypatch.setattr(templates, "FLOWERS_TEMPLATES", other)
    before = list(flower.urls.handlers)
    settings = load_settings()
    assert mount(settings, read_source(settings)) is None
    assert flower.urls.handlers == before
    assert "template_loader" not in flower.urls.settings
    assert '<ul class="app-nav navbar-nav"> in navbar.html' in caplog.text
    assert "The rest of Flower goes on" in caplog.text


def test_a_database_without_tables_is_told(
    home: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("DIALSTOCK_EMBEDDED", "no")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    with flower_at() as address, Visitor(address) as visitor:
        for page in ("/orders", "/held", "/new", "/search"):
            assert "has no tables yet: run dialstock migrate" in visitor.page(page, status=503)
            assert "dialstock migrate" in visitor.data(page, status=503)["error"]
        assert "dialstock_database_up 0.0" in visitor.get("/metrics").text
        assert visitor.get("/workers").status_code == 200


def test_under_a_prefix_all_links_lead_there(cli: Cli, home: Path) -> None:
    order = cli.submit(simple_file(home, 1))
    with flower_at(prefix="flower") as address, Visitor(f"{address}/flower") as visitor:
        page = visitor.page(f"/orders/{order}")
        assert NUMBERS[0] in page
        assert 'href="/flower/dialstock/held"' in page
        assert 'href="/dialstock' not in page
        done = visitor.submit(f"/orders/{order}/cancel", f"/orders/{order}", sure="yes")
        assert done.headers["location"] == f"/flower/dialstock/orders/{order}"
