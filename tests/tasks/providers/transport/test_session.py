from __future__ import annotations

import json

import pytest

from schemas.outcomes import MAX_TEXT, OutcomeKind
from tasks.providers.adapter import Ask, ProviderError
from tasks.providers.transport.session import Session, only
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import NUMBER, OTHER, config

TOKEN = 'a"b\\c/d+e'


def session(url: str = "http://127.0.0.1:9", token: str = TOKEN) -> Session:
    return Session("Vogent", config("vogent", url), token=token, scheme="Bearer")


@pytest.mark.parametrize(
    "text", [TOKEN, f"x{TOKEN}y", json.dumps(TOKEN), "a%22b%5Cc%2Fd%2Be", "x" * (MAX_TEXT - 4) + TOKEN]
)
def test_a_secret_is_hidden_in_each_of_its_spellings(text: str) -> None:
    clean = session().clean(text)
    assert clean is not None
    assert len(clean) <= MAX_TEXT
    assert all(part not in clean for part in (TOKEN, TOKEN[:5], "b%5C", "b\\\\c"))


def test_a_code_that_turns_into_the_secret_is_hidden_too(server: ScriptedServer) -> None:
    server.queue(reply(422, {"code": "topSecret"}))
    with pytest.raises(ProviderError) as caught:
        session(server.url, "top_secret").call("GET", "/")
    outcome = caught.value.outcome
    assert "secret" not in (outcome.error_code or "")


def test_an_error_carries_its_outcome(server: ScriptedServer) -> None:
    server.queue(reply(402, {"message": "pay first"}))
    with pytest.raises(ProviderError, match="pay first") as caught:
        session(server.url).call("GET", "/")
    assert (caught.value.outcome.kind, caught.value.outcome.http_status) == (OutcomeKind.ACCOUNT, 402)


def test_an_exchange_may_have_any_status(server: ScriptedServer) -> None:
    server.queue(reply(404))
    assert session(server.url).exchange("GET", "/").status == 404


def test_only_takes_one() -> None:
    assert only([Ask(number=NUMBER)]).number == NUMBER
    for asks in ([], [Ask(number=NUMBER), Ask(number=OTHER)]):
        with pytest.raises(ValueError, match="one number in a call"):
            only(asks)
