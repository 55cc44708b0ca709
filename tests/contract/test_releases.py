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
