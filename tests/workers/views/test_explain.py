"""Every status is explained in words that are true."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.config.policy import Policy
from schemas.status import Status
from workers.views.explain import Around, next_step, pause_in_words, when

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PAUSED = {
    "provider": "bird",
    "paused_at": NOW - timedelta(minutes=5),
    "cause": "account",
    "reason": "401 [b]key[/b]",
    "probe_at": NOW + timedelta(seconds=40),
}


def step(
    status: Status,
    *,
    policy: Policy | None = None,
    state: dict[str, Any] | None = None,
    release: dict[str, Any] | None = None,
    **row: Any,
) -> str:
    purchase = {
        "id": "p1",
        "provider": "bird",
        "number": "+14155550100",
        "attempts": 0,
        "looks": 0,
        "doubt": False,
        "due_at": NOW,
        "call_deadline": NOW + timedelta(seconds=30),
        "cancel_requested_at": None,
        "error_code": None,
        "provider_order_id": None,
        "provider_number_id": None,
        **row,
        "status": str(status),
    }
    return next_step(purchase, Around(policy=policy or Policy(), state=state, now=NOW, release=release))


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_words(status: Status) -> None:
    assert step(status).endswith(".")


def test_missing_papers() -> None:
    fresh = step(Status.HELD, id="p1", error_code="compliance", provider_order_id=None)
    assert fresh.startswith("Nothing was bought: papers are missing.")
    assert "`dialstock purchase resolve p1 --retry` buys it." in fresh
    assert fresh.endswith("yourself: `dialstock purchase resolve p1 --bought`.")
    standing = step(Status.HELD, id="p1", error_code="compliance", provider_order_id="o1")
    assert "`dialstock purchase resolve p1 --retry` follows the order again." in standing
    assert "cancel the order there before `dialstock purchase resolve p1 --fail`" in standing


def test_queued() -> None:
    assert "Bought as soon as a worker has room for it (try 1 of 6); the provider's pace is 5/second." in step(
        Status.QUEUED
    )
    backoff = step(Status.QUEUED, attempts=2, due_at=NOW + timedelta(seconds=12))
    assert backoff == "Backs off: tried again in 12 s (try 3 of 6)."
    paused = step(Status.QUEUED, state=PAUSED)
    assert "when the provider goes on" in paused
    assert "paused since 2026-01-02 02:59:05Z (account): 401 [b]key[/b]; one purchase may try again in 40 s" in paused
    gone = next_step(
        {"status": "queued", "provider": "x", "account": "vogent|y", "cancel_requested_at": None},
        Around(policy=None, state=None, now=NOW),
    )
    assert "no worker buys under 'x' for vogent|y" in gone


def test_doubt() -> None:
    look = step(Status.UNKNOWN, looks=1, due_at=NOW + timedelta(seconds=30))
    assert "asked in 30 s whether it is ours (look 2 of 3)" in look
    assert "may have been bought and paid for" in step(Status.HELD, doubt=True)
    assert "may have been bought" not in step(Status.HELD)
    assert "not bought again" in step(Status.PURCHASING, cancel_requested_at=NOW)


def test_a_call_that_the_database_lost_is_told() -> None:
    told = step(Status.HELD, doubt=True, error_code="history_lost")
    assert "lost a call for it, whose answer is not known here. It may have been bought and paid for: see at" in told
    assert "lost a call" not in step(Status.HELD, doubt=True, error_code="look_failed")


def test_what_a_person_does_is_said_as_it_is_typed() -> None:
    held = step(Status.HELD, doubt=True)
    assert ": `dialstock purchase resolve p1 --bought` if it is; if not, `dialstock purchase resolve p1 --fail`" in held
    assert "`dialstock release +14155550100 --cancel` keeps it" in step(Status.RELEASING)


def test_what_the_audit_settles_is_said() -> None:
    told = "Not listed as ours 24.0 h after its call, the audit says that it was not bought."
    for code in ("refused", "look_failed", "cancelled_in_doubt"):
        assert step(Status.HELD, error_code=code).endswith(told)
    assert told not in step(Status.HELD, error_code="order_lost")
    for known in ("provider_order_id", "provider_number_id"):
        assert told not in step(Status.HELD, error_code="look_failed", **{known: "7"})
    for policy in (Policy(settle_after=0), Policy(audit_every=0), Policy(on_unknown="hold")):
        assert told not in step(Status.HELD, error_code="refused", policy=policy)


def test_a_pause_says_what_ends_it() -> None:
    assert pause_in_words(None, NOW) is None
    assert pause_in_words({**PAUSED, "paused_at": None}, NOW) is None
    person = pause_in_words({**PAUSED, "cause": "person", "probe_at": None}, NOW)
    assert person is not None
    assert person.endswith("; until `dialstock provider resume bird`")


def test_a_pause_whose_probe_is_due_promises_no_purchase_and_stops_no_release() -> None:
    due = {**PAUSED, "probe_at": NOW}
    told = pause_in_words(due, NOW)
    assert told is not None
    assert told.endswith("; the next purchase tries again")
    assert "paused" not in step(Status.RELEASING, state=due)
    assert "paused since" in step(Status.RELEASING, state=PAUSED)


def test_a_release_tells_when_it_is_due() -> None:
    release = {"doubt": False, "due_at": NOW + timedelta(days=13)}
    assert "a worker calls at 2026-01-15 03:04:05Z." in step(Status.RELEASING, release=release)
    doubt = {"doubt": True, "due_at": NOW + timedelta(seconds=30)}
    assert "perhaps given back: the provider is asked in 30 s" in step(Status.RELEASING, release=doubt)


def test_when() -> None:
    assert when(NOW - timedelta(seconds=9), NOW) == "now"
    assert when(NOW + timedelta(seconds=90), NOW) == "in 90 s"
    assert when(NOW + timedelta(minutes=5), NOW) == "in 5 min"
    assert when(NOW + timedelta(hours=5), NOW) == "at 2026-01-02 08:04:05Z"
