from __future__ import annotations

import base64
from typing import Any

import pytest

from schemas.outcomes import LookKind, Outcome, OutcomeKind
from tasks.providers.adapter import Adapter, Ask, Known
from tasks.providers.bandwidth import login
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import NUMBER, TOKEN, adapter
from tests.tasks.providers.bandwidth.answers import (
    ACCESS,
    LOGIN,
    PATH,
    buy,
    look,
    one,
    order,
    xml,
)


def test_a_token_is_fetched_once_and_told_to_nobody(server: ScriptedServer) -> None:
    provider = adapter("bandwidth", server.url)
    basic = base64.b64encode(f"sandbox-client:{TOKEN}".encode()).decode()
    told = f"bad token {ACCESS}, of {TOKEN} by {basic}"
    server.queue(LOGIN, xml("OrderResponse", order(), 201), reply(400, told.encode()))
    ask = Ask(number=NUMBER)
    assert provider.prepare(ask) is ask
    assert provider.prepare(ask) is ask
    provider.buy([ask])
    (outcome,) = provider.buy([ask])
    assert "bad token" in (outcome.detail or "")
    assert [secret for secret in (ACCESS, TOKEN, basic) if secret in repr(outcome)] == []
    assert [seen.path for seen in server.seen] == ["/api/v1/oauth2/token", f"{PATH}/orders", f"{PATH}/orders"]
    login, first = server.seen[0], server.seen[1]
    assert (login.headers["authorization"], login.body) == (f"Basic {basic}", b"grant_type=client_credentials")
    assert first.headers["authorization"] == f"Bearer {ACCESS}"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        *((reply(status, {"error": "invalid_client"}), OutcomeKind.ACCOUNT) for status in (400, 401, 403, 404)),
        (reply(429), OutcomeKind.THROTTLED),
        *((answer, OutcomeKind.NOT_SENT) for answer in (reply(500), CUT, reply(200, b"<html>"))),
        *((reply(200, {"access_token": token}), OutcomeKind.NOT_SENT) for token in (None, "", 5, "a\nb", "t\u00e9")),
    ],
)
def test_without_a_token_nothing_is_ordered(server: ScriptedServer, answer: bytes, kind: OutcomeKind) -> None:
    provider = adapter("bandwidth", server.url)
    server.queue(answer)
    outcome = provider.prepare(Ask(number=NUMBER))
    assert not isinstance(outcome, Ask)
    assert outcome.kind is kind
    assert TOKEN not in repr(outcome)
    (held,) = provider.buy([Ask(number=NUMBER)])
    assert (held.kind, held.held_back, len(server.seen)) == (OutcomeKind.NOT_SENT, True, 1)


@pytest.mark.parametrize(
    ("lives", "used"), [(3600, 3550), (60, 30), (None, 250), ("3600", 250), (True, 250), (10**12, 86_350)]
)
def test_a_token_that_is_about_to_expire_is_fetched_anew(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, lives: Any, used: float
) -> None:
    now = [1000.0]
    monkeypatch.setattr(login, "steady", lambda: now[0])
    provider = adapter("bandwidth", server.url, policy={"timeout": 20.0})
    server.queue(*[reply(200, {"access_token": ACCESS, "expires_in": lives})] * 2)
    for passed, fetched in ((0, 1), (used - 1, 1), (used, 2)):
        now[0] = 1000.0 + passed
        provider.prepare(Ask(number=NUMBER))
        assert len(server.seen) == fetched


@pytest.mark.parametrize("lives", [0, -1, 3, 9.9])
def test_a_token_that_lives_too_short_for_a_call_is_the_accounts_matter(server: ScriptedServer, lives: float) -> None:
    provider = adapter("bandwidth", server.url)
    for _ in range(2):
        server.queue(reply(200, {"access_token": ACCESS, "expires_in": lives}))
        outcome = provider.prepare(Ask(number=NUMBER))
        assert isinstance(outcome, Outcome)
        assert (outcome.kind, outcome.error_code, outcome.retry_after) == (OutcomeKind.ACCOUNT, "short_token", None)
        assert ACCESS not in repr(outcome)


def test_a_token_that_lives_just_long_enough_is_bought_with(server: ScriptedServer) -> None:
    server.queue(reply(200, {"access_token": ACCESS, "expires_in": login.SHORTEST}), reply(401))
    provider = adapter("bandwidth", server.url)
    ask = provider.prepare(Ask(number=NUMBER))
    assert isinstance(ask, Ask)
    [outcome] = provider.buy([ask])
    assert (outcome.kind, outcome.http_status) == (OutcomeKind.ACCOUNT, 401)


def test_a_401_drops_the_token_and_a_reading_call_is_made_again(provider: Adapter, server: ScriptedServer) -> None:
    outcome = buy(provider, server, reply(401))
    assert (outcome.kind, len(server.seen)) == (OutcomeKind.ACCOUNT, 1)
    assert buy(provider, server).error_code == "no_token"
    found = look(provider, server, Known(), LOGIN, reply(401), LOGIN, one())
    assert found.kind is LookKind.OWNED
    assert [seen.method for seen in server.seen] == ["POST", "GET", "POST", "GET"]
    found = look(provider, server, Known(), reply(401), reply(401))
    assert (found.kind, found.account) == (LookKind.UNCLEAR, True)
