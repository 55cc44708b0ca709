"""What no answer to a release may be taken for: the word that the number was given back."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.providers.adapter import releasing
from tests.contract.caches import FRESH, KEPT
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import ID, NUMBER, adapter

DONE: dict[str, tuple[int, Any]] = {
    **dict.fromkeys(("twilio", "plivo", "signalwire"), (204, b"")),
    "telnyx": (200, {"data": {"id": ID, "phone_number": NUMBER, "status": "deleted"}}),
    "vogent": (200, {"id": ID, "number": NUMBER}),
}
"""The documented answer of each kind."""


def release(kind: str, server: ScriptedServer, status: int, body: Any, **headers: str) -> ReleaseOutcome:
    server.clear()
    server.queue(reply(status, body, headers))
    found = releasing(adapter(kind, server.url))
    assert found is not None
    return found.release(NUMBER, NUMBER[1:] if kind == "plivo" else ID)


@pytest.mark.parametrize("kind", DONE)
def test_an_answer_that_a_cache_has_kept_is_no_release(kind: str, server: ScriptedServer) -> None:
    said = [*((one, ReleaseKind.UNKNOWN) for one in KEPT), *((one, ReleaseKind.RELEASED) for one in FRESH)]
    for headers, kind_of in said:
        outcome = release(kind, server, *DONE[kind], **headers)
        assert outcome.kind is kind_of, headers
        assert outcome.http_status == DONE[kind][0]


@pytest.mark.parametrize("status", ["active", "purchase-pending", "provision-pending", "requirement-info-pending"])
def test_a_record_of_a_number_that_is_ours_still_is_no_release(status: str, server: ScriptedServer) -> None:
    code, body = DONE["telnyx"]
    outcome = release("telnyx", server, code, {"data": {**body["data"], "status": status}})
    assert (outcome.kind, outcome.error_code) == (ReleaseKind.UNKNOWN, "no_record")


def coded(code: object) -> dict[str, Any]:
    """An error of most providers' shapes with this code."""
    return {"code": code, "message": "words", "errors": [{"code": code, "title": "words", "detail": None}]}


@pytest.mark.parametrize(
    ("kind", "status", "code", "wanted"),
    [
        *(("signalwire", status, "purchased_too_recently", ReleaseKind.TOO_RECENT) for status in (400, 409, 422)),
        *(("signalwire", status, "22121", ReleaseKind.TOO_RECENT) for status in (409, 422)),
        *(("signalwire", status, "other", ReleaseKind.REFUSED) for status in (404, 422)),
        ("signalwire", 500, "purchased_too_recently", ReleaseKind.UNKNOWN),
        # an emergency address, a deletion lock: codes of their own are not known, so it goes by the status
        *((kind, 400, "29999", ReleaseKind.REFUSED) for kind in ("twilio", "telnyx")),
        *((kind, status, "1", ReleaseKind.REFUSED) for kind in DONE for status in (400, 404, 409, 422)),
        *((kind, status, "1", ReleaseKind.ACCOUNT) for kind in DONE for status in (401, 402, 403)),
        *((kind, 429, "1", ReleaseKind.THROTTLED) for kind in DONE),
        *((kind, status, "1", ReleaseKind.UNKNOWN) for kind in DONE for status in (302, 405, 408, 410, 500, 503)),
    ],
)
def test_a_no_is_no_release_and_only_some_of_them_end_by_themselves(
    server: ScriptedServer, kind: str, status: int, code: str, wanted: ReleaseKind
) -> None:
    outcome = release(kind, server, status, coded(code))
    assert (outcome.kind, outcome.http_status) == (wanted, status)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "wanted"),
    [(200, ReleaseKind.ACCEPTED), (202, ReleaseKind.ACCEPTED), (204, ReleaseKind.RELEASED), (201, ReleaseKind.UNKNOWN)],
)
def test_of_plivo_s_answers_the_client_takes_three(server: ScriptedServer, status: int, wanted: ReleaseKind) -> None:
    assert release("plivo", server, status, b"").kind is wanted
