"""What services send and are told: the page, and the document at two addresses."""

from __future__ import annotations

import pytest

from schemas.events import EventType
from tasks.messages.public_names import PUBLIC
from tests.workers.cli.running import Cli
from tests.workers.pages.serving import Visitor, flower_at
from workers.views.asyncapi.document import asyncapi_document


def test_people_read_each_task_and_each_event(light: Visitor) -> None:
    page = light.page("/asyncapi")
    for name in (*PUBLIC, *EventType):
        assert f'id="{name.removeprefix("dialstock.")}">{name}</h3>' in page
    assert "requests[].number" in page
    assert "never more than <code>count</code>" in page
    assert '"idempotency_key": "crm-4711"' in page


def test_programs_get_the_document(light: Visitor) -> None:
    assert light.data("/asyncapi") == asyncapi_document()
    answer = light.get("/dialstock/asyncapi.json", headers={"Accept": "text/html"})
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == asyncapi_document()


def test_its_names_are_those_of_this_installation(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_KEY_PREFIX", "staging:")
    with flower_at() as address, Visitor(address) as visitor:
        assert "<code>staging:dialstock:results</code>" in visitor.page("/asyncapi")
        assert visitor.data("/asyncapi") == asyncapi_document("staging:")


def test_it_is_linked_from_each_page_and_asks_for_the_password(light: Visitor) -> None:
    for path in ("/orders", "/new", "/held", "/purchases", "/pools", "/providers"):
        assert 'href="/dialstock/asyncapi"' in light.page(path)
    with Visitor(str(light.base_url), None) as nobody:
        assert nobody.get("/dialstock/asyncapi.json").status_code == 401
