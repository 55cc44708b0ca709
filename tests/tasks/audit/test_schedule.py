"""The scheduled audit: whose it is, what it tells, and what a worker that dies or stands still leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from schemas.status import Status
from schemas.tables.audits import AUDIT_RUN, FINDING
from schemas.tables.purchases import PURCHASE, RESOLUTION
from tasks.audit import compare, schedule
from tasks.ledger.audit import runs
from tasks.ledger.rows import Row
from tasks.runtime import utc_now
from tests import forked
from tests.tasks.audit import auditor
from tests.tasks.shops import Shop
from tests.tasks.support import number
from tests.waiting import PATIENCE, eventually, fair_clock


def test_the_scheduled_audit_settles_evidence_and_tells_of_the_rest_once(shop: Shop) -> None:
    _, doubtful, lost = shop.buy(number(1), number(2), number(3))
    shop.forget()
    shop.own(number(1), number(2), number(4))
    shop.put(doubtful, Status.UNKNOWN)
    shop.world.clock.advance(600)
    began = shop.world.clock.moment
    assert shop.scheduled() == 3
    assert sorted(shop.told()) == ["evidence", "missing", "orphan"]
    settled = shop.world.row(doubtful["id"])
    assert settled["status"] == Status.PURCHASED
    assert shop.world.row(lost["id"])["status"] == Status.PURCHASED
    [resolution] = shop.world.rows(select(RESOLUTION))
    assert (resolution["purchase_id"], resolution["decision"], resolution["by"]) == (settled["id"], "evidence", "audit")
    [run] = shop.world.rows(select(AUDIT_RUN))
    assert (run["began_at"], run["owned"], run["error"]) == (began, 3, None)
    assert shop.scheduled() is None
    shop.world.clock.advance(24 * 3600)
    assert shop.scheduled() == 0
    assert len(shop.told()) == 3


def test_what_is_gone_at_the_next_audit_is_resolved(fluents: Shop) -> None:
    fluents.buy(number(1))
    fluents.own(number(2))
    fluents.world.clock.advance(600)
    assert fluents.scheduled() == 1
    compare.adopt(fluents.runtime, fluents.binding, fluents.audit(), "ann")
    fluents.world.clock.advance(24 * 3600)
    assert fluents.scheduled() == 0
    [finding] = fluents.world.rows(select(FINDING))
    assert finding["resolved_at"] == fluents.world.clock.moment


def test_a_policy_that_says_never_is_obeyed(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop("vogent", audit_every=0)
    shop.own(number(1))
    assert shop.scheduled() is None
    assert schedule.scheduled(shop.runtime, "nobody") is None
    assert shop.told() == []


def test_a_scheduled_audit_that_fails_says_why_and_comes_back(fluents: Shop, caplog: pytest.LogCaptureFixture) -> None:
    fluents.buy(number(1))
    fluents.forget()
    fluents.world.clock.advance(600)
    fluents.sandbox.control.plan("fluents", "error_before", on="read")
    assert fluents.scheduled() is None
    [run] = fluents.world.rows(select(AUDIT_RUN))
    assert "HTTP 500" in run["error"]
    assert "could not be done" in caplog.text
    assert fluents.told() == []
    assert fluents.scheduled() is None
    fluents.world.clock.advance(3600)
    assert fluents.scheduled() == 1


def test_a_worker_that_shuts_down_leaves_the_audit_to_another(fluents: Shop) -> None:
    fluents.own(*(number(n) for n in range(250)))
    pages = iter([False, False, True])
    assert schedule.scheduled(fluents.runtime, "fluents", lambda: next(pages)) is None
    assert fluents.told() == []
    assert fluents.scheduled() == 250


def test_evidence_meets_a_call_in_flight_and_changes_nothing(fluents: Shop) -> None:
    claim = fluents.world.claimed()
    with fluents.world.write() as conn:
        conn.execute(update(PURCHASE).values(account=fluents.binding.account, provider="fluents"))
    fluents.own(claim.row["number"])
    assert fluents.scheduled() == 0
    assert fluents.world.row(claim.row["id"])["status"] == Status.PURCHASING


def the_run(shop: Shop) -> Row:
    [run] = shop.world.rows(select(AUDIT_RUN))
    return run


def test_one_that_breaks_is_not_done_again_every_minute(fluents: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(fluents.binding.adapter), "owned", lambda *_: iter([1]))
    with pytest.raises(AttributeError):
        fluents.scheduled()
    run = the_run(fluents)
    assert (run["error"], run["due_at"]) == ("AttributeError", fluents.world.clock.moment + timedelta(hours=1))


def test_of_two_only_the_one_that_took_over_concludes(fluents: Shop) -> None:
    """The first stands still between two pages, and goes on with a list that is old by then."""
    fluents.own(*(number(n) for n in range(101)))

    def stand_still() -> None:
        fluents.world.clock.advance(runs.LEASE.total_seconds())
        assert fluents.scheduled() == 101
        fluents.own(number(500))

    pages = iter([lambda: None, stand_still])
    assert schedule.scheduled(fluents.runtime, "fluents", lambda: next(pages)() is not None) is None
    run = the_run(fluents)
    assert (run["began_at"], run["owned"]) == (fluents.world.clock.moment, 101)
    assert (run["ended_at"], run["due_at"]) == (run["began_at"], run["began_at"] + timedelta(days=1))
    found = fluents.world.rows(select(FINDING))
    assert {row["number"] for row in found} == {number(n) for n in range(101)}
    assert {row["resolved_at"] for row in found} == {None}


@pytest.fixture
def walker(fluents: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Starts a process that walks so many pages, 0.25 s each, and has begun when it is given."""
    monkeypatch.setattr(runs, "LEASE", auditor.LEASE)
    fluents.runtime = auditor.living(fluents.runtime, fluents.sandbox.url)
    running: list[subprocess.Popen[str]] = []

    def begin(pages: int) -> subprocess.Popen[str]:
        fluents.own(*(number(n) for n in range(100 * pages)))
        fluents.sandbox.control.latency("fluents", 0.25)
        database = fluents.world.runtime.database.engine.url.render_as_string(hide_password=False)  # type: ignore[attr-defined]
        program = [sys.executable, "-m", "tests.tasks.audit.auditor", database, fluents.sandbox.url]
        running.append(forked.start(program, env=os.environ, stdout=subprocess.PIPE, text=True))
        eventually(lambda: fluents.world.rows(select(AUDIT_RUN)), what="it begins")
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    fluents.sandbox.control.latency("fluents", 0.0)


def test_one_whose_process_is_killed_is_taken_over_soon(
    fluents: Shop, walker: Callable[[int], subprocess.Popen[str]]
) -> None:
    process = walker(20)
    began = the_run(fluents)["began_at"]
    process.kill()
    process.wait()
    fluents.sandbox.control.latency("fluents", 0.0)
    with fair_clock() as clock:
        assert eventually(fluents.scheduled) == 2000
        assert clock() < 10
    assert the_run(fluents)["began_at"] > began


def test_a_long_walk_that_lives_is_not_done_twice(
    fluents: Shop, walker: Callable[[int], subprocess.Popen[str]]
) -> None:
    process, asked = walker(26), 0
    began = the_run(fluents)["began_at"]
    while process.poll() is None:
        run = the_run(fluents)
        # On a busy machine it may stand still for a lease, and be taken over then.
        if run["due_at"] - utc_now() > auditor.LEASE / 3:
            assert fluents.scheduled() is None
            asked += run["ended_at"] is None and run["due_at"] > began + auditor.LEASE
        time.sleep(0.1)
    assert asked
    run = the_run(fluents)
    assert (run["began_at"], run["owned"]) == (began, 2600)
    assert run["ended_at"] - began > 2 * auditor.LEASE
    assert process.communicate()[0] == "2600\n"


def test_one_that_stood_still_leaves_its_walk_when_it_wakes(
    fluents: Shop, walker: Callable[[int], subprocess.Popen[str]]
) -> None:
    process = walker(60)
    process.send_signal(signal.SIGSTOP)
    fluents.sandbox.control.latency("fluents", 0.0)
    assert eventually(fluents.scheduled) == 6000
    run = the_run(fluents)
    fluents.sandbox.control.latency("fluents", 0.25)
    process.send_signal(signal.SIGCONT)
    with fair_clock() as clock:
        assert process.communicate(timeout=PATIENCE)[0] == "None\n"
        # most of its 15 seconds of walking is left out
        assert clock() < 8
    assert the_run(fluents) == run
    assert len(fluents.told()) == 6000
