"""Numbers that Telnyx keeps for us: only its own word for each of them says so."""

from __future__ import annotations

from typing import Any, cast

import pytest

from schemas.outcomes import OutcomeKind
from tasks.providers.adapter import ProviderError, Reserving
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import ID, NUMBER, OTHER, adapter


def reserve(server: ScriptedServer, answer: bytes) -> dict[str, Any]:
    server.queue(answer)
    return dict(cast(Reserving, adapter("telnyx", server.url)).reserve([NUMBER, OTHER]))


def said(*items: tuple[Any, Any], **more: Any) -> bytes:
    numbers = [{"phone_number": number, "status": status} for number, status in items]
    return reply(200, {"data": {"id": ID, "status": "success", "phone_numbers": numbers, **more}})


def test_the_request_is_the_page_s(server: ScriptedServer) -> None:
    assert reserve(server, said((NUMBER, "success"), (OTHER, "success"))) == {NUMBER: None, OTHER: None}
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/v2/number_reservations")
    assert seen.json == {"phone_numbers": [{"phone_number": NUMBER}, {"phone_number": OTHER}]}


@pytest.mark.parametrize(
    ("items", "reserved"),
    [
        ([(NUMBER, "success"), (OTHER, "failure")], [NUMBER]),
        ([(NUMBER, "pending"), (OTHER, "success")], [OTHER]),
        ([(NUMBER, None), (OTHER, ["success"])], []),
        ([(NUMBER, "success"), (NUMBER, "failure")], []),
        ([("+14155559999", "success")], []),
        ([], []),
    ],
)
def test_each_number_s_own_word_counts(server: ScriptedServer, items: list[Any], reserved: list[str]) -> None:
    assert list(reserve(server, said(*items, status="partial_success"))) == reserved


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        *((reply(422, {"errors": [{"code": code}]}), OutcomeKind.REFUSED) for code in ("85006", "85007", "85008")),
        (reply(401), OutcomeKind.ACCOUNT),
        (reply(429), OutcomeKind.THROTTLED),
        (reply(500), OutcomeKind.UNKNOWN),
        (CUT, OutcomeKind.UNKNOWN),
        (reply(200, {}), OutcomeKind.UNKNOWN),
        (reply(200, b"<html>"), OutcomeKind.UNKNOWN),
        (said((NUMBER, "success"), id=None), OutcomeKind.UNKNOWN),
    ],
)
def test_what_is_no_reservation_reserves_nothing(server: ScriptedServer, answer: bytes, kind: OutcomeKind) -> None:
    with pytest.raises(ProviderError) as caught:
        reserve(server, answer)
    assert caught.value.outcome.kind is kind
    assert len(server.seen) == 1
