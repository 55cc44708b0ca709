"""What grows for ever goes some day, by chunks; what anything depends on stays."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select, update

from schemas.retention import DAY, Retention
from schemas.settling import FindingKind
from schemas.tables.audits import FINDING
from schemas.tables.pools import POOL_NUMBER, POOL_REQUEST, POOL_RUN
from schemas.tables.purchases import ATTEMPT, KEY, PURCHASE, REJECTED
from tasks import retention
from tasks.ledger import history
from tasks.ledger.calls.attempts import YES
from tasks.ledger.rows import Row, new_id
from tasks.retention import CHUNK, clean_up, growing
from tests.tasks.killing import killed_at, make_deadly
from tests.tasks.support import ACCOUNT, World, number

SHORT = Retention(rejected=30 * DAY, requests=30 * DAY, records=90 * DAY)


def count(world: World, table: Table) -> int:
    return int(world.rows(select(func.count().label("n")).select_from(table))[0]["n"])


def bought(world: World, index: int) -> Row:
    """A purchase that is purchased."""
    row = world.accept(number(index), idempotency_key=f"key-{index}")
    world.work()
    return world.settle(row["id"])


def add_call(world: World, row: Row, outcome: str | None) -> None:
    started = world.clock()
    values = {"purchase_id": row["id"], "revision": 99, "started_at": started, "deadline": started, "outcome": outcome}
    with world.write() as conn:
        conn.execute(insert(ATTEMPT).values(**values))


def set_status(world: World, row: Row, **values: Any) -> None:
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**values))


def pass_years(world: World, days: float = 400) -> None:
    """Ids are made by the real time, which the tests' clock knows nothing of."""
    real = world.rows(select(func.max(PURCHASE.c.created_at).label("at")))[0]["at"] or world.clock()
    world.clock.advance(days * DAY + (real - world.clock()).total_seconds() + 3650 * DAY)


def test_calls_of_settled_purchases_go_and_the_purchases_stay(world: World) -> None:
    plain, charged, doubted, refused, held, open_ = (bought(world, n) for n in range(6))
    add_call(world, charged, YES[0])
    set_status(world, refused, status="failed", success=False)
    add_call(world, doubted, None)
    set_status(world, held, status="held", success=None, finished_at=None)
    set_status(world, open_, status="unknown", success=None, finished_at=None)
    marks = world.runtime.watermark.newest(ACCOUNT)
    assert len(marks) >= 6
    purchases = world.rows(select(PURCHASE).order_by(PURCHASE.c.id))
    assert not clean_up(world.runtime, SHORT)
    assert count(world, ATTEMPT) == 8
    pass_years(world)
    assert not clean_up(world.runtime, Retention(records=None))
    assert count(world, ATTEMPT) == 8
    clean_up(world.runtime, SHORT)
    left = {row["purchase_id"] for row in world.rows(select(ATTEMPT))}
    # The call of *refused* was executed, whatever became of it: that is evidence.
    assert left == {charged["id"], refused["id"], held["id"], open_["id"]}
    assert world.attempts(plain["id"]) == world.attempts(doubted["id"]) == []
    assert world.rows(select(PURCHASE).order_by(PURCHASE.c.id)) == purchases
    assert count(world, KEY) == 6
    assert world.accept(number(0), idempotency_key="key-0")["id"] == plain["id"]
    with world.runtime.database.read() as conn:
        assert history.lost(conn, marks, account=ACCOUNT) == []


def test_a_database_that_went_back_is_found_behind_all_the_same(world: World) -> None:
    settled, open_ = bought(world, 1), bought(world, 2)
    set_status(world, open_, status="unknown", finished_at=None)
    [mark, other] = [one for one in reversed(world.runtime.watermark.newest(ACCOUNT)) if one.number != number(0)]
    with world.write() as conn:
        conn.execute(ATTEMPT.delete())
    late = timedelta(seconds=1)
    after = type(mark)(**{**vars(mark), "started_at": settled["finished_at"] + late})
    strange = type(mark)(**{**vars(mark), "purchase_id": new_id()})
    with world.runtime.database.read() as conn:
        assert history.lost(conn, [mark, other, after, strange], account=ACCOUNT) == [other, after, strange]
    set_status(world, settled, attempts=0)
    with world.runtime.database.read() as conn:
        assert history.lost(conn, [mark], account=ACCOUNT) == [mark]


def request(name: str, world: World) -> Row:
    return {
        **{"request_id": name, "fingerprint": "f", "pool": "p", "task": "take"},
        **{"numbers": [], "created_at": world.clock()},
    }


def test_answers_go_but_for_numbers_that_are_taken(world: World) -> None:
    place = {"pool": "p", "tries": 1, "updated_at": world.clock(), "request_id": "taken"}
    with world.write() as conn:
        conn.execute(insert(POOL_REQUEST), [request(name, world) for name in ("taken", "back", "refused")])
        conn.execute(insert(POOL_NUMBER), [{**place, "slot": 1, "status": "taken", "number": number(1)}])
    world.clock.advance(29 * DAY)
    clean_up(world.runtime, SHORT)
    assert count(world, POOL_REQUEST) == 3
    world.clock.advance(2 * DAY)
    clean_up(world.runtime, SHORT)
    assert [row["request_id"] for row in world.rows(select(POOL_REQUEST))] == ["taken"]
    assert count(world, POOL_NUMBER) == 1


def test_rejected_messages_resolved_findings_and_empty_runs_go(world: World) -> None:
    now = world.clock()
    rejected = {"id": new_id(), "received_at": now, "body": "", "error": "", "error_code": "x"}
    found = {"account": "a", "number": "+1", "provider": "p", "provider_number_ids": [], "found_at": now}
    kinds = {FindingKind.ORPHAN: now, FindingKind.MISSING: None, FindingKind.CHARGED_TWICE: now}
    run = {"pool": "p", "at": now, "level": 0, "wanted": 1, "ordered": 0}
    with world.write() as conn:
        conn.execute(insert(REJECTED).values(**rejected))
        for kind, resolved in kinds.items():
            conn.execute(insert(FINDING).values(id=new_id(), kind=str(kind), resolved_at=resolved, **found))
        for order_id in (None, new_id()):
            conn.execute(insert(POOL_RUN).values(id=new_id(), order_id=order_id, **run))
        told = {name: (rows, oldest) for name, rows, oldest in growing(conn)}
    assert told["rejected_request"] == (1, now)
    assert told["purchase_attempt"] == (0, None)
    bought(world, 1)
    pass_years(world)
    clean_up(world.runtime, SHORT)
    assert count(world, REJECTED) == 0
    assert {row["kind"] for row in world.rows(select(FINDING))} == {FindingKind.MISSING, FindingKind.CHARGED_TWICE}
    assert [row["order_id"] is None for row in world.rows(select(POOL_RUN))] == [False]


@pytest.mark.parametrize("commit", range(1, 9))
def test_whoever_dies_between_two_chunks_is_gone_on_from(
    world: World, monkeypatch: pytest.MonkeyPatch, commit: int
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    for index in range(5):
        bought(world, index)
    with world.write() as conn:
        conn.execute(insert(POOL_REQUEST), [request(f"r{n}", world) for n in range(5)])
    pass_years(world)
    deadly = make_deadly(world)

    def clean() -> None:
        while clean_up(world.runtime, SHORT):
            pass

    killed_at(deadly, commit, clean)
    clean()
    assert (count(world, ATTEMPT), count(world, POOL_REQUEST), count(world, PURCHASE)) == (0, 0, 5)


def test_a_hundred_thousand_rows_go_in_short_transactions(world: World) -> None:
    with world.write() as conn:
        for start in range(0, 100_000, 10_000):
            conn.execute(insert(POOL_REQUEST), [request(f"r{n}", world) for n in range(start, start + 10_000)])
    world.clock.advance(31 * DAY)
    left, more = [100_000], True
    while more:
        more = clean_up(world.runtime, SHORT)
        left.append(count(world, POOL_REQUEST))
    assert left[-1] == 0
    assert max(before - after for before, after in pairwise(left)) == CHUNK
