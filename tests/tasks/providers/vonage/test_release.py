"""Numbers of Vonage are cancelled by the form that bought them."""

from __future__ import annotations

import pytest

from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.providers.adapter import releasing
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import NUMBER, OTHER, adapter
from tests.tasks.providers.vonage.test_adapter import ADDRESS, DIGITS, NOWHERE, said


def give_back(server: ScriptedServer, number: str = NUMBER, known: str | None = None) -> ReleaseOutcome:
    found = releasing(adapter("vonage", server.url))
    assert found is not None
    return found.release(number, number[1:] if known is None else known)


def test_a_number_is_cancelled_by_the_form_that_bought_it(server: ScriptedServer) -> None:
    server.queue(said(200, label="success"))
    assert give_back(server).kind is ReleaseKind.RELEASED
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query) == ("POST", "/number/cancel", {})
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert seen.body == f"country=US&msisdn={DIGITS}".encode()


@pytest.mark.parametrize(
    ("number", "known", "code"), [(NOWHERE, None, "no_country"), (NUMBER, OTHER[1:], "bad_id"), (NUMBER, "", "bad_id")]
)
def test_what_cannot_be_named_is_not_cancelled(
    server: ScriptedServer, number: str, known: str | None, code: str
) -> None:
    outcome = give_back(server, number, known)
    assert (outcome.kind, outcome.error_code) == (ReleaseKind.REFUSED, code)
    assert "nothing was sent" in (outcome.error or "")
    assert server.seen == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(200, {"error-code": "200", "error-code-label": "success", "msisdn": DIGITS}), ReleaseKind.RELEASED),
        (reply(200, {"error-code": "200", "error-code-label": "success", "msisdn": OTHER[1:]}), ReleaseKind.UNKNOWN),
        (reply(202, {"error-code": "200", "error-code-label": "success"}), ReleaseKind.UNKNOWN),
        (reply(200, {"error-code": "420", "error-code-label": "method failed"}), ReleaseKind.UNKNOWN),
        (reply(200, {"error-code": 200}), ReleaseKind.UNKNOWN),
        (reply(200, {}), ReleaseKind.UNKNOWN),
        (said(420, label="method failed"), ReleaseKind.REFUSED),
        (said(420, label=ADDRESS), ReleaseKind.REFUSED),
        (reply(420, {"message": "enhance your calm"}), ReleaseKind.UNKNOWN),
        (said(401, label="authentication failed"), ReleaseKind.ACCOUNT),
        (said(404, label="number not found"), ReleaseKind.REFUSED),
        (said(429, label="too many requests"), ReleaseKind.THROTTLED),
        (said(500, label="internal error"), ReleaseKind.UNKNOWN),
    ],
)
def test_only_the_documented_yes_says_that_it_is_cancelled(
    server: ScriptedServer, answer: bytes, kind: ReleaseKind
) -> None:
    server.queue(answer)
    assert give_back(server).kind is kind
    assert len(server.seen) == 1
